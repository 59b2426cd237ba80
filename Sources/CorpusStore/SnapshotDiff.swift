import Logits
import Platform
import Shards

/// What lies between two snapshots, unit by unit.
package struct SnapshotDiff: Codable, Sendable {
    package enum Change: String, Codable, Sendable, CaseIterable {
        /// Only in the second.
        case added
        /// Only in the first.
        case removed
        /// In both, with other values.
        case changed
        /// In both, with the same values in another file.
        case rewritten
    }

    package struct Unit: Codable, Sendable {
        package var change: Change
        package var dataset: String
        package var split: String
        package var network: String
        package var attack: String
        package var view: Int
        /// Place of its first row in the list of the ingest that made it.
        package var firstPosition: Int
        package var rows: Int
        /// Rows with other values; absent unless `changed`, and where a file of the two is gone.
        package var changedRows: Int?
        /// The file in the first snapshot, and in the second.
        package var before: String?
        package var after: String?
        package var bytesBefore: Int
        package var bytesAfter: Int
    }

    package struct Count: Codable, Sendable, Equatable {
        package var units: Int
        package var rows: Int

        package init(units: Int = 0, rows: Int = 0) {
            self.units = units
            self.rows = rows
        }
    }

    package var before: String
    package var after: String
    package var added = Count()
    package var removed = Count()
    package var changed = Count()
    package var rewritten = Count()
    /// In both, in the same file.
    package var same = Count()
    /// All but `same`, by key.
    package var units: [Unit] = []

    package init(_ before: SnapshotManifest, _ after: SnapshotManifest, in corpus: Corpus) throws(LogitError) {
        (self.before, self.after) = (before.id, after.id)
        func byKey(_ snapshot: SnapshotManifest) -> [String: ShardEntry] {
            Dictionary(snapshot.shards.map { ($0.key.canonicalText, $0) }, uniquingKeysWith: { first, _ in first })
        }
        let (first, second) = (byKey(before), byKey(after))
        for key in Set(first.keys).union(second.keys).sorted() {
            let (old, new) = (first[key], second[key])
            guard let some = new ?? old else { continue }
            guard let change = SnapshotDiff.change(old, new) else {
                same.add(some)
                continue
            }
            switch change {
            case .added: added.add(some)
            case .removed: removed.add(some)
            case .changed: changed.add(some)
            case .rewritten: rewritten.add(some)
            }
            units.append(
                Unit(
                    change: change, dataset: some.key.dataset, split: some.key.split, network: some.key.network,
                    attack: some.key.variant.canonical, view: some.key.view, firstPosition: some.key.firstPosition,
                    rows: some.key.rowCount,
                    changedRows: change == .changed ? try SnapshotDiff.changedRows(old, new, corpus.layout) : nil,
                    before: old?.path, after: new?.path, bytesBefore: old?.fileBytes ?? 0,
                    bytesAfter: new?.fileBytes ?? 0))
        }
    }

    /// Nil where both are the same file.
    private static func change(_ old: ShardEntry?, _ new: ShardEntry?) -> Change? {
        guard let old else { return .added }
        guard let new else { return .removed }
        if old.contentDigest != new.contentDigest { return .changed }
        return old.path != new.path || old.fileDigest != new.fileDigest ? .rewritten : nil
    }

    /// How many rows of one unit differ between two files; nil where one is gone.
    private static func changedRows(
        _ old: ShardEntry?, _ new: ShardEntry?, _ layout: Layout
    ) throws(LogitError) -> Int? {
        guard let old, let new, Files.exists(layout.absolute(old.path)), Files.exists(layout.absolute(new.path)) else {
            return nil
        }
        let (first, second) = (
            try ShardReader(path: layout.absolute(old.path)), try ShardReader(path: layout.absolute(new.path))
        )
        let rows = 0..<min(first.rowCount, second.rowCount)
        return RowDifference.rows(try first.table(rows), try second.table(rows)).count
    }
}

extension SnapshotDiff.Count {
    fileprivate mutating func add(_ entry: ShardEntry) {
        units += 1
        rows += entry.key.rowCount
    }
}
