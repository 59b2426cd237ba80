import CShardKernels
import Glibc
import Logits

/// What a thread needs to read rows: room for a chunk and for a row, and which chunk lies there undone.
package final class RowScratch {
    fileprivate var chunk = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    fileprivate var row = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    /// The shard and the chunk of it that `chunk` holds. The shard is kept, so that no other can have its identity.
    fileprivate var held: (shard: ShardReader, chunk: Int)?

    package init() {}

    deinit {
        chunk.deallocate()
        row.deallocate()
    }

    fileprivate static func grow(_ buffer: inout UnsafeMutableRawBufferPointer, to count: Int) {
        guard buffer.count < count else { return }
        buffer.deallocate()
        buffer = .allocate(byteCount: count, alignment: 64)
    }
}

extension ShardReader {
    /// Copies one row's logits, checked.
    /// - Parameters:
    ///   - output: room for `classCount` values.
    ///   - scratch: of the calling thread; rows of one chunk read in a row are undone together.
    /// - Throws: `corrupt`, naming shard and row, where the row does not match its checksum.
    package func copyLogits(
        row: Int, into output: UnsafeMutableBufferPointer<Float>, scratch: RowScratch
    ) throws(LogitError) {
        precondition(row >= 0 && row < rowCount && output.count == classCount)
        let bytes: UnsafeMutableRawBufferPointer
        if precision == .float16 {
            RowScratch.grow(&scratch.row, to: rowBytes)
            bytes = UnsafeMutableRawBufferPointer(rebasing: scratch.row[..<rowBytes])
        } else {
            bytes = UnsafeMutableRawBufferPointer(output)
        }
        switch logits {
        case .contiguous(let file, let offset):
            memcpy(bytes.baseAddress!, file.bytes.baseAddress! + offset + row * rowBytes, rowBytes)
        case .chunked(let chunks, let chunkRows):
            let planes = try undone(row / chunkRows, chunks, chunkRows, scratch)
            chunks.copy(row % chunkRows * rowBytes, of: planes, into: bytes)
        }
        try check(row, UnsafeRawBufferPointer(bytes), always: verifyEvery)
        if precision == .float16 { ShardReader.widen(UnsafeRawBufferPointer(bytes), into: output) }
    }

    /// The first row of logits that lie in the file as they are handed out; nil where they do not, or where each use is checked.
    var plainLogits: UnsafeRawPointer? {
        verifyEvery ? nil : mappedLogits?.first
    }

    /// Asks the memory for the chunk of a row that is read soon.
    func prefetch(row: Int) {
        if case .chunked(let chunks, let chunkRows) = logits { chunks.prefetch(row / chunkRows) }
    }

    /// Copies rows as float32, checked.
    func read(
        _ rows: Range<Int>, into output: UnsafeMutableBufferPointer<Float>, always: Bool
    ) throws(LogitError) {
        guard precision == .float16 else {
            let bytes = UnsafeMutableRawBufferPointer(output)
            try copy(rows, into: bytes)
            return try check(rows, UnsafeRawBufferPointer(bytes), always: always)
        }
        let halves = UnsafeMutableRawBufferPointer.allocate(byteCount: rows.count * rowBytes, alignment: 16)
        defer { halves.deallocate() }
        try copy(rows, into: halves)
        try check(rows, UnsafeRawBufferPointer(halves), always: always)
        ShardReader.widen(UnsafeRawBufferPointer(halves), into: output)
    }

    private static func widen(_ halves: UnsafeRawBufferPointer, into output: UnsafeMutableBufferPointer<Float>) {
        halves.withMemoryRebound(to: UInt16.self) { halves in
            for index in output.indices { output[index] = HalfFloat.value(halves[index]) }
        }
    }

    /// Rows as stored, unchecked.
    private func copy(_ rows: Range<Int>, into output: UnsafeMutableRawBufferPointer) throws(LogitError) {
        guard !rows.isEmpty else { return }
        switch logits {
        case .contiguous(let file, let offset):
            let source = file.bytes.baseAddress! + offset + rows.lowerBound * rowBytes
            memcpy(output.baseAddress!, source, rows.count * rowBytes)
        case .chunked(let chunks, let chunkRows):
            let scratch = RowScratch()
            var row = rows.lowerBound
            while row < rows.upperBound {
                let end = min((row / chunkRows + 1) * chunkRows, rows.upperBound)
                let planes = try undone(row / chunkRows, chunks, chunkRows, scratch)
                let part = (row - rows.lowerBound) * rowBytes..<(end - rows.lowerBound) * rowBytes
                chunks.copy(
                    row % chunkRows * rowBytes, of: planes, into: UnsafeMutableRawBufferPointer(rebasing: output[part]))
                row = end
            }
        }
    }

    /// A chunk undone but for the shuffling of its bytes.
    private func undone(
        _ chunk: Int, _ chunks: StoredChunks, _ chunkRows: Int, _ scratch: RowScratch
    ) throws(LogitError) -> UnsafeMutableRawBufferPointer {
        RowScratch.grow(&scratch.chunk, to: chunks.chunkBytes)
        let planes = UnsafeMutableRawBufferPointer(rebasing: scratch.chunk[..<chunks.chunkBytes])
        if let held = scratch.held, held.shard === self, held.chunk == chunk { return planes }
        scratch.held = nil
        guard chunks.decompress(chunk, into: planes) else {
            throw LogitError(
                .corrupt,
                "rows \(chunk * chunkRows) to \(min((chunk + 1) * chunkRows, rowCount) - 1) of shard \(path) cannot be decoded, so the file was damaged; put back a copy, or run logit repair and ingest again"
            )
        }
        scratch.held = (self, chunk)
        return planes
    }
}
