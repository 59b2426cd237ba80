import GRDB
import Logits
import Platform
import Shards

/// What was known of a corpus' shards before its catalogue is rebuilt: from the old catalogue as far as it can be read, and from
/// the manifests of its snapshots.
struct KnownShards {
    private var entries: [String: ShardEntry] = [:]
    private var snapshots: [String: [String]] = [:]
    private var digests: Set<String> = []
    /// XXH3-128 of the files that manifests and the old catalogue tell of, by path.
    private var checksums: [String: Set<String>] = [:]
    /// Keys of the units that snapshots hold.
    private(set) var inSnapshots: [UnitKey] = []
    /// Paths that the head snapshot names.
    private(set) var head: Set<String> = []
    private let old: Catalog?
    private let corpus: Corpus

    /// - Parameter corpus: with the catalogue that is being made.
    init(_ corpus: Corpus) throws(LogitError) {
        self.corpus = corpus
        old = try? Catalog.openForReading(corpus.layout.catalog)
        let headID = try? corpus.headSnapshotID()
        for id in try corpus.snapshotIDs() {
            guard let snapshot = try? corpus.manifest(id) else { continue }
            for shard in snapshot.shards {
                // The later of two manifests may know more.
                if entries[shard.path]?.details.ordinals == nil { entries[shard.path] = shard }
                if let checksum = shard.details.fileChecksum { checksums[shard.path, default: []].insert(checksum) }
                snapshots[shard.path, default: []].append(id)
            }
            if id == headID { head = Set(snapshot.shards.map(\.path)) }
            inSnapshots += snapshot.shards.map(\.key)
        }
        digests = Set(entries.values.map(\.fileDigest))
        for unit in (try? old.map(Corpus.units)) ?? [] {
            digests.insert(unit.fileDigest)
            if let checksum = unit.details.fileChecksum { checksums[unit.path, default: []].insert(checksum) }
            // A catalogue of another corpus may lie here: of another unit it says nothing about ours.
            if entries[unit.path].map({ $0.key == unit.key }) ?? true { entries[unit.path] = unit.entry }
        }
    }

    /// Everything known, by path.
    var all: [ShardEntry] { entries.values.sorted { $0.path < $1.path } }

    /// Whether a file of this digest was a shard of this corpus.
    func vouches(forFile digest: String) -> Bool { digests.contains(digest) }

    /// What is wrong with the bytes of a file, as far as its checksum was recorded; nil where nothing is.
    func damage(_ path: String) throws(LogitError) -> LogitError? {
        guard let expected = checksums[path] else { return nil }
        let absolute = corpus.layout.absolute(path)
        do throws(LogitError) {
            guard try !expected.contains(Checksum128.file(absolute).checksum) else { return nil }
        } catch {
            guard error.code != .io else { throw error }
            return error
        }
        return LogitError(.corrupt, "shard \(absolute) has changed since it was written (its checksum differs)")
    }

    /// The list of a shard that is lost.
    /// - Parameter path: of its file, which may be damaged or missing.
    func lost(_ path: String, reason: String, file: String?) -> LostShard {
        let reader = bearable(path)
        var entry = entries[path] ?? reader.map { Corpus.entry($0, path: path) }
        if let reader, let key = entry?.key, reader.header.key == key {
            entry?.details.fill(from: reader)
        }
        let ordinals = entry.flatMap { self.ordinals($0, reader) }
        let images = entry.flatMap { listed($0.key) }
        let names = ordinals?.compactMap { images?.indices.contains(Int($0)) == true ? images?[Int($0)].id : nil }
        let isWhole = names?.count == entry?.key.rowCount
        if let key = entry?.key, entry?.details.blockRows == nil { entry?.details.blockRows = blockRows(key) }
        return LostShard(
            path: path, reason: reason, file: file, shard: entry, ordinals: isWhole ? ordinals : nil,
            images: isWhole ? names : nil, snapshots: snapshots[path] ?? [], found: timestamp())
    }

