import GRDB
import Logits
import Platform
import Shards

extension Corpus {
    /// Every file is written before it is indexed. Where a process was killed in between, the next writer indexes the file
    /// here. A file that cannot be read is left to `logit verify`, which names it. A snapshot or tag is deleted file first, so
    /// what is indexed without a file is deleted here.
    func indexStrayFiles() throws(LogitError) {
        let known = try catalog.read { db in
            func names(_ sql: String) throws -> Set<String> { try Set(String.fetchAll(db, sql: sql)) }
            return (
                splits: try names(
                    "SELECT d.name || '/' || s.name FROM split_index s JOIN dataset_index d ON d.id = s.dataset_id"),
                networks: try names("SELECT name FROM network_index"),
                snapshots: try names("SELECT snapshot FROM snapshot_index"),
                tags: try names("SELECT name || '=' || snapshot FROM tag_index"),
                selections: try names("SELECT name FROM selection_index"),
                evaluations: try names("SELECT DISTINCT evaluation FROM evaluation_index"),
                analyses: try names("SELECT analysis FROM analysis_index")
            )
        }
        for split in try splits() where !known.splits.contains("\(split.dataset)/\(split.split)") {
            let images = try images(of: split)
            try catalog.write { db in try Corpus.index(split, images, in: db) }
        }
        for network in try networks() where !known.networks.contains(network.name) {
            try catalog.write { db in try Corpus.index(network, in: db) }
        }
        let snapshots = Set(try snapshotIDs())
        let missing = snapshots.subtracting(known.snapshots).compactMap { try? manifest($0) }
        let contents = missing.isEmpty ? [] : Set(try units().map(\.contentDigest))
        // A snapshot with a shard that is not adopted yet waits until it is.
        for snapshot in Corpus.inOrder(missing)
        where snapshot.shards.allSatisfy({ contents.contains($0.contentDigest) }) {
            try catalog.write { db in try Corpus.index(snapshot, in: db) }
        }
        try completeSnapshots()
        for id in known.snapshots.subtracting(snapshots) { try unindexSnapshot(id) }
        try indexStrayTags(known.tags)
        for name in try jsonNames(layout.selections) where !known.selections.contains(name) {
            guard let selection = try? selection(name) else { continue }
            try catalog.write { db in try Corpus.index(selection, in: db) }
        }
        for name in try defenderNames() where (try? isIndexed(defender: name)) == false { try? indexDefender(name) }
        for id in try jsonNames(layout.evaluations) where !known.evaluations.contains(id) {
            guard let record = try? JSONFile.read(EvaluationRecord.self, from: "\(layout.evaluations)/\(id).json")
            else {
                continue
            }
            try catalog.write { db in try Corpus.index(record, id: id, in: db) }
        }
        for id in try analysisIDs() where !known.analyses.contains(id) {
            guard let record = try? analysisRecord(id) else { continue }
            try catalog.write { db in try Corpus.index(record, id: id, in: db) }
        }
    }

    /// Whether the catalogue has a defender as its file tells: it grows epoch by epoch under one name.
    private func isIndexed(defender name: String) throws(LogitError) -> Bool {
        let (record, text) = try defenderRecord(name)
        return try catalog.read { db in
            try Bool.fetchOne(
                db,
                sql: """
                    SELECT 1 FROM defender_index WHERE name = ? AND epochs_done = ? AND weights_digest = ?
                        AND options = json_extract(?, '$.options')
                    """, arguments: [name, record.epochsDone, record.weightsDigest, text]) ?? false
        }
    }

    /// - Parameter known: NAME=SNAPSHOT of each indexed tag.
    private func indexStrayTags(_ known: Set<String>) throws(LogitError) {
        let tags = try tags()
        guard Set(tags.map { "\($0.name)=\($0.snapshot)" }) != known else { return }
        try catalog.write { db in
            try db.execute(sql: "DELETE FROM tag_index")
            for tag in tags {
                try db.execute(
                    sql: "INSERT INTO tag_index (name, snapshot) VALUES (?, ?)", arguments: [tag.name, tag.snapshot])
            }
        }
    }

    /// Names of the JSON files in a folder, without their ending.
    func jsonNames(_ folder: String) throws(LogitError) -> [String] {
        try Files.list(folder).filter { $0.hasSuffix(".json") }.map { String($0.dropLast(5)) }
    }
}
