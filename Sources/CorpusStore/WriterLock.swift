import Glibc
import Logits
import Platform

/// How long to wait for whoever holds a corpus.
package struct Patience: Sendable {
    /// Seconds; 0: not at all, infinite: until it is free.
    package var seconds: Double
    /// Told once, when waiting begins, for whom.
    package var note: @Sendable (String) -> Void
    /// Polled while waiting; true ends it with `cancelled`.
    package var shouldStop: @Sendable () -> Bool

    package init(
        seconds: Double, note: @escaping @Sendable (String) -> Void = { _ in },
        shouldStop: @escaping @Sendable () -> Bool = { false }
    ) {
        self.seconds = seconds
        self.note = note
        self.shouldStop = shouldStop
    }

    package static let none = Patience(seconds: 0)

    /// Who only looks whether the corpus is being written holds its lock for an instant.
    private static let grace = 0.2

    /// Takes a lock as soon as it is free.
    /// - Parameter holder: a clause such as `process 1 (logit ingest) writes the corpus c`.
    func lock(
        _ path: String, _ mode: FileLock.Mode, holder: () -> String
    ) throws(LogitError) -> FileLock {
        let begun = Patience.now()
        var isNoted = false
        while true {
            if let lock = try FileLock.attempt(path, mode) { return lock }
            guard Patience.now() - begun < max(seconds, Patience.grace) else {
                throw LogitError(
                    .busy, "\(holder()); wait until it has finished (--wait waits for it), or stop it")
            }
            guard !shouldStop() else { throw LogitError(.cancelled, "stopped while waiting: \(holder())") }
            if !isNoted, seconds > 0 { note("waiting: \(holder())") }
            isNoted = true
            usleep(50_000)
        }
    }

    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}

/// The one-writer lock: exclusive, on the file `lock`, which names its holder.
enum WriterLock {
    static func take(_ layout: Layout, _ patience: Patience) throws(LogitError) -> FileLock {
        guard access(layout.root, W_OK) == 0 || (errno != EROFS && errno != EACCES) else {
            throw LogitError(
                .io,
                "the corpus \(layout.root) is read-only, so nothing can be added; work on a copy that you may write")
        }
        let lock = try patience.lock(layout.lock, .exclusive) {
            "process \(holder(layout) ?? "unknown") writes the corpus \(layout.root)"
        }
        lock.write("\(getpid()) (\(CommandLine.arguments.prefix(2).joined(separator: " ")))\n")
        return lock
    }

    /// What the holder wrote into the lock file.
    private static func holder(_ layout: Layout) -> String? {
        (try? Files.readText(layout.lock, limit: 4096)).flatMap { $0.split(separator: "\n").first.map(String.init) }
    }

    /// Whether a process holds the lock now.
    static func isTaken(_ layout: Layout) -> Bool {
        do throws(LogitError) { return try FileLock.attempt(layout.lock, .shared) == nil } catch { return false }
    }
}

/// The lock of those who read files of the corpus: shared, on the file `readers`. `gc` takes it exclusively, so that no file
/// vanishes between the moment that a reader learns of it and the moment that it opens it.
package enum ReadersLock {
    /// - Returns: nil where no lock can be had: on a read-only file system or one without locks, where nothing is collected.
    static func share(_ layout: Layout) throws(LogitError) -> FileLock? {
        // A collection takes seconds.
        let patience = Patience(seconds: 120)
        do throws(LogitError) {
            return try patience.lock(layout.readers, .shared) { "logit gc cleans up the corpus \(layout.root)" }
        } catch {
            guard error.code == .busy else { return nil }
            throw error
        }
    }

    static func exclude(_ layout: Layout, _ patience: Patience) throws(LogitError) -> FileLock {
        try patience.lock(layout.readers, .exclusive) {
            let holders = FileLock.holders(of: layout.readers)
            guard !holders.isEmpty else {
                return "a process that this machine does not show reads the corpus \(layout.root)"
            }
            return holders.count == 1
                ? "process \(holders[0]) reads the corpus \(layout.root)"
                : "processes \(holders.joined(separator: ", ")) read the corpus \(layout.root)"
        }
    }
}
