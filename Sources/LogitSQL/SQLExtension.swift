import CLogitSQL
import Logits
import Platform

/// The extension of SQLite: `liblogitsql.so` for any host, or linked into a program of ours.
package enum SQLExtension {
    /// What `sqlite3_auto_extension` takes: connections that are opened from then on have the functions and tables.
    package static var entryPoint: @convention(c) () -> Void {
        unsafeBitCast(
            logitsql_auto_init
                as @convention(c) (
                    OpaquePointer?, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?,
                    UnsafePointer<sqlite3_api_routines>?
                ) -> Int32, to: (@convention(c) () -> Void).self)
    }
}

/// Adds functions and tables to a connection.
@_cdecl("logitsql_register")
public func logitsqlRegister(_ db: OpaquePointer?) -> Int32 {
    guard let db else { return SQLITE_MISUSE }
    let session = Session(db)
    // The tables' modules keep the session for as long as the connection is open.
    let tables = ListTables.all(session) + CorpusTables.all(session)
    for table in tables {
        let status = table.register(db)
        guard status == SQLITE_OK else { return status }
    }
    let functions =
        ScalarFunctions.all() + HistogramFunctions.all() + VectorAggregates.all() + ScoreAggregates.all()
        + [SnapshotChoice.definition(session)]
    for function in functions {
        let status = function.register(db, session.shared)
        guard status == SQLITE_OK else { return status }
    }
    return LogitsTable(session).register(db)
}

/// The catalogue has a view `snapshots`, which would hide the function of this name: the temporary schema comes first.
@_cdecl("logitsql_shadow")
public func logitsqlShadow(_ db: OpaquePointer?) {
    guard let db, let file = ls_file(db), file.pointee != 0,
        Files.exists("\(Files.parent(of: String(cString: file)))/corpus.json")
    else { return }
    // Where it fails, there is the view.
    ls_exec(db, "CREATE VIRTUAL TABLE IF NOT EXISTS temp.snapshots USING snapshots")
}
