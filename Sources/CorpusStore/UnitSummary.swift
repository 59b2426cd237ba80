import GRDB
import Logits

/// What the catalogue keeps of all rows of a unit together: outcomes, and the moments of each statistic. Rows that are invalid
/// count for neither.
struct UnitSummary: Equatable {
    /// Columns of `row_index` that hold one number a row.
    static let statistics = [
        "mean", "minimum", "maximum", "l2", "label_margin", "label_rank", "iterations", "perturbation_l2",
        "perturbation_linf",
    ]

    /// Over the rows that have a value. As SQLite keeps reals: a NaN as NULL.
    struct Moments: Equatable {
        var rowCount: Int64
        var sum: Double?
        var squares: Double?
        /// Σ (x − mean)².
        var deviations: Double?
        var minimum: Double?
        var maximum: Double?
    }

    /// Fooled, failed, trivial.
    var outcomes: [Int64] = [0, 0, 0]
    /// The same after rounding to 8 bits; nil where no row has such an outcome.
    var outcomes8bit: [Int64]?
    /// In the order of `statistics`; nil where no row has a value.
    var moments: [Moments?] = []
}

extension UnitSummary {
    /// Sums are taken by `shard_row`, so that equal rows make equal sums.
    init(_ rows: RowDigest) {
        var values = [[Double]](repeating: [], count: UnitSummary.statistics.count)
        for statistic in values.indices { values[statistic].reserveCapacity(rows.rowCount) }
        for row in 0..<rows.rowCount {
            let row = rows.row(row)
            let status = row.integer(9)
            if status == Int64(Outcome.invalid.rawValue) { continue }
            if let status, outcomes.indices.contains(Int(clamping: status)) { outcomes[Int(status)] += 1 }
            if let rounded = row.integer(13) {
                outcomes8bit = outcomes8bit ?? [0, 0, 0]
                if outcomes.indices.contains(Int(clamping: rounded)) { outcomes8bit?[Int(rounded)] += 1 }
            }
            for statistic in values.indices {
                // `status` lies between the ranks and the iterations.
                let column = statistic < 6 ? statistic + 3 : statistic + 4
                let isInteger = statistic == 5 || statistic == 6
                let value = isInteger ? row.integer(column).map(Double.init) : row.real(column)
                if let value { values[statistic].append(value) }
            }
        }
        moments = values.map(Moments.init)
    }
}

extension ArraySlice<UInt64> {
    /// A column of `IndexedRow.columns` in one row's words of a `RowDigest`; nil for NULL.
    fileprivate func integer(_ column: Int) -> Int64? {
        isNull(column) ? nil : Int64(bitPattern: UInt64(littleEndian: self[startIndex + column]))
    }

    fileprivate func real(_ column: Int) -> Double? {
        isNull(column) ? nil : Double(bitPattern: UInt64(littleEndian: self[startIndex + column]))
    }

    private func isNull(_ column: Int) -> Bool { UInt64(littleEndian: self[endIndex - 1]) >> UInt64(column) & 1 == 1 }
}

extension UnitSummary.Moments {
    fileprivate init?(_ values: [Double]) {
        guard let first = values.first else { return nil }
        func real(_ value: Double) -> Double? { value.isNaN ? nil : value }
        let sum = values.compensatedSum()
        let mean = sum / Double(values.count)
        self.init(
            rowCount: Int64(values.count), sum: real(sum), squares: real(values.compensatedSum { $0 * $0 }),
            deviations: real(values.compensatedSum { ($0 - mean) * ($0 - mean) }),
            minimum: real(values.reduce(first, Swift.min)), maximum: real(values.reduce(first, Swift.max)))
    }
}

extension [Double] {
    /// Neumaier's sum: the rounding of each addition is summed too.
    fileprivate func compensatedSum(of term: (Double) -> Double = { $0 }) -> Double {
        var (sum, rest) = (0.0, 0.0)
        for value in self {
            let value = term(value)
            let next = sum + value
            rest += sum.magnitude >= value.magnitude ? (sum - next) + value : (value - next) + sum
            sum = next
        }
        // Where the sum is infinite the rest is no number.
        return rest.isFinite ? sum + rest : sum
    }
}

