import Logits
import Platform
import Shards

extension Verify {
    /// Image lists, modules, weights, selections, evaluations and analyses against their digests.
    static func descriptorProblems(_ corpus: Corpus) throws(LogitError) -> [String] {
        var problems: [String] = []
        func noting(_ body: () throws(LogitError) -> Void) {
            do throws(LogitError) { try body() } catch { problems.append(error.message) }
        }
        for split in try corpus.splits() { noting { () throws(LogitError) in _ = try corpus.imageList(of: split) } }
        for network in try corpus.networks() {
            noting { () throws(LogitError) in _ = try corpus.checkedModule(of: network) }
        }
        for name in try corpus.defenderNames() {
            noting { () throws(LogitError) in
                let folder = "\(corpus.layout.defenders)/\(name)"
                let record = try JSONFile.read(DefenderRecord.self, from: "\(folder)/defender.json")
                let weights = "\(folder)/weights.safetensors"
                guard Digest.hex(try Files.read(weights)) == record.weightsDigest else {
                    throw LogitError(
                        .corrupt,
                        "the weights of defender \(name), \(weights), are not those it was saved with; put back a copy, or train it on with --resume"
                    )
                }
            }
        }
        for name in try corpus.jsonNames(corpus.layout.selections) {
            noting { () throws(LogitError) in
                try check(try corpus.selection(name), corpus)
            }
        }
        for id in try corpus.jsonNames(corpus.layout.evaluations) {
            noting { () throws(LogitError) in
                let path = "\(corpus.layout.evaluations)/\(id).json"
                guard Digest.hex(try Files.read(path)).hasPrefix(id) else {
                    throw LogitError(
                        .corrupt, "the evaluation \(path) is not what its name says; put back a copy, or evaluate again"
                    )
                }
            }
        }
        for id in try corpus.analysisIDs() {
            noting { () throws(LogitError) in _ = try corpus.analysis(id, as: AnalysisRecord.self) }
        }
        return problems
    }

    /// A selection names images of its split by ordinal and id.
    private static func check(_ selection: SelectionFile, _ corpus: Corpus) throws(LogitError) {
        let split = try corpus.split(dataset: selection.dataset, split: selection.split)
        guard split.digest == selection.datasetDigest else { return try corpus.check(selection, split) }
        let images = try corpus.images(of: split)
        for (ordinal, image) in zip(selection.ordinals, selection.images) {
            guard images.indices.contains(Int(ordinal)), images[Int(ordinal)].id == image else {
                throw LogitError(
                    .corrupt,
                    "selection \(selection.name) names the image \(image) at ordinal \(ordinal) of \(split.dataset)/\(split.split), where another one is; put back a copy of it"
                )
            }
        }
    }

    /// Names of snapshots that are not there, and shards of snapshots that are no longer as these hold them. The files that the
    /// catalogue does not show (`compact` has replaced them) are checked like the others, elsewhere.
    static func checkSnapshots(
        _ corpus: Corpus, _ units: [String: StoredUnit], _ report: inout Report
    ) throws(LogitError) {
        var otherwise: Set<String> = []
        // `compact` and other software change a unit's file and content; its key stays.
        let keys = Set(units.values.map(\.key))
        for id in try corpus.snapshotIDs() {
            do throws(LogitError) {
                let snapshot = try corpus.manifest(id)
                report.snapshots += 1
                let lost = snapshot.shards.filter { shard in
                    units[shard.path].map { $0.contentDigest != shard.contentDigest || $0.key != shard.key }
                        ?? (!keys.contains(shard.key) || !Files.exists(corpus.layout.absolute(shard.path)))
                }
                if !lost.isEmpty { report.problems.append(Corpus.describe(lost, of: snapshot)) }
                for shard in snapshot.shards where !otherwise.contains(shard.path) {
                    guard let unit = units[shard.path], isOtherwise(unit, shard) else { continue }
                    otherwise.insert(shard.path)
                    report.problems.append(
                        "the catalogue says otherwise than snapshot \(id.prefix(12)) how shard \(shard.path) was made; run logit repair"
                    )
                }
            } catch {
                report.problems.append(error.message)
            }
        }
        let ids = Set(try corpus.snapshotIDs())
        var head: [(name: String, snapshot: String)] = []
        do throws(LogitError) {
            if let id = try corpus.headSnapshotID() {
                head = [("head", id)]
            } else if !ids.isEmpty {
                report.problems.append(
                    "\(corpus.layout.head), which names the newest snapshot, is missing; run logit repair")
            }
        } catch {
            report.problems.append(error.message)
        }
        for reference in try head + corpus.tags() where !ids.contains(reference.snapshot) {
            report.problems.append(
                "\(reference.name) names snapshot \(reference.snapshot.prefix(12)), which is missing; put back a copy of it"
            )
        }
    }

