import Glibc
import Logits
import Platform
import Synchronization

/// One shard, open for reading. Nothing is handed out unchecked: a row's checksum is compared at the row's first use.
///
/// The columns beside the logits are small and read at once. Logits and images come from a memory map and are undone here,
/// from any number of threads: once a shard is open, nothing of it takes HDF5's lock or a file descriptor.
///
/// `@unchecked Sendable`: everything is constant after `init` but the atomics behind `checked`, which only go from false to
/// true; a row that racing threads both check is checked the same twice.
package final class ShardReader: @unchecked Sendable {
    package let path: String
    package let header: ShardHeader
    package let encoding: ShardEncoding
    /// What rounding did to the logits as computed; nil where they are exact.
    package let rounding: Rounding?
    /// Every column but the logits, which are empty here.
    package let columns: RowTable

    private let checksums: [UInt64]
    let checked: UnsafeMutablePointer<Atomic<Bool>>
    let verifyEvery: Bool
    let logits: StoredLogits
    private let images: StoredImages?

    package var rowCount: Int { header.key.rowCount }
    package var classCount: Int { header.classCount }
    package var codec: Codec { encoding.codec }
    package var precision: Precision { encoding.precision }
    /// Of the logits of one row, as stored.
    var rowBytes: Int { classCount * precision.valueBytes }
    /// Of the images kept beside the rows; nil where none are.
    package var imageFormat: ImageFormat? { images?.format }

    /// Opens a shard and reads all but its logits and images.
    ///
    /// - Parameters:
    ///   - verifyEvery: check a row at each use, not only at its first.
    ///   - mapping: the file, where it is mapped already.
    /// - Throws: `corrupt` where the file is damaged or no shard, `environment` where its format is newer than this program,
    ///   `notFound` or `io` where it cannot be opened.
    package init(path: String, verifyEvery: Bool = false, mapping: MappedFile? = nil) throws(LogitError) {
        let source = try ShardSource(path)
        let header = try source.header()
        let encoding = try source.encoding()
        rounding = try source.rounding(encoding.precision)
        (columns, checksums) = try source.columns(header)
        let file = if let mapping { mapping } else { try MappedFile(path) }
        guard file.bytes.count == source.fileBytes else { throw source.damaged("it changed while it was opened") }
        images = try source.images(header, encoding.codec, in: file)
        logits = try source.logits(header, encoding, in: file)
        self.path = path
        self.header = header
        self.encoding = encoding
        self.verifyEvery = verifyEvery
        checked = .allocate(capacity: header.key.rowCount)
        for row in 0..<header.key.rowCount { (checked + row).initialize(to: Atomic(false)) }
    }

    deinit {
        checked.deinitialize(count: header.key.rowCount)
        checked.deallocate()
    }

    /// Some rows whole, checked.
    package func table(_ rows: Range<Int>) throws(LogitError) -> RowTable {
        precondition(rows.lowerBound >= 0 && rows.upperBound <= rowCount)
        var failure: LogitError?
        let values = [Float](unsafeUninitializedCapacity: rows.count * classCount) { buffer, filled in
            let output = UnsafeMutableBufferPointer(rebasing: buffer[..<(rows.count * classCount)])
            do throws(LogitError) {
                try read(rows, into: output, always: verifyEvery)
                filled = output.count
            } catch { failure = error }
        }
        if let failure { throw failure }
        return columns.rows(rows, logits: values)
    }

    /// The images kept beside some rows, checked.
    package func images(_ rows: Range<Int>) throws(LogitError) -> KeptImages {
        guard let format = imageFormat else { preconditionFailure("the shard keeps no images") }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(rows.count * format.byteCount)
        try forEachImage(rows) { bytes.append(contentsOf: $0) }
        return KeptImages(format: format, bytes: bytes)
    }

    /// Hands out what the content digest covers: `table`, which is all rows of this shard, and then its images one by one.
    package func visitContent(_ table: RowTable, _ sink: (UnsafeRawBufferPointer) -> Void) throws(LogitError) {
        precondition(table.count == rowCount)
        ContentDigest.visitColumns(header.key, table, checksums: checksums, precision: precision, sink)
        if images != nil { try forEachImage(0..<rowCount, sink) }
    }

    private func forEachImage(_ rows: Range<Int>, _ body: (UnsafeRawBufferPointer) -> Void) throws(LogitError) {
        guard let images else { return }
        let image = UnsafeMutableRawBufferPointer.allocate(byteCount: images.format.byteCount, alignment: 16)
        let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: images.format.byteCount, alignment: 16)
        defer {
            image.deallocate()
            scratch.deallocate()
        }
        for row in rows {
            guard images.copy(row, into: image, scratch: scratch),
                KeptImages.checksum(UnsafeRawBufferPointer(image)) == images.checksums[row]
            else {
                throw LogitError(
                    .corrupt,
                    "the image of row \(row) of shard \(path) (image \(columns.image[row])) fails its checksum, so the file was damaged; put back a copy, or run logit repair and ingest again"
                )
            }
            body(UnsafeRawBufferPointer(image))
        }
    }

    /// Reads every row and kept image again: checksums, labels within the classes, predictions that are the arg max of their
    /// logits (where these are rounded: one of their largest), outcomes that there are.
    package func verify() throws(LogitError) {
        let step = max(1, min(256, (1 << 18) / classCount))
        let scratch = UnsafeMutableBufferPointer<Float>.allocate(capacity: step * classCount)
        defer { scratch.deallocate() }
        for first in stride(from: 0, to: rowCount, by: step) {
            let rows = first..<min(first + step, rowCount)
            let part = UnsafeMutableBufferPointer(rebasing: scratch[..<(rows.count * classCount)])
            try read(rows, into: part, always: true)
            for (place, row) in rows.enumerated()
            where !isConsistent(row, part[place * classCount..<(place + 1) * classCount]) {
                throw LogitError(
                    .corrupt,
                    "row \(row) of shard \(path) contradicts itself (its label, status or prediction does not fit its logits); run logit repair and ingest again"
                )
            }
        }
        try forEachImage(0..<rowCount) { _ in }
    }

    private func isConsistent(_ row: Int, _ values: some Collection<Float>) -> Bool {
        guard columns.label[row] >= 0, Int(columns.label[row]) < classCount else { return false }
        let prediction = columns.prediction[row]
        guard let attack = columns.attack else {
            return isLargest(prediction, values, RowTable.cleanPrediction(values))
        }
        guard isLargest(prediction, values, argMax(values)), let outcome = Outcome(rawValue: attack.status[row]) else {
            return false
        }
        guard let rounded = attack.status8bit?[row] else { return true }
        return Outcome(rawValue: rounded) != nil
            && (outcome == .fooled || outcome == .failed || rounded == outcome.rawValue)
    }

    /// Whether a prediction fits stored logits of some arg max: rounding makes ties, and keeps the largest among them.
    private func isLargest(_ prediction: Int32, _ values: some Collection<Float>, _ arg: Int32) -> Bool {
        if prediction == arg { return true }
        guard !precision.isExact, prediction >= 0, arg >= 0, Int(prediction) < classCount else { return false }
        func value(_ place: Int32) -> Float { values[values.index(values.startIndex, offsetBy: Int(place))] }
        return value(prediction) == value(arg)
    }

    func check(_ rows: Range<Int>, _ stored: UnsafeRawBufferPointer, always: Bool) throws(LogitError) {
        for (place, row) in rows.enumerated() {
            let part = stored[place * rowBytes..<(place + 1) * rowBytes]
            try check(row, UnsafeRawBufferPointer(rebasing: part), always: always)
        }
    }

    func check(_ row: Int, _ stored: UnsafeRawBufferPointer, always: Bool) throws(LogitError) {
        if !always && checked[row].load(ordering: .relaxed) { return }
        var checksum = RowChecksum()
        let image = images?.checksums[row]
        guard checksum.value(columns, row: row, logits: stored, image: image) == checksums[row] else {
            throw LogitError(
                .corrupt,
                "row \(row) of shard \(path) (image \(columns.image[row])) fails its checksum, so the file was damaged; put back a copy, or run logit repair and ingest again"
            )
        }
        checked[row].store(true, ordering: .relaxed)
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
                    perturbationLinf: Array($0.perturbationLinf[range]), cost: $0.cost.map { Array($0[range]) },
                    status8bit: $0.status8bit.map { Array($0[range]) })
            })
    }
}
