import GRDBSQLite
import LogitSQL
import Logits

/// Calls of our SQL functions with arguments that nobody chose: a byte for the call, then a type and a value for each
/// parameter. What SQLite says of it is a refusal; a crash, a hang or an answer out of nothing is a fault.
enum SQLCalls {
    private static let calls =
        ["mean", "l2", "logsumexp", "entropy", "margin", "argmax", "to_json"].map { "SELECT \($0)(?1)" } + [
            "SELECT logsumexp(?1, ?2), entropy(?1, ?2)", "SELECT logit(?1, ?2)", "SELECT softmax(?1, ?2)",
            "SELECT softmax(?1, ?2, ?3)", "SELECT cosine(?1, ?2)",
            "SELECT bhattacharyya(?1, ?2), bhattacharyya_distance(?1, ?2), hellinger(?1, ?2)",
            "SELECT * FROM top_k(?1, ?2)", "SELECT * FROM histogram_bins(?1)", "SELECT * FROM logits(?1)",
            "SELECT * FROM shards(?1)", "SELECT logits_at(?1)",
        ]
        + [
            "vec_mean(a)", "vec_variance(a)", "vec_variance(a, b)", "vec_min(a)", "vec_max(a)", "histogram(a, b, c, d)",
            "quantile(a, b)", "ece(a, b)", "ece(a, b, c)", "nll(a, b)", "auroc(a, b)", "bhattacharyya_agg(a, b)",
            "hellinger_agg(a, b)", "vec_mean(a) OVER (ORDER BY b ROWS 1 PRECEDING)",
        ].map {
            "SELECT \($0) FROM (SELECT ?1 a, ?2 b, ?3 c, ?4 d UNION ALL SELECT ?2, ?1, ?3, ?4 UNION ALL SELECT ?1, ?2, ?3, ?4)"
        }

    /// `@unchecked Sendable`: the fuzzer runs one input at a time, and the tests wait for each other.
    private final class Connection: @unchecked Sendable {
        let handle: OpaquePointer

        init() {
            sqlite3_auto_extension(SQLExtension.entryPoint)
            var made: OpaquePointer?
            precondition(sqlite3_open(":memory:", &made) == SQLITE_OK, "SQLite is out of memory")
            handle = made!
            sqlite3_cancel_auto_extension(SQLExtension.entryPoint)
            sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, 1 << 24)
        }
    }
    private static let connection = Connection()

    static func run(_ bytes: [UInt8]) throws(LogitError) {
        guard let first = bytes.first else { throw LogitError(.usage, "no call") }
        let sql = calls[Int(first) % calls.count]
        var statement: OpaquePointer?
        guard sqlite3_prepare_v2(connection.handle, sql, -1, &statement, nil) == SQLITE_OK else {
            throw LogitError(.usage, String(cString: sqlite3_errmsg(connection.handle)))
        }
        defer { sqlite3_finalize(statement) }
        bind(Array(bytes.dropFirst()), statement)
        var rows = 0
        while true {
            switch sqlite3_step(statement) {
            case SQLITE_ROW: rows += 1
            case SQLITE_DONE: return
            default: throw LogitError(.usage, String(cString: sqlite3_errmsg(connection.handle)))
            }
            precondition(rows <= bytes.count + 8, "\(sql) gave more rows than its arguments hold")
        }
    }

    /// A value: its type, then 8 bytes of a number, or a length of two bytes and what follows of that many.
    private static func bind(_ bytes: [UInt8], _ statement: OpaquePointer?) {
        let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        var place = 0
        for parameter in 1...sqlite3_bind_parameter_count(statement) where place < bytes.count {
            let kind = bytes[place] % 5
            place += 1
            let width = kind < 3 ? 8 : 2
            let word = bytes[place..<min(place + width, bytes.count)].reversed().reduce(UInt64(0)) {
                $0 << 8 | UInt64($1)
            }
            if kind > 0 { place = min(place + width, bytes.count) }
            switch kind {
            case 0: sqlite3_bind_null(statement, parameter)
            case 1: sqlite3_bind_int64(statement, parameter, Int64(bitPattern: word))
            case 2: sqlite3_bind_double(statement, parameter, Double(bitPattern: word))
            default:
                let part = Array(bytes[place..<min(place + Int(word), bytes.count)])
                place += part.count
                if kind == 3 {
                    let text = part.map { CChar(bitPattern: $0) }
                    sqlite3_bind_text(statement, parameter, text, Int32(text.count), transient)
                } else {
                    sqlite3_bind_blob(statement, parameter, part, Int32(part.count), transient)
                }
            }
        }
    }

    static func seeds() -> [[UInt8]] {
        func number(_ value: Int) -> [UInt8] { [1] + withUnsafeBytes(of: Int64(value).littleEndian) { Array($0) } }
        func real(_ value: Double) -> [UInt8] {
            [2] + withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
        }
        func text(_ value: String) -> [UInt8] { [3, UInt8(value.utf8.count), 0] + Array(value.utf8) }
        func vector(_ values: [Float]) -> [UInt8] {
            [4, UInt8(values.count * 4), 0]
                + values.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian) { Array($0) } }
        }
        let vectors = [vector([1, -2.5, 3, 3]), text("[1, -2.5e0, null, 3]"), vector([.nan, .infinity, -.infinity])]
        var seeds: [[UInt8]] = []
        for call in calls.indices {
            for first in vectors { seeds.append([UInt8(call)] + first + number(1) + real(0.5) + number(4)) }
            seeds.append([UInt8(call)] + text("{\"edges\":[0,1,2],\"counts\":[3,4]}") + text("[3, 4]"))
            seeds.append([UInt8(call)] + real(0.25) + number(3) + real(-1) + real(1))
        }
        return seeds
    }
}

extension FuzzTarget {
    static let sql = [FuzzTarget("sql", seeds: { SQLCalls.seeds() }) { bytes in try SQLCalls.run(bytes) }]
}
