import GRDB
import Logits
import Platform
import Shards

/// Who names a snapshot.
package struct SnapshotUses: Codable, Sendable, Equatable {
    package var isHead: Bool
    package var tags: [String]
    package var defenders: [String]
    package var evaluations: [String]
    package var analyses: [String]

    /// What could not be made again without the snapshot; empty where nothing is.
    package var dependents: String {
        func list(_ what: String, _ names: [String]) -> String? {
            names.isEmpty ? nil : "\(what) \(names.joined(separator: ", "))"
        }
        return [list("defender", defenders), list("evaluation", evaluations), list("analysis", analyses)].compactMap {
            $0
        }.joined(
            separator: " and ")
    }
}

/// A snapshot that was deleted.
package struct SnapshotDeletion: Codable, Sendable {
    package var id: String
    package var tags: [String]
    /// What can no longer be made again.
    package var defenders: [String]
    package var evaluations: [String]
    package var analyses: [String]
    /// Of files that `gc` may remove now.
    package var collectableBytes: Int
}

extension Corpus {
    package func uses(of id: String) throws(LogitError) -> SnapshotUses {
        var uses = SnapshotUses(
            isHead: try headSnapshotID() == id, tags: try tags().filter { $0.snapshot == id }.map(\.name),
            defenders: [],
            evaluations: [], analyses: [])
        for name in try defenderNames() {
            let record = try JSONFile.read(DefenderRecord.self, from: "\(layout.defenders)/\(name)/defender.json")
            if record.snapshot == id { uses.defenders.append(name) }
        }
        for name in try jsonNames(layout.evaluations) {
            let record = try JSONFile.read(EvaluationRecord.self, from: "\(layout.evaluations)/\(name).json")
            if record.snapshot == id { uses.evaluations.append("\(name) (of \(record.defender))") }
        }
        for name in try analysisIDs() {
            let record = try analysisRecord(name)
            if record.snapshot == id { uses.analyses.append("\(name) (\(record.kind) of \(record.defender))") }
        }
        return uses
    }

    /// Deletes a snapshot; its shards stay until `gc`.
    ///
    /// Tags go first, then the manifest, then the index: wherever it is stopped, no tag names a snapshot that is gone, and the
    /// next writer takes what has no file out of the index.
    /// - Parameters:
    ///   - withTags: also delete the tags that name it.
    ///   - force: also where a defender or evaluation names it.
    package func deleteSnapshot(
        _ reference: String, withTags: Bool, force: Bool
    ) throws(LogitError) -> SnapshotDeletion {
        requireWriting()
        let id = try snapshotID(reference)
        let uses = try uses(of: id)
        let short = id.prefix(12)
        guard !uses.isHead else {
            throw LogitError(
                .usage, "snapshot \(short) is the head, which cannot be deleted; it goes when a newer one is head")
        }
        guard uses.tags.isEmpty || withTags else {
            throw LogitError(
                .usage,
                "snapshot \(short) is tagged \(uses.tags.joined(separator: ", ")); give --with-tags to delete it and its tags"
            )
        }
        guard uses.dependents.isEmpty || force else {
            throw LogitError(
                .usage,
                "\(uses.dependents) was made from snapshot \(short) and could not be made again without it\(try twin(of: id)); give --force to delete it nevertheless"
            )
        }
        for tag in uses.tags { try Files.removeDurably("\(layout.tags)/\(tag)") }
        try Files.removeDurably(layout.snapshot(id))
        try unindexSnapshot(id)
        try catalog.write { db in
            for tag in uses.tags { try db.execute(sql: "DELETE FROM tag_index WHERE name = ?", arguments: [tag]) }
        }
        return SnapshotDeletion(
            id: id, tags: uses.tags, defenders: uses.defenders, evaluations: uses.evaluations, analyses: uses.analyses,
            collectableBytes: try Garbage.leftovers(self).reduce(0) { $0 + $1.bytes })
    }

    /// A clause that names another snapshot of the same rows.
    private func twin(of id: String) throws(LogitError) -> String {
        guard let tree = (try? manifest(id))?.tree else { return "" }
        let twin = try snapshotIDs().first { $0 != id && (try? manifest($0))?.tree == tree }
        return twin.map { " (snapshot \($0.prefix(12)) holds the same rows, from which it can)" } ?? ""
    }

    func unindexSnapshot(_ id: String) throws(LogitError) {
        try catalog.write { db in
            try db.execute(
                sql: """
                    DELETE FROM snapshot_unit WHERE snapshot_id IN (SELECT id FROM snapshot_index WHERE snapshot = ?)
                    """, arguments: [id])
            try db.execute(sql: "DELETE FROM snapshot_index WHERE snapshot = ?", arguments: [id])
        }
    }
}
