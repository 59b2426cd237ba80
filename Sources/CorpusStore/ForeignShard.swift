import Glibc
import Logits
import Platform
import Shards

/// Shards that nobody vouches for: brought from elsewhere, or changed since they were written. HDF5 was not made for files whose
/// metadata lie with right checksums, and some of them make it crash, wait, or ask for all memory. So a child process, this very
/// program under limits of its own, reads such a file first; what it survives is opened here.
package enum ForeignShard {
    /// The hidden command of `logit` that is the child.
    package static let command = "examine-shard"

    private static let addressBytes = 8 << 30
    /// The slowest disk, in bytes a second; and what a process needs besides, in seconds.
    private static let slowest = 4 << 20
    private static let leastSeconds = 60

    // MARK: The parent's part

    /// Reads a shard whole in a child process.
    /// - Throws: what is wrong with the shard (`corrupt`, or `environment` where a newer program wrote it), in the child's
    ///   words; `corrupt` where the child died of it.
    /// - Parameter program: the child; nil: `logit` beside this program.
    package static func check(_ path: String, by program: String? = nil) throws(LogitError) {
        if let fault = try verdict(path, by: program) { throw fault }
    }

    /// Whether HDF5 gets through a shard, sound or not: then it may be opened here, for what of it is left.
    static func isBearable(_ path: String) -> Bool {
        do throws(LogitError) {
            _ = try verdict(path, by: nil)
            return true
        } catch {
            return false
        }
    }

    /// As `ShardFaults.problems`, of a file that has changed since it was written.
    /// - Throws: `corrupt` where HDF5 does not get through it.
    static func problems(_ path: String) throws(LogitError) -> [String] {
        _ = try verdict(path, by: nil)
        return ShardFaults.problems(path)
    }

    /// What the child says is wrong with a shard; nil: nothing.
    private static func verdict(_ path: String, by program: String?) throws(LogitError) -> LogitError? {
        let child: String
        if let program { child = program } else { child = try siblingProgram("logit") }
        let (status, words) = try Subprocess.run([child, command, path], remedy: "install it again", input: "")
        if status == 0, words == "\(fine)\n" { return nil }
        let parts = words.split(separator: "\t", maxSplits: 1).map(String.init)
        if status == 0, parts.count == 2, let code = LogitError.Code(rawValue: parts[0]) {
            return LogitError(code, String(parts[1].prefix { $0 != "\n" }))
        }
        let what = status == 128 + SIGALRM ? "keeps HDF5 busy without end" : "makes HDF5 crash"
        throw LogitError(
            .corrupt, "shard \(path) \(what), so it is no shard of ours; remove it, or put back a copy of what it was",
            cause: "exit status \(status)")
    }

    private static let fine = "fine"

    // MARK: The child's part

    /// Bounds this process, reads a shard whole and says on standard error what came of it; the exit status is 0 whatever that
    /// is.
    package static func examine(_ path: String) -> String {
        limit(fileBytes: (try? Files.size(path)) ?? 0)
        do throws(LogitError) {
            let reader = try ShardReader(path: path)
            // All rows, whatever the first failing one is: the parent may want the others.
            let rows = ShardFaults.failing(reader) { (rows) throws(LogitError) in _ = try reader.table(rows) }
            var images: [Int] = []
            if reader.imageFormat != nil {
                images = ShardFaults.failing(reader) { (rows) throws(LogitError) in _ = try reader.images(rows) }
            }
            if let row = rows.first { _ = try reader.table(row..<row + 1) }
            if let row = images.first { _ = try reader.images(row..<row + 1) }
            try reader.verify()
            return "\(fine)\n"
        } catch {
            return "\(error.code.rawValue)\t\(error.message)\n"
        }
    }

    private static func limit(fileBytes: Int) {
        func bound(_ resource: __rlimit_resource, _ value: Int) {
            var limit = rlimit(rlim_cur: rlim_t(value), rlim_max: rlim_t(value))
            setrlimit(__rlimit_resource_t(resource.rawValue), &limit)
        }
        bound(RLIMIT_CORE, 0)
        bound(RLIMIT_AS, addressBytes + 2 * min(fileBytes, 1 << 40))
        // Dying is an answer: no handler makes a long report of it.
        for number in [SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGABRT, SIGFPE, SIGALRM] { signal(number, SIG_DFL) }
        alarm(UInt32(leastSeconds + min(fileBytes, 1 << 40) / slowest))
    }
}
