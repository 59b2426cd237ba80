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

    /// Of a file that is not written yet.
    init(_ image: ShardImage) {
        var digest = Digest()
        let checksum = Checksum128()
        image.visit { piece in
            // In pieces that are still in the processor's cache for the second of the two.
            for first in stride(from: 0, to: piece.count, by: FileDigests.pieceBytes) {
                let part = UnsafeRawBufferPointer(
                    rebasing: piece[first..<min(first + FileDigests.pieceBytes, piece.count)])
                digest.add(part)
                checksum.add(part)
            }
        }
        self.digest = digest.hex()
        self.checksum = checksum.hex()
        bytes = image.byteCount
    }

    private static let pieceBytes = 256 << 10
}

extension Variant {
    /// SHA-256 over name and canonical parameters: what tells two attacks apart, and part of the key of random numbers.
    package var digest: String { Digest.hex("\(name)\u{1F}\(parametersJSON)") }
}
