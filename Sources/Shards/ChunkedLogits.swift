import CHDF5
import CZstd
import Logits

/// `/logits` of a shard of codec `zstd`: chunks are fetched by HDF5, under its lock, and undone outside it.
final class ChunkedLogits: Sendable {
    let chunkRows: Int
    private let rowBytes: Int
    private let valueBytes: Int
    private let file: Handle
    private let dataset: Handle

    init(file: consuming Handle, dataset: consuming Handle, chunkRows: Int, rowBytes: Int, valueBytes: Int) {
        self.file = file
        self.dataset = dataset
        self.chunkRows = chunkRows
        self.rowBytes = rowBytes
        self.valueBytes = valueBytes
    }

    /// Undoes the chunk that begins with row `first`.
    /// - Parameter output: `chunkRows` rows as stored; those beyond the table are zero.
    /// - Returns: false where the chunk is missing or is not what it should be.
    func read(_ first: Int, into output: UnsafeMutableRawBufferPointer) -> Bool {
        lc_silence()
        var size: hsize_t = 0
        let start = [hsize_t(first), 0]
        guard H5Dget_chunk_storage_size(dataset.id, start, &size) >= 0, size > 0,
            size <= UInt64(ZSTD_compressBound(output.count) + 64)
        else { return false }
        return withUnsafeTemporaryAllocation(byteCount: Int(size), alignment: 16) { stored in
            var mask: UInt32 = 0
            guard H5Dread_chunk(dataset.id, lc_default(), start, &mask, stored.baseAddress) >= 0, mask == 0 else {
                return false
            }
            return ZstdChunks.decode(UnsafeRawBufferPointer(stored), valueBytes: valueBytes, into: output)
        }
    }

    /// Calls `body` with each run of wanted rows that lies in one chunk: the rows, and their logits as stored.
    func forEachRun(
        _ rows: Range<Int>, _ body: (Range<Int>, UnsafeRawBufferPointer) throws(LogitError) -> Void,
        damaged: (Range<Int>) -> LogitError
    ) throws(LogitError) {
        let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: chunkRows * rowBytes, alignment: 16)
        defer { scratch.deallocate() }
        var row = rows.lowerBound
        while row < rows.upperBound {
            let first = row / chunkRows * chunkRows
            let end = min(first + chunkRows, rows.upperBound)
            guard read(first, into: scratch) else { throw damaged(first..<first + chunkRows) }
            let part = (row - first) * rowBytes..<(end - first) * rowBytes
            try body(row..<end, UnsafeRawBufferPointer(rebasing: scratch[part]))
            row = end
        }
    }
}
