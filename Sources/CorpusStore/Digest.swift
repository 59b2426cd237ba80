import Crypto
import Logits
import Shards

/// SHA-256 in lower-case hex, the only digest of corpus files and contents (row checksums are XXH3, see Shards).
package struct Digest {
    private var hasher = SHA256()

    package init() {}

    package mutating func add(_ bytes: UnsafeRawBufferPointer) { hasher.update(bufferPointer: bytes) }

    package mutating func add(_ bytes: [UInt8]) { bytes.withUnsafeBytes { hasher.update(bufferPointer: $0) } }

    package mutating func add(_ text: String) { add(Array(text.utf8)) }

    package consuming func hex() -> String { Digest.hex(of: hasher.finalize()) }

    package static func hex(_ bytes: [UInt8]) -> String {
        var digest = Digest()
        digest.add(bytes)
        return digest.hex()
    }

    package static func hex(_ text: String) -> String { hex(Array(text.utf8)) }

    /// The first eight bytes, little-endian: keys of counter-based generators.
    package static func key(_ text: String) -> UInt64 {
        SHA256.hash(data: Array(text.utf8)).prefix(8).enumerated().reduce(0) {
            $0 | UInt64($1.element) << (8 * $1.offset)
        }
    }

    private static func hex(of digest: SHA256.Digest) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(64)
        for byte in digest {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// What a file's bytes are known by: both digests in one way over them.
struct FileDigests {
    /// SHA-256.
    let digest: String
    /// XXH3-128.
    let checksum: String
    let bytes: Int

    init(_ path: String) throws(LogitError) {
        var digest = Digest()
        (checksum, bytes) = try Checksum128.file(path) { digest.add($0) }
        self.digest = digest.hex()
    }
}

extension Variant {
    /// SHA-256 over name and canonical parameters: what tells two attacks apart, and part of the key of random numbers.
    package var digest: String { Digest.hex("\(name)\u{1F}\(parametersJSON)") }
}
