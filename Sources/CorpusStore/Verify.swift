import GRDB
import Glibc
import Logits
import Platform
import Shards

/// Compares a corpus with what was recorded of it: shards, the catalogue's tables, manifests, image lists, modules, weights.
package enum Verify {
    package enum Depth: Sendable {
        /// Presence, sizes, and the digests of everything but the shards' bytes.
        case quick
        /// And every byte of every shard.
        case full
        /// And each row from its decoded values: checksums, content digests, SHA-256s, statistics.
        case deep
    }

    package struct Report: Codable, Sendable {
        package var shards = 0
        package var rows = 0
        package var bytes = 0
        package var snapshots = 0
        /// One sentence each; empty: all is well.
        package var problems: [String] = []

        package init() {}
    }

    /// - Parameters:
    ///   - quick, deep: `Depth.quick`, `Depth.deep`; neither: `Depth.full`.
    ///   - threads: that read shards; nil: one a core.
    ///   - progress: called on the caller's thread with (shards done, shards in all).
    package static func run(
        _ corpus: Corpus, quick: Bool, deep: Bool = false, threads: Int? = nil, progress: (Int, Int) -> Void
    ) throws(LogitError) -> Report {
        precondition(!quick || !deep, "quick or deep")
        let depth = quick ? Depth.quick : deep ? .deep : .full
        var report = Report()
        let units = try corpus.units()
        var found: [String: [String]] = [:]
        var done = 0
        progress(0, units.count)
        let pool = UnitCheckPool(corpus, depth, threads: threads ?? usableCoreCount())
        let former = try formerFiles(corpus, units)
        // The pages first: they take the longest.
        let besides: [Part] = depth == .quick ? [.tables] : [.pages, .tables]
        try pool.run(units, former: former, besides: besides) { result in
            if !result.problems.isEmpty { found[result.unit?.path ?? "", default: []] += result.problems }
            guard let unit = result.unit, !result.isFormer else { return true }
            done += 1
            report.shards += 1
            report.rows += unit.key.rowCount
            report.bytes += unit.fileBytes
            progress(done, units.count)
            return true
        }
        report.problems = found.sorted { $0.key < $1.key }.flatMap(\.value)
        report.problems += try lasting(corpus) { () throws(LogitError) in
            let files = try fileProblems(corpus)
            report.snapshots = files.snapshots
            return files.problems
        }
        return report
    }

    /// A writer makes a file first and its index after that, so beside one the two may differ for a moment: only what is still
    /// so at a second look is a problem.
    private static func lasting(
        _ corpus: Corpus, _ look: () throws(LogitError) -> [String]
    ) throws(LogitError) -> [String] {
        var problems = try look()
        for _ in 0..<50 where !problems.isEmpty {
            let isWritten = WriterLock.isTaken(corpus.layout)
            usleep(100_000)
            let again = Set(try look())
            problems = problems.filter(again.contains)
            if !isWritten { break }
        }
        return problems
    }

    /// Snapshots, and files that nothing names.
    private static func fileProblems(_ corpus: Corpus) throws(LogitError) -> (snapshots: Int, problems: [String]) {
        let units = try corpus.units()
        var report = Report()
        report.problems = try strayShards(corpus, units, try formerFiles(corpus, units))
        try checkSnapshots(
            corpus, Dictionary(units.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first }), &report)
        return (report.snapshots, report.problems)
    }

    /// Everything but the shards: the catalogue's tables against the files, image lists, modules, weights.
    private static func tableProblems(_ corpus: Corpus) throws(LogitError) -> [String] {
        try descriptorProblems(corpus)
            + lasting(corpus) { () throws(LogitError) in
                do throws(LogitError) { return try CatalogComparison(corpus).problems() } catch {
                    return [error.message]
                }
            }
    }

    /// The catalogue's pages, and each of its indices against its table: every row once more, over a connection of its own.
    private static func pageProblems(_ corpus: Corpus) throws(LogitError) -> [String] {
        var findings = try Catalog.openForReading(corpus.layout.catalog).read { db in
            try db.execute(sql: "PRAGMA cache_size = -65536")
            let findings = try String.fetchAll(db, sql: "PRAGMA integrity_check(10)")
            // Units are checked with their own rows; rows of no unit belong to none of them.
            let others = try Int.fetchOne(
                db,
                sql: "SELECT (SELECT count(*) FROM row_index) - (SELECT coalesce(sum(row_count), 0) FROM unit_index)")
            return others == 0 ? findings : findings + ["its rows and its units' counts differ by \(others ?? 0)"]
        }
        if findings.count > 1 { findings.removeAll { $0 == "ok" } }
        guard findings != ["ok"] else { return [] }
        return ["the catalogue \(corpus.layout.catalog) is damaged (\(findings.first ?? "")); run logit repair"]
    }

    /// What is checked besides the shards.
    enum Part: Sendable {
        case pages
        case tables
        /// All that `run` checks, stray files and snapshots too.
        case all

        func problems(_ corpus: Corpus) throws(LogitError) -> [String] {
            switch self {
            case .pages: try pageProblems(corpus)
            case .tables: try tableProblems(corpus)
            case .all:
                try tableProblems(corpus) + pageProblems(corpus)
                    + lasting(corpus) { () throws(LogitError) in try fileProblems(corpus).problems }
            }
        }
    }

    /// Files that neither the catalogue nor a snapshot knows, but for leftovers of `compact`, which `gc` removes.
    private static func strayShards(
        _ corpus: Corpus, _ units: [StoredUnit], _ former: [StoredUnit]
    ) throws(LogitError) -> [String] {
        let known = Set((units + former).map(\.path))
        let leftovers = Set(units.map { Layout.shard($0.key) })
        return try corpus.shardFiles().filter {
            !known.contains($0) && !leftovers.contains(Layout.unitPath($0))
        }.map {
            "shard \(corpus.layout.absolute($0)) is not in the catalogue; the next logit ingest adopts it, or logit repair"
        }
    }
}
