import Logits

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
package enum RowGather {
    /// Rows whose bytes are asked for ahead: random rows come from far away in memory.
    private static let ahead = 2

    /// Copies the logits of some rows in the order given, checked, on the calling thread; any number of threads may do so.
    /// - Parameters:
    ///   - readers: shards of one class count, which the places count.
    ///   - output: room for `places.count × classCount` values.
    /// - Throws: `corrupt`, naming shard and row, where a row does not match its checksum.
    package static func copy(
        _ places: some RandomAccessCollection<RowPlace>, of readers: [ShardReader],
        into output: UnsafeMutableBufferPointer<Float>, scratch: RowScratch
    ) throws(LogitError) {
        guard let classCount = readers.first?.classCount else { return }
        precondition(output.count == places.count * classCount)
        let order = order(places, readers)
        for (step, (index, place)) in order.enumerated() {
            if step + ahead < order.count {
                let next = order[step + ahead].place
                readers[Int(next.shard)].prefetch(row: Int(next.row))
            }
            let reader = readers[Int(place.shard)]
            precondition(reader.classCount == classCount, "shards of different classes")
            let room = UnsafeMutableBufferPointer(rebasing: output[index * classCount..<(index + 1) * classCount])
            try reader.copyLogits(row: Int(place.row), into: room, scratch: scratch)
        }
    }

    /// In which order rows are read: as given, or so that the rows of one chunk follow each other.
    private static func order(
        _ places: some RandomAccessCollection<RowPlace>, _ readers: [ShardReader]
    ) -> [(index: Int, place: RowPlace)] {
        let given = places.enumerated().map { (index: $0.offset, place: $0.element) }
        guard readers.contains(where: { ($0.encoding.chunkRows ?? 1) > 1 }) else { return given }
        return given.sorted { ($0.place.shard, $0.place.row) < ($1.place.shard, $1.place.row) }
    }
}
