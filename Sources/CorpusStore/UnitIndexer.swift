import GRDB
import Logits
import Shards

/// Writes one unit's rows and their statistics into the catalogue, inside the caller's transaction. It refuses what would
/// be stale (another digest under a known name), slipped (an image that is not at its ordinal) or doubled.
struct UnitIndexer {
    private let db: Database

    init(_ db: Database) { self.db = db }

    func add(_ unit: StoredUnit, _ table: RowTable, created: String) throws {
        let split = try splitID(unit)
        let network = try networkID(unit)
        let attack = try attackID(unit)
        let images = try imageIDs(unit, table, split: split)
        try refuseDoubled(unit, images, split: split, network: network, attack: attack)

        var correct = 0
        var invalid = 0
        for row in 0..<table.count {
            if table.isInvalid(row) {
                invalid += 1
            } else if table.prediction[row] == table.label[row] {
                correct += 1
            }
        }
        try db.execute(
            sql: """
                INSERT INTO unit_index (split_id, network_id, attack_id, view, seed, list_digest, first_position, row_count,
                    correct_count, invalid_count, path, content_digest, file_digest, file_bytes, created, kept_images)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                split, network, attack, unit.key.view, Int64(bitPattern: unit.key.seed), unit.key.listDigest,
                unit.key.firstPosition, table.count, correct, invalid, unit.path, unit.contentDigest, unit.fileDigest,
                unit.fileBytes, created, unit.keptImages?.rawValue,
            ])
        try insertRows(table, unit: db.lastInsertedRowID, images: images)
    }

    private func insertRows(_ table: RowTable, unit: Int64, images: [Int64]) throws {
        let insert = try db.makeStatement(
            sql: "INSERT INTO row_index VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        for row in 0..<table.count {
            let label = Int(table.label[row])
            let statistics = table.logits.withUnsafeBufferPointer { all in
                RowStatistics(
                    logits: UnsafeBufferPointer(rebasing: all[row * table.classCount..<(row + 1) * table.classCount]),
                    label: label)
            }
            let attack = table.attack
            try insert.execute(arguments: [
                unit, row, images[row], table.prediction[row], statistics.mean, statistics.minimum, statistics.maximum,
                statistics.l2, statistics.labelMargin, statistics.labelRank, table.indexedStatus(row),
                attack?.iterations[row],
                attack.map { Double($0.perturbationL2[row]) }, attack.map { Double($0.perturbationLinf[row]) },
                attack?.status8bit?[row],
            ])
        }
    }

    private func splitID(_ unit: StoredUnit) throws -> Int64 {
        let key = unit.key
        let found = try Row.fetchOne(
            db,
            sql: """
                SELECT s.id, s.digest FROM split_index s JOIN dataset_index d ON d.id = s.dataset_id
                WHERE d.name = ? AND s.name = ?
                """, arguments: [key.dataset, key.split])
        guard let found else {
            throw LogitError(
                .notFound,
                "shard \(unit.path) is of dataset \(key.dataset)/\(key.split), which this corpus does not have")
        }
        guard found["digest"] == key.datasetDigest else {
            throw LogitError(
                .stale,
                "shard \(unit.path) was made from other images than \(key.dataset)/\(key.split) holds now (list digests differ); it cannot be used here"
            )
        }
        return found["id"]
    }

    private func networkID(_ unit: StoredUnit) throws -> Int64 {
        let key = unit.key
        let found = try Row.fetchOne(
            db, sql: "SELECT id, digest, preprocessing, class_count FROM network_index WHERE name = ?",
            arguments: [key.network])
        guard let found else {
            throw LogitError(
                .notFound, "shard \(unit.path) is of network \(key.network), which this corpus does not have")
        }
        guard found["digest"] == key.networkDigest, found["preprocessing"] == key.preprocessing,
            found["class_count"] == unit.classCount
        else {
            throw LogitError(
                .stale,
                "shard \(unit.path) was made by another module or preprocessing than network \(key.network) is now; it cannot be used here"
            )
        }
        return found["id"]
    }

    private func attackID(_ unit: StoredUnit) throws -> Int64 {
        let variant = unit.key.variant
        if let found = try Row.fetchOne(
            db, sql: "SELECT id, parameters FROM attack_index WHERE canonical = ?", arguments: [variant.canonical])
        {
            guard found["parameters"] == variant.parametersJSON else {
                throw LogitError(
                    .stale,
                    "shard \(unit.path) has other parameters under the attack name \(variant.canonical) than the rows stored already; it cannot be used here"
                )
            }
            return found["id"]
        }
        try db.execute(
            sql: "INSERT INTO attack_index (canonical, name, parameters, digest) VALUES (?, ?, ?, ?)",
            arguments: [variant.canonical, variant.name, variant.parametersJSON, variant.digest])
        return db.lastInsertedRowID
    }

    /// The image of each row; an image that is not at its ordinal in the split is a slipped row.
    private func imageIDs(_ unit: StoredUnit, _ table: RowTable, split: Int64) throws -> [Int64] {
        let find = try db.makeStatement(
            sql: "SELECT id, image, label FROM image_index WHERE split_id = ? AND ordinal = ?")
        var ids: [Int64] = []
        ids.reserveCapacity(table.count)
        for row in 0..<table.count {
            let found = try Row.fetchOne(find, arguments: [split, table.ordinal[row]])
            guard let found, found["image"] == table.image[row], found["label"] == table.label[row] else {
                throw LogitError(
                    .stale,
                    "row \(row) of shard \(unit.path) (image \(table.image[row])) is not the image at ordinal \(table.ordinal[row]) of \(unit.key.dataset)/\(unit.key.split); the shard cannot be used here"
                )
            }
            ids.append(found["id"])
        }
        return ids
    }

    private func refuseDoubled(_ unit: StoredUnit, _ images: [Int64], split: Int64, network: Int64, attack: Int64)
        throws
    {
        let others = try Int64.fetchAll(
            db,
            sql: "SELECT id FROM unit_index WHERE split_id = ? AND network_id = ? AND attack_id = ? AND view = ?",
            arguments: [split, network, attack, unit.key.view])
        guard !others.isEmpty else { return }
        let find = try db.makeStatement(
            sql: """
                SELECT 1 FROM row_index r JOIN unit_index u ON u.id = r.unit_id
                WHERE r.image_id = ? AND u.network_id = ? AND u.attack_id = ? AND u.view = ?
                """)
        for image in images
        where try Int.fetchOne(find, arguments: [image, network, attack, unit.key.view]) != nil {
            throw LogitError(
                .badInput,
                "shard \(unit.path) holds rows that the corpus has already from another shard (same image, network, attack and view); remove one of the two"
            )
        }
    }
}

extension RowTable {
    /// The status that the catalogue has of a row: its own, and `invalid` for a clean row that is.
    func indexedStatus(_ row: Int) -> UInt8? {
        attack?.status[row] ?? (isInvalid(row) ? Outcome.invalid.rawValue : nil)
    }
}
