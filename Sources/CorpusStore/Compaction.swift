import GRDB
import Logits
import Platform
import Shards

/// Which shards `compact` rewrites, and how.
package struct CompactionRequest: Sendable {
    /// Nil leaves it as it is, shard by shard.
    package var codec: Codec?
    package var precision: Precision?
    package var chunkRows: Int?
    /// Nil for all.
    package var network: String?
    /// Canonical names; nil for all.
    package var attacks: [String]?
    package var workerCount = 1

    package init() {}

    fileprivate func check() throws(LogitError) {
        guard codec != nil || precision != nil || chunkRows != nil else {
            throw LogitError(.usage, "nothing to change was named; give --codec, --precision or --chunk-rows")
        }
        guard (1...1024).contains(workerCount) else {
            throw LogitError(.usage, "--workers is \(workerCount); give a whole number from 1 to 1024")
        }
    }

    fileprivate func names(_ unit: StoredUnit) -> Bool {
        (network == nil || unit.key.network == network)
            && (attacks == nil || attacks?.contains(unit.key.variant.canonical) == true)
    }

    /// How a shard is to be stored that is stored as `present`; nil where it is so already.
    func target(_ present: ShardEncoding, _ unit: StoredUnit) throws(LogitError) -> ShardEncoding? {
        var target = ShardEncoding(codec: codec ?? present.codec, precision: precision ?? present.precision)
        target.chunkRows = chunkRows ?? (target.codec == present.codec ? present.chunkRows : nil)
        try target.check(classCount: unit.classCount)
        guard present.precision.isExact || target.precision == present.precision else {
            throw LogitError(
                .usage,
                "shard \(unit.path) is stored as \(present.precision), which cannot become \(target.precision): rounded logits do not come back, and are not rounded again; leave out --precision, or ingest into another corpus"
            )
        }
        let isSameChunk = target.chunkRows.map { min($0, unit.key.rowCount) == present.chunkRows } ?? true
        return target.codec == present.codec && target.precision == present.precision && isSameChunk ? nil : target
    }
}

