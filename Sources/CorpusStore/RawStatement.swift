import GRDB
import GRDBSQLite
import Glibc

/// A statement that is run for millions of rows: SQLite's own calls, a tenth of the time of values in boxes.
final class RawStatement {
    enum Value: Equatable {
        case null
        case integer(Int64)
        case real(Double)
        /// Text or a blob, where numbers should be.
        case other
    }

    private let statement: OpaquePointer
    private let db: Database

    init(_ db: Database, _ sql: String) throws {
        var made: OpaquePointer?
        let status = sqlite3_prepare_v2(db.sqliteConnection, sql, -1, &made, nil)
        guard status == SQLITE_OK, let made else { throw RawStatement.error(db, status, sql) }
        statement = made
        self.db = db
    }

    deinit { sqlite3_finalize(statement) }

    func bind(_ value: Int64?, at place: Int32) {
        if let value { sqlite3_bind_int64(statement, place, value) } else { sqlite3_bind_null(statement, place) }
    }

    func bind(_ value: Double?, at place: Int32) {
        if let value { sqlite3_bind_double(statement, place, value) } else { sqlite3_bind_null(statement, place) }
    }

    /// The next row: false where there is none.
    func step() throws -> Bool {
        switch sqlite3_step(statement) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let status: throw RawStatement.error(db, status, sqlite3_sql(statement).map { String(cString: $0) } ?? "")
        }
    }

    /// Runs a statement without rows, and makes it ready for the next values.
    func run() throws {
        _ = try step()
        sqlite3_reset(statement)
    }

    func reset() { sqlite3_reset(statement) }

    func value(_ column: Int32) -> Value {
        switch sqlite3_column_type(statement, column) {
        case SQLITE_INTEGER: .integer(sqlite3_column_int64(statement, column))
        case SQLITE_FLOAT: .real(sqlite3_column_double(statement, column))
        case SQLITE_NULL: .null
        default: .other
        }
    }

    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(statement, column) }

    /// Whether a text column holds exactly this text.
    func isEqual(_ column: Int32, _ text: String) -> Bool {
        var text = text
        return text.withUTF8 { isEqual(column, UnsafeRawBufferPointer($0)) }
    }

    /// Whether a text column holds exactly these bytes.
    func isEqual(_ column: Int32, _ text: UnsafeRawBufferPointer) -> Bool {
        guard let bytes = sqlite3_column_text(statement, column),
            Int(sqlite3_column_bytes(statement, column)) == text.count
        else { return false }
        return text.baseAddress.map { memcmp(bytes, $0, text.count) == 0 } ?? true
    }

    private static func error(_ db: Database, _ status: Int32, _ sql: String) -> DatabaseError {
        DatabaseError(
            resultCode: ResultCode(rawValue: status),
            message: String(cString: sqlite3_errmsg(db.sqliteConnection)), sql: sql)
    }
}
