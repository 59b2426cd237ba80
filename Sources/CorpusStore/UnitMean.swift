import GRDB
import Logits
import Shards

/// The mean of a unit's stored logits over its rows that are not invalid, as `unit_mean` keeps it.
struct UnitMean: Equatable {
    let rowCount: Int
    /// A JSON array of doubles, one a class, each in the fewest digits that give it again.
    let text: String

    /// Nil where every row is invalid, or a mean is beyond what JSON has numbers for.
    init?(_ table: RowTable) {
        var sums = [Double](repeating: 0, count: table.classCount)
        var rows = 0
        table.logits.withUnsafeBufferPointer { logits in
            sums.withUnsafeMutableBufferPointer { sums in
                for row in 0..<table.count where !table.isInvalid(row) {
                    rows += 1
                    let own = UnsafeBufferPointer(rebasing: logits[row * sums.count..<(row + 1) * sums.count])
                    for column in sums.indices { sums[column] += Double(own[column]) }
                }
            }
        }
        guard rows > 0, sums.allSatisfy(\.isFinite) else { return nil }
        rowCount = rows
        text = "[" + sums.map { "\($0 / Double(rows))" }.joined(separator: ",") + "]"
    }

    func insert(unit: Int64, in db: Database) throws {
        try db.execute(
            sql: "INSERT OR REPLACE INTO unit_mean VALUES (?, ?, ?, ?)",
            arguments: [unit, rowCount, text, UnitMean.checksum(text)])
    }

    private static func checksum(_ text: String) -> String { Array(text.utf8).withUnsafeBytes(Checksum128.hex) }

    /// Whether what the catalogue has of a unit is as it was written.
    /// - Parameter expected: from the decoded rows; nil: only its own checksum is compared.
    static func isWhole(unit: Int64, expected: UnitMean?, in db: Database) throws -> Bool {
        let row = try Row.fetchOne(
            db,
            sql: """
                SELECT m.row_count, m.mean, m.checksum, u.row_count - u.invalid_count AS valid
                FROM unit_mean m JOIN unit_index u ON u.id = m.unit_id WHERE m.unit_id = ?
                """, arguments: [unit])
        // A former version indexed the unit, or it has no mean.
        guard let row else { return true }
        let text: String = try row.value("mean")
        guard try row.value("checksum") == checksum(text),
            try row.value("row_count", as: Int.self) == row.value("valid", as: Int.self)
        else { return false }
        guard let expected else { return true }
        return try row.value("row_count") == expected.rowCount && text == expected.text
    }
}
