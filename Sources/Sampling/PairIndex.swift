import Logits
import Shards

/// Where the rows of the images are: for each image the clean row and one row an attack.
struct PairIndex: Sendable {
    let gather: RowGather
    var readers: [ShardReader] { gather.readers }
    /// Ordinals of the images that have every row, ascending.
    let ordinals: [Int64]
    /// Clean, then one for each attack, by image.
    let places: [[RowPlace]]
    let classCount: Int
    /// Images that lack one of the rows.
    let unpairedCount: Int
    /// Images left out because of a `failed` or `invalid` row.
    let skippedCount: Int

    init(
        corpusRoot: String, manifest: SnapshotManifest, dataset: String, split: String, network: String,
        attacks: [String], view: Int, selection: SelectionFile?, options: SamplerOptions
    ) throws(LogitError) {
        let subject = manifest.shards.filter {
            $0.key.dataset == dataset && $0.key.split == split && $0.key.network == network
        }
        let chosen = try PairIndex.choose(subject, attacks, view, "\(network) over \(dataset)/\(split)", manifest)
        var readers: [ShardReader] = []
        var tables: [[Int64: RowPlace]] = []
        var statuses: [Int: [UInt8]] = [:]
        for entries in chosen {
            var table: [Int64: RowPlace] = [:]
            for entry in entries {
                let reader = try PairIndex.open(entry, corpusRoot, verifyEvery: options.verifyEvery)
                for (row, ordinal) in reader.columns.ordinal.enumerated() {
                    guard table.updateValue(RowPlace(shard: readers.count, row: row), forKey: ordinal) == nil
                    else {
                        throw LogitError(
                            .corrupt,
                            "snapshot \(manifest.id.prefix(12)) holds image \(reader.columns.image[row]) twice for \(entry.key.variant); run logit verify"
                        )
                    }
                }
                statuses[readers.count] = reader.columns.attack?.status
                readers.append(reader)
            }
            tables.append(table)
        }
        if let selection { try PairIndex.check(selection, chosen[0][0].key) }
        let wanted = selection.map { Set($0.ordinals) }
        let all = Set(tables.flatMap(\.keys)).filter { wanted?.contains($0) ?? true }.sorted()
        let paired = all.filter { ordinal in tables.allSatisfy { $0[ordinal] != nil } }
        let kept = paired.filter { ordinal in
            guard !PairIndex.isSkipped(tables[0][ordinal], readers, options) else { return false }
            return tables.dropFirst().allSatisfy { table in
                guard let place = table[ordinal], let status = statuses[Int(place.shard)] else { return true }
                return PairIndex.policy(status[Int(place.row)], options) != .skip
            }
        }
        guard !kept.isEmpty else {
            throw LogitError(
                .badInput,
                "no image of \(dataset)/\(split) has a clean row and one for each of \(attacks.joined(separator: ", ")); ingest both over the same images"
            )
        }
        try PairIndex.checkLeftOut(tables, readers, options)
        gather = RowGather(readers)
        ordinals = kept
        places = tables.map { table in kept.map { table[$0]! } }  // kept images are in every table
        classCount = readers[0].classCount
        unpairedCount = all.count - paired.count
        skippedCount = paired.count - kept.count
    }

    /// Checks the rows whose ordinal or status keeps them out of the stream: a damaged byte there must not leave an image out
    /// in silence. Attacked rows without a clean twin and rows that are skipped or replaced are few. Where a clean twin is
    /// missing, its own ordinal may be the damaged one, so the clean rows without an attacked one are read as well.
    private static func checkLeftOut(
        _ tables: [[Int64: RowPlace]], _ readers: [ShardReader], _ options: SamplerOptions
    ) throws(LogitError) {
        let (clean, attacked) = (tables[0], tables.dropFirst())
        var doubtful: [RowPlace] = []
        var isCleanMissing = false
        for table in attacked {
            for (ordinal, place) in table {
                if clean[ordinal] == nil {
                    isCleanMissing = true
                    doubtful.append(place)
                } else if let status = readers[Int(place.shard)].columns.attack?.status[Int(place.row)],
                    policy(status, options) != .keep
                {
                    doubtful.append(place)
                }
            }
        }
        doubtful += clean.values.filter { isSkipped($0, readers, options) }
        if isCleanMissing {
            for (ordinal, place) in clean where attacked.contains(where: { $0[ordinal] == nil }) {
                doubtful.append(place)
            }
        }
        let row = UnsafeMutableBufferPointer<Float>.allocate(capacity: readers[0].classCount)
        defer { row.deallocate() }
        let scratch = RowScratch()
        // In the order on disk, so that a compressed chunk is decoded for neighbours together and errors come out alike.
        for place in doubtful.sorted(by: { ($0.shard, $0.row) < ($1.shard, $1.row) }) {
            try readers[Int(place.shard)].copyLogits(row: Int(place.row), into: row, scratch: scratch)
        }
    }

