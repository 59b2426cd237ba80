import GRDB
import Logits
import Platform
import Shards

/// Compares one unit after another with what the catalogue recorded of it.
final class UnitChecker {
    private let corpus: Corpus
    private let depth: Verify.Depth
    private var catalog: Catalog?

    init(_ corpus: Corpus, _ depth: Verify.Depth) {
        self.corpus = corpus
        self.depth = depth
    }

    private static let remedy = "put back a copy, or run logit repair and then logit ingest --repair"

    /// One sentence each; empty: the unit is as it was.
    func problems(_ unit: StoredUnit) -> [String] {
        do throws(LogitError) {
            // A unit that a former version indexed has no checksums of these kinds: the long way then.
            let isOld = unit.details.fileChecksum == nil || unit.rowDigest == nil
            var problems = try fileProblems(unit, isDeep: depth == .deep || (depth == .full && isOld))
            problems += try tableProblems(unit)
            return problems
        } catch {
            return [error.message]
        }
    }

    /// Of a file that only snapshots hold: its bytes, and, deep, its rows.
    func problems(former unit: StoredUnit) -> [String] {
        do throws(LogitError) {
            let isDeep = depth == .deep || (depth == .full && unit.details.fileChecksum == nil)
            let problems = try byteProblems(unit, isDeep: isDeep)
            return problems.isEmpty && isDeep ? ShardFaults.problems(corpus.layout.absolute(unit.path)) : problems
        } catch {
            return [error.message]
        }
    }

    // MARK: The file

    private func fileProblems(_ unit: StoredUnit, isDeep: Bool) throws(LogitError) -> [String] {
        let problems = try byteProblems(unit, isDeep: isDeep)
        return problems.isEmpty && isDeep ? try contentProblems(unit) : problems
    }

    private func byteProblems(_ unit: StoredUnit, isDeep: Bool) throws(LogitError) -> [String] {
        let path = corpus.layout.absolute(unit.path)
        guard Files.exists(path) else {
            return [
                "shard \(path) is missing (\(unit.key.rowCount) rows of \(unit.key.network) under \(unit.key.variant)); \(UnitChecker.remedy)"
            ]
        }
        let size = try Files.size(path)
        guard size == unit.fileBytes else {
            return ["shard \(path) has \(size) bytes instead of \(unit.fileBytes); \(UnitChecker.remedy)"]
        }
        if depth == .quick { return [] }
        var digest = Digest()
        let checksum = try Checksum128.file(path) { piece in if isDeep { digest.add(piece) } }.checksum
        let isWhole =
            (unit.details.fileChecksum.map { $0 == checksum } ?? true) && (!isDeep || digest.hex() == unit.fileDigest)
        guard isWhole else {
            // The rows say more than the file's digest: name them where they can be told.
            let rows = try ForeignShard.problems(path)
            let what = "shard \(path) has changed since it was written (its digest differs)"
            return rows.isEmpty ? ["\(what); its rows are whole; \(UnitChecker.remedy)"] : rows
        }
        return []
    }

    /// Row checksums, content digest, the header, and the catalogue's rows from the decoded ones.
    private func contentProblems(_ unit: StoredUnit) throws(LogitError) -> [String] {
        let faults = ShardFaults.problems(corpus.layout.absolute(unit.path))
        guard faults.isEmpty else { return faults }
        let (stored, table, _) = try corpus.readUnit(unit.path, isKnown: { $0 == unit.fileDigest })
        guard stored.key == unit.key, stored.contentDigest == unit.contentDigest else {
            return ["the catalogue describes shard \(unit.path) otherwise than it is; run logit repair"]
        }
        guard unit.software == nil || stored.software == unit.software else {
            return ["the catalogue names other software than shard \(unit.path) as what made it; run logit repair"]
        }
        guard stored.keptImages == unit.keptImages else {
            return ["the catalogue says otherwise than shard \(unit.path) which images it keeps; run logit repair"]
        }
        if unit.rowDigest != nil, stored.details != unit.details {
            return ["the catalogue says otherwise than shard \(unit.path) how it was made; run logit repair"]
        }
        let differing = try differingRows(table, unit)
        guard !differing.isEmpty else { return try hasMean(table, unit) ? [] : [summaryProblem(unit)] }
        return [
            "the catalogue's \(ShardFaults.rows(differing)) of shard \(unit.path) differ from the shard; run logit repair"
        ]
    }

    // MARK: The catalogue

    private func tableProblems(_ unit: StoredUnit) throws(LogitError) -> [String] {
        guard let found = try connection().read({ db in try RowDigest.stored(unit.path, in: db) }) else {
            return []  // gone from the catalogue since the units were listed
        }
        guard found.rows.rowCount == unit.key.rowCount else {
            return [
                "the catalogue has \(found.rows.rowCount) of the \(unit.key.rowCount) rows of shard \(unit.path); run logit repair"
            ]
        }
        guard unit.rowDigest == nil || found.digest == unit.rowDigest else {
            return [
                "the catalogue's rows of shard \(unit.path) have changed since they were indexed (their digest differs); run logit repair"
            ]
        }
        let isSummary = try connection().read { db in
            // A catalogue of a former version has no summaries.
            guard try db.tableExists("unit_summary", in: "main") else { return true }
            return try UnitSummary.stored(unit: found.unit, in: db) == UnitSummary(found.rows)
                && UnitMean.isWhole(unit: found.unit, expected: nil, in: db)
        }
        return isSummary ? [] : [summaryProblem(unit)]
    }

    private func summaryProblem(_ unit: StoredUnit) -> String {
        "the catalogue's summary of shard \(unit.path) is not that of its rows; run logit repair"
    }

    /// The rows of a unit that the catalogue has otherwise than the shard.
    private func differingRows(_ table: RowTable, _ unit: StoredUnit) throws(LogitError) -> [Int] {
        try connection().read { db in
            let images = try Row.fetchAll(
                db,
                sql: """
                    SELECT i.id, i.ordinal, i.image, i.label FROM row_index r JOIN image_index i ON i.id = r.image_id
                    WHERE r.unit_id = (SELECT id FROM unit_index WHERE path = ?) ORDER BY r.shard_row
                    """, arguments: [unit.path])
            guard images.count == table.count else { return Array(0..<table.count) }
            let expected = IndexedRow.rows(table, images: try images.map { try $0.value("id") })
            let stored = try IndexedRow.stored(unit.path, in: db)
            return try (0..<table.count).filter { row in
                let image = images[row]
                let isSame =
                    try image.value("ordinal") == table.ordinal[row] && image.value("image") == table.image[row]
                    && image.value("label") == table.label[row] && stored[row] == expected[row]
                return !isSame
            }
        }
    }

    /// Whether the catalogue's mean of a unit's logits, if it has one, is that of the decoded rows.
    private func hasMean(_ table: RowTable, _ unit: StoredUnit) throws(LogitError) -> Bool {
        try connection().read { db in
            let id = try Int64.fetchOne(db, sql: "SELECT id FROM unit_index WHERE path = ?", arguments: [unit.path])
            guard let id, try db.tableExists("unit_mean", in: "main") else { return true }
            return try UnitMean.isWhole(unit: id, expected: UnitMean(table), in: db)
        }
    }

    private func connection() throws(LogitError) -> Catalog {
        if let catalog { return catalog }
        let opened = try Catalog.openForReading(corpus.layout.catalog)
        catalog = opened
        return opened
    }
}
