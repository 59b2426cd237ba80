import GRDB
import Glibc
import Logits
import Platform
import Shards

/// Files of a corpus that nothing needs: shards that `compact` has replaced and no snapshot holds, what killed processes left.
package enum Garbage {
    package struct Item: Codable, Sendable, Equatable {
        /// Relative to the corpus.
        package var path: String
        package var bytes: Int
    }

    package struct Report: Codable, Sendable {
        package var isDryRun: Bool
        package var shards: [Item] = []
        /// Staged blocks and files of processes that are gone.
        package var unfinished: [Item] = []
        /// What `repair` has set aside, where asked for.
        package var damaged: [Item] = []
        /// Shards that are neither collected nor in the catalogue, with the reason.
        package var kept: [Kept] = []

        package var bytes: Int { (shards + unfinished + damaged).reduce(0) { $0 + $1.bytes } }
    }

    package struct Kept: Codable, Sendable {
        package var path: String
        package var reason: String
    }

    /// - Parameters:
    ///   - corpus: open for writing; for reading it is enough where `dryRun`.
    ///   - damaged: also remove what `repair` has set aside.
    ///   - stagingSeconds: how old staged work must be that no plan owns.
    /// - Throws: `busy` where a process reads the corpus, `corrupt` where a manifest cannot be read: what its snapshot holds is
    ///   then not known.
    package static func run(
        _ corpus: Corpus, dryRun: Bool, damaged: Bool, stagingSeconds: Double, patience: Patience = .none
    ) throws(LogitError) -> Report {
        var readersLock: FileLock?
        if !dryRun {
            corpus.requireWriting()
            readersLock = try ReadersLock.exclude(corpus.layout, patience)
        }
        defer { withExtendedLifetime(readersLock) {} }
        var report = Report(isDryRun: dryRun)
        (report.shards, report.kept) = try sorted(corpus)
        report.unfinished = try unfinished(corpus.layout, seconds: stagingSeconds)
        if damaged { report.damaged = try files(below: "damaged", corpus.layout) }
        guard !dryRun else { return report }
        for item in report.shards + report.unfinished + report.damaged {
            try Files.removeTree(corpus.layout.absolute(item.path))
            removeEmptyFolders(above: item.path, corpus.layout)
        }
        return report
    }

    /// Shard files that may go: no snapshot names them, and the catalogue shows their unit in another file, which is there.
    static func leftovers(_ corpus: Corpus) throws(LogitError) -> [Item] { try sorted(corpus).leftovers }

    private static func sorted(_ corpus: Corpus) throws(LogitError) -> (leftovers: [Item], kept: [Kept]) {
        // Files before snapshots and units: a shard that is committed meanwhile is then in none of the lists.
        let files = try corpus.shardFiles()
        var held: Set<String> = []
        for id in try corpus.snapshotIDs() { held.formUnion(try corpus.manifest(id).shards.map(\.path)) }
        let units = try corpus.units()
        held.formUnion(units.map(\.path))
        let shown = Dictionary(units.map { (Layout.shard($0.key), $0) }, uniquingKeysWith: { first, _ in first })
        var leftovers: [Item] = []
        var kept: [Kept] = []
        for path in files where !held.contains(path) {
            guard let unit = shown[Layout.unitPath(path)] else {
                kept.append(Kept(path: path, reason: "not in the catalogue yet; the next logit ingest adopts it"))
                continue
            }
            let present = corpus.layout.absolute(unit.path)
            guard Files.exists(present), try Files.size(present) == unit.fileBytes else {
                kept.append(
                    Kept(path: path, reason: "\(unit.path), which replaced it, is missing or damaged; run logit repair")
                )
                continue
            }
            leftovers.append(Item(path: path, bytes: try Files.size(corpus.layout.absolute(path))))
        }
        return (leftovers, kept)
    }

    // MARK: What killed processes left

    /// Under the writer's lock nobody writes what only writers write.
    private static func unfinished(_ layout: Layout, seconds: Double) throws(LogitError) -> [Item] {
        var found: [Item] = []
        for name in try Files.list(layout.staging) where name != "plans" {
            guard !Files.exists(layout.plan(name)), age("\(layout.staging)/\(name)") >= seconds else { continue }
            found.append(Item(path: "staging/\(name)", bytes: try bytes("\(layout.staging)/\(name)")))
        }
        var folders = [
            "snapshots", "refs", "refs/tags", "selections", "datasets", "networks", "evaluations", "analyses",
            "staging/plans",
        ]
        folders += try Files.list(layout.datasets).map { "datasets/\($0)" }
        for folder in folders where Files.isDirectory(layout.absolute(folder)) {
            for name in try Files.list(layout.absolute(folder)) where name.hasSuffix(".tmp") {
                found.append(try item("\(folder)/\(name)", layout))
            }
        }
        for name in try Files.list(layout.root) where name.hasPrefix("catalog.sqlite.repair") || name.hasSuffix(".tmp")
        {
            found.append(try item(name, layout))
        }
        // A defender may be in training: that takes no writer's lock.
        for defender in try Files.list(layout.defenders) where Files.isDirectory("\(layout.defenders)/\(defender)") {
            for name in try Files.list("\(layout.defenders)/\(defender)")
            where name.hasSuffix(".tmp") && age("\(layout.defenders)/\(defender)/\(name)") >= seconds {
                found.append(try item("defenders/\(defender)/\(name)", layout))
            }
        }
        return found
    }

    private static func item(_ path: String, _ layout: Layout) throws(LogitError) -> Item {
        Item(path: path, bytes: try Files.size(layout.absolute(path)))
    }

    /// Seconds since the newest change in a file or folder.
    private static func age(_ path: String) -> Double {
        var info = stat()
        guard lstat(path, &info) == 0 else { return 0 }
        let own = Double(time(nil)) - Double(info.st_mtim.tv_sec)
        guard info.st_mode & S_IFMT == S_IFDIR, let names = try? Files.list(path) else { return own }
        return names.map { age("\(path)/\($0)") }.reduce(own, min)
    }

    private static func bytes(_ path: String) throws(LogitError) -> Int {
        guard Files.isDirectory(path) else { return try Files.size(path) }
        var sum = 0
        for name in try Files.list(path) { sum += try bytes("\(path)/\(name)") }
        return sum
    }

    private static func files(below folder: String, _ layout: Layout) throws(LogitError) -> [Item] {
        guard Files.isDirectory(layout.absolute(folder)) else { return [] }
        var found: [Item] = []
        for name in try Files.list(layout.absolute(folder)) {
            let path = "\(folder)/\(name)"
            if Files.isDirectory(layout.absolute(path)) {
                found += try files(below: path, layout)
            } else {
                found.append(try item(path, layout))
            }
        }
        return found
    }

    /// Folders of shards/ and damaged/ that a removal has left empty.
    private static func removeEmptyFolders(above path: String, _ layout: Layout) {
        var folder = Files.parent(of: path)
        while folder.contains("/"), rmdir(layout.absolute(folder)) == 0 { folder = Files.parent(of: folder) }
    }
}
