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
        let rows = IndexedRow.rows(table, images: images)
        var digest = RowDigest(rowCount: rows.count)
        for row in rows { digest.add(row) }

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
                    correct_count, invalid_count, path, content_digest, file_digest, file_bytes, created, kept_images,
                    codec, precision, file_checksum, row_digest, block_rows, status_8bit, ordinals, software)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                split, network, attack, unit.key.view, Int64(bitPattern: unit.key.seed), unit.key.listDigest,
                unit.key.firstPosition, table.count, correct, invalid, unit.path, unit.contentDigest, unit.fileDigest,
                unit.fileBytes, created, unit.keptImages?.rawValue, unit.details.codec, unit.details.precision,
                unit.details.fileChecksum, digest.hex(correct: Int64(correct), invalid: Int64(invalid)),
                unit.details.blockRows,
                unit.details.hasStatus8bit,
                unit.details.ordinals, unit.software,
            ])
        let id = db.lastInsertedRowID
        let places = String(repeating: ", ?", count: Int(IndexedRow.columnCount))
        let insert = try RawStatement(
            db, "INSERT INTO row_index (unit_id, \(IndexedRow.columns)) VALUES (?\(places))")
        insert.bind(id, at: 1)
        for row in rows {
            row.bind(to: insert, from: 2)
            try insert.run()
        }
        try UnitSummary(digest).insert(unit: id, in: db)
        try UnitMean(table)?.insert(unit: id, in: db)
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
        guard try found.value("digest") == key.datasetDigest else {
            throw LogitError(
                .stale,
                "shard \(unit.path) was made from other images than \(key.dataset)/\(key.split) holds now (list digest \(key.datasetDigest.prefix(12)), now \(try found.value("digest", as: String.self).prefix(12))); it cannot be used here"
            )
        }
        return try found.value("id")
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
        guard try found.value("digest") == key.networkDigest, try found.value("preprocessing") == key.preprocessing,
            try found.value("class_count") == unit.classCount
        else {
            throw LogitError(
                .stale,
                "shard \(unit.path) was made by another module or preprocessing (\(key.networkDigest.prefix(12)), \(key.preprocessing), \(unit.classCount) classes) than network \(key.network) has now (\(try found.value("digest", as: String.self).prefix(12)), \(try found.value("preprocessing", as: String.self)), \(try found.value("class_count", as: Int.self)) classes); it cannot be used here"
            )
        }
        return try found.value("id")
    }

    private func attackID(_ unit: StoredUnit) throws -> Int64 {
        let variant = unit.key.variant
        if let found = try Row.fetchOne(
            db, sql: "SELECT id, parameters FROM attack_index WHERE canonical = ?", arguments: [variant.canonical])
        {
            let stored = Variant(
                name: variant.name, canonical: variant.canonical, parametersJSON: try found.value("parameters"))
            guard stored == variant else {
                throw LogitError(
                    .stale,
                    "shard \(unit.path) has other parameters under the attack name \(variant.canonical) than the rows stored already (\(variant.difference(from: stored))); it cannot be used here"
                )
            }
            return try found.value("id")
        }
        try db.execute(
            sql: "INSERT INTO attack_index (canonical, name, parameters, digest) VALUES (?, ?, ?, ?)",
            arguments: [variant.canonical, variant.name, variant.parametersJSON, variant.digest])
        return db.lastInsertedRowID
    }

    /// The image of each row; an image that is not at its ordinal in the split is a slipped row.
    private func imageIDs(_ unit: StoredUnit, _ table: RowTable, split: Int64) throws -> [Int64] {
        let find = try RawStatement(
            db, "SELECT id, label, image FROM image_index WHERE split_id = ? AND ordinal = ?")
        find.bind(split, at: 1)
        var ids: [Int64] = []
        ids.reserveCapacity(table.count)
        for row in 0..<table.count {
            find.bind(table.ordinal[row], at: 2)
            guard try find.step(), find.integer(1) == Int64(table.label[row]), find.isEqual(2, table.image[row]) else {
                throw LogitError(
                    .stale,
                    "row \(row) of shard \(unit.path) (image \(table.image[row]), label \(table.label[row])) is not the image at ordinal \(table.ordinal[row]) of \(unit.key.dataset)/\(unit.key.split); the shard cannot be used here"
                )
            }
            ids.append(find.integer(0))
            find.reset()
        }
        return ids
    }

    /// Refuses an image that has a row of the same network, attack and view already. Units whose runs of ordinals are apart
    /// from this one's are passed over without a look at their rows.
    private func refuseDoubled(_ unit: StoredUnit, _ images: [Int64], split: Int64, network: Int64, attack: Int64)
        throws
    {
        let runs = unit.details.ordinals.flatMap(OrdinalRanges.runs)
        let others = try Row.fetchAll(
            db,
            sql: """
                SELECT path, ordinals FROM unit_index
                WHERE split_id = ? AND network_id = ? AND attack_id = ? AND view = ?
                """,
            arguments: [split, network, attack, unit.key.view])
        let isApart = try others.allSatisfy { other in
            guard let runs, let theirs = (try other.value("ordinals", as: String?.self)).flatMap(OrdinalRanges.runs)
            else {
                return false
            }
            return !OrdinalRanges.overlap(runs, theirs)
        }
        if isApart { return }
        let find = try RawStatement(
            db,
            """
            SELECT u.id FROM row_index r JOIN unit_index u ON u.id = r.unit_id
            WHERE r.image_id = ? AND u.network_id = ? AND u.attack_id = ? AND u.view = ?
            """)
        for (place, value) in [network, attack, Int64(unit.key.view)].enumerated() {
            find.bind(value, at: 2 + Int32(place))
        }
        for image in images {
            find.bind(image, at: 1)
            if try find.step() {
                let other = try String.fetchOne(
                    db, sql: "SELECT path FROM unit_index WHERE id = ?", arguments: [find.integer(0)])
                throw LogitError(
                    .badInput,
                    "shard \(unit.path) holds rows that the corpus has already from shard \(other ?? "") (same image, network, attack and view); remove one of the two"
                )
            }
            find.reset()
        }
    }
}

extension RowTable {
    /// The status that the catalogue has of a row: its own, and `invalid` for a clean row that is.
    func indexedStatus(_ row: Int) -> UInt8? {
        attack?.status[row] ?? (isInvalid(row) ? Outcome.invalid.rawValue : nil)
    }
}
