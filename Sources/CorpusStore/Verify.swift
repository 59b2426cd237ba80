import GRDB
import Logits
import Platform
import Shards

/// Reads every byte of a corpus and compares: file digests, row checksums, content digests, the catalogue against the
/// shards, manifests against their ids, modules and image lists against their digests.
package enum Verify {
    package struct Report: Codable, Sendable {
        package var shards = 0
        package var rows = 0
        package var bytes = 0
        package var snapshots = 0
        /// One sentence each; empty: all is well.
        package var problems: [String] = []
    }

    /// - Parameters:
    ///   - quick: presence, sizes and digests of everything but the shards' bytes.
    ///   - progress: called with (shards done, shards in all).
    package static func run(_ corpus: Corpus, quick: Bool, progress: (Int, Int) -> Void) throws(LogitError) -> Report {
        var report = Report()
        try checkCatalog(corpus, &report)
        try checkDescriptors(corpus, &report)
        let units = try corpus.units()
        for (done, unit) in units.enumerated() {
            progress(done, units.count)
            try noting(&report) { (report) throws(LogitError) in
                try check(unit, in: corpus, quick: quick)
                report.shards += 1
                report.rows += unit.key.rowCount
                report.bytes += unit.fileBytes
            }
        }
        progress(units.count, units.count)
        let known = Set(units.map(\.path))
        for path in try corpus.shardFiles() where !known.contains(path) {
            report.problems.append(
                "shard \(corpus.layout.absolute(path)) is not in the catalogue; the next logit ingest adopts it, or logit repair"
            )
        }
        try checkSnapshots(corpus, Dictionary(uniqueKeysWithValues: units.map { ($0.path, $0) }), &report)
        return report
    }

    private static func noting(
        _ report: inout Report, _ body: (inout Report) throws(LogitError) -> Void
    ) throws(LogitError) {
        do throws(LogitError) {
            try body(&report)
        } catch {
            report.problems.append(error.message)
        }
    }

    private static func check(_ unit: StoredUnit, in corpus: Corpus, quick: Bool) throws(LogitError) {
        let path = corpus.layout.absolute(unit.path)
        guard Files.exists(path) else {
            throw LogitError(
                .corrupt,
                "shard \(path) is missing (\(unit.key.rowCount) rows of \(unit.key.network) under \(unit.key.variant)); put back a copy, or run logit repair and ingest again"
            )
        }
        let size = try Files.size(path)
        guard size == unit.fileBytes else {
            throw LogitError(
                .corrupt,
                "shard \(path) has \(size) bytes instead of \(unit.fileBytes); put back a copy, or run logit repair and ingest again"
            )
        }
        if quick { return }
        guard Digest.hex(try Files.read(path)) == unit.fileDigest else {
            // The rows say more than the file's digest: name them where they can be told.
            try ShardReader(path: path).verify()
            throw LogitError(
                .corrupt,
                "shard \(path) has changed since it was written (its digest differs); put back a copy, or run logit repair and ingest again"
            )
        }
        let (stored, table, _) = try corpus.readUnit(unit.path, isKnown: { $0 == unit.fileDigest })
        guard stored.key == unit.key, stored.contentDigest == unit.contentDigest else {
            throw LogitError(.corrupt, "the catalogue describes shard \(path) otherwise than it is; run logit repair")
        }
        guard stored.keptImages == unit.keptImages else {
            throw LogitError(
                .corrupt, "the catalogue says otherwise than shard \(path) which images it keeps; run logit repair")
        }
        try compareRows(table, unit, corpus)
    }

    /// The catalogue's rows of one unit against its shard.
    private static func compareRows(_ table: RowTable, _ unit: StoredUnit, _ corpus: Corpus) throws(LogitError) {
        let rows = try corpus.catalog.read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT shard_row, ordinal, image, label, prediction, mean, minimum, maximum, l2, label_margin, label_rank,
                           status, status_8bit
                    FROM rows WHERE shard = ? ORDER BY shard_row
                    """, arguments: [unit.path])
        }
        guard rows.count == table.count else {
            throw LogitError(
                .corrupt,
                "the catalogue has \(rows.count) of the \(table.count) rows of shard \(unit.path); run logit repair")
        }
        for (index, row) in rows.enumerated() {
            let expected = table.logits.withUnsafeBufferPointer { all in
                RowStatistics(
                    logits: UnsafeBufferPointer(
                        rebasing: all[index * table.classCount..<(index + 1) * table.classCount]),
                    label: Int(table.label[index]))
            }
            let same =
                row["ordinal"] == table.ordinal[index] && row["image"] == table.image[index]
                && row["label"] == table.label[index] && row["prediction"] == table.prediction[index]
                && equal(row["mean"], expected.mean) && equal(row["minimum"], expected.minimum)
                && equal(row["maximum"], expected.maximum) && equal(row["l2"], expected.l2)
                && equal(row["label_margin"], expected.labelMargin) && row["label_rank"] == expected.labelRank
                && row["status"] == table.indexedStatus(index) && row["status_8bit"] == table.attack?.status8bit?[index]
            guard same else {
                throw LogitError(
                    .corrupt,
                    "the catalogue's row \(index) of shard \(unit.path) differs from the shard; run logit repair")
            }
        }
    }

    /// SQLite keeps a NaN as NULL.
    private static func equal(_ stored: Double?, _ expected: Double) -> Bool {
        expected.isNaN ? stored == nil : stored == expected
    }

    private static func checkCatalog(_ corpus: Corpus, _ report: inout Report) throws(LogitError) {
        let findings = try corpus.catalog.read { try String.fetchAll($0, sql: "PRAGMA integrity_check(10)") }
        if findings != ["ok"] {
            report.problems.append(
                "the catalogue \(corpus.layout.catalog) is damaged (\(findings.first ?? "")); run logit repair")
        }
    }

    private static func checkDescriptors(_ corpus: Corpus, _ report: inout Report) throws(LogitError) {
        for split in try corpus.splits() {
            try noting(&report) { (_) throws(LogitError) in _ = try corpus.images(of: split) }
        }
        for network in try corpus.networks() {
            try noting(&report) { (_) throws(LogitError) in _ = try corpus.checkedModule(of: network) }
        }
        for name in try corpus.defenderNames() {
            try noting(&report) { (_) throws(LogitError) in
                let folder = "\(corpus.layout.defenders)/\(name)"
                let record = try JSONFile.read(DefenderRecord.self, from: "\(folder)/defender.json")
                let weights = "\(folder)/weights.safetensors"
                guard Digest.hex(try Files.read(weights)) == record.weightsDigest else {
                    throw LogitError(
                        .corrupt,
                        "the weights of defender \(name), \(weights), have changed; put back a copy or train again")
                }
            }
        }
    }

    private static func checkSnapshots(
        _ corpus: Corpus, _ units: [String: StoredUnit], _ report: inout Report
    ) throws(LogitError) {
        for id in try corpus.snapshotIDs() {
            try noting(&report) { (report) throws(LogitError) in
                let snapshot = try corpus.manifest(id)
                report.snapshots += 1
                for shard in snapshot.shards where units[shard.path]?.contentDigest != shard.contentDigest {
                    throw LogitError(
                        .corrupt,
                        "snapshot \(id.prefix(12)) holds shard \(shard.path), which the corpus no longer has as it was; put back a copy, or ingest again"
                    )
                }
            }
        }
        let ids = Set(try corpus.snapshotIDs())
        let head = try corpus.headSnapshotID().map { [(name: "head", snapshot: $0)] } ?? []
        for reference in try head + corpus.tags() where !ids.contains(reference.snapshot) {
            report.problems.append(
                "\(reference.name) names snapshot \(reference.snapshot.prefix(12)), which is missing; put back a copy of it"
            )
        }
    }
}
