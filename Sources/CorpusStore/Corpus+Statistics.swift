import GRDB
import Logits
import Shards

extension Corpus {
    /// Columns of the view `rows` that hold one number a row.
    package static let statistics = UnitSummary.statistics

    /// One statistic of the rows of one variant, by ordinal. Invalid rows are left out.
    package func statistic(
        _ name: String, split: SplitDescriptor, network: String, attack: String, view: Int = 0,
        selection: SelectionFile?, at snapshot: SnapshotManifest?
    ) throws(LogitError) -> [Int64: Double] {
        guard Corpus.statistics.contains(name) else {
            throw LogitError(
                .usage, "there is no statistic \"\(name)\"; there is \(Corpus.statistics.joined(separator: ", "))")
        }
        if let selection { try check(selection, split) }
        let wanted = selection.map { Set($0.ordinals) }
        let shards = try snapshot.map { (snapshot) throws(LogitError) in try indexedPaths(of: snapshot) }
        return try catalog.read { db in
            let found = try Row.fetchAll(
                db,
                sql: """
                    SELECT ordinal, \(name) AS value, shard FROM rows
                    WHERE dataset = ? AND split = ? AND network = ? AND attack = ? AND view = ?
                        AND (status IS NULL OR status <> 3) AND \(name) IS NOT NULL
                    """, arguments: [split.dataset, split.split, network, attack, view])
            var values: [Int64: Double] = [:]
            for row in found {
                let ordinal: Int64 = try row.value("ordinal")
                if let wanted, !wanted.contains(ordinal) { continue }
                if let shards, !shards.contains(try row.value("shard")) { continue }
                values[ordinal] = try row.value("value")
            }
            return values
        }
    }

    /// A selection belongs to the images it was made over.
    package func check(_ selection: SelectionFile, _ split: SplitDescriptor) throws(LogitError) {
        guard selection.dataset == split.dataset, selection.split == split.split,
            selection.datasetDigest == split.digest
        else {
            throw LogitError(
                .usage,
                selection.dataset == split.dataset && selection.split == split.split
                    ? "selection \(selection.name) is of other images of \(split.dataset)/\(split.split) than it has (list digest \(selection.datasetDigest.prefix(12)), not \(split.digest.prefix(12))); make another selection"
                    : "selection \(selection.name) is of \(selection.dataset)/\(selection.split), not of \(split.dataset)/\(split.split); choose that split, or another selection"
            )
        }
    }
}
