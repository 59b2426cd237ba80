import CLogitSQL
import Glibc
import Logits
import Platform
import Shards

/// What the functions and tables of one connection share. SQLite calls them one at a time, under the connection's own lock.
final class Session {
    let db: OpaquePointer
    /// Seen by the functions, which look for their argument in the blocks of open cursors.
    let shared: UnsafeMutablePointer<ls_session>
    /// The snapshot or tag that `logits_at` chose; nil shows all committed rows.
    var snapshot: String?
    private var manifests: [String: SnapshotManifest] = [:]
    private var idle: [String: [Statement]] = [:]
    private var files: [ObjectIdentifier: MappedFile] = [:]
    private var names: [String: UnsafePointer<CChar>] = [:]

    init(_ db: OpaquePointer) {
        self.db = db
        shared = .allocate(capacity: 1)
        shared.initialize(to: ls_session())
        shared.pointee.object = Unmanaged.passUnretained(self).toOpaque()
    }

    deinit {
        names.values.forEach { free(UnsafeMutableRawPointer(mutating: $0)) }
        shared.deallocate()
    }

    /// The corpus that the main database is the catalogue of.
    func root() throws(LogitError) -> String {
        guard let file = ls_file(db), file.pointee != 0 else {
            throw LogitError(
                .usage, "the main database is in memory and lies in no corpus; open CORPUS/catalog.sqlite")
        }
        let folder = Files.parent(of: String(cString: file))
        guard Files.exists("\(folder)/corpus.json") else {
            throw LogitError(
                .usage,
                "\(String(cString: file)) lies in no corpus (there is no corpus.json beside it); open CORPUS/catalog.sqlite"
            )
        }
        return folder
    }

    /// The manifest of the snapshot that a tag or id names. It never changes, so it is read once.
    func manifest(_ reference: String, _ root: String) throws(LogitError) -> SnapshotManifest {
        if let known = manifests[reference] { return known }
        let id = try Snapshots.id(reference, root)
        if let known = manifests[id] { return known }
        let manifest = try Snapshots.manifest(id, root)
        if manifests.count >= 8 { manifests = [:] }
        manifests[id] = manifest
        return manifest
    }

    // MARK: Statements

    func statement(_ sql: String) throws(LogitError) -> Statement {
        if let kept = idle[sql]?.popLast() { return kept }
        return try Statement(db, sql)
    }

    func keep(_ statement: Statement) {
        statement.reset()
        if idle.count < 64 { idle[statement.sql, default: []].append(statement) }
    }

    /// A connection cannot be closed while it has statements.
    func finalizeStatements() { idle = [:] }

    // MARK: What SQLite's registers may point to

    /// Keeps a file mapped for as long as the connection is open: a register of SQLite's may hold a vector of it for the rest of
    /// the statement, and there is no telling when that is.
    func keep(_ file: MappedFile) { files[ObjectIdentifier(file)] = file }

    /// A name that stays where it is for as long as the connection is open.
    func constant(_ name: String) -> UnsafePointer<CChar> {
        if let known = names[name] { return known }
        let made = UnsafePointer(strdup(name)!)
        names[name] = made
        return made
    }
}