    /// Whether a manifest and the catalogue tell different things of the same file.
    private static func isOtherwise(_ unit: StoredUnit, _ shard: ShardEntry) -> Bool {
        guard unit.fileDigest == shard.fileDigest, unit.rowDigest != nil, shard.details.fileChecksum != nil else {
            return false
        }
        return unit.details != shard.details || unit.fileBytes != shard.fileBytes
            || unit.classCount != shard.classCount
    }

    /// Files that snapshots hold and the catalogue does not show, as far as they are there.
    static func formerFiles(_ corpus: Corpus, _ units: [StoredUnit]) throws(LogitError) -> [StoredUnit] {
        let shown = Set(units.map(\.path))
        var former: [String: StoredUnit] = [:]
        for id in try corpus.snapshotIDs() {
            guard let snapshot = try? corpus.manifest(id) else { continue }
            for shard in snapshot.shards
            where !shown.contains(shard.path) && Files.exists(corpus.layout.absolute(shard.path)) {
                former[shard.path] = StoredUnit(shard)
            }
        }
        return former.values.sorted { $0.path < $1.path }
    }
}

extension StoredUnit {
    init(_ entry: ShardEntry) {
        self.init(
            key: entry.key, path: entry.path, classCount: entry.classCount, contentDigest: entry.contentDigest,
            fileDigest: entry.fileDigest, fileBytes: entry.fileBytes, details: entry.details)
    }
}

extension Corpus {
    static func describe(_ lost: [ShardEntry], of snapshot: SnapshotManifest) -> String {
        let rows = lost.reduce(0) { $0 + $1.key.rowCount }
        let paths = lost.prefix(3).map(\.path).joined(separator: ", ") + (lost.count > 3 ? ", …" : "")
        return
            "snapshot \(snapshot.id.prefix(12)) holds \(rows) rows in \(lost.count) shards that the corpus no longer has as they were (\(paths)); put back copies, or run logit repair and then logit ingest --repair"
    }

    /// The shards of the catalogue that hold the rows of a snapshot: equal content, whatever the file.
    /// - Throws: `corrupt` where rows are lost, `stale` where `compact` has rounded some: a part of a snapshot is not its rows.
    func indexedPaths(of snapshot: SnapshotManifest) throws(LogitError) -> Set<String> {
        let units = try units()
        let held = Dictionary(units.map { ($0.contentDigest, $0.path) }, uniquingKeysWith: { first, _ in first })
        let lost = snapshot.shards.filter { held[$0.contentDigest] == nil }
        guard lost.isEmpty else {
            let keys = Set(units.map(\.key))
            let gone = lost.filter { !keys.contains($0.key) }
            guard gone.isEmpty else { throw LogitError(.corrupt, Corpus.describe(gone, of: snapshot)) }
            throw LogitError(
                .stale,
                "the catalogue has \(snapshot.shards.count - lost.count) of the \(snapshot.shards.count) shards of snapshot \(snapshot.id.prefix(12)) as that snapshot holds them, since logit compact has rounded the others or they were made again by other software; sample, train and evaluate still read it with --at where its files are there, SQL only the rows of now"
            )
        }
        return Set(snapshot.shards.compactMap { held[$0.contentDigest] })
    }
}