// MARK: The catalogue

extension UnitSummary {
    func insert(unit: Int64, in db: Database) throws {
        try db.execute(
            sql: "INSERT OR REPLACE INTO unit_summary VALUES (?, ?, ?, ?, ?, ?, ?)",
            arguments: StatementArguments([unit] + outcomes)
                + StatementArguments(outcomes8bit ?? [Int64?](repeating: nil, count: 3)))
        for (statistic, moments) in zip(UnitSummary.statistics, moments) {
            guard let moments else { continue }
            try db.execute(
                sql: """
                    INSERT OR REPLACE INTO unit_statistic
                    SELECT ?, split_id, network_id, attack_id, view, id, ?, ?, ?, ?, ?, ? FROM unit_index WHERE id = ?
                    """,
                arguments: [
                    statistic, moments.rowCount, moments.sum, moments.squares, moments.deviations, moments.minimum,
                    moments.maximum, unit,
                ])
        }
    }

    /// What the catalogue has of a unit; nil where it has nothing.
    static func stored(unit: Int64, in db: Database) throws -> UnitSummary? {
        guard let row = try Row.fetchOne(db, sql: "SELECT * FROM unit_summary WHERE unit_id = ?", arguments: [unit])
        else { return nil }
        var summary = UnitSummary()
        summary.outcomes = try ["fooled", "failed", "trivial"].map { try row.value($0) }
        let rounded = try ["fooled_8bit", "failed_8bit", "trivial_8bit"].compactMap {
            try row.value($0, as: Int64?.self)
        }
        summary.outcomes8bit = rounded.isEmpty ? nil : rounded
        for statistic in statistics {
            let found = try Row.fetchOne(
                db,
                sql: """
                    SELECT t.* FROM unit_index u JOIN unit_statistic t ON t.statistic = ? AND t.split_id = u.split_id
                        AND t.network_id = u.network_id AND t.attack_id = u.attack_id AND t.view = u.view AND t.unit_id = u.id
                    WHERE u.id = ?
                    """, arguments: [statistic, unit])
            summary.moments.append(
                try found.map { row in
                    Moments(
                        rowCount: try row.value("row_count"), sum: try row.value("sum"),
                        squares: try row.value("sum_of_squares"), deviations: try row.value("deviations"),
                        minimum: try row.value("minimum"), maximum: try row.value("maximum"))
                })
        }
        return summary
    }

    /// Takes a unit out, before its line in `unit_index` goes.
    static func delete(unit: Int64, in db: Database) throws {
        try db.execute(sql: "DELETE FROM unit_summary WHERE unit_id = ?", arguments: [unit])
        try db.execute(sql: "DELETE FROM unit_mean WHERE unit_id = ?", arguments: [unit])
        for statistic in statistics {
            try db.execute(
                sql: """
                    DELETE FROM unit_statistic WHERE statistic = ? AND (split_id, network_id, attack_id, view) =
                        (SELECT split_id, network_id, attack_id, view FROM unit_index WHERE id = ?) AND unit_id = ?
                    """, arguments: [statistic, unit, unit])
        }
    }

    /// Sums up every unit that a former version indexed.
    static func fillIn(_ db: Database) throws {
        let statement = try RawStatement(
            db, "SELECT \(IndexedRow.columns) FROM row_index WHERE unit_id = ? ORDER BY shard_row")
        for unit in try Int64.fetchAll(db, sql: "SELECT id FROM unit_index") {
            statement.bind(unit, at: 1)
            var rows = RowDigest(rowCount: 0)
            while try statement.step() { rows.add(statement) }
            statement.reset()
            try UnitSummary(rows).insert(unit: unit, in: db)
        }
    }
}
