import Glibc
import Logits

/// Runs another program, feeding it its standard input; no shell.
public enum Subprocess {
    /// - Parameters:
    ///   - arguments: the program's name, looked up in PATH, and its arguments.
    ///   - remedy: what to do where the program cannot be run.
    /// - Returns: the exit status and what it wrote to standard error.
    public static func run(_ arguments: [String], remedy: String, input: String) throws(LogitError) -> (
        status: Int32, errors: String
    ) {
        let program = arguments[0]
        let stdin = try makePipe()
        let stderr: (read: Int32, write: Int32)
        do throws(LogitError) {
            stderr = try makePipe()
        } catch {
            close(stdin.read)
            close(stdin.write)
            throw error
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, stdin.read, 0)
        posix_spawn_file_actions_adddup2(&actions, stderr.write, 2)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var child = pid_t()
        // Some threads block signals (Dispatch's do), and a child would inherit that.
        var attributes = posix_spawnattr_t()
        var blocked = sigset_t()
        sigemptyset(&blocked)
        posix_spawnattr_init(&attributes)
        posix_spawnattr_setsigmask(&attributes, &blocked)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        let started = posix_spawnp(&child, program, &actions, &attributes, &words, environ)
        words.forEach { free($0) }
        posix_spawn_file_actions_destroy(&actions)
        posix_spawnattr_destroy(&attributes)
        close(stdin.read)
        close(stderr.write)
        defer { close(stderr.read) }
        guard started == 0 else {
            close(stdin.write)
            throw LogitError(
                .environment,
                "cannot run \(program): \(String(cString: strerror(started))); \(remedy)")
        }
        feed(input, to: stdin.write)
        let errors = drain(stderr.read)
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 && errno == EINTR {}
        return (status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F, errors)
    }

    /// Both ends close at exec.
    private static func makePipe() throws(LogitError) -> (read: Int32, write: Int32) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw Files.failure("make", "a pipe", errno: errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    private static func feed(_ text: String, to descriptor: Int32) {
        // A program that ends early must not end us.
        let former = signal(SIGPIPE, SIG_IGN)
        let bytes = Array(text.utf8)
        var offset = 0
        while offset < bytes.count {
            let put = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress! + offset, bytes.count - offset) }
            if put < 0 && errno == EINTR { continue }
            guard put > 0 else { break }
            offset += put
        }
        close(descriptor)
        signal(SIGPIPE, former)
    }

    private static func drain(_ descriptor: Int32) -> String {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let got = read(descriptor, &buffer, buffer.count)
            if got < 0 && errno == EINTR { continue }
            guard got > 0 else { break }
            all += buffer[..<got]
        }
        return String(decoding: all, as: UTF8.self)
    }
}

/// The path of a program that lies beside this one, as it was built and installed.
public func siblingProgram(_ name: String) throws(LogitError) -> String {
    let own = Files.absolute("/proc/self/exe")
    let path = "\(Files.parent(of: own))/\(name)"
    guard access(path, X_OK) == 0 else {
        throw LogitError(.environment, "the program \(name) is not beside \(own); keep the two in one folder")
    }
    return path
}