    /// A clean row that is invalid stands for nothing: unless invalid rows are kept, its image is left out.
    private static func isSkipped(_ clean: RowPlace?, _ readers: [ShardReader], _ options: SamplerOptions) -> Bool {
        guard let clean, options.invalidTwins != .keep else { return false }
        return readers[Int(clean.shard)].columns.isInvalid(Int(clean.row))
    }

    static func policy(_ status: UInt8, _ options: SamplerOptions) -> TwinPolicy {
        switch Outcome(rawValue: status) {
        case .failed: options.failedTwins
        case .invalid: options.invalidTwins
        default: .keep
        }
    }

    /// The shards of clean and of each attack.
    private static func choose(
        _ subject: [ShardEntry], _ attacks: [String], _ view: Int, _ what: String, _ manifest: SnapshotManifest
    ) throws(LogitError) -> [[ShardEntry]] {
        let known = Set(subject.map { $0.key.variant.canonical }).sorted().joined(separator: ", ")
        var chosen: [[ShardEntry]] = []
        for attack in ["clean"] + attacks {
            let entries = subject.filter {
                $0.key.variant.canonical == attack && $0.key.view == (attack == "clean" ? 0 : view)
            }
            guard !entries.isEmpty else {
                throw LogitError(
                    .notFound,
                    "snapshot \(manifest.id.prefix(12)) has no rows of \(what) under \(attack); it has \(known.isEmpty ? "none at all" : known)"
                )
            }
            chosen.append(entries)
        }
        let first = chosen[0][0]
        for entry in chosen.joined() {
            let same =
                entry.key.datasetDigest == first.key.datasetDigest && entry.key.networkDigest == first.key.networkDigest
                && entry.key.preprocessing == first.key.preprocessing && entry.classCount == first.classCount
            guard same else {
                throw LogitError(
                    .stale,
                    "shards \(first.path) and \(entry.path) come from different images, modules or preprocessing under the same names; they cannot be mixed"
                )
            }
        }
        return chosen
    }

    /// Opens a shard and compares it with what the snapshot says it is.
    private static func open(_ entry: ShardEntry, _ root: String, verifyEvery: Bool) throws(LogitError) -> ShardReader {
        let reader = try ShardReader(path: "\(root)/\(entry.path)", verifyEvery: verifyEvery)
        guard reader.header.key == entry.key, reader.header.contentDigest == entry.contentDigest,
            reader.classCount == entry.classCount
        else {
            throw LogitError(
                .stale,
                "shard \(reader.path) is not the one that the snapshot holds; put back a copy, or run logit verify")
        }
        return reader
    }

    private static func check(_ selection: SelectionFile, _ key: UnitKey) throws(LogitError) {
        guard selection.dataset == key.dataset, selection.split == key.split,
            selection.datasetDigest == key.datasetDigest
        else {
            throw LogitError(
                .usage,
                selection.dataset == key.dataset && selection.split == key.split
                    ? "selection \(selection.name) is of other images of \(key.dataset)/\(key.split) than these rows (list digest \(selection.datasetDigest.prefix(12)), not \(key.datasetDigest.prefix(12))); make another selection"
                    : "selection \(selection.name) is of \(selection.dataset)/\(selection.split), not of \(key.dataset)/\(key.split); choose that split, or another selection"
            )
        }
    }
}
