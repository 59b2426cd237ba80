import GRDB
import GRDBSQLite
import Logits
import Platform
import Shards
import Synchronization

/// SQL from outside, over the catalogue's views: a connection of its own that can read the catalogue and nothing else.
///
/// The file is opened read-only, and an authoriser refuses every action but reading: no writes, no ATTACH, no PRAGMA that
/// changes anything, no extension. The names `rows`, `accuracy` … show a snapshot's rows where one is asked for.
package final class ReadOnlyQuery {
    package enum Value: Sendable, Equatable {
        case null
        case integer(Int64)
        case real(Double)
        case text(String)
        case blob([UInt8])
    }

    private let path: String
    private let handle: OpaquePointer
    private let access: CatalogAccess
    /// Asked every few thousand steps; true stops the query.
    private let shouldStop: @Sendable () -> Bool

    private static let extending = Mutex(())

    /// - Parameters:
    ///   - snapshot: restricts the views, and `logits` of the extension, to its shards; nil shows all committed rows.
    ///   - loading: the entry point of our extension (`SQLExtension.entryPoint`), which the connection then has.
    ///   - shouldStop: polled while a statement runs (Ctrl-C, a time limit).
    package init(
        _ corpus: Corpus, at snapshot: SnapshotManifest?, loading entryPoint: (@convention(c) () -> Void)? = nil,
        shouldStop: @escaping @Sendable () -> Bool
    ) throws(LogitError) {
        try corpus.refuseChangedDescriptors()
        if let snapshot { _ = try corpus.indexedPaths(of: snapshot) }
        path = corpus.layout.catalog
        // The list of extensions is the process's: two connections opened at once must not take it from each other.
        let opened = ReadOnlyQuery.extending.withLock {
            [path] _ -> Result<(OpaquePointer, CatalogAccess), LogitError> in
            sqlite3_auto_extension(entryPoint)
            defer { sqlite3_cancel_auto_extension(entryPoint) }
            do throws(LogitError) {
                return .success(
                    try Catalog.translating("open", path) {
                        try CatalogAccess.opening(path) { access in (try ReadOnlyQuery.open(path, access), access) }
                    })
            } catch { return .failure(error) }
        }
        (handle, access) = try opened.get()
        self.shouldStop = shouldStop
        try shadow(snapshot)
        if entryPoint != nil {
            // So that snapshots() can be called; where a catalogue of before is shadowed, there is the view alone.
            _ = execute("CREATE VIRTUAL TABLE IF NOT EXISTS temp.snapshots USING snapshots")
            if let snapshot, !execute("SELECT logits_at('\(snapshot.id)')") {
                throw LogitError(.io, "cannot show snapshot \(snapshot.id.prefix(12)) (\(reason)); run logit verify")
            }
        }
        sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0)
        sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, 256 << 20)
        sqlite3_set_authorizer(
            handle, { _, action, first, second, _, _ in ReadOnlyQuery.authorise(action, first, second) }, nil)
        sqlite3_progress_handler(
            handle, 4096,
            { context in Unmanaged<ReadOnlyQuery>.fromOpaque(context!).takeUnretainedValue().shouldStop() ? 1 : 0 },
            Unmanaged.passUnretained(self).toOpaque())
    }

    deinit { sqlite3_close_v2(handle) }

    /// A connection that has read once.
    private static func open(_ path: String, _ access: CatalogAccess) throws -> OpaquePointer {
        var opened: OpaquePointer?
        var status = sqlite3_open_v2(access.uri(path), &opened, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, nil)
        sqlite3_busy_timeout(opened, 10_000)
        if status == SQLITE_OK {
            status = sqlite3_exec(
                opened, (access.preparation ?? "") + Catalog.safety + "SELECT count(*) FROM sqlite_schema", nil, nil,
                nil)
        }
        guard status == SQLITE_OK, let opened else {
            let message = opened.map { String(cString: sqlite3_errmsg($0)) }
            sqlite3_close_v2(opened)
            throw DatabaseError(resultCode: ResultCode(rawValue: status), message: message)
        }
        return opened
    }

    /// Runs one statement; `row` gets each result row as it comes.
    /// - Returns: the column names.
    package func run(_ sql: String, row: ([String], [Value]) throws(LogitError) -> Void)
        throws(LogitError) -> [String]
    {
        var statement: OpaquePointer?
        let (status, rest) = sql.withCString { text -> (Int32, String) in
            var tail: UnsafePointer<CChar>?
            let status = sqlite3_prepare_v2(handle, text, -1, &statement, &tail)
            return (status, tail.map { String(cString: $0) } ?? "")
        }
        defer { sqlite3_finalize(statement) }
        guard status == SQLITE_OK else { throw failure(status) }
        guard let statement else { throw LogitError(.usage, "the query is empty; give a SELECT statement") }
        guard rest.allSatisfy({ $0.isWhitespace || $0 == ";" }) else {
            throw LogitError(.usage, "the query holds more than one statement; give one SELECT at a time")
        }
        let names = (0..<sqlite3_column_count(statement)).map { String(cString: sqlite3_column_name(statement, $0)) }
        var steps = 0
        while true {
            let step = sqlite3_step(statement)
            steps += 1
            if step != SQLITE_ROW || steps % 4096 == 0, step != SQLITE_INTERRUPT, access.isOutdated(path) {
                throw LogitError(
                    .busy, "a writer has begun to change the catalogue under this query; run the query again")
            }
            if step == SQLITE_DONE { return names }
            guard step == SQLITE_ROW else { throw failure(step) }
            try row(names, names.indices.map { value(statement, Int32($0)) })
        }
    }

    private func value(_ statement: OpaquePointer, _ column: Int32) -> Value {
        switch sqlite3_column_type(statement, column) {
        case SQLITE_INTEGER: return .integer(sqlite3_column_int64(statement, column))
        case SQLITE_FLOAT: return .real(sqlite3_column_double(statement, column))
        case SQLITE_TEXT:
            let count = Int(sqlite3_column_bytes(statement, column))
            guard let text = sqlite3_column_text(statement, column) else { return .null }
            return .text(String(decoding: UnsafeBufferPointer(start: text, count: count), as: UTF8.self))
        case SQLITE_BLOB:
            let count = Int(sqlite3_column_bytes(statement, column))
            guard let bytes = sqlite3_column_blob(statement, column) else { return .blob([]) }
            return .blob([UInt8](UnsafeRawBufferPointer(start: bytes, count: count)))
        default: return .null
        }
    }

    private func failure(_ status: Int32) -> LogitError {
        switch status & 0xFF {
        case SQLITE_AUTH:
            return LogitError(
                .usage,
                "the query asks for more than reading (\(reason)); logit sql runs SELECT statements over the views only"
            )
        case SQLITE_INTERRUPT:
            return LogitError(
                .cancelled,
                "the query was stopped before it ended; make it smaller, or give it more time with --timeout")
        // The tables of the extension say what is wrong in words of their own.
        case SQLITE_CORRUPT where sqlite3_extended_errcode(handle) == SQLITE_CORRUPT | 1 << 8:
            return LogitError(.corrupt, reason)
        case SQLITE_IOERR: return LogitError(.io, "the query failed: \(reason)")
        case SQLITE_CORRUPT, SQLITE_NOTADB:
            return LogitError(.corrupt, "the catalogue is damaged (\(reason)); run logit repair, which rebuilds it")
        default:
            guard reason.hasPrefix("no such") else { return LogitError(.usage, "the query failed: \(reason)") }
            return LogitError(
                .usage,
                "the query failed: \(reason); the views are \(Catalog.views.joined(separator: ", ")), and logits is a table (docs/sql.md)"
            )
        }
    }

    /// Shadows tables and views in the connection's own temporary schema, which needs no write to the file: those of a former
    /// version of the catalogue, and those that a snapshot restricts.
    private func shadow(_ snapshot: SnapshotManifest?) throws(LogitError) {
        var version = 0
        _ = try run("PRAGMA user_version") { _, values in
            if case .integer(let value) = values[0] { version = Int(value) }
        }
        let sql = Catalog.shadows(ofVersion: version, at: snapshot?.id)
        guard execute(sql) else {
            throw LogitError(.io, "cannot prepare the views of the query: \(reason); run logit verify")
        }
    }

    private func execute(_ sql: String) -> Bool { sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK }

    private var reason: String { String(cString: sqlite3_errmsg(handle)) }

    /// - Parameters: of an action, as SQLite's authoriser gets them: a pragma and its argument; nothing and a function.
    private static func authorise(
        _ action: Int32, _ first: UnsafePointer<CChar>?, _ second: UnsafePointer<CChar>?
    ) -> Int32 {
        func name(_ text: UnsafePointer<CChar>?) -> String { text.map { String(cString: $0).lowercased() } ?? "" }
        switch action {
        case SQLITE_SELECT, SQLITE_READ, SQLITE_RECURSIVE: return SQLITE_OK
        case SQLITE_FUNCTION:
            // No host of ours has the last four; another build of SQLite may.
            let refused = ["load_extension", "fts3_tokenizer", "readfile", "writefile", "edit"]
            return refused.contains(name(second)) ? SQLITE_DENY : SQLITE_OK
        // SQLite asks this when it connects to a table of an extension; an UPDATE from outside it refuses by itself.
        case SQLITE_UPDATE: return name(first) == "sqlite_master" ? SQLITE_OK : SQLITE_DENY
        case SQLITE_PRAGMA:
            if ["table_info", "table_xinfo", "table_list", "index_list", "index_info"].contains(name(first)) {
                return SQLITE_OK
            }
            // With an argument it would change something.
            let isAsked = ["user_version", "function_list", "compile_options"].contains(name(first)) && second == nil
            return isAsked ? SQLITE_OK : SQLITE_DENY
        default: return SQLITE_DENY
        }
    }
}
