import Glibc
import Logits
import Platform

/// The one-writer lock: an exclusive `flock` on the file `lock`, which names its holder. The kernel drops it when the
/// process ends, however it ends.
final class WriterLock: Sendable {
    private let descriptor: Int32

    init(_ layout: Layout) throws(LogitError) {
        let path = layout.lock
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            let code = errno
            if code == EROFS || code == EACCES {
                throw LogitError(
                    .io,
                    "the corpus \(layout.root) is read-only, so nothing can be added; work on a copy that you may write"
                )
            }
            throw Files.failure("open", path, errno: code)
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let holder = (try? Files.readText(path, limit: 4096)).flatMap {
                $0.split(separator: "\n").first.map(String.init)
            }
            close(descriptor)
            throw LogitError(
                .busy,
                "the corpus \(layout.root) is being written by process \(holder ?? "unknown"); wait until it has finished, or stop it"
            )
        }
        let text = Array("\(getpid()) (\(CommandLine.arguments.prefix(2).joined(separator: " ")))\n".utf8)
        ftruncate(descriptor, 0)
        _ = text.withUnsafeBytes { pwrite(descriptor, $0.baseAddress!, text.count, 0) }
    }

    deinit { close(descriptor) }
}
