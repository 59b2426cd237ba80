import GRDB
import Logits
import Platform
import Shards

extension Corpus {
    /// Every file is written before it is indexed. Where a process was killed in between, the next writer indexes the file
    /// here. A file that cannot be read is left to `logit verify`, which names it.
    func indexStrayFiles() throws(LogitError) {
        let known = try catalog.read { db in
            func names(_ sql: String) throws -> Set<String> { try Set(String.fetchAll(db, sql: sql)) }
            return (
                splits: try names(
                    "SELECT d.name || '/' || s.name FROM split_index s JOIN dataset_index d ON d.id = s.dataset_id"),
                networks: try names("SELECT name FROM network_index"),
                snapshots: try names("SELECT snapshot FROM snapshot_index"),
                tags: try names("SELECT name FROM tag_index"),
                selections: try names("SELECT name FROM selection_index"),
                defenders: try names("SELECT name FROM defender_index"),
                evaluations: try names("SELECT DISTINCT evaluation FROM evaluation_index")
            )
        }
        for split in try splits() where !known.splits.contains("\(split.dataset)/\(split.split)") {
            let images = try images(of: split)
            try catalog.write { db in try Corpus.index(split, images, in: db) }
        }
        for network in try networks() where !known.networks.contains(network.name) {
            try catalog.write { db in try Corpus.index(network, in: db) }
        }
        let missing = try snapshotIDs().filter { !known.snapshots.contains($0) }.compactMap { try? manifest($0) }
        let shards = missing.isEmpty ? [] : Set(try units().map(\.path))
        // A snapshot with a shard that is not adopted yet waits until it is.
        for snapshot in Corpus.inOrder(missing) where snapshot.shards.allSatisfy({ shards.contains($0.path) }) {
            try catalog.write { db in try Corpus.index(snapshot, in: db) }
        }
        try completeSnapshots()
        for tag in try tags() where !known.tags.contains(tag.name) {
            try catalog.write { db in try Corpus.index(tag, in: db) }
        }
        for name in try jsonNames(layout.selections) where !known.selections.contains(name) {
            guard let selection = try? Manifests.readSelection(layout.selection(name)) else { continue }
            try catalog.write { db in try Corpus.index(selection, in: db) }
        }
        for name in try defenderNames() where !known.defenders.contains(name) { try? indexDefender(name) }
        for id in try jsonNames(layout.evaluations) where !known.evaluations.contains(id) {
            guard let record = try? JSONFile.read(EvaluationRecord.self, from: "\(layout.evaluations)/\(id).json")
            else {
                continue
            }
            try catalog.write { db in try Corpus.index(record, id: id, in: db) }
        }
    }

    /// Names of the JSON files in a folder, without their ending.
    func jsonNames(_ folder: String) throws(LogitError) -> [String] {
        try Files.list(folder).filter { $0.hasSuffix(".json") }.map { String($0.dropLast(5)) }
    }
}
