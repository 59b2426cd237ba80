import CLogitSQL
import Logits

/// A prepared statement of the host's own connection.
///
/// Statements are kept by the session for the next use, since a join asks the same one for every row of the other table.
final class Statement {
    let sql: String
    private let handle: OpaquePointer
    private let db: OpaquePointer

    init(_ db: OpaquePointer, _ sql: String) throws(LogitError) {
        var made: OpaquePointer?
        guard ls_prepare(db, sql, &made) == SQLITE_OK, let made else {
            throw LogitError(
                .badInput,
                "the main database is no catalogue of a corpus that this program knows (\(String(cString: ls_message(db)))); open CORPUS/catalog.sqlite, or run logit repair"
            )
        }
        self.sql = sql
        self.db = db
        handle = made
    }

    deinit { ls_finalize(handle) }

    func reset() { ls_reset(handle) }
    func bind(_ value: OpaquePointer?, at place: Int) { ls_bind_value(handle, Int32(place), value) }
    func bind(_ value: String, at place: Int) { ls_bind_text(handle, Int32(place), value) }

    /// The next row: false where there is none.
    func step() throws(LogitError) -> Bool {
        switch ls_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        default:
            let reason = String(cString: ls_message(db))
            ls_reset(handle)
            throw LogitError(.io, "the catalogue cannot be read (\(reason))")
        }
    }

    func isNull(_ column: Int) -> Bool { ls_column_type(handle, Int32(column)) == SQLITE_NULL }
    func integer(_ column: Int) -> Int { Int(ls_column_int(handle, Int32(column))) }
    func text(_ column: Int) -> String { ls_column_text(handle, Int32(column)).map { String(cString: $0) } ?? "" }
    func value(_ column: Int) -> OpaquePointer? { ls_column_value(handle, Int32(column)) }

    /// A column as a value of ours.
    func stored(_ column: Int) -> SQLValue {
        switch ls_column_type(handle, Int32(column)) {
        case SQLITE_INTEGER: .integer(integer(column))
        case SQLITE_NULL: .null
        default: .text(text(column))
        }
    }
}

/// A value that a table of ours shows.
enum SQLValue {
    case null
    case integer(Int)
    case real(Double)
    case text(String)

    init(_ text: String?) { self = text.map(SQLValue.text) ?? .null }

    func give(_ context: OpaquePointer?) {
        switch self {
        case .null: ls_result_null(context)
        case .integer(let value): ls_result_int(context, Int64(value))
        case .real(let value): ls_result_double(context, value)
        case .text(let value): ls_result_text(context, value, Int64(value.utf8.count))
        }
    }
}