/// Rewrites committed shards in another codec or precision.
///
/// A committed shard never changes: a new file is written beside it, read back whole and compared row by row, and one
/// transaction makes the catalogue show the new file in its place. The old one stays for the snapshots that name it, until
/// these are deleted and `gc` has run. Killed anywhere, each unit is in its old file or in its new one; run again, what is done
/// is passed over.
package enum Compaction {
    package struct Report: Codable, Sendable {
        /// Shards that the request names, and how many of them were as asked for already.
        package var shards = 0
        package var present = 0
        package var rewritten = 0
        package var rows = 0
        /// Of the rewritten shards, before and after.
        package var bytesBefore = 0
        package var bytesAfter = 0
        /// Rounding: rows whose largest logit is another than before, and that share it with another class now.
        package var changedArgMax = 0
        package var newlyTied = 0
        package var largestError = 0.0
        package var snapshot = ""
        /// Shards that could not be read, a sentence each; they stay as they are.
        package var damaged: [String] = []
        /// Snapshots that hold former files, and the bytes of these.
        package var holdingSnapshots = 0
        package var heldBytes = 0
        /// Of files that `gc` would remove now.
        package var collectableBytes = 0
    }

    /// - Parameters:
    ///   - progress: called on the caller's thread with (shards done, shards in all).
    ///   - shouldStop: polled between shards; true stops with `cancelled`, keeping what is rewritten.
    /// - Throws: `usage` where a shard cannot become what is asked for, before anything is written; `corrupt`, after all others
    ///   are rewritten, where shards are damaged.
    package static func run(
        _ corpus: Corpus, _ request: CompactionRequest, progress: (Int, Int) -> Void,
        shouldStop: @escaping @Sendable () -> Bool
    ) throws(LogitError) -> Report {
        corpus.requireWriting()
        try request.check()
        let units = try corpus.units().filter(request.names)
        guard !units.isEmpty else {
            throw LogitError(
                .notFound, "the corpus \(corpus.root) has no rows of that network and attack; see logit status")
        }
        var report = Report()
        report.shards = units.count
        var work: [ShardRewriting] = []
        for unit in units {
            try noting(&report) { (report) throws(LogitError) in
                let present = try ShardReader(path: corpus.layout.absolute(unit.path)).encoding
                if let target = try request.target(present, unit) {
                    work.append(ShardRewriting(unit: unit, target: target, layout: corpus.layout))
                } else {
                    report.present += 1
                }
            }
        }
        try rewrite(work, corpus, request, &report, progress, shouldStop)
        report.snapshot = try corpus.createSnapshot(message: message(request)).id
        try addFormerFiles(corpus, &report)
        guard let first = report.damaged.first else { return report }
        let others = report.damaged.count - 1
        throw LogitError(
            .corrupt, first + (others > 0 ? " (and \(others) more damaged shards)" : "") + "; the others are rewritten")
    }

    /// Goes on where a shard is damaged: the others can be rewritten all the same.
    private static func noting(
        _ report: inout Report, _ body: (inout Report) throws(LogitError) -> Void
    ) throws(LogitError) {
        do throws(LogitError) {
            try body(&report)
        } catch {
            guard error.code == .corrupt || error.code == .notFound else { throw error }
            report.damaged.append(error.message)
        }
    }

    private static func message(_ request: CompactionRequest) -> String {
        var words = ["compact"]
        if let codec = request.codec { words.append(codec.rawValue) }
        if let precision = request.precision { words.append("\(precision)") }
        if let chunkRows = request.chunkRows { words.append("chunk-rows=\(chunkRows)") }
        if let network = request.network { words.append(network) }
        if let attacks = request.attacks { words.append(attacks.joined(separator: ",")) }
        return words.joined(separator: " ")
    }

    /// Worker threads write and check new files in staging; the caller's thread makes each the unit's file.
    private static func rewrite(
        _ work: [ShardRewriting], _ corpus: Corpus, _ request: CompactionRequest, _ report: inout Report,
        _ progress: (Int, Int) -> Void, _ shouldStop: @escaping @Sendable () -> Bool
    ) throws(LogitError) {
        guard !work.isEmpty else { return }
        let todo = BoundedQueue<ShardRewriting>(capacity: work.count)
        for item in work { todo.push(item) }
        todo.close()
        let results = BoundedQueue<Result<ShardRewriting.Written, LogitError>>(capacity: 1)
        let workers = (0..<min(request.workerCount, work.count)).map { _ in
            PlainThread {
                while let item = todo.pop() {
                    let result = Result { () throws(LogitError) in try item.write() }
                    if !results.push(result) { return discard(result) }
                }
            }
        }
        var failure: LogitError?
        for done in 0..<work.count {
            progress(done, work.count)
            guard let result = results.pop() else { break }
            do throws(LogitError) {
                try noting(&report) { (report) throws(LogitError) in try commit(try result.get(), corpus, &report) }
                if shouldStop(), done + 1 < work.count {
                    throw LogitError(
                        .cancelled, "stopped; every rewritten shard is kept, and the same command goes on from there")
                }
            } catch {
                failure = error
                break
            }
        }
        results.close()
        workers.forEach { $0.join() }
        while let result = results.pop() { discard(result) }
        if let failure { throw failure }
        progress(work.count, work.count)
    }

    /// Removes what was written and is not committed after all.
    private static func discard(_ result: Result<ShardRewriting.Written, LogitError>) {
        if case .success(let written) = result { try? Files.remove(written.staged) }
    }

    private static func commit(
        _ written: ShardRewriting.Written, _ corpus: Corpus, _ report: inout Report
    ) throws(LogitError) {
        let (old, new) = (written.old, written.new)
        let target = corpus.layout.absolute(new.path)
        try Files.makeDirectory(Files.parent(of: target))
        // A file that is there has the same bytes, by its name: left by a process that was killed, or held by a snapshot.
        try Files.renameDurably(written.staged, to: target)
        try corpus.replace(old, with: new, written.table, created: written.created)
        report.rewritten += 1
        report.rows += new.key.rowCount
        report.bytesBefore += old.fileBytes
        report.bytesAfter += new.fileBytes
        guard let rounding = written.rounding else { return }
        report.changedArgMax += rounding.changedArgMax
        report.newlyTied += rounding.newlyTied
        report.largestError = max(report.largestError, rounding.largestError)
    }

    /// What former files keep from being won back.
    private static func addFormerFiles(_ corpus: Corpus, _ report: inout Report) throws(LogitError) {
        let shown = Set(try corpus.units().map(\.path))
        var held: [String: Int] = [:]
        for id in try corpus.snapshotIDs() {
            let former = try corpus.manifest(id).shards.filter { !shown.contains($0.path) }
            if !former.isEmpty { report.holdingSnapshots += 1 }
            for shard in former { held[shard.path] = shard.fileBytes }
        }
        report.heldBytes = held.values.reduce(0, +)
        report.collectableBytes = try Garbage.leftovers(corpus).reduce(0) { $0 + $1.bytes }
    }
}

extension Corpus {
    /// Makes the catalogue show another file of a unit, in one transaction. Snapshots keep the unit where its content is the
    /// same; otherwise they hold what the catalogue no longer has.
    func replace(
        _ old: StoredUnit, with new: StoredUnit, _ table: RowTable, created: String
    ) throws(LogitError) {
        try catalog.write { db in
            guard
                let id = try Int64.fetchOne(db, sql: "SELECT id FROM unit_index WHERE path = ?", arguments: [old.path])
            else { throw LogitError(.corrupt, "shard \(old.path) is no longer in the catalogue; run logit repair") }
            let every = "FROM snapshot_unit WHERE snapshot_id IN (SELECT id FROM snapshot_index) AND unit_id = ?"
            let snapshots = try Int64.fetchAll(db, sql: "SELECT snapshot_id \(every)", arguments: [id])
            try db.execute(sql: "DELETE \(every)", arguments: [id])
            try UnitSummary.delete(unit: id, in: db)
            try db.execute(sql: "DELETE FROM row_index WHERE unit_id = ?", arguments: [id])
            try db.execute(sql: "DELETE FROM unit_index WHERE id = ?", arguments: [id])
            try UnitIndexer(db).add(new, table, created: created)
            guard old.contentDigest == new.contentDigest else { return }
            for snapshot in snapshots {
                try db.execute(
                    sql: "INSERT INTO snapshot_unit SELECT ?, id FROM unit_index WHERE path = ?",
                    arguments: [snapshot, new.path])
            }
        }
    }
}
