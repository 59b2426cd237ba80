import Logits

/// How `/logits` is laid out. Stored values are the same in each; schema/shard-format.md has the bytes.
package enum Codec: String, Sendable, CaseIterable {
    /// One contiguous run, page-aligned: memory-mapped by readers.
    case raw
    /// Chunks of a few rows, bytes shuffled, then zstd (registered HDF5 filter 32015).
    case zstd
}

/// How a shard stores its logits: what an ingest chooses, and what a shard says of itself.
package struct ShardEncoding: Sendable, Hashable {
    package var codec: Codec
    package var precision: Precision
    /// Rows a chunk under `zstd`; nil: as many as the format page recommends. At most the rows of the shard count.
    package var chunkRows: Int?

    package init(codec: Codec, precision: Precision = .float32, chunkRows: Int? = nil) {
        self.codec = codec
        self.precision = precision
        self.chunkRows = chunkRows
    }

    package static let raw = ShardEncoding(codec: .raw)
    package static let zstd = ShardEncoding(codec: .zstd)

    /// Refuses what no shard of some classes can be.
    package func check(classCount: Int) throws(LogitError) {
        guard let chunkRows else { return }
        guard codec == .zstd else {
            throw LogitError(.usage, "--chunk-rows is for --codec zstd; raw logits have no chunks")
        }
        let most = ShardLimits.chunkBytes / (classCount * precision.valueBytes)
        guard chunkRows >= 1, chunkRows <= most else {
            throw LogitError(
                .usage, "--chunk-rows is \(chunkRows); give 1 to \(most) with \(classCount) classes (64 MiB a chunk)")
        }
    }
}
