import Logits
import Platform
import Shards

extension Verify {
    /// Image lists, modules, weights, selections and evaluations against their digests.
    static func descriptorProblems(_ corpus: Corpus) throws(LogitError) -> [String] {
        var problems: [String] = []
        func noting(_ body: () throws(LogitError) -> Void) {
            do throws(LogitError) { try body() } catch { problems.append(error.message) }
        }
        for split in try corpus.splits() { noting { () throws(LogitError) in _ = try corpus.images(of: split) } }
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
                        "the weights of defender \(name), \(weights), have changed; put back a copy or train again")
                }
            }
        }
        for name in try corpus.jsonNames(corpus.layout.selections) {
            noting { () throws(LogitError) in
                try check(try Manifests.readSelection(corpus.layout.selection(name)), corpus)
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

    /// Snapshots that are no longer whole, and names of snapshots that are not there.
    static func checkSnapshots(
        _ corpus: Corpus, _ units: [String: StoredUnit], _ report: inout Report
    ) throws(LogitError) {
        var otherwise: Set<String> = []
        for id in try corpus.snapshotIDs() {
            do throws(LogitError) {
                let snapshot = try corpus.manifest(id)
                report.snapshots += 1
                let lost = Corpus.missing(of: snapshot, among: units)
                if !lost.isEmpty { report.problems.append(Corpus.describe(lost, of: snapshot)) }
                for shard in snapshot.shards where otherwise.contains(shard.path) == false {
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
        let head = try corpus.headSnapshotID().map { [(name: "head", snapshot: $0)] } ?? []
        for reference in try head + corpus.tags() where !ids.contains(reference.snapshot) {
            report.problems.append(
                "\(reference.name) names snapshot \(reference.snapshot.prefix(12)), which is missing; put back a copy of it"
            )
        }
    }
}

extension Verify {
    /// Whether a manifest and the catalogue tell different things of the same file.
    private static func isOtherwise(_ unit: StoredUnit, _ shard: ShardEntry) -> Bool {
        guard unit.fileDigest == shard.fileDigest, unit.rowDigest != nil, shard.details.fileChecksum != nil else {
            return false
        }
        return unit.details != shard.details || unit.fileBytes != shard.fileBytes || unit.classCount != shard.classCount
    }
}

extension Corpus {
    /// The shards of a snapshot that are not committed with the rows that it holds: equal key, equal content digest. The
    /// file may be another (made again, or compressed): its rows are the same bit for bit.
    static func missing(of snapshot: SnapshotManifest, among units: [String: StoredUnit]) -> [ShardEntry] {
        snapshot.shards.filter { shard in
            guard let unit = units[shard.path] else { return true }
            return unit.contentDigest != shard.contentDigest || unit.key != shard.key
        }
    }

    static func describe(_ lost: [ShardEntry], of snapshot: SnapshotManifest) -> String {
        let rows = lost.reduce(0) { $0 + $1.key.rowCount }
        let paths = lost.prefix(3).map(\.path).joined(separator: ", ") + (lost.count > 3 ? ", …" : "")
        return
            "snapshot \(snapshot.id.prefix(12)) holds \(rows) rows in \(lost.count) shards that the corpus no longer has as they were (\(paths)); put back copies, or run logit repair and then logit ingest --repair"
    }

    /// Refuses a snapshot that is not whole: a part of its rows is not its rows.
    package func requireWhole(_ snapshot: SnapshotManifest) throws(LogitError) {
        let units = Dictionary(uniqueKeysWithValues: try units().map { ($0.path, $0) })
        let lost = Corpus.missing(of: snapshot, among: units)
        guard lost.isEmpty else { throw LogitError(.corrupt, Corpus.describe(lost, of: snapshot)) }
    }
}
