import GRDB
import Logits
import Shards

/// How many rows of a variant are right, from the index.
package struct RowCounts: Codable, Sendable, Equatable {
    /// Rows that are not invalid.
    package var rows = 0
    package var correct = 0
    package var invalid = 0

    package init() {}

    fileprivate mutating func add(isCorrect: Bool, isInvalid: Bool) {
        if isInvalid {
            invalid += 1
        } else {
            rows += 1
            correct += isCorrect ? 1 : 0
        }
    }
}

extension Corpus {
    /// Counts the rows of one variant (view 0) of a snapshot: of all images, and of each selection.
    package func counts(
        _ split: SplitDescriptor, _ network: String, _ attack: String, selections: [SelectionFile],
        at snapshot: SnapshotManifest
    ) throws(LogitError) -> (all: RowCounts, selected: [RowCounts]) {
        let shards = try indexedPaths(of: snapshot)
        let wanted = selections.map { Set($0.ordinals) }
        return try catalog.read { db in
            var all = RowCounts()
            var selected = [RowCounts](repeating: RowCounts(), count: wanted.count)
            let rows = try Row.fetchCursor(
                db,
                sql: """
                    SELECT ordinal, correct, status, shard FROM rows
                    WHERE dataset = ? AND split = ? AND network = ? AND attack = ? AND view = 0
                    """, arguments: [split.dataset, split.split, network, attack])
            while let row = try rows.next() {
                guard shards.contains(try row.value("shard")) else { continue }
                let isCorrect: Bool = try row.value("correct")
                let status: Int? = try row.value("status")
                let isInvalid = status == Int(Outcome.invalid.rawValue)
                all.add(isCorrect: isCorrect, isInvalid: isInvalid)
                let ordinal: Int64 = try row.value("ordinal")
                for (place, ordinals) in wanted.enumerated() where ordinals.contains(ordinal) {
                    selected[place].add(isCorrect: isCorrect, isInvalid: isInvalid)
                }
            }
            return (all, selected)
        }
    }

    /// All selections, by name.
    package func selections() throws(LogitError) -> [SelectionFile] {
        var found: [SelectionFile] = []
        for name in try jsonNames(layout.selections) { found.append(try selection(name)) }
        return found
    }
}
