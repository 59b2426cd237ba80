import GRDB
import GRDBSQLite
import Logits

/// What keeps a catalogue that others made from doing more than holding values. It is data from outside like any file: views and
/// triggers in it would be programs, and a column of integers can hold a text.
extension Catalog {
    /// Run on every new connection: views and triggers of the file may call no function that has effects, and pages are checked
    /// as they are read.
    static let safety = "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"

    private static let valueBytes: Int32 = 256 << 20

    static func limit(_ connection: OpaquePointer?) {
        sqlite3_limit(connection, SQLITE_LIMIT_LENGTH, valueBytes)
        sqlite3_limit(connection, SQLITE_LIMIT_ATTACHED, 0)
    }

    /// Compares the tables, views, indices and triggers of a file with those that this program makes. Plain tables that others
    /// added stay unread and do no harm.
    /// - Throws: `corrupt` where one of ours is missing or another, or where there is a view, trigger or index that is not ours.
    static func checkSchema(_ db: Database, version: Int, _ path: String) throws {
        let own = try DatabaseQueue().write { own in
            for step in steps[..<version] { try own.execute(sql: step) }
            return try schema(own)
        }
        let found = try schema(db)
        let foreign = found.subtracting(own)
        guard own.isSubset(of: found), foreign.allSatisfy({ $0[0] == "table" && $0[3].hasPrefix("CREATE TABLE") })
        else {
            throw LogitError(
                .corrupt,
                "\(path) has other tables or views than a catalogue of LogitCorpus; run logit repair, which makes it anew from the files"
            )
        }
    }

    /// All but what SQLite makes for itself: indices of keys, and statistics of ANALYZE.
    private static func schema(_ db: Database) throws -> Set<[String]> {
        let sql = """
            SELECT type, name, tbl_name, sql FROM main.sqlite_schema
            WHERE NOT (type = 'index' AND sql IS NULL) AND NOT (type = 'table' AND name IN ('sqlite_stat1', 'sqlite_stat4'))
            """
        var found: Set<[String]> = []
        for row in try Row.fetchAll(db, sql: sql) {
            found.insert(try (0..<4).map { try row.value($0, as: String?.self) ?? "" })
        }
        return found
    }
}

extension Row {
    /// The value of a column; GRDB's own subscript ends the process where the value has another type.
    func value<Value: DatabaseValueConvertible>(_ name: String, as type: Value.Type = Value.self) throws -> Value {
        // A catalogue of a former version lacks columns: nil, where that is a value.
        try converted(hasColumn(name) ? self[name] : .null, "column \(name)")
    }

    func value<Value: DatabaseValueConvertible>(_ index: Int, as type: Value.Type = Value.self) throws -> Value {
        try converted(self[index], "column \(index)")
    }

    private func converted<Value: DatabaseValueConvertible>(_ stored: DatabaseValue, _ what: String) throws -> Value {
        guard let value = Value.fromDatabaseValue(stored) else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "\(what) holds \(stored.storage)")
        }
        return value
    }
}
