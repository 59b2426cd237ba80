import CShardKernels
import Glibc
import Logits
import Synchronization

/// A row of one of several open shards.
package struct RowPlace: Sendable, Hashable {
    package let shard: Int32
    package let row: Int32

    package init(shard: Int, row: Int) {
        self.shard = Int32(shard)
        self.row = Int32(row)
    }
}

/// Rows of many shards, put one behind the other.
///
/// `@unchecked Sendable`: the pointers lead into the readers, which live as long as this, and are as safe as they
/// (`ShardReader`); everything else is constant after `init`.
package final class RowGather: @unchecked Sendable {
    /// A shard whose rows are copied from where they lie, once they are checked: mapped, uncompressed float32.
    private struct Plain {
        let logits: UnsafeRawPointer
        let checked: UnsafePointer<Atomic<Bool>>
    }

    /// Rows whose bytes are asked for ahead: random rows come from far away in memory.
    private static let ahead = 2

    package let readers: [ShardReader]
    private let plain: UnsafeMutableBufferPointer<Plain?>
    private let classCount: Int
    /// Whether a chunk holds several rows somewhere, which are then read one after the other.
    private let sharesChunks: Bool

    /// - Parameter readers: shards of one class count, at least one.
    package init(_ readers: [ShardReader]) {
        classCount = readers[0].classCount
        precondition(readers.allSatisfy { [classCount] in $0.classCount == classCount }, "shards of different classes")
        self.readers = readers
        sharesChunks = readers.contains { ($0.encoding.chunkRows ?? 1) > 1 }
        plain = .allocate(capacity: readers.count)
        _ = plain.initialize(
            from: readers.map { reader in reader.plainLogits.map { Plain(logits: $0, checked: reader.checked) } })
    }

    deinit { plain.deallocate() }

    /// Copies the logits of some rows in the order given, checked, on the calling thread; any number of threads may do so.
    /// - Parameters:
    ///   - places: rows of `readers`.
    ///   - output: room for `places.count × classCount` values.
    /// - Throws: `corrupt`, naming shard and row, where a row does not match its checksum.
    package func copy(
        _ places: [RowPlace], into output: UnsafeMutableBufferPointer<Float>, scratch: RowScratch
    ) throws(LogitError) {
        precondition(output.count == places.count * classCount)
        let order = sharesChunks ? RowGather.byChunk(places) : nil
        let rowBytes = 4 * classCount
        for step in places.indices {
            if step + RowGather.ahead < places.count {
                prefetch(places[order?[step + RowGather.ahead] ?? step + RowGather.ahead])
            }
            let index = order?[step] ?? step
            let (shard, row) = (Int(places[index].shard), Int(places[index].row))
            let room = output.baseAddress! + index * classCount
            if let plain = plain[shard], row >= 0, row < readers[shard].rowCount,
                plain.checked[row].load(ordering: .relaxed)
            {
                memcpy(room, plain.logits + row * rowBytes, rowBytes)
            } else {
                try readers[shard].copyLogits(
                    row: row, into: UnsafeMutableBufferPointer(start: room, count: classCount), scratch: scratch)
            }
        }
    }

    private func prefetch(_ place: RowPlace) {
        if let plain = plain[Int(place.shard)] {
            shard_prefetch(plain.logits + Int(place.row) * 4 * classCount, 4 * classCount)
        } else {
            readers[Int(place.shard)].prefetch(row: Int(place.row))
        }
    }

    /// In which order places are read so that the rows of one chunk follow each other.
    private static func byChunk(_ places: [RowPlace]) -> [Int] {
        let keys = places.indices.map { index in
            (
                key: UInt64(UInt32(bitPattern: places[index].shard)) << 32
                    | UInt64(UInt32(bitPattern: places[index].row)), index: index
            )
        }
        return keys.sorted { $0.key < $1.key }.map(\.index)
    }
}
