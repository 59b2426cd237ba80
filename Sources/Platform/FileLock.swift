import Glibc
import Logits

/// An advisory lock (`flock`) on a file. The kernel drops it when this is released or when the process ends, however it ends.
public final class FileLock: Sendable {
    public enum Mode: Sendable { case shared, exclusive }

    private let descriptor: Int32

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// Makes the file where it is missing. A shared lock is content with a file that it may only read.
    /// - Returns: nil where the file is held in a way that excludes `mode`, by another process or by another lock of this one.
    /// - Throws: where the file cannot be opened or made, or its file system has no locks.
    public static func attempt(_ path: String, _ mode: Mode) throws(LogitError) -> FileLock? {
        var descriptor = mode == .shared ? open(path, O_RDONLY | O_CLOEXEC) : -1
        if descriptor < 0 { descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644) }
        guard descriptor >= 0 else { throw Files.failure("open", path, errno: errno) }
        guard flock(descriptor, (mode == .shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0 else {
            let code = errno
            close(descriptor)
            if code == EWOULDBLOCK { return nil }
            throw Files.failure("lock", path, errno: code)
        }
        return FileLock(descriptor)
    }

    /// Replaces what the locked file says; who is refused the lock can read it.
    public func write(_ text: String) {
        let bytes = Array(text.utf8)
        ftruncate(descriptor, 0)
        _ = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, bytes.count, 0) }
    }

    /// The processes of this machine that hold a lock on the file, as `PID (command line)`; those of other machines, and of
    /// containers that are hidden from this one, are not known.
    public static func holders(of path: String) -> [String] {
        var info = stat()
        guard stat(path, &info) == 0, let table = procText("/proc/locks") else { return [] }
        // `1: FLOCK  ADVISORY  READ 4711 08:01:131090 0 EOF`
        let processes = table.split(separator: "\n").compactMap { line -> Int32? in
            let fields = line.split(separator: " ", omittingEmptySubsequences: true)
            guard fields.count >= 6, fields[1] == "FLOCK", let process = Int32(fields[4]), process > 0,
                fields[5].split(separator: ":").last.flatMap({ UInt64($0) }) == UInt64(info.st_ino)
            else { return nil }
            return process
        }
        return Set(processes).sorted().map { process in
            let words = procText("/proc/\(process)/cmdline")?.split(separator: "\0").prefix(2) ?? []
            return words.isEmpty ? "\(process)" : "\(process) (\(words.joined(separator: " ")))"
        }
    }

    /// A file of /proc, whose size is not known before it is read.
    private static func procText(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let got = read(descriptor, &part, part.count)
            guard got > 0 else { return got < 0 ? nil : String(decoding: bytes, as: UTF8.self) }
            bytes += part[..<got]
        }
    }
}
