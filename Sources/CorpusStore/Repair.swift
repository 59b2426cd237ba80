import GRDB
import Glibc
import Logits
import Platform
import Shards

/// Rebuilds the catalogue from the files beside it. Nothing is dropped silently: what cannot be taken in is set aside and
/// named.
package enum Repair {
    package struct Report: Codable, Sendable {
        package struct SetAside: Codable, Sendable {
            /// Where the shard was, relative to the corpus.
            package var path: String
            package var reason: String
        }

        package var shards = 0
        package var rows = 0
        package var snapshots = 0
        package var tags = 0
        package var selections = 0
        package var defenders = 0
        package var evaluations = 0
        /// Shards moved to damaged/, with the reason; their images are ingested again by the next ingest.
        package var setAside: [SetAside] = []
        /// Other files that could not be read, with the reason.
        package var unreadable: [String] = []
    }

    /// - Parameter progress: called with (shards done, shards in all).
    package static func run(
        at path: String, patience: Patience = .none, progress: (Int, Int) -> Void
    ) throws(LogitError) -> Report {
        let (layout, descriptor) = try Corpus.check(path)
        for folder in layout.folders { try Files.makeDirectory(folder) }
        let lock = try WriterLock.take(layout, patience)
        let fresh = layout.catalog + ".repair"
        for suffix in ["", "-wal", "-shm", "-journal"] { try Files.remove(fresh + suffix) }
        var report = Report()
        do {
            let corpus = Corpus(
                layout: layout, descriptor: descriptor, catalog: try Catalog.openForWriting(fresh), lock: lock)
            try rebuild(corpus, &report, progress)
            try Catalog.translating("close", fresh) {
                try corpus.catalog.queue.writeWithoutTransaction { db in
                    try db.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE)")
                }
                try corpus.catalog.queue.close()
            }
        }
        for suffix in ["-wal", "-shm"] { try Files.remove(fresh + suffix) }
        try Files.sync(fresh)
        // The old log belongs to the old file: it must be gone before the new file takes its name.
        for suffix in ["-wal", "-shm", "-journal"] { try Files.remove(layout.catalog + suffix) }
        try Files.renameDurably(fresh, to: layout.catalog)
        return report
    }

    private static func rebuild(_ corpus: Corpus, _ report: inout Report, _ progress: (Int, Int) -> Void)
        throws(LogitError)
    {
        try indexDescriptors(corpus, &report)
        let shards = try corpus.shardFiles()
        for (done, relative) in shards.enumerated() {
            progress(done, shards.count)
            do throws(LogitError) {
                let (unit, table, created) = try corpus.readUnit(relative)
                try corpus.index([(unit, table, created)])
                report.shards += 1
                report.rows += unit.key.rowCount
            } catch {
                guard error.code != .io else { throw error }
                try setAside(relative, corpus.layout)
                report.setAside.append(.init(path: relative, reason: error.message))
            }
        }
        progress(shards.count, shards.count)
        try indexReferences(corpus, &report)
    }

    private static func indexDescriptors(_ corpus: Corpus, _ report: inout Report) throws(LogitError) {
        for split in try corpus.splits() {
            let images = try corpus.images(of: split)
            try corpus.catalog.write { db in try Corpus.index(split, images, in: db) }
        }
        for network in try corpus.networks() {
            try corpus.catalog.write { db in try Corpus.index(network, in: db) }
        }
        let selections = try Files.list(corpus.layout.selections).filter { $0.hasSuffix(".json") }
        for file in selections {
            try taking("\(corpus.layout.selections)/\(file)", &report) { (path) throws(LogitError) in
                let selection = try Manifests.readSelection(path)
                try corpus.catalog.write { db in try Corpus.index(selection, in: db) }
                return \.selections
            }
        }
    }

    private static func indexReferences(_ corpus: Corpus, _ report: inout Report) throws(LogitError) {
        var found: [SnapshotManifest] = []
        for id in try corpus.snapshotIDs() {
            try taking(corpus.layout.snapshot(id), &report) { (_) throws(LogitError) in
                found.append(try corpus.manifest(id))
                return \.snapshots
            }
        }
        for snapshot in Corpus.inOrder(found) {
            try corpus.catalog.write { db in try Corpus.index(snapshot, in: db) }
        }
        for tag in try corpus.tags() {
            try corpus.catalog.write { db in
                try db.execute(
                    sql: "INSERT INTO tag_index (name, snapshot) VALUES (?, ?)", arguments: [tag.name, tag.snapshot])
            }
            report.tags += 1
        }
        for name in try corpus.defenderNames() {
            try taking("\(corpus.layout.defenders)/\(name)/defender.json", &report) { (_) throws(LogitError) in
                try corpus.indexDefender(name)
                return \.defenders
            }
        }
        for file in try Files.list(corpus.layout.evaluations) where file.hasSuffix(".json") {
            try taking("\(corpus.layout.evaluations)/\(file)", &report) { (path) throws(LogitError) in
                let record = try JSONFile.read(EvaluationRecord.self, from: path)
                try corpus.catalog.write { db in try Corpus.index(record, id: String(file.dropLast(5)), in: db) }
                return \.evaluations
            }
        }
    }

    /// Takes one file in and counts it, or names it as unreadable.
    private static func taking(
        _ path: String, _ report: inout Report,
        _ body: (String) throws(LogitError) -> WritableKeyPath<Report, Int>
    ) throws(LogitError) {
        do throws(LogitError) {
            report[keyPath: try body(path)] += 1
        } catch {
            guard error.code != .io else { throw error }
            report.unreadable.append(error.message)
        }
    }

    /// Moves a shard to damaged/, keeping its path below.
    private static func setAside(_ relative: String, _ layout: Layout) throws(LogitError) {
        let target = "\(layout.damaged)/\(relative)"
        try Files.makeDirectory(Files.parent(of: target))
        try Files.renameDurably(layout.absolute(relative), to: target)
        try Files.sync(Files.parent(of: layout.absolute(relative)))
    }
}
