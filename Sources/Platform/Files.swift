import Glibc
import Logits

/// Plain POSIX file operations with errors that name the file and the remedy; no Foundation.
public enum Files {
    /// The error for a failed system call on `path`.
    public static func failure(_ operation: String, _ path: String, errno code: Int32) -> LogitError {
        let reason = String(cString: strerror(code))
        let remedy: String
        switch code {
        case ENOSPC, EDQUOT: remedy = "free some space and run the command again"
        case EACCES, EPERM, EROFS: remedy = "check the permissions of the folder, or work on a copy of it"
        case ENOENT: remedy = "check the path"
        case EMFILE, ENFILE: remedy = "raise the limit of open files (ulimit -n)"
        default: remedy = "check the disk and run the command again"
        }
        return LogitError(code == ENOENT ? .notFound : .io, "cannot \(operation) \(path): \(reason); \(remedy)")
    }

    public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    public static func isDirectory(_ path: String) -> Bool {
        var info = stat()
        return stat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFDIR
    }

    /// Size in bytes.
    public static func size(_ path: String) throws(LogitError) -> Int {
        var info = stat()
        guard stat(path, &info) == 0 else { throw failure("read", path, errno: errno) }
        return Int(info.st_size)
    }

    /// The whole file; refuses one larger than `limit` bytes, or than the machine's memory.
    public static func read(_ path: String, limit: Int = .max) throws(LogitError) -> [UInt8] {
        // Not to wait for the other end of a pipe that lies where a file should.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw failure("open", path, errno: errno) }
        defer { close(descriptor) }
        var info = stat()
        guard fstat(descriptor, &info) == 0 else { throw failure("read", path, errno: errno) }
        guard info.st_mode & S_IFMT == S_IFREG else {
            throw LogitError(.badInput, "\(path) is not a plain file; name a file")
        }
        let size = Int(info.st_size)
        let limit = min(limit, memoryBytes)
        guard size <= limit else {
            throw LogitError(
                .badInput, "\(path) has \(size) bytes, more than the limit of \(limit); it is not what it should be")
        }
        var bytes = [UInt8](repeating: 0, count: size)
        var offset = 0
        while offset < size {
            let got = bytes.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress! + offset, size - offset, off_t(offset))
            }
            if got < 0 && errno == EINTR { continue }
            guard got > 0 else {
                if got == 0 { throw LogitError(.io, "\(path) became shorter while it was read; try again") }
                throw failure("read", path, errno: errno)
            }
            offset += got
        }
        return bytes
    }

    /// Of this machine.
    private static let memoryBytes = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))

    public static func readText(_ path: String, limit: Int = 1 << 30) throws(LogitError) -> String {
        let bytes = try read(path, limit: limit)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw LogitError(.badInput, "\(path) is not UTF-8 text; check the file")
        }
        return text
    }

    /// Writes, fsyncs, renames over `path` and fsyncs its folder: after return the file is there whole, or the old one is.
    public static func writeDurably(_ bytes: some Collection<UInt8>, to path: String) throws(LogitError) {
        let temporary = "\(path).\(getpid()).tmp"
        do {
            try write(Array(bytes), to: temporary, sync: true)
            try renameDurably(temporary, to: path)
        } catch {
            unlink(temporary)
            throw error
        }
    }

    /// Writes a new file; `sync` asks for an fsync before it is closed.
    public static func write(_ bytes: [UInt8], to path: String, sync: Bool) throws(LogitError) {
        try write(to: path, sync: sync) { put in bytes.withUnsafeBytes(put) }
    }

    /// Writes a new file from pieces, in the order in which `pieces` hands them to its argument.
    public static func write(
        to path: String, sync: Bool, pieces: ((UnsafeRawBufferPointer) -> Void) -> Void
    ) throws(LogitError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw failure("create", path, errno: errno) }
        var code: Int32 = 0
        pieces { piece in
            var rest = piece
            while code == 0, !rest.isEmpty {
                let put = Glibc.write(descriptor, rest.baseAddress!, rest.count)
                if put < 0 && errno == EINTR { continue }
                if put > 0 { rest = UnsafeRawBufferPointer(rebasing: rest[put...]) } else { code = errno }
            }
        }
        if code != 0 {
            close(descriptor)
            throw failure("write", path, errno: code)
        }
        if sync && fsync(descriptor) != 0 {
            let code = errno
            close(descriptor)
            throw failure("sync", path, errno: code)
        }
        guard close(descriptor) == 0 else { throw failure("close", path, errno: errno) }
    }

    /// fsyncs a file or folder.
    public static func sync(_ path: String) throws(LogitError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open", path, errno: errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("sync", path, errno: errno) }
    }

    /// Renames without syncing: for files that carry a digest and can be made again.
    public static func renameUnsynced(_ source: String, to target: String) throws(LogitError) {
        guard rename(source, target) == 0 else { throw failure("rename \(source) to", target, errno: errno) }
    }

    /// Renames a synced file and fsyncs the folder it comes into.
    public static func renameDurably(_ source: String, to target: String) throws(LogitError) {
        guard rename(source, target) == 0 else { throw failure("rename \(source) to", target, errno: errno) }
        try sync(parent(of: target))
    }

    /// Makes a folder and those above it, and fsyncs each folder that got a new entry.
    public static func makeDirectory(_ path: String) throws(LogitError) {
        if isDirectory(path) { return }
        let above = parent(of: path)
        if above != path { try makeDirectory(above) }
        if mkdir(path, 0o755) != 0 && errno != EEXIST { throw failure("create folder", path, errno: errno) }
        try sync(above)
    }

    public static func remove(_ path: String) throws(LogitError) {
        if unlink(path) != 0 && errno != ENOENT { throw failure("remove", path, errno: errno) }
    }

    /// Removes a file and fsyncs its folder.
    public static func removeDurably(_ path: String) throws(LogitError) {
        try remove(path)
        try sync(parent(of: path))
    }

    /// Removes a folder and what is in it; a missing one is no error.
    public static func removeTree(_ path: String) throws(LogitError) {
        guard isDirectory(path) else { return try remove(path) }
        for name in try list(path) { try removeTree("\(path)/\(name)") }
        if rmdir(path) != 0 && errno != ENOENT { throw failure("remove", path, errno: errno) }
    }

    /// fsyncs a folder and all folders below: makes durable what a process that died had named and not synced.
    public static func syncFolders(_ path: String) throws(LogitError) {
        do throws(LogitError) {
            for name in try list(path) where isDirectory("\(path)/\(name)") { try syncFolders("\(path)/\(name)") }
            try sync(path)
        } catch {
            guard !exists(path) else { throw error }  // another process has removed it meanwhile
        }
    }

    /// Whether there is anything but folders at or below a path.
    public static func holdsFiles(_ path: String) throws(LogitError) -> Bool {
        guard isDirectory(path) else { return true }
        for name in try list(path) where try holdsFiles("\(path)/\(name)") { return true }
        return false
    }

    /// Names in a folder, sorted bytewise, without `.` and `..`.
    public static func list(_ path: String) throws(LogitError) -> [String] {
        guard let folder = opendir(path) else { throw failure("list", path, errno: errno) }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
    }

    public static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// An absolute path without links; the path itself if it does not exist.
    public static func absolute(_ path: String) -> String {
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}
