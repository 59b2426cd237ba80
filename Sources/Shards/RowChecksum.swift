import CXXHash
import Logits

/// XXH3-64 of one row: its fields in the order of the format, little-endian, logits last. The image id is preceded by its
/// length in bytes as int64, so that no two rows give the same bytes. A kept image takes part by a checksum of its own, so
/// that a row is checked without it.
struct RowChecksum {
    private var buffer: [UInt8] = []

    /// - Parameters:
    ///   - logits: of the row, as stored.
    ///   - image: the checksum of the kept image, where the shard has one.
    mutating func value(_ table: RowTable, row: Int, logits: UnsafeRawBufferPointer, image: UInt64?) -> UInt64 {
        buffer.removeAll(keepingCapacity: true)
        put(table.ordinal[row])
        let name = table.image[row].utf8
        put(Int64(name.count))
        buffer.append(contentsOf: name)
        put(table.label[row])
        put(table.prediction[row])
        if let attack = table.attack {
            put(attack.cleanPrediction[row])
            put(attack.status[row])
            put(attack.iterations[row])
            put(attack.perturbationL2[row].bitPattern)
            put(attack.perturbationLinf[row].bitPattern)
            if let cost = attack.cost { put(cost[row].bitPattern) }
            if let status = attack.status8bit { put(status[row]) }
        }
        if let image { put(image) }
        buffer.append(contentsOf: logits)
        return buffer.withUnsafeBytes { XXH3_64bits($0.baseAddress, $0.count) }
    }

    private mutating func put<Value: FixedWidthInteger>(_ value: Value) {
        withUnsafeBytes(of: value.littleEndian) { buffer.append(contentsOf: $0) }
    }
}

/// The checksums of a table's rows and kept images: computed once, for the content digest and for the shard.
package struct RowChecksums: Sendable {
    let rows: [UInt64]
    let images: [UInt64]?

    /// - Parameter precision: that the logits are rounded to.
    package init(_ table: RowTable, images: KeptImages?, precision: Precision) {
        self.images = images?.checksums()
        rows = table.checksums(precision, images: self.images)
    }
}

extension RowTable {
    /// One XXH3-64 a row.
    /// - Parameters:
    ///   - precision: that the logits have and are stored in.
    ///   - images: the checksums of the kept images, where there are any.
    func checksums(_ precision: Precision, images: [UInt64]?) -> [UInt64] {
        var checksum = RowChecksum()
        let rowBytes = classCount * precision.valueBytes
        return withStoredLogits(precision) { all in
            (0..<count).map { row in
                checksum.value(
                    self, row: row,
                    logits: UnsafeRawBufferPointer(rebasing: all[row * rowBytes..<(row + 1) * rowBytes]),
                    image: images?[row])
            }
        }
    }

    /// The logits as stored: float32, or halves for float16, which they must be already.
    func withStoredLogits<Result>(_ precision: Precision, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        guard precision == .float16 else { return logits.withUnsafeBytes(body) }
        return logits.map(HalfFloat.bits).withUnsafeBytes(body)
    }
}

extension KeptImages {
    /// One XXH3-64 an image, over its stored bytes.
    func checksums() -> [UInt64] { (0..<count).map { image($0).withUnsafeBytes(KeptImages.checksum) } }

    static func checksum(_ image: UnsafeRawBufferPointer) -> UInt64 { XXH3_64bits(image.baseAddress, image.count) }
}

/// The bytes that a content digest covers: the unit key, the class count, then every dataset as stored values in the order
/// of the format. Not the codec, the time, or the software.
package enum ContentDigest {
    /// - Parameters:
    ///   - precision: that the logits are rounded to.
    ///   - checksums: those of the table, where they are known already.
    package static func visit(
        _ key: UnitKey, _ table: RowTable, images: KeptImages?, precision: Precision, checksums: RowChecksums? = nil,
        _ sink: (UnsafeRawBufferPointer) -> Void
    ) {
        let checksums = checksums ?? RowChecksums(table, images: images, precision: precision)
        visitColumns(key, table, checksums: checksums.rows, precision: precision, sink)
        images?.bytes.withUnsafeBytes(sink)
    }

    /// All but the kept images, which come last.
    static func visitColumns(
        _ key: UnitKey, _ table: RowTable, checksums: [UInt64], precision: Precision,
        _ sink: (UnsafeRawBufferPointer) -> Void
    ) {
        Array("\(key.canonicalText)\u{1F}\(table.classCount)\n".utf8).withUnsafeBytes(sink)
        table.withStoredLogits(precision, sink)
        table.ordinal.withUnsafeBytes(sink)
        for name in table.image { Array(name.utf8 + [0]).withUnsafeBytes(sink) }
        table.label.withUnsafeBytes(sink)
        table.prediction.withUnsafeBytes(sink)
        checksums.withUnsafeBytes(sink)
        guard let attack = table.attack else { return }
        attack.cleanPrediction.withUnsafeBytes(sink)
        attack.status.withUnsafeBytes(sink)
        attack.iterations.withUnsafeBytes(sink)
        attack.perturbationL2.withUnsafeBytes(sink)
        attack.perturbationLinf.withUnsafeBytes(sink)
        attack.cost?.withUnsafeBytes(sink)
        attack.status8bit?.withUnsafeBytes(sink)
    }
}
