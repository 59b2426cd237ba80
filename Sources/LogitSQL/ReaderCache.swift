import Glibc
import Logits
import Platform
import Shards
import Synchronization

/// Open shards of the process, so that a row is checked once, and a shard is not opened for each query. The columns beside the
/// logits are what memory they take; beyond a bound the shards that were used longest ago are closed.
final class ReaderCache: Sendable {
    static let shared = ReaderCache()

    /// Of columns in memory.
    private static let byteLimit = 256 << 20
    /// Roughly, of one row's columns, with an image id of some 40 bytes.
    private static let rowBytes = 160

    /// A file under a name: another one under it is another shard.
    private struct Identity: Hashable {
        let path: String
        let device: UInt64
        let node: UInt64
        let size: Int
        let seconds: Int
        let nanoseconds: Int

        init(_ path: String) throws(LogitError) {
            var info = stat()
            guard stat(path, &info) == 0 else {
                guard errno == ENOENT else { throw Files.failure("open", path, errno: errno) }
                throw LogitError(
                    .corrupt,
                    "shard \(path) is missing; put back a copy, or run logit repair and then logit ingest --repair")
            }
            self.path = path
            device = UInt64(info.st_dev)
            node = UInt64(info.st_ino)
            size = Int(info.st_size)
            seconds = info.st_mtim.tv_sec
            nanoseconds = info.st_mtim.tv_nsec
        }
    }

    private struct State {
        var readers: [Identity: (reader: ShardReader, used: Int)] = [:]
        var bytes = 0
        var clock = 0
        /// Files may stay mapped longer than their shards are kept here.
        var files: [Identity: WeakFile] = [:]
    }

    private struct WeakFile { weak var file: MappedFile? }

    private let state = Mutex(State())
    /// One shard is opened at a time: HDF5 has one lock, and a shard asked for twice is opened once.
    private let opening = Mutex(())

    func open(_ path: String) throws(LogitError) -> ShardReader {
        let identity = try Identity(path)
        if let known = known(identity) { return known }
        let opened = opening.withLock { _ -> Result<ShardReader, LogitError> in
            if let known = known(identity) { return .success(known) }
            do throws(LogitError) {
                let mapping = state.withLock { $0.files[identity]?.file }
                let reader = try ShardReader(path: path, mapping: mapping)
                add(reader, identity)
                return .success(reader)
            } catch { return .failure(error) }
        }
        return try opened.get()
    }

    private func known(_ identity: Identity) -> ShardReader? {
        state.withLock { state in
            guard let reader = state.readers[identity]?.reader else { return nil }
            state.clock += 1
            state.readers[identity]?.used = state.clock
            return reader
        }
    }

    private func add(_ reader: ShardReader, _ identity: Identity) {
        state.withLock { state in
            state.clock += 1
            state.readers[identity] = (reader, state.clock)
            state.bytes += reader.rowCount * ReaderCache.rowBytes
            if let file = reader.mappedLogits?.file { state.files[identity] = WeakFile(file: file) }
            while state.bytes > ReaderCache.byteLimit, state.readers.count > 1,
                let oldest = state.readers.min(by: { $0.value.used < $1.value.used })
            {
                state.readers[oldest.key] = nil
                state.bytes -= oldest.value.reader.rowCount * ReaderCache.rowBytes
            }
        }
    }
}
