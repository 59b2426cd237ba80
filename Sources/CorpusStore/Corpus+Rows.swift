import GRDB
import Logits

/// The rows of one split, network, variant and view.
package struct RowSet: Sendable, Hashable {
    package var dataset: String
    package var split: String
    package var network: String
    /// `clean`, or an attack's canonical name.
    package var attack: String
    package var view: Int

    package init(dataset: String, split: String, network: String, attack: String, view: Int) {
        self.dataset = dataset
        self.split = split
        self.network = network
        self.attack = attack
        self.view = view
    }

    fileprivate var arguments: StatementArguments { [dataset, split, network, attack, view] }
}

extension Corpus {
    private static let ofSet = "FROM rows WHERE dataset = ? AND split = ? AND network = ? AND attack = ? AND view = ?"

    /// Ordinals of the images that have a row.
    package func storedOrdinals(_ rows: RowSet) throws(LogitError) -> Set<Int> {
        try catalog.read { db in
            Set(try Int.fetchAll(db, sql: "SELECT ordinal \(Corpus.ofSet)", arguments: rows.arguments))
        }
    }

    /// Ordinals of the images whose row is invalid.
    package func invalidOrdinals(_ rows: RowSet) throws(LogitError) -> Set<Int> {
        try catalog.read { db in
            Set(
                try Int.fetchAll(
                    db, sql: "SELECT ordinal \(Corpus.ofSet) AND status = \(Outcome.invalid.rawValue)",
                    arguments: rows.arguments))
        }
    }

    /// Ordinals of the images that have a row, but not with such kept images or without an 8-bit outcome.
    package func ordinalsWithout(
        images: ImagePrecision?, status8bit: Bool, _ rows: RowSet
    ) throws(LogitError) -> Set<Int> {
        try catalog.read { db in
            Set(
                try Int.fetchAll(
                    db,
                    sql: """
                        SELECT ordinal \(Corpus.ofSet) AND ((? AND status_8bit IS NULL) OR (? IS NOT NULL
                            AND (SELECT kept_images FROM unit_index WHERE path = shard) IS NOT ?))
                        """, arguments: rows.arguments + [status8bit, images?.rawValue, images?.rawValue]))
        }
    }

    /// The unit that holds the row of an image, and its place in the shard; nil where there is none.
    package func place(of ordinal: Int, in rows: RowSet) throws(LogitError) -> (unit: StoredUnit, row: Int)? {
        let found = try catalog.read { db in
            try Row.fetchOne(
                db, sql: "SELECT shard, shard_row \(Corpus.ofSet) AND ordinal = ?",
                arguments: rows.arguments + [ordinal]
            ).map { (shard: try $0.value("shard", as: String.self), row: try $0.value("shard_row", as: Int.self)) }
        }
        guard let found, let unit = try units().first(where: { $0.path == found.shard }) else { return nil }
        guard (0..<unit.key.rowCount).contains(found.row) else {
            throw LogitError(.corrupt, "the catalogue names a row that shard \(unit.path) has not; run logit repair")
        }
        return (unit, found.row)
    }
}
