import Glibc
import Logits

/// A file mapped read-only for as long as this lives.
///
/// `@unchecked Sendable`: the mapping is never written and its address never changes.
public final class MappedFile: @unchecked Sendable {
    public let bytes: UnsafeRawBufferPointer

    public init(_ path: String) throws(LogitError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Files.failure("open", path, errno: errno) }
        defer { close(descriptor) }
        var info = stat()
        guard fstat(descriptor, &info) == 0 else { throw Files.failure("read", path, errno: errno) }
        guard info.st_size > 0, info.st_mode & S_IFMT == S_IFREG else {
            throw LogitError(.corrupt, "\(path) is empty or no plain file; put back a copy of it")
        }
        let size = Int(info.st_size)
        guard let address = mmap(nil, size, PROT_READ, MAP_SHARED, descriptor, 0), address != MAP_FAILED else {
            throw Files.failure("map", path, errno: errno)
        }
        bytes = UnsafeRawBufferPointer(start: address, count: size)
    }

    deinit { munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count) }
}
