import Logits
import Platform

/// What a scan hands on without a copy.
extension ShardReader {
    /// The file that holds this shard's logits as they are handed out, row by row, and where in it they begin; nil where they are
    /// compressed or halves. Rows of it must be checked before they are used.
    package var mappedLogits: (file: MappedFile, first: UnsafeRawPointer)? {
        guard case .contiguous(let file, let offset) = logits, precision != .float16 else { return nil }
        return (file, file.bytes.baseAddress! + offset)
    }

    /// Checks rows where they lie, each at its first use.
    /// - Throws: `corrupt`, naming shard and row, where a row does not match its checksum.
    package func checkMapped(_ rows: Range<Int>) throws(LogitError) {
        guard let (_, first) = mappedLogits else { preconditionFailure("the logits are not mapped") }
        precondition(rows.lowerBound >= 0 && rows.upperBound <= rowCount)
        try check(
            rows,
            UnsafeRawBufferPointer(start: first + rows.lowerBound * rowBytes, count: rows.count * rowBytes),
            always: verifyEvery)
    }

    /// Copies rows as float32, checked.
    /// - Parameter output: room for `rows.count × classCount` values.
    /// - Throws: `corrupt`, naming shard and row, where a row does not match its checksum.
    package func copyLogits(_ rows: Range<Int>, into output: UnsafeMutableBufferPointer<Float>) throws(LogitError) {
        precondition(rows.lowerBound >= 0 && rows.upperBound <= rowCount && output.count == rows.count * classCount)
        try read(rows, into: output, always: verifyEvery)
    }
}
