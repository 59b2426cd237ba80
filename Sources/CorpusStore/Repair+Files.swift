import GRDB
import Logits
import Platform
import Shards

/// Everything but the shards.
extension Repair {
    static func indexDescriptors(_ corpus: Corpus, _ report: inout Report) throws(LogitError) {
        for split in try corpus.splits() {
            let images = try corpus.images(of: split)
            try corpus.catalog.write { db in try Corpus.index(split, images, in: db) }
        }
        for network in try corpus.networks() {
            try corpus.catalog.write { db in try Corpus.index(network, in: db) }
        }
        let selections = try Files.list(corpus.layout.selections).filter { $0.hasSuffix(".json") }
        for file in selections {
            try taking("\(corpus.layout.selections)/\(file)", &report) { (_) throws(LogitError) in
                let selection = try corpus.selection(String(file.dropLast(5)))
                try corpus.catalog.write { db in try Corpus.index(selection, in: db) }
                return \.selections
            }
        }
    }

    static func indexReferences(_ corpus: Corpus, _ report: inout Report) throws(LogitError) {
        var found: [SnapshotManifest] = []
        for id in try corpus.snapshotIDs() {
            try taking(corpus.layout.snapshot(id), &report) { (_) throws(LogitError) in
                found.append(try corpus.manifest(id))
                return \.snapshots
            }
        }
        let contents = Set(try corpus.units().map(\.contentDigest))
        for snapshot in Corpus.inOrder(found) {
            try corpus.catalog.write { db in try Corpus.index(snapshot, in: db) }
            let lost = snapshot.shards.filter {
                !contents.contains($0.contentDigest) && !Files.exists(corpus.layout.absolute($0.path))
            }
            if !lost.isEmpty { report.incomplete.append(Corpus.describe(lost, of: snapshot)) }
        }
        try mendHead(corpus, found, &report)
        for tag in try corpus.tags() {
            try corpus.catalog.write { db in try Corpus.index(tag, in: db) }
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
        for id in try corpus.analysisIDs() {
            try taking(corpus.layout.analysis(id), &report) { (_) throws(LogitError) in
                let record = try corpus.analysisRecord(id)
                try corpus.catalog.write { db in try Corpus.index(record, id: id, in: db) }
                return \.analyses
            }
        }
    }

    /// A head that is missing or damaged names the newest snapshot again.
    private static func mendHead(
        _ corpus: Corpus, _ found: [SnapshotManifest], _ report: inout Report
    ) throws(LogitError) {
        let parents = Set(found.compactMap(\.parent))
        let ends = found.filter { !parents.contains($0.id) }
        guard let newest = ends.max(by: { ($0.created, $0.id) < ($1.created, $1.id) }),
            (try? corpus.headSnapshotID()) ?? nil == nil
        else { return }
        try Files.writeDurably(Array("\(newest.id)\n".utf8), to: corpus.layout.head)
        report.unreadable.append(
            "\(corpus.layout.head) was missing or damaged; it names the newest snapshot there is, \(newest.id.prefix(12)), again"
        )
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
}

extension Corpus {
    /// Brings manifests up to date with files that took the place of others: a shard made again has other bytes with the same
    /// rows, and `compact`'s name for a file follows its bytes. What a snapshot is (its tree: keys and content digests) stays.
    package func refreshManifests() throws(LogitError) {
        requireWriting()
        let units = Dictionary(try units().map { ($0.contentDigest, $0) }, uniquingKeysWith: { first, _ in first })
        for id in try snapshotIDs() {
            guard var snapshot = try? manifest(id) else { continue }
            let before = snapshot
            for place in snapshot.shards.indices {
                let shard = snapshot.shards[place]
                guard let unit = units[shard.contentDigest], unit.key == shard.key, unit.entry != shard else {
                    continue
                }
                // A former file that is there is still the snapshot's own.
                guard unit.path == shard.path || !Files.exists(layout.absolute(shard.path)) else { continue }
                snapshot.shards[place] = unit.entry
            }
            if snapshot != before { try Files.writeDurably(Manifests.encode(snapshot), to: layout.snapshot(id)) }
        }
    }
}