    /// A shard, as far as HDF5 gets through it.
    private func bearable(_ path: String) -> ShardReader? {
        let absolute = corpus.layout.absolute(path)
        return ForeignShard.isBearable(absolute) ? try? ShardReader(path: absolute) : nil
    }

    private func listed(_ key: UnitKey) -> [ListedImage]? {
        guard let split = try? corpus.split(dataset: key.dataset, split: key.split), split.digest == key.datasetDigest
        else { return nil }
        return try? corpus.images(of: split)
    }

    /// From what was recorded; the old catalogue's rows; another unit of the same part of the same list; the shard itself,
    /// where its columns fit the image list.
    private func ordinals(_ entry: ShardEntry, _ reader: ShardReader?) -> [Int64]? {
        let count = entry.key.rowCount
        func parsed(_ entry: ShardEntry) -> [Int64]? {
            entry.details.ordinals.flatMap { OrdinalRanges.ordinals($0, count: count) }
        }
        if let recorded = parsed(entry) { return recorded }
        if let rows = indexed(entry.path), rows.count == count { return rows }
        let siblings = entries.values.filter {
            $0.key.listDigest == entry.key.listDigest && $0.key.firstPosition == entry.key.firstPosition
                && $0.key.rowCount == count && $0.key.datasetDigest == entry.key.datasetDigest && $0.path != entry.path
        }
        for sibling in siblings {
            if let recorded = parsed(sibling) { return recorded }
            if let rows = indexed(sibling.path), rows.count == count { return rows }
            if let reader = bearable(sibling.path), (try? reader.verify()) != nil, reader.header.key == sibling.key {
                return reader.columns.ordinal
            }
        }
        guard let reader, let images = listed(entry.key), reader.rowCount == count else { return nil }
        let columns = reader.columns
        let isPlausible = (0..<count).allSatisfy { row in
            let ordinal = Int(columns.ordinal[row])
            return images.indices.contains(ordinal) && images[ordinal].id == columns.image[row]
                && images[ordinal].label == columns.label[row]
        }
        return isPlausible && Set(columns.ordinal).count == count ? columns.ordinal : nil
    }

    private func indexed(_ path: String) -> [Int64]? {
        let rows = try? old?.read { db in
            try Int64.fetchAll(
                db,
                sql: """
                    SELECT i.ordinal FROM row_index r JOIN image_index i ON i.id = r.image_id
                    WHERE r.unit_id = (SELECT id FROM unit_index WHERE path = ?) ORDER BY r.shard_row
                    """, arguments: [path])
        }
        return rows.flatMap { $0 }
    }

    /// Of another unit of the same list, else the network's own.
    private func blockRows(_ key: UnitKey) -> Int? {
        let sibling = entries.values.first {
            $0.key.listDigest == key.listDigest && $0.key.network == key.network
                && $0.key.networkDigest == key.networkDigest && $0.details.blockRows != nil
        }
        if let rows = sibling?.details.blockRows { return rows }
        return (try? corpus.networks().first { $0.name == key.network && $0.digest == key.networkDigest })?.blockRows
    }
}

extension Corpus {
    /// What a shard says of itself, where no manifest and no catalogue does.
    fileprivate static func entry(_ reader: ShardReader, path: String) -> ShardEntry {
        ShardEntry(
            path: path, key: reader.header.key, classCount: reader.classCount,
            contentDigest: reader.header.contentDigest, fileDigest: "", fileBytes: (try? Files.size(reader.path)) ?? 1)
    }
}

extension ShardDetails {
    /// What is not known yet, from the shard's own attributes.
    fileprivate mutating func fill(from reader: ShardReader) {
        codec = codec ?? reader.codec.rawValue
        precision = precision ?? reader.precision.description
        blockRows = blockRows ?? reader.header.blockRows
        keptImages = keptImages ?? reader.imageFormat?.precision
        hasStatus8bit = hasStatus8bit ?? (reader.columns.attack?.status8bit != nil)
    }
}
