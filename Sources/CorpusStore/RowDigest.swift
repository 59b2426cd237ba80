import GRDB
import Logits
import Shards

/// One row of `row_index` as it is written and as it is read back; `unit_id` is not in it.
struct IndexedRow: Equatable {
    var shardRow: Int64
    var image: Int64
    var prediction: Int64
    // As SQLite keeps reals: a NaN as NULL.
    var mean: Double?
    var minimum: Double?
    var maximum: Double?
    var l2: Double?
    var labelMargin: Double?
    var labelRank: Int64
    var status: Int64?
    var iterations: Int64?
    var perturbationL2: Double?
    var perturbationLinf: Double?
    var status8bit: Int64?

    static let columns = """
        shard_row, image_id, prediction, mean, minimum, maximum, l2, label_margin, label_rank, status, iterations,
        perturbation_l2, perturbation_linf, status_8bit
        """
    static let columnCount: Int32 = 14

    /// What the rows of a table are in the catalogue.
    /// - Parameter images: of each row, its id in `image_index`.
    static func rows(_ table: RowTable, images: [Int64]) -> [IndexedRow] {
        let statistics = table.logits.withUnsafeBufferPointer {
            RowStatistics.rows($0, classCount: table.classCount, labels: table.label)
        }
        let attack = table.attack
        return statistics.enumerated().map { row, statistics in
            IndexedRow(
                shardRow: Int64(row), image: images[row], prediction: Int64(table.prediction[row]),
                mean: real(statistics.mean), minimum: real(statistics.minimum), maximum: real(statistics.maximum),
                l2: real(statistics.l2), labelMargin: real(statistics.labelMargin),
                labelRank: Int64(statistics.labelRank), status: table.indexedStatus(row).map(Int64.init),
                iterations: attack.map { Int64($0.iterations[row]) },
                perturbationL2: attack.flatMap { real(Double($0.perturbationL2[row])) },
                perturbationLinf: attack.flatMap { real(Double($0.perturbationLinf[row])) },
                status8bit: attack?.status8bit.map { Int64($0[row]) })
        }
    }

    private static func real(_ value: Double) -> Double? { value.isNaN ? nil : value }

    /// The rows that the catalogue has of a unit, by `shard_row`.
    static func stored(_ path: String, in db: Database) throws -> [IndexedRow] {
        try Row.fetchAll(
            db,
            sql: """
                SELECT \(columns) FROM row_index WHERE unit_id = (SELECT id FROM unit_index WHERE path = ?)
                ORDER BY shard_row
                """, arguments: [path]
        ).map { row in
            IndexedRow(
                shardRow: try row.value(0), image: try row.value(1), prediction: try row.value(2),
                mean: try row.value(3), minimum: try row.value(4), maximum: try row.value(5), l2: try row.value(6),
                labelMargin: try row.value(7), labelRank: try row.value(8), status: try row.value(9),
                iterations: try row.value(10), perturbationL2: try row.value(11),
                perturbationLinf: try row.value(12), status8bit: try row.value(13))
        }
    }

    func bind(to statement: RawStatement, from first: Int32) {
        statement.bind(shardRow, at: first)
        statement.bind(image, at: first + 1)
        statement.bind(prediction, at: first + 2)
        for (place, value) in [mean, minimum, maximum, l2, labelMargin].enumerated() {
            statement.bind(value, at: first + 3 + Int32(place))
        }
        statement.bind(labelRank, at: first + 8)
        statement.bind(status, at: first + 9)
        statement.bind(iterations, at: first + 10)
        statement.bind(perturbationL2, at: first + 11)
        statement.bind(perturbationLinf, at: first + 12)
        statement.bind(status8bit, at: first + 13)
    }
}

/// The rows of one unit, by `shard_row`, as XXH3-128 is taken over them. A row is 15 little-endian words of 64 bits: the columns
/// in the order of `IndexedRow.columns`, integers as int64, reals as float64 (−0 as 0), 0 for NULL; then which were NULL, bit k
/// for the k-th column. At the end come the unit's counts of correct and of invalid rows.
struct RowDigest {
    private var words: [UInt64] = []

    static let rowWords = Int(IndexedRow.columnCount) + 1

    /// - Parameter rowCount: how many rows to make room for at once; it may come from a catalogue that is wrong.
    init(rowCount: Int) { words.reserveCapacity(RowDigest.rowWords * max(0, min(rowCount, 1 << 16))) }

    var rowCount: Int { words.count / RowDigest.rowWords }

    /// One row's words.
    func row(_ row: Int) -> ArraySlice<UInt64> { words[row * RowDigest.rowWords..<(row + 1) * RowDigest.rowWords] }

    mutating func add(_ row: IndexedRow) {
        var nulls: UInt64 = 0
        var column: UInt64 = 0
        func put(_ value: Int64?) {
            if value == nil { nulls |= 1 << column }
            words.append(UInt64(bitPattern: value ?? 0).littleEndian)
            column += 1
        }
        func put(_ value: Double?) {
            if value == nil { nulls |= 1 << column }
            words.append(((value ?? 0) + 0).bitPattern.littleEndian)
            column += 1
        }
        put(row.shardRow)
        put(row.image)
        put(row.prediction)
        put(row.mean)
        put(row.minimum)
        put(row.maximum)
        put(row.l2)
        put(row.labelMargin)
        put(row.labelRank)
        put(row.status)
        put(row.iterations)
        put(row.perturbationL2)
        put(row.perturbationLinf)
        put(row.status8bit)
        words.append(nulls.littleEndian)
    }

    /// Adds the row that a statement over `IndexedRow.columns` stands on.
    mutating func add(_ statement: RawStatement) {
        var nulls: UInt64 = 0
        for column in 0..<IndexedRow.columnCount {
            switch statement.value(column) {
            case .integer(let value): words.append(UInt64(bitPattern: value).littleEndian)
            case .real(let value): words.append((value + 0).bitPattern.littleEndian)
            case .null:
                nulls |= 1 << UInt64(column)
                words.append(0)
            case .other:
                nulls |= 1 << 63
                words.append(0)
            }
        }
        words.append(nulls.littleEndian)
    }

    func hex(correct: Int64, invalid: Int64) -> String {
        let checksum = Checksum128()
        words.withUnsafeBytes(checksum.add)
        [correct.littleEndian, invalid.littleEndian].withUnsafeBytes(checksum.add)
        return checksum.hex()
    }

    /// What the rows are that the catalogue has of a unit.
    struct Stored {
        let unit: Int64
        let digest: String
        let rows: RowDigest
    }

    /// Nil where the catalogue has no such unit.
    static func stored(_ path: String, in db: Database) throws -> Stored? {
        let unit = try Row.fetchOne(
            db, sql: "SELECT id, row_count, correct_count, invalid_count FROM unit_index WHERE path = ?",
            arguments: [path])
        guard let unit else { return nil }
        let statement = try RawStatement(
            db, "SELECT \(IndexedRow.columns) FROM row_index WHERE unit_id = ? ORDER BY shard_row")
        let id: Int64 = try unit.value("id")
        statement.bind(id, at: 1)
        var rows = RowDigest(rowCount: try unit.value("row_count"))
        while try statement.step() { rows.add(statement) }
        return Stored(
            unit: id,
            digest: rows.hex(correct: try unit.value("correct_count"), invalid: try unit.value("invalid_count")),
            rows: rows)
    }
}
