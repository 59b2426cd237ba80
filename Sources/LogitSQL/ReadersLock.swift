import Glibc
import Logits
import Platform

/// The lock of those who read files of a corpus (ARCHITECTURE.md, Readers and writers), for as long as a query runs.
enum ReadersLock {
    /// - Returns: nil where no lock can be had: on a read-only file system or one without locks, where nothing is collected.
    static func share(_ root: String) throws(LogitError) -> FileLock? {
        // A collection takes seconds.
        for _ in 0..<2400 {
            do throws(LogitError) {
                if let lock = try FileLock.attempt("\(root)/readers", .shared) { return lock }
            } catch { return nil }
            usleep(50_000)
        }
        throw LogitError(.busy, "logit gc cleans up the corpus \(root); run the query again when it has ended")
    }
}
