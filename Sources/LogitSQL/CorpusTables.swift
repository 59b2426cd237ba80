import CLogitSQL
import Logits
import Shards

/// The table-valued functions over the corpus: its shards and snapshots.
enum CorpusTables {
    static func all(_ session: Session) -> [ComputedTable] { [shards(session), snapshots(session)] }

    /// `shards()`, `shards('TAG')`: the files that hold the rows, of now or of a snapshot.
    private static func shards(_ session: Session) -> ComputedTable {
        let columns = [
            "dataset", "split", "network", "attack", "view", "seed", "rows", "classes", "codec", "precision", "bytes",
            "path", "content_digest", "file_digest",
        ]
        return ComputedTable("shards", columns: columns, arguments: ["snapshot"], required: 0, session) {
            (session, arguments) throws(LogitError) in
            let root = try session.root()
            let reference =
                arguments[0].flatMap { ls_type($0) == SQLITE_NULL ? nil : Units.text($0) } ?? session.snapshot
            if let reference { return try session.manifest(reference, root).shards.map(row) }
            let statement = try session.statement(
                """
                SELECT d.name, s.name, n.name, a.canonical, u.view, u.seed, u.row_count, n.class_count, u.codec, u.precision,
                    u.file_bytes, u.path, u.content_digest, u.file_digest
                FROM main.unit_index u JOIN main.split_index s ON s.id = u.split_id
                JOIN main.dataset_index d ON d.id = s.dataset_id JOIN main.network_index n ON n.id = u.network_id
                JOIN main.attack_index a ON a.id = u.attack_id
                ORDER BY d.name, s.name, n.name, a.canonical, u.view, u.first_position, u.path
                """)
            defer { session.keep(statement) }
            var rows: [[SQLValue]] = []
            while try statement.step() { rows.append(columns.indices.map(statement.stored)) }
            return rows
        }
    }

    private static func row(_ entry: ShardEntry) -> [SQLValue] {
        let key = entry.key
        return [
            .text(key.dataset), .text(key.split), .text(key.network), .text(key.variant.canonical), .integer(key.view),
            .integer(Int(truncatingIfNeeded: key.seed)), .integer(key.rowCount), .integer(entry.classCount),
            SQLValue(entry.details.codec), SQLValue(entry.details.precision), .integer(entry.fileBytes),
            .text(entry.path), .text(entry.contentDigest), .text(entry.fileDigest),
        ]
    }

    /// `snapshots()`: the columns of the catalogue's view of this name, and which one is the head.
    private static func snapshots(_ session: Session) -> ComputedTable {
        let columns = ["snapshot", "tree", "parent", "message", "created", "rows", "tags", "head"]
        let table = ComputedTable("snapshots", columns: columns, arguments: [], required: 0, session) {
            (session, _) throws(LogitError) in
            let head = try Snapshots.head(try session.root())
            let statement = try session.statement(
                """
                SELECT snapshot, tree, parent, message, created, row_count,
                    (SELECT group_concat(name, ',') FROM main.tag_index t WHERE t.snapshot = c.snapshot)
                FROM main.snapshot_index c ORDER BY c.id
                """)
            defer { session.keep(statement) }
            var rows: [[SQLValue]] = []
            while try statement.step() {
                rows.append((0..<7).map(statement.stored) + [.integer(statement.text(0) == head ? 1 : 0)])
            }
            return rows
        }
        table.isCreatable = true
        return table
    }
}
