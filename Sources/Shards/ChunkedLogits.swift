import CHDF5
import CZstd
import Logits

/// `/logits` of a shard of codec `zstd`: chunks are fetched by HDF5, under its lock, and undone outside it.
final class ChunkedLogits: Sendable {
    let chunkRows: Int
    private let classCount: Int
    private let file: Handle
    private let dataset: Handle

    init(file: consuming Handle, dataset: consuming Handle, chunkRows: Int, classCount: Int) {
        self.file = file
        self.dataset = dataset
        self.chunkRows = chunkRows
        self.classCount = classCount
    }

    /// Undoes the chunk that begins with row `first`.
    /// - Parameter output: `chunkRows × classCount` values; rows beyond the table are zero.
    /// - Returns: false where the chunk is missing or is not what it should be.
    func read(_ first: Int, into output: UnsafeMutableBufferPointer<Float>) -> Bool {
        lc_silence()
        var size: hsize_t = 0
        let start = [hsize_t(first), 0]
        guard H5Dget_chunk_storage_size(dataset.id, start, &size) >= 0, size > 0,
            size <= UInt64(ZSTD_compressBound(output.count * 4))
        else { return false }
        return withUnsafeTemporaryAllocation(byteCount: Int(size), alignment: 16) { stored in
            var mask: UInt32 = 0
            guard H5Dread_chunk(dataset.id, lc_default(), start, &mask, stored.baseAddress) >= 0, mask == 0 else {
                return false
            }
            return ZstdChunks.decode(UnsafeRawBufferPointer(stored), into: output)
        }
    }

    /// Calls `body` with each run of wanted rows that lies in one chunk: the rows, and their logits.
    func forEachRun(
        _ rows: Range<Int>, _ body: (Range<Int>, UnsafeBufferPointer<Float>) throws(LogitError) -> Void,
        damaged: (Range<Int>) -> LogitError
    ) throws(LogitError) {
        let scratch = UnsafeMutableBufferPointer<Float>.allocate(capacity: chunkRows * classCount)
        defer { scratch.deallocate() }
        var row = rows.lowerBound
        while row < rows.upperBound {
            let first = row / chunkRows * chunkRows
            let end = min(first + chunkRows, rows.upperBound)
            guard read(first, into: scratch) else { throw damaged(first..<first + chunkRows) }
            let part = (row - first) * classCount..<(end - first) * classCount
            try body(row..<end, UnsafeBufferPointer(rebasing: scratch[part]))
            row = end
        }
    }
}
