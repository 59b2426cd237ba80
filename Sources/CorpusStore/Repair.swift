import GRDB
import Glibc
import Logits
import Platform
import Shards

/// Rebuilds the catalogue from the files beside it. Nothing is dropped silently: what cannot be taken in is set aside and
/// named, and of rows that are lost a list is left from which `logit ingest --repair` makes them again.
///
/// It can be killed at any point and run again: the old catalogue stays until the new one is whole, and a list is written before
/// its shard is moved.
package enum Repair {
    package struct Report: Codable, Sendable {
        package struct SetAside: Codable, Sendable {
            /// Where the shard was, relative to the corpus.
            package var path: String
            package var reason: String
        }

        package struct Lost: Codable, Sendable {
            package var path: String
            /// Rows to make again; nil where nothing is known of them.
            package var rows: Int?
            package var reason: String
            /// Of these rows, relative to the corpus.
            package var list: String
            /// Whether the list holds all that `ingest --repair` needs.
            package var isKnown: Bool
        }

        package var shards = 0
        package var rows = 0
        package var snapshots = 0
        package var tags = 0
        package var selections = 0
        package var defenders = 0
        package var evaluations = 0
        package var analyses = 0
        /// Shards moved to damaged/, with the reason.
        package var setAside: [SetAside] = []
        /// Shards that were set aside by a former repair and are whole now: back at their places.
        package var putBack: [String] = []
        /// Shards whose rows the corpus no longer has: `logit ingest --repair` makes them again.
        package var lost: [Lost] = []
        /// Snapshots that are not whole, one sentence each.
        package var incomplete: [String] = []
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
        try Files.syncFolders(layout.root)
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
        try replaceCatalog(layout, with: fresh)
        return report
    }

    /// The old log belongs to the old file. Where it holds anything the old file goes first, and each step is durable before
    /// the next: whoever dies in between leaves no catalogue, which the next `repair` makes, but none with a log that is not
    /// its own, or without the one that is.
    private static func replaceCatalog(_ layout: Layout, with fresh: String) throws(LogitError) {
        let logs = ["-wal", "-journal"].map { layout.catalog + $0 }.filter(Files.exists)
        for log in logs where try Files.size(log) > 0 { try Files.removeDurably(layout.catalog) }
        for log in logs { try Files.removeDurably(log) }
        try Files.remove(layout.catalog + "-shm")
        try Files.renameDurably(fresh, to: layout.catalog)
    }

    private static func rebuild(_ corpus: Corpus, _ report: inout Report, _ progress: (Int, Int) -> Void)
        throws(LogitError)
    {
        let known = try KnownShards(corpus)
        try refuseMissing(known, corpus)
        try indexDescriptors(corpus, &report)
        report.putBack = try putBack(corpus)
        try indexShards(corpus, known, &report, progress)
        try listMissing(corpus, known, &report)
        try corpus.refreshManifests()
        try indexReferences(corpus, &report)
    }

    /// Without its descriptors a shard would look like another corpus's: whole shards of snapshots are not set aside for that.
    private static func refuseMissing(_ known: KnownShards, _ corpus: Corpus) throws(LogitError) {
        let splits = Set(try corpus.splits().map { "\($0.dataset)/\($0.split)" })
        let networks = Set(try corpus.networks().map(\.name))
        for key in known.inSnapshots {
            var missing: String?
            if !splits.contains("\(key.dataset)/\(key.split)") { missing = corpus.layout.split(key.dataset, key.split) }
            if !networks.contains(key.network) { missing = corpus.layout.network(key.network) }
            guard let missing else { continue }
            throw LogitError(
                .corrupt,
                "\(missing) is missing, which \(key.rowCount) rows and more of the snapshots need; put back a copy of it and run logit repair again"
            )
        }
    }

    // MARK: Shards

    /// Of the files of a unit one is indexed: that of the head snapshot, else the newest; the others stay for the snapshots that
    /// hold them.
    private static func indexShards(
        _ corpus: Corpus, _ known: KnownShards, _ report: inout Report, _ progress: (Int, Int) -> Void
    ) throws(LogitError) {
        let files = try corpus.shardFiles()
        let groups = Dictionary(grouping: files, by: Layout.unitPath).sorted { $0.key < $1.key }.map(\.value)
        var done = 0
        for group in groups {
            var failed: [(path: String, error: LogitError)] = []
            var indexed: String?
            for relative in inOrder(group, known.head, corpus.layout) {
                do throws(LogitError) {
                    let (unit, table, created) = try corpus.readUnit(
                        relative, isKnown: known.vouches(forFile:))
                    try corpus.index([(unit, table, created)])
                    indexed = relative
                    report.shards += 1
                    report.rows += unit.key.rowCount
                    break
                } catch {
                    guard error.code != .io else { throw error }
                    failed.append((relative, error))
                }
            }
            let isLost = failed.count == group.count
            if isLost, let first = failed.first, first.error.code != .badInput {
                // Before the file is moved: killed in between, the next repair finds both.
                try list(first.path, first.error.message, file: "damaged/\(first.path)", corpus, known, &report)
            }
            if !isLost {
                // Former files of the unit, which snapshots hold: their bytes alone.
                let tried = Set(failed.map(\.path))
                for path in group where !tried.contains(path) && path != indexed {
                    if let error = try known.damage(path) { failed.append((path, error)) }
                }
            }
            for (path, error) in failed {
                try setAside(path, corpus.layout)
                report.setAside.append(.init(path: path, reason: error.message))
            }
            done += group.count
            progress(done, files.count)
        }
    }

    /// The head's file first, then the newest.
    private static func inOrder(_ group: [String], _ head: Set<String>, _ layout: Layout) -> [String] {
        guard group.count > 1 else { return group }
        func age(_ path: String) -> (Int, Int) {
            var info = stat()
            guard stat(layout.absolute(path), &info) == 0 else { return (0, 0) }
            return (-info.st_mtim.tv_sec, -info.st_mtim.tv_nsec)
        }
        return group.sorted {
            let (first, second) = (head.contains($0) ? 0 : 1, head.contains($1) ? 0 : 1)
            return first == second ? age($0) < age($1) : first < second
        }
    }

    /// Lists units that were known and have no file, and clears the lists of units that are there again.
    private static func listMissing(
        _ corpus: Corpus, _ known: KnownShards, _ report: inout Report
    ) throws(LogitError) {
        let present = Set(try corpus.units().map(\.key))
        for entry in known.all where !present.contains(entry.key) {
            let place = Layout.unitPath(entry.path)
            guard !report.lost.contains(where: { Layout.unitPath($0.path) == place }) else { continue }
            try list(entry.path, "its file is missing", file: nil, corpus, known, &report)
        }
        for lost in try LostShards.all(corpus.layout) {
            if let key = lost.shard?.key, present.contains(key) {
                try LostShards.clear(lost, corpus.layout)
            } else if !report.lost.contains(where: { $0.path == lost.path }) {
                report.lost.append(Report.Lost(lost))
            }
        }
    }

    /// Leaves the list of one shard; one that knows its rows already stays as it is.
    private static func list(
        _ path: String, _ reason: String, file: String?, _ corpus: Corpus, _ known: KnownShards,
        _ report: inout Report
    ) throws(LogitError) {
        var lost = known.lost(path, reason: reason, file: file)
        if !lost.isKnown, let before = try? Manifests.readLost(LostShards.path(path, corpus.layout)), before.isKnown {
            lost = before
        }
        try LostShards.write(lost, corpus.layout)
        report.lost.append(Report.Lost(lost))
    }

    /// Shards set aside by a former repair that are whole (a descriptor was put back, or a copy of the shard): where their
    /// places are free.
    private static func putBack(_ corpus: Corpus) throws(LogitError) -> [String] {
        var found: [String] = []
        for relative in try LostShards.files(corpus.layout, ending: ".h5") {
            let (source, target) = ("\(corpus.layout.damaged)/\(relative)", corpus.layout.absolute(relative))
            guard !Files.exists(target), (try? Corpus.readShard(source, at: relative, isKnown: { _ in false })) != nil
            else { continue }
            try Files.makeDirectory(Files.parent(of: target))
            try Files.renameDurably(source, to: target)
            found.append(relative)
        }
        return found
    }

    /// Moves a shard to damaged/, keeping its path below.
    private static func setAside(_ relative: String, _ layout: Layout) throws(LogitError) {
        let target = "\(layout.damaged)/\(relative)"
        try Files.makeDirectory(Files.parent(of: target))
        try Files.renameDurably(layout.absolute(relative), to: target)
        try Files.sync(Files.parent(of: layout.absolute(relative)))
    }
}

extension Repair.Report.Lost {
    init(_ lost: LostShard) {
        self.init(
            path: lost.path, rows: lost.shard?.key.rowCount, reason: lost.reason, list: "damaged/\(lost.path).json",
            isKnown: lost.isKnown)
    }
}
