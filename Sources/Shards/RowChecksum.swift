import CXXHash
import Logits

/// XXH3-64 of one row: its fields in the order of the format, little-endian, logits last. The image id is preceded by its
/// length in bytes as int64, so that no two rows give the same bytes.
struct RowChecksum {
    private var buffer: [UInt8] = []

    mutating func value(_ table: RowTable, row: Int, logits: UnsafeBufferPointer<Float>) -> UInt64 {
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
        }
        buffer.append(contentsOf: UnsafeRawBufferPointer(logits))
        return buffer.withUnsafeBytes { XXH3_64bits($0.baseAddress, $0.count) }
    }

    private mutating func put<Value: FixedWidthInteger>(_ value: Value) {
        withUnsafeBytes(of: value.littleEndian) { buffer.append(contentsOf: $0) }
    }
}

extension RowTable {
    /// One XXH3-64 a row.
    func checksums() -> [UInt64] {
        var checksum = RowChecksum()
        return logits.withUnsafeBufferPointer { all in
            (0..<count).map { row in
                checksum.value(
                    self, row: row,
                    logits: UnsafeBufferPointer(rebasing: all[row * classCount..<(row + 1) * classCount]))
            }
        }
    }
}

/// The bytes that a content digest covers: the unit key, the class count, then every dataset as stored values in the order
/// of the format. Not the codec, the time, or the software.
package enum ContentDigest {
    package static func visit(_ key: UnitKey, _ table: RowTable, _ sink: (UnsafeRawBufferPointer) -> Void) {
        Array("\(key.canonicalText)\u{1F}\(table.classCount)\n".utf8).withUnsafeBytes(sink)
        table.logits.withUnsafeBytes(sink)
        table.ordinal.withUnsafeBytes(sink)
        for name in table.image { Array(name.utf8 + [0]).withUnsafeBytes(sink) }
        table.label.withUnsafeBytes(sink)
        table.prediction.withUnsafeBytes(sink)
        table.checksums().withUnsafeBytes(sink)
        guard let attack = table.attack else { return }
        attack.cleanPrediction.withUnsafeBytes(sink)
        attack.status.withUnsafeBytes(sink)
        attack.iterations.withUnsafeBytes(sink)
        attack.perturbationL2.withUnsafeBytes(sink)
        attack.perturbationLinf.withUnsafeBytes(sink)
        attack.cost?.withUnsafeBytes(sink)
    }
}
