import FoundationEssentials
import GRDB
import GRDBSQLite
import Glibc
import Logits
import Platform

/// The SQLite index: opening, schema, and the error translation. What is in it: schema/catalog/.
struct Catalog: Sendable {
    static var schemaVersion: Int { steps.count }

    let queue: DatabaseQueue
    private let path: String
    /// How a reader opened it; nil for a writer.
    private let access: CatalogAccess?

    /// Opens for writing; makes the file and its tables where there are none, and the present version of a former one.
    static func openForWriting(_ path: String) throws(LogitError) -> Catalog {
        var configuration = Configuration()
        configuration.busyMode = .timeout(10)
        configuration.prepareDatabase { db in
            // The log stays when the last connection closes: readers then never take the file for one that nobody writes.
            var keep: CInt = 1
            sqlite3_file_control(db.sqliteConnection, nil, SQLITE_FCNTL_PERSIST_WAL, &keep)
            limit(db.sqliteConnection)
            try db.execute(
                sql: safety
                    + "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;")
        }
        return try translating("open", path) {
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            try queue.write { db in
                let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
                if (1...schemaVersion).contains(version) { try checkSchema(db, version: version, path) }
                guard (0..<schemaVersion).contains(version) else { return }
                for step in steps[version...] { try db.execute(sql: step) }
                try digestAttacks(db)
                if (1..<4).contains(version) { try UnitSummary.fillIn(db) }
                try db.execute(sql: "PRAGMA user_version = \(schemaVersion)")
            }
            return try checked(Catalog(queue: queue, path: path, access: nil), path)
        }
    }

    /// An empty catalogue of the present version in memory.
    static func inMemory() throws(LogitError) -> Catalog {
        try translating("make", "the catalogue in memory") {
            let queue = try DatabaseQueue()
            try queue.write { db in for step in steps { try db.execute(sql: step) } }
            return Catalog(queue: queue, path: "the catalogue in memory", access: nil)
        }
    }

    /// Fills in the digests of attacks that a former version stored without.
    private static func digestAttacks(_ db: Database) throws {
        for row in try Row.fetchAll(db, sql: "SELECT id, canonical, name, parameters FROM attack_index") {
            let variant = Variant(
                name: try row.value("name"), canonical: try row.value("canonical"),
                parametersJSON: try row.value("parameters"))
            try db.execute(
                sql: "UPDATE attack_index SET digest = ? WHERE id = ?",
                arguments: [variant.digest, try row.value("id", as: Int64.self)])
        }
    }

    /// Opens for reading beside a writer, or from a copy or a read-only file system.
    static func openForReading(_ path: String) throws(LogitError) -> Catalog {
        try translating("open", path) {
            try CatalogAccess.opening(path) { access in
                var configuration = Configuration()
                configuration.readonly = true
                configuration.busyMode = .timeout(10)
                configuration.prepareDatabase { db in
                    if let preparation = access.preparation { try db.execute(sql: preparation) }
                    limit(db.sqliteConnection)
                    try db.execute(sql: safety)
                    let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
                    if (1...schemaVersion).contains(version) { try checkSchema(db, version: version, path) }
                    try db.execute(sql: shadows(ofVersion: version))
                }
                let queue = try DatabaseQueue(path: access.uri(path), configuration: configuration)
                return try checked(Catalog(queue: queue, path: path, access: access), path, oldest: 1)
            }
        }
    }

    private static func checked(_ catalog: Catalog, _ path: String, oldest: Int = schemaVersion) throws -> Catalog {
        let version = try catalog.queue.read { try Int.fetchOne($0, sql: "PRAGMA user_version") } ?? 0
        guard version <= schemaVersion else {
            throw LogitError(
                .environment,
                "\(path) was written by a newer LogitCorpus (catalogue version \(version), this program knows \(schemaVersion)); use the newer program"
            )
        }
        guard version >= oldest else {
            throw LogitError(.corrupt, "\(path) is no catalogue of LogitCorpus; run logit repair on the corpus")
        }
        return catalog
    }

    func read<Value>(_ body: (Database) throws -> Value) throws(LogitError) -> Value {
        let result = Result { try queue.read(body) }
        // What a writer changed under a reader that took no locks is read again, beside the writer.
        if access?.isOutdated(path) == true { return try Catalog.openForReading(path).read(body) }
        return try Catalog.translating("read", path) { try result.get() }
    }

    func write<Value>(_ body: (Database) throws -> Value) throws(LogitError) -> Value {
        try Catalog.translating("write", path) { try queue.write(body) }
    }

    /// One error type above SQLite: a damaged file, a full disk and a read-only folder each get their remedy.
    static func translating<Value>(_ operation: String, _ path: String, _ body: () throws -> Value) throws(LogitError)
        -> Value
    {
        do {
            return try body()
        } catch let error as LogitError {
            throw error
        } catch let error as DatabaseError {
            switch error.resultCode {
            case .SQLITE_CORRUPT, .SQLITE_NOTADB:
                throw LogitError(.corrupt, "\(path) is damaged; run logit repair, which rebuilds it", cause: "\(error)")
            case .SQLITE_FULL:
                throw LogitError(
                    .io, "the disk is full, so \(path) cannot grow; free some space and run again", cause: "\(error)")
            case .SQLITE_READONLY, .SQLITE_CANTOPEN, .SQLITE_PERM:
                throw LogitError(
                    .io,
                    "cannot \(operation) \(path): \(error.message ?? "it is read-only"); check its permissions, or run logit repair if it is missing",
                    cause: "\(error)")
            default:
                throw LogitError(
                    .io,
                    "cannot \(operation) \(path): \(error.message ?? "SQLite error \(error.resultCode.rawValue)"); run logit verify",
                    cause: "\(error)")
            }
        } catch {
            throw LogitError(.io, "cannot \(operation) \(path): \(error)", cause: "\(error)")
        }
    }
}
