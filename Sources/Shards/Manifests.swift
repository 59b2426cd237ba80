import FoundationEssentials
import Logits
import Platform

/// One shard as a snapshot lists it.
package struct ShardEntry: Codable, Sendable, Equatable {
    /// Relative to the corpus.
    package var path: String
    package var key: UnitKey
    package var classCount: Int
    package var contentDigest: String
    /// SHA-256 of the file's bytes.
    package var fileDigest: String
    package var fileBytes: Int
    /// Absent in manifests of before.
    package var details: ShardDetails

    package init(
        path: String, key: UnitKey, classCount: Int, contentDigest: String, fileDigest: String, fileBytes: Int,
        details: ShardDetails = ShardDetails()
    ) {
        self.path = path
        self.key = key
        self.classCount = classCount
        self.contentDigest = contentDigest
        self.fileDigest = fileDigest
        self.fileBytes = fileBytes
        self.details = details
    }

    private enum CodingKeys: String, CodingKey {
        case path, dataset, split, network, preprocessing, attack, view, seed, rows, classes
        case datasetDigest = "dataset_digest"
        case networkDigest = "network_digest"
        case attackName = "attack_name"
        case attackParameters = "attack_parameters"
        case listDigest = "list_digest"
        case firstPosition = "first_position"
        case contentDigest = "content_digest"
        case fileDigest = "file_digest"
        case fileBytes = "file_bytes"
    }

    package func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(path, forKey: .path)
        try fields.encode(key.dataset, forKey: .dataset)
        try fields.encode(key.split, forKey: .split)
        try fields.encode(key.datasetDigest, forKey: .datasetDigest)
        try fields.encode(key.network, forKey: .network)
        try fields.encode(key.networkDigest, forKey: .networkDigest)
        try fields.encode(key.preprocessing, forKey: .preprocessing)
        try fields.encode(key.variant.canonical, forKey: .attack)
        try fields.encode(key.variant.name, forKey: .attackName)
        try fields.encode(key.variant.parametersJSON, forKey: .attackParameters)
        try fields.encode(key.view, forKey: .view)
        try fields.encode(key.seed, forKey: .seed)
        try fields.encode(key.listDigest, forKey: .listDigest)
        try fields.encode(key.firstPosition, forKey: .firstPosition)
        try fields.encode(key.rowCount, forKey: .rows)
        try fields.encode(classCount, forKey: .classes)
        try fields.encode(contentDigest, forKey: .contentDigest)
        try fields.encode(fileDigest, forKey: .fileDigest)
        try fields.encode(fileBytes, forKey: .fileBytes)
        try details.encode(to: encoder)
    }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        let variant = Variant(
            name: try fields.decode(String.self, forKey: .attackName),
            canonical: try fields.decode(String.self, forKey: .attack),
            parametersJSON: try fields.decode(String.self, forKey: .attackParameters))
        key = UnitKey(
            dataset: try fields.decode(String.self, forKey: .dataset),
            split: try fields.decode(String.self, forKey: .split),
            datasetDigest: try fields.decode(String.self, forKey: .datasetDigest),
            network: try fields.decode(String.self, forKey: .network),
            networkDigest: try fields.decode(String.self, forKey: .networkDigest),
            preprocessing: try fields.decode(String.self, forKey: .preprocessing), variant: variant,
            view: try fields.decode(Int.self, forKey: .view), seed: try fields.decode(UInt64.self, forKey: .seed),
            listDigest: try fields.decode(String.self, forKey: .listDigest),
            firstPosition: try fields.decode(Int.self, forKey: .firstPosition),
            rowCount: try fields.decode(Int.self, forKey: .rows))
        path = try fields.decode(String.self, forKey: .path)
        classCount = try fields.decode(Int.self, forKey: .classes)
        contentDigest = try fields.decode(String.self, forKey: .contentDigest)
        fileDigest = try fields.decode(String.self, forKey: .fileDigest)
        fileBytes = try fields.decode(Int.self, forKey: .fileBytes)
        details = try ShardDetails(from: decoder)
    }
}

/// snapshots/ID.json: an immutable set of shards.
package struct SnapshotManifest: Codable, Sendable, Equatable {
    package var formatVersion: Int
    package var id: String
    package var tree: String
    package var parent: String?
    package var message: String
    package var created: String
    package var shards: [ShardEntry]

    package init(
        formatVersion: Int, id: String, tree: String, parent: String?, message: String, created: String,
        shards: [ShardEntry]
    ) {
        self.formatVersion = formatVersion
        self.id = id
        self.tree = tree
        self.parent = parent
        self.message = message
        self.created = created
        self.shards = shards
    }

    private enum CodingKeys: String, CodingKey {
        case id, tree, parent, message, created, shards
        case formatVersion = "format_version"
    }
}

