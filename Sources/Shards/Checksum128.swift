import CXXHash
import Glibc
import Logits
import Platform

/// XXH3-128 (seed 0) of a run of bytes, in hex as `xxhsum -H2` prints it: what tells a damaged file or table from a whole one.
/// It is fast, and proves nothing against somebody who means harm; SHA-256 does that.
package final class Checksum128 {
    private let state: OpaquePointer

    package init() {
        guard let state = XXH3_createState() else { preconditionFailure("no memory for a checksum") }
        self.state = state
        XXH3_128bits_reset(state)
    }

    deinit { XXH3_freeState(state) }

    package func add(_ bytes: UnsafeRawBufferPointer) { XXH3_128bits_update(state, bytes.baseAddress, bytes.count) }

    package func hex() -> String { Checksum128.hex(XXH3_128bits_digest(state)) }

    package static func hex(_ bytes: UnsafeRawBufferPointer) -> String {
        hex(XXH3_128bits(bytes.baseAddress, bytes.count))
    }

    private static func hex(_ value: XXH128_hash_t) -> String { padded(value.high64) + padded(value.low64) }

    private static func padded(_ half: UInt64) -> String {
        let digits = String(half, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// Of a file's bytes, read in pieces that stay in the processor's cache. Not mapped: a disk that fails under a map ends
    /// the process, and this is what looks for such disks.
    ///
    /// - Parameter also: sees every piece too.
    /// - Returns: the checksum and how many bytes there were.
    package static func file(
        _ path: String, also: (UnsafeRawBufferPointer) -> Void = { _ in }
    ) throws(LogitError) -> (checksum: String, bytes: Int) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Files.failure("open", path, errno: errno) }
        defer { close(descriptor) }
        posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceBytes, alignment: 4096)
        defer { buffer.deallocate() }
        let checksum = Checksum128()
        var total = 0
        while true {
            let got = read(descriptor, buffer.baseAddress, buffer.count)
            if got < 0 && errno == EINTR { continue }
            if got < 0 && errno == EIO {
                throw LogitError(
                    .corrupt,
                    "\(path) cannot be read to its end (Input/output error): the disk fails; put back a copy on another one"
                )
            }
            guard got >= 0 else { throw Files.failure("read", path, errno: errno) }
            if got == 0 { return (checksum.hex(), total) }
            let piece = UnsafeRawBufferPointer(rebasing: buffer[..<got])
            checksum.add(piece)
            also(piece)
            total += got
        }
    }

    private static let pieceBytes = 256 << 10
}
