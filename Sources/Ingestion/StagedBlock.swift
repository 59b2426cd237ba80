import CorpusStore
import Logits
import Platform

/// One finished block on disk, so that a killed ingest starts from it: magic, SHA-256 of the payload, payload. All
/// integers and floats little-endian. Never part of the corpus: only a unit's shard is.
package struct StagedBlock: Equatable {
    private static let magic = Array("LCBLOCK2".utf8)

    private(set) var table: RowTable
    var images: KeptImages?

    package init(table: RowTable, images: KeptImages? = nil) {
        self.table = table
        self.images = images
    }

    /// Bounds on what a block may claim.
    private enum Limits {
        static let rows = 1 << 20
        static let classes = 1_000_000
        static let imageSide = 1 << 15
        static let bytes = 1 << 34
    }

    /// Whether both hold the same columns, so that one can be appended to the other.
    func hasColumns(of other: StagedBlock) -> Bool {
        table.classCount == other.table.classCount && (table.attack == nil) == (other.table.attack == nil)
            && (table.attack?.cost == nil) == (other.table.attack?.cost == nil)
            && (table.attack?.status8bit == nil) == (other.table.attack?.status8bit == nil)
            && images?.format == other.images?.format
    }

    mutating func append(_ other: StagedBlock) {
        precondition((images == nil) == (other.images == nil), "blocks with and without images")
        table.append(other.table)
        if let more = other.images { images?.append(more) }
    }

    /// Replaces `path` as one rename. Not synced: a torn file fails its digest and is computed again.
    func write(to path: String) throws(LogitError) {
        let payload = encode()
        let bytes = StagedBlock.magic + Array(Digest.hex(payload).utf8) + payload
        let temporary = path + ".tmp"
        try Files.write(bytes, to: temporary, sync: false)
        try Files.renameUnsynced(temporary, to: path)
    }

    /// The block, or nil where there is none that is whole.
    static func read(_ path: String) -> StagedBlock? {
        guard Files.exists(path), let bytes = try? Files.read(path, limit: Limits.bytes),
            bytes.count > magic.count + 64,
            Array(bytes[..<magic.count]) == magic
        else { return nil }
        let payload = Array(bytes[(magic.count + 64)...])
        guard Array(bytes[magic.count..<magic.count + 64]) == Array(Digest.hex(payload).utf8) else { return nil }
        return decode(payload)
    }

    /// The payload: what the digest covers.
    package func encode() -> [UInt8] {
        var writer = PayloadWriter()
        let precision = images.flatMap { ImagePrecision.allCases.firstIndex(of: $0.format.precision) } ?? -1
        writer.put([
            Int64(table.classCount), Int64(table.count), table.attack == nil ? 0 : 1, table.attack?.cost == nil ? 0 : 1,
            table.attack?.status8bit == nil ? 0 : 1, Int64(precision), Int64(images?.format.height ?? 0),
            Int64(images?.format.width ?? 0),
        ])
        writer.put(table.logits)
        writer.put(table.ordinal)
        writer.put(table.label)
        writer.put(table.prediction)
        for name in table.image {
            writer.put([Int64(name.utf8.count)])
            writer.put(Array(name.utf8))
        }
        if let attack = table.attack {
            writer.put(attack.cleanPrediction)
            writer.put(attack.status)
            writer.put(attack.iterations)
            writer.put(attack.perturbationL2)
            writer.put(attack.perturbationLinf)
            if let cost = attack.cost { writer.put(cost) }
            if let status = attack.status8bit { writer.put(status) }
        }
        if let images { writer.put(images.bytes) }
        return writer.bytes
    }

    /// What `encode` wrote; nil where the payload is anything else.
    package static func decode(_ payload: [UInt8]) -> StagedBlock? {
        var reader = PayloadReader(bytes: payload)
        guard let head = reader.take(8, of: Int64.self).map({ $0.map(Int.init) }),
            (1...Limits.classes).contains(head[0]), (1...Limits.rows).contains(head[1]),
            head[2...4].allSatisfy((0...1).contains), head[2] == 1 || head[3] + head[4] == 0,
            let table = table(head, &reader)
        else { return nil }
        if head[5...] == [-1, 0, 0] { return reader.isAtEnd ? StagedBlock(table: table) : nil }
        let sides = 1...Limits.imageSide
        guard ImagePrecision.allCases.indices.contains(head[5]), sides.contains(head[6]), sides.contains(head[7]) else {
            return nil
        }
        let format = ImageFormat(precision: ImagePrecision.allCases[head[5]], height: head[6], width: head[7])
        guard let bytes = reader.take(table.count * format.byteCount, of: UInt8.self), reader.isAtEnd else {
            return nil
        }
        return StagedBlock(table: table, images: KeptImages(format: format, bytes: bytes))
    }

    /// The columns; `head` is the first eight numbers of the payload, of which class and row counts are within limits.
    private static func table(_ head: [Int], _ reader: inout PayloadReader) -> RowTable? {
        let (classes, rows) = (head[0], head[1])
        var table = RowTable(classCount: classes)
        guard let logits = reader.take(rows * classes, of: Float.self), let ordinal = reader.take(rows, of: Int64.self),
            let label = reader.take(rows, of: Int32.self), let prediction = reader.take(rows, of: Int32.self)
        else { return nil }
        (table.logits, table.ordinal, table.label, table.prediction) = (logits, ordinal, label, prediction)
        for _ in 0..<rows {
            guard let count = reader.take(1, of: Int64.self), let name = reader.take(Int(count[0]), of: UInt8.self),
                let text = String(validating: name, as: UTF8.self)
            else { return nil }
            table.image.append(text)
        }
        guard head[2] == 1 else { return table }
        var attack = AttackColumns()
        guard let before = reader.take(rows, of: Int32.self), let status = reader.take(rows, of: UInt8.self),
            let iterations = reader.take(rows, of: Int32.self), let l2 = reader.take(rows, of: Float.self),
            let linf = reader.take(rows, of: Float.self)
        else { return nil }
        (attack.cleanPrediction, attack.status, attack.iterations) = (before, status, iterations)
        (attack.perturbationL2, attack.perturbationLinf) = (l2, linf)
        if head[3] == 1 {
            guard let cost = reader.take(rows, of: Float.self) else { return nil }
            attack.cost = cost
        }
        if head[4] == 1 {
            guard let status = reader.take(rows, of: UInt8.self) else { return nil }
            attack.status8bit = status
        }
        table.attack = attack
        return table
    }
}

private struct PayloadWriter {
    var bytes: [UInt8] = []

    mutating func put<Value: BitwiseCopyable>(_ values: [Value]) {
        values.withUnsafeBytes { bytes.append(contentsOf: $0) }
    }
}

private struct PayloadReader {
    let bytes: [UInt8]
    var offset = 0

    var isAtEnd: Bool { offset == bytes.count }

    mutating func take<Value: BitwiseCopyable>(_ count: Int, of type: Value.Type) -> [Value]? {
        let size = count.multipliedReportingOverflow(by: MemoryLayout<Value>.stride)
        guard count >= 0, !size.overflow, size.partialValue <= bytes.count - offset else { return nil }
        let start = offset
        offset += size.partialValue
        let part = start..<offset
        return [Value](unsafeUninitializedCapacity: count) { buffer, filled in
            bytes.withUnsafeBytes { UnsafeMutableRawBufferPointer(buffer).copyMemory(from: .init(rebasing: $0[part])) }
            filled = count
        }
    }
}