/// selections/NAME.json: a named set of images.
package struct SelectionFile: Codable, Sendable, Equatable {
    package var formatVersion: Int
    package var name: String
    package var dataset: String
    package var split: String
    package var datasetDigest: String
    package var ordinals: [Int64]
    package var images: [String]
    /// Absent where it is no fold.
    package var fold: SelectionFold?
    /// How it was made, as a sentence.
    package var provenance: String
    package var created: String

    package init(
        formatVersion: Int, name: String, dataset: String, split: String, datasetDigest: String, ordinals: [Int64],
        images: [String], provenance: String, created: String
    ) {
        self.formatVersion = formatVersion
        self.name = name
        self.dataset = dataset
        self.split = split
        self.datasetDigest = datasetDigest
        self.ordinals = ordinals
        self.images = images
        self.provenance = provenance
        self.created = created
    }

    private enum CodingKeys: String, CodingKey {
        case name, dataset, split, ordinals, images, fold, provenance, created
        case formatVersion = "format_version"
        case datasetDigest = "dataset_digest"
    }
}

/// Reads and writes manifests and selection files: what samplers and other programs need without the catalogue.
package enum Manifests {
    private static let currentVersion = 1
    private static let byteLimit = 1 << 28

    package static func encode(_ snapshot: SnapshotManifest) -> [UInt8] { json(snapshot) }
    package static func encode(_ selection: SelectionFile) -> [UInt8] { json(selection) }

    package static func readSnapshot(_ path: String) throws(LogitError) -> SnapshotManifest {
        let snapshot = try decode(SnapshotManifest.self, path)
        var paths: Set<String> = []
        for entry in snapshot.shards {
            guard isInside(entry.path), paths.insert(entry.path).inserted else {
                throw LogitError(
                    .corrupt,
                    "\(path) names the shard “\(entry.path.prefix(200))”, which cannot be of this corpus or is "
                        + "named twice; put back a copy of it")
            }
            guard isPossible(entry) else {
                throw LogitError(
                    .corrupt,
                    "\(path) describes the shard \(entry.path) with numbers that no shard has; put back a copy of it")
            }
        }
        return snapshot
    }

    package static func readSelection(_ path: String) throws(LogitError) -> SelectionFile {
        let selection = try decode(SelectionFile.self, path)
        guard selection.ordinals.count == selection.images.count, selection.ordinals.allSatisfy({ $0 >= 0 }),
            Set(selection.ordinals).count == selection.ordinals.count
        else {
            throw LogitError(
                .corrupt, "\(path) does not name each of its images once by ordinal and id; put back a copy of it")
        }
        return selection
    }

    /// Whether a shard can be of such numbers: none of what is computed with them overflows.
    package static func isPossible(_ entry: ShardEntry) -> Bool {
        isPossible(rows: entry.key.rowCount, classes: entry.classCount) && (0...1 << 40).contains(entry.key.view)
            && (0...1 << 40).contains(entry.key.firstPosition) && (1...1 << 44).contains(entry.fileBytes)
    }

    package static func isPossible(rows: Int, classes: Int) -> Bool {
        (1...ShardLimits.rows).contains(rows) && (2...ShardLimits.classes).contains(classes)
            && rows <= ShardLimits.logitBytes / 4 / classes
    }

    /// A plain path below `shards/`.
    package static func isInside(_ path: String) -> Bool {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count > 1 && parts[0] == "shards" && !parts.contains { $0.isEmpty || $0 == "." || $0 == ".." }
            && !path.utf8.contains(0)
    }

    private struct Version: Decodable {
        let formatVersion: Int
        private enum CodingKeys: String, CodingKey { case formatVersion = "format_version" }
    }

    static func decode<Value: Decodable>(_ type: Value.Type, _ path: String) throws(LogitError) -> Value {
        let data = Data(try Files.read(path, limit: byteLimit))
        let decoder = JSONDecoder()
        do {
            let version = try decoder.decode(Version.self, from: data).formatVersion
            guard version >= 1 else {
                throw LogitError(.corrupt, "\(path) has the format version \(version); put back a copy of it")
            }
            guard version <= currentVersion else {
                throw LogitError(
                    .environment,
                    "\(path) was written by a newer LogitCorpus (format version \(version)); use the newer program")
            }
            return try decoder.decode(type, from: data)
        } catch let error as LogitError {
            throw error
        } catch {
            throw LogitError(
                .corrupt, "\(path) is damaged or not what it should be; put back a copy of it", cause: "\(error)")
        }
    }

    static func json(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(value) else { preconditionFailure("a manifest that JSON cannot hold") }
        return Array(data) + [0x0A]
    }
}
