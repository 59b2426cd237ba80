import GRDB
import Logits
import Platform
import Shards

extension Corpus {
    // MARK: Making

    /// Makes a snapshot of everything committed and moves the head to it.
    /// - Returns: the new snapshot, or the head itself where nothing has changed since: neither rows nor files.
    @discardableResult
    package func createSnapshot(message: String) throws(LogitError) -> SnapshotManifest {
        requireWriting()
        try completeSnapshots()
        let shards = try units().map(\.entry)
        let tree = Corpus.treeID(shards)
        let head = try headSnapshotID()
        if let head {
            let current = try manifest(head)
            if current.holds(shards) { return current }
        }
        guard !shards.isEmpty else {
            throw LogitError(
                .usage, "the corpus \(root) has no rows yet, so there is nothing to snapshot; run logit ingest first")
        }
        if let begun = try unheadedSnapshot(tree: tree, parent: head), begun.holds(shards) {
            try Files.writeDurably(Array("\(begun.id)\n".utf8), to: layout.head)
            return begun
        }
        let created = timestamp()
        let id = Corpus.snapshotID(tree: tree, parent: head, message: message, created: created)
        let snapshot = SnapshotManifest(
            formatVersion: 1, id: id, tree: tree, parent: head, message: message, created: created, shards: shards)
        // The head moves last: a reader that follows it finds the manifest and its index.
        try Files.writeDurably(Manifests.encode(snapshot), to: layout.snapshot(id))
        try catalog.write { db in try Corpus.index(snapshot, in: db) }
        try Files.writeDurably(Array("\(id)\n".utf8), to: layout.head)
        return snapshot
    }

    /// A snapshot upon the head to which a killed process did not move the head.
    private func unheadedSnapshot(tree: String, parent: String?) throws(LogitError) -> SnapshotManifest? {
        let id = try catalog.read { db in
            try String.fetchOne(
                db,
                sql: "SELECT snapshot FROM snapshot_index WHERE tree = ? AND parent IS ? ORDER BY created, snapshot",
                arguments: [tree, parent])
        }
        return try id.map { (id) throws(LogitError) in try manifest(id) }
    }

