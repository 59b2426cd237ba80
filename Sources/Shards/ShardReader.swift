import CHDF5
import CXXHash
import Glibc
import Logits
import Platform

/// One shard, open for reading. Nothing is handed out unchecked: a row's checksum is compared at the row's first use.
///
/// The columns beside the logits are small and read at once. Logits of codec `raw` come from a memory map, those of `zstd`
/// are fetched under HDF5's lock and decoded outside it; both from any number of threads.
///
/// `@unchecked Sendable`: everything but `checked` is constant after `init`; `checked` holds one byte a row that only goes
/// from 0 to 1, and a row checked twice by racing threads is checked the same twice.
package final class ShardReader: @unchecked Sendable {
    package let path: String
    package let header: ShardHeader
    package let codec: Codec
    /// Every column but the logits, which are empty here.
    package let columns: RowTable

    private let checksums: [UInt64]
    private let checked: UnsafeMutablePointer<UInt8>
    private let verifyEvery: Bool
    private let map: MappedFile?
    /// Where the logits begin in the map.
    private let offset: Int
    private let file: Handle
    private let logits: Handle
    private let chunkRows: Int

    package var rowCount: Int { header.key.rowCount }
    package var classCount: Int { header.classCount }

    /// - Parameter verifyEvery: check a row at each use, not only at its first.
    package init(path: String, verifyEvery: Bool = false) throws(LogitError) {
        lc_silence()
        let source = try ShardSource(path)
        let header = try source.header()
        let codec = try source.codec()
        (columns, checksums) = try source.columns(header)
        let dataset = try source.logits(header, codec)
        self.path = path
        self.header = header
        self.codec = codec
        self.verifyEvery = verifyEvery
        map = codec == .raw ? try MappedFile(path) : nil
        offset = dataset.offset
        chunkRows = dataset.chunkRows
        if let map, offset + header.key.rowCount * header.classCount * 4 > map.bytes.count {
            throw source.damaged("its logits reach beyond the end of the file")
        }
        checked = .allocate(capacity: header.key.rowCount)
        checked.initialize(repeating: 0, count: header.key.rowCount)
        logits = dataset.take()
        file = source.take()
    }

    deinit { checked.deallocate() }

    /// Copies one row's logits.
    /// - Parameter output: room for `classCount` values.
    /// - Throws: `corrupt`, naming shard and row, where the row does not match its checksum.
    package func copyLogits(row: Int, into output: UnsafeMutableBufferPointer<Float>) throws(LogitError) {
        precondition(row >= 0 && row < rowCount && output.count == classCount)
        if let map {
            let source = map.bytes.baseAddress! + offset + row * classCount * 4
            memcpy(output.baseAddress!, source, classCount * 4)
        } else {
            let first = row / chunkRows * chunkRows
            var failure: LogitError?
            withUnsafeTemporaryAllocation(of: Float.self, capacity: chunkRows * classCount) { chunk in
                do throws(LogitError) {
                    try readChunk(first, into: chunk)
                    let source = chunk.baseAddress! + (row - first) * classCount
                    memcpy(output.baseAddress!, source, classCount * 4)
                } catch { failure = error }
            }
            if let failure { throw failure }
        }
        try check(row, UnsafeBufferPointer(output))
    }

    /// Some rows whole, checked.
    package func table(_ rows: Range<Int>) throws(LogitError) -> RowTable {
        precondition(rows.lowerBound >= 0 && rows.upperBound <= rowCount)
        var failure: LogitError?
        let values = [Float](unsafeUninitializedCapacity: rows.count * classCount) { buffer, filled in
            do throws(LogitError) {
                for (place, row) in rows.enumerated() {
                    try copyLogits(
                        row: row,
                        into: UnsafeMutableBufferPointer(
                            rebasing: buffer[place * classCount..<(place + 1) * classCount]))
                }
                filled = buffer.count
            } catch { failure = error }
        }
        if let failure { throw failure }
        return columns.rows(rows, logits: values)
    }

    /// Reads every row: checksums, labels within the classes, predictions that are the arg max of their logits.
    package func verify() throws(LogitError) {
        var row = [Float](repeating: 0, count: classCount)
        for index in 0..<rowCount {
            checked[index] = 0
            var failure: LogitError?
            row.withUnsafeMutableBufferPointer { buffer in
                do throws(LogitError) { try copyLogits(row: index, into: buffer) } catch { failure = error }
            }
            if let failure { throw failure }
            guard columns.label[index] >= 0, Int(columns.label[index]) < classCount,
                columns.prediction[index] == argMax(row)
            else {
                throw LogitError(
                    .corrupt,
                    "row \(index) of shard \(path) contradicts itself (its label or prediction does not fit its logits); run logit repair and ingest again"
                )
            }
        }
    }

    private func check(_ row: Int, _ values: UnsafeBufferPointer<Float>) throws(LogitError) {
        if checked[row] == 1 && !verifyEvery { return }
        var checksum = RowChecksum()
        guard checksum.value(columns, row: row, logits: values) == checksums[row] else {
            throw LogitError(
                .corrupt,
                "row \(row) of shard \(path) (image \(columns.image[row])) fails its checksum, so the file was damaged; put back a copy, or run logit repair and ingest again"
            )
        }
        checked[row] = 1
    }

    private func readChunk(_ first: Int, into output: UnsafeMutableBufferPointer<Float>) throws(LogitError) {
        lc_silence()
        var size: hsize_t = 0
        let start = [hsize_t(first), 0]
        let failure = LogitError(
            .corrupt,
            "rows \(first) to \(min(first + chunkRows, rowCount) - 1) of shard \(path) cannot be decoded, so the file was damaged; put back a copy, or run logit repair and ingest again"
        )
        guard H5Dget_chunk_storage_size(logits.id, start, &size) >= 0, size > 0, size <= UInt64(output.count * 8 + 4096)
        else { throw failure }
        let decoded = withUnsafeTemporaryAllocation(byteCount: Int(size), alignment: 16) { stored in
            var mask: UInt32 = 0
            guard H5Dread_chunk(logits.id, lc_default(), start, &mask, stored.baseAddress) >= 0, mask == 0 else {
                return false
            }
            return ZstdChunks.decode(UnsafeRawBufferPointer(stored), into: output)
        }
        guard decoded else { throw failure }
    }
}

extension RowTable {
    /// The columns of some rows, with these logits.
    func rows(_ range: Range<Int>, logits: [Float]) -> RowTable {
        RowTable(
            classCount: classCount, logits: logits, ordinal: Array(ordinal[range]), image: Array(image[range]),
            label: Array(label[range]), prediction: Array(prediction[range]),
            attack: attack.map {
                AttackColumns(
                    cleanPrediction: Array($0.cleanPrediction[range]), status: Array($0.status[range]),
                    iterations: Array($0.iterations[range]), perturbationL2: Array($0.perturbationL2[range]),
                    perturbationLinf: Array($0.perturbationLinf[range]), cost: $0.cost.map { Array($0[range]) })
            })
    }
}