    /// Equal data, equal tree: a digest over the sorted unit keys and content digests, whatever the codec or order.
    static func treeID(_ shards: [ShardEntry]) -> String {
        let lines = shards.map { "\($0.key.canonicalText)\u{1F}\($0.contentDigest)\n" }
        return Digest.hex(lines.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }.joined())
    }

    static func snapshotID(tree: String, parent: String?, message: String, created: String) -> String {
        Digest.hex("tree \(tree)\nparent \(parent ?? "-")\ncreated \(created)\n\n\(message)")
    }

    static func index(_ snapshot: SnapshotManifest, in db: Database) throws {
        try db.execute(
            sql:
                "INSERT INTO snapshot_index (snapshot, tree, parent, message, created, row_count) VALUES (?, ?, ?, ?, ?, ?)",
            arguments: [
                snapshot.id, snapshot.tree, snapshot.parent, snapshot.message, snapshot.created,
                snapshot.shards.reduce(0) { $0 + $1.key.rowCount },
            ])
        try list(snapshot, in: db)
    }

    /// Lists the committed shards of an indexed snapshot under it. By content: `compact` may have put a unit into another file
    /// since. What it has rounded is not what the snapshot holds.
    private static func list(_ snapshot: SnapshotManifest, in db: Database) throws {
        var units: [String: Int64] = [:]
        for unit in try Row.fetchAll(db, sql: "SELECT id, content_digest FROM unit_index") {
            units[try unit.value("content_digest")] = try unit.value("id", as: Int64.self)
        }
        let insert = try db.makeStatement(
            sql: "INSERT OR IGNORE INTO snapshot_unit SELECT id, ? FROM snapshot_index WHERE snapshot = ?")
        for shard in snapshot.shards {
            if let unit = units[shard.contentDigest] { try insert.execute(arguments: [unit, snapshot.id]) }
        }
    }

    /// Lists shards that came back (adopted, or made again) under the snapshots that hold them.
    func completeSnapshots() throws(LogitError) {
        let incomplete = try catalog.read { db in
            try String.fetchAll(
                db,
                sql: """
                    SELECT s.snapshot FROM snapshot_index s WHERE s.row_count <> (
                        SELECT coalesce(sum(u.row_count), 0) FROM snapshot_unit x JOIN unit_index u ON u.id = x.unit_id
                        WHERE x.snapshot_id = s.id)
                    """)
        }
        for id in incomplete {
            // A manifest that is damaged or gone is named by verify.
            guard let snapshot = try? manifest(id) else { continue }
            try catalog.write { db in try Corpus.list(snapshot, in: db) }
        }
    }

    /// Names a snapshot; a tag moves only if `replacing`.
    package func tag(_ name: String, snapshot reference: String?, replacing: Bool) throws(LogitError)
        -> SnapshotManifest
    {
        requireWriting()
        try Layout.check(name: name, of: "tag")
        guard name != "head" else {
            throw LogitError(.usage, "head always names the newest snapshot; choose another tag")
        }
        let isHex = name.allSatisfy { $0.isASCII && $0.isHexDigit && !$0.isUppercase }
        guard !(isHex && name.count >= 12), try !snapshotIDs().contains(where: { $0.hasPrefix(name) }) else {
            throw LogitError(
                .usage, "tag \(name) could be taken for the id of a snapshot; choose a name with another letter in it")
        }
        let snapshot = try snapshot(reference)
        let path = "\(layout.tags)/\(name)"
        if !replacing, Files.exists(path) {
            throw LogitError(.usage, "tag \(name) exists already; choose another name, or move it with --force")
        }
        try Files.writeDurably(Array("\(snapshot.id)\n".utf8), to: path)
        try catalog.write { db in try Corpus.index((name, snapshot.id), in: db) }
        return snapshot
    }

    static func index(_ tag: (name: String, snapshot: String), in db: Database) throws {
        try db.execute(
            sql: "INSERT OR REPLACE INTO tag_index (name, snapshot) VALUES (?, ?)", arguments: [tag.name, tag.snapshot])
    }

    // MARK: Reading

    package func headSnapshotID() throws(LogitError) -> String? {
        guard Files.exists(layout.head) else { return nil }
        let id = try reference(at: layout.head)
        guard DescriptorLimits.isDigest(id) else {
            throw LogitError(.corrupt, "\(layout.head), which names the newest snapshot, is damaged; run logit repair")
        }
        return id
    }

    /// The snapshot id in a file under refs/.
    private func reference(at path: String) throws(LogitError) -> String {
        let text = try Files.readText(path, limit: 4096)
        return String(text.prefix { $0 != "\n" })
    }

    /// Tags and the snapshots they name.
    package func tags() throws(LogitError) -> [(name: String, snapshot: String)] {
        var found: [(name: String, snapshot: String)] = []
        for name in try Files.list(layout.tags) where !name.hasSuffix(".tmp") {
            found.append((name, try reference(at: "\(layout.tags)/\(name)")))
        }
        return found
    }

    /// The snapshot that a tag, an id or the beginning of one names; nil or `head` names the newest.
    package func snapshot(_ reference: String?) throws(LogitError) -> SnapshotManifest {
        try manifest(try snapshotID(reference))
    }

    /// The same, without a look into its manifest.
    func snapshotID(_ reference: String?) throws(LogitError) -> String {
        guard let reference, reference != "head" else {
            guard let head = try headSnapshotID() else {
                throw LogitError(.notFound, "the corpus \(root) has no snapshot yet; run logit ingest, which makes one")
            }
            return head
        }
        if let tag = try tags().first(where: { $0.name == reference }) { return tag.snapshot }
        let ids = try snapshotIDs()
        let matches = reference.count >= 4 ? ids.filter { $0.hasPrefix(reference) } : []
        guard matches.count == 1 else {
            let known = try tags().map(\.name) + ids.map { String($0.prefix(12)) }
            let what = matches.isEmpty ? "there is no snapshot or tag" : "several snapshots begin with"
            throw LogitError(
                .notFound, "\(what) \"\(reference)\"; there is \((["head"] + known).joined(separator: ", "))")
        }
        return matches[0]
    }

    package func snapshotIDs() throws(LogitError) -> [String] {
        try jsonNames(layout.snapshots)
    }

    /// Every snapshot, oldest first.
    package func snapshots() throws(LogitError) -> [SnapshotManifest] {
        var found: [SnapshotManifest] = []
        for id in try snapshotIDs() { found.append(try manifest(id)) }
        return Corpus.inOrder(found)
    }

    /// Parents before children; siblings by time.
    static func inOrder(_ snapshots: [SnapshotManifest]) -> [SnapshotManifest] {
        let byID = Dictionary(snapshots.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        func depth(_ snapshot: SnapshotManifest) -> Int {
            var steps = 0
            var current = snapshot
            while let parent = current.parent.flatMap({ byID[$0] }), steps <= snapshots.count {
                steps += 1
                current = parent
            }
            return steps
        }
        return snapshots.map { (depth($0), $0) }.sorted {
            ($0.0, $0.1.created, $0.1.id) < ($1.0, $1.1.created, $1.1.id)
        }.map(\.1)
    }

    /// A manifest, after checking that it holds what its id says.
    func manifest(_ id: String) throws(LogitError) -> SnapshotManifest {
        let path = layout.snapshot(id)
        guard Files.exists(path) else {
            throw LogitError(
                .notFound,
                "there is no snapshot \(id.prefix(12)) in \(root), though a reference names it; run logit verify")
        }
        let snapshot = try Manifests.readSnapshot(path)
        let tree = Corpus.treeID(snapshot.shards)
        let expected = Corpus.snapshotID(
            tree: tree, parent: snapshot.parent, message: snapshot.message, created: snapshot.created)
        guard snapshot.id == id, snapshot.tree == tree, expected == id else {
            throw LogitError(
                .corrupt, "the manifest \(path) is damaged (it does not hold what its id says); put back a copy of it")
        }
        return snapshot
    }
}

extension SnapshotManifest {
    /// Whether it holds exactly these shards, in these files.
    fileprivate func holds(_ others: [ShardEntry]) -> Bool {
        func files(_ entries: [ShardEntry]) -> [String: String] {
            Dictionary(entries.map { ($0.path, $0.fileDigest) }, uniquingKeysWith: { first, _ in first })
        }
        return shards.count == others.count && files(shards) == files(others)
    }
}
