import GRDB
import Glibc
import Logits
import Platform
import Shards

/// A committed shard as the catalogue knows it.
package struct StoredUnit: Sendable {
    package let key: UnitKey
    package let path: String
    package let classCount: Int
    package let contentDigest: String
    package let fileDigest: String
    package let fileBytes: Int
    /// What more the catalogue knows; a unit that a former version indexed lacks parts of it until `logit repair`.
    package let details: ShardDetails
    /// XXH3-128 of its rows in the catalogue, as they were indexed; nil where a former version indexed them.
    let rowDigest: String?
    /// JSON of the shard: what made it; nil where a former version indexed it.
    let software: String?

    /// How images are kept beside the rows; nil where none are.
    package var keptImages: ImagePrecision? { details.keptImages }

    package init(
        key: UnitKey, path: String, classCount: Int, contentDigest: String, fileDigest: String, fileBytes: Int,
        details: ShardDetails, rowDigest: String? = nil, software: String? = nil
    ) {
        self.key = key
        self.path = path
        self.classCount = classCount
        self.contentDigest = contentDigest
        self.fileDigest = fileDigest
        self.fileBytes = fileBytes
        self.details = details
        self.rowDigest = rowDigest
        self.software = software
    }

    package var entry: ShardEntry {
        ShardEntry(
            path: path, key: key, classCount: classCount, contentDigest: contentDigest, fileDigest: fileDigest,
            fileBytes: fileBytes, details: details)
    }
}

extension Corpus {
    // MARK: Writing

    /// Makes the rows of one unit part of the corpus: shard in staging, synced, renamed, then one transaction.
    ///
    /// - Parameters:
    ///   - computed: the unit's rows in list order; `key.rowCount` of them, with their logits as computed.
    ///   - images: one a row, or nil to keep none.
    ///   - encoding: how the logits are stored; here they are rounded to its precision.
    /// - Returns: what rounding did, unless the precision is exact.
    /// - Throws: `badInput`, naming the row, where a logit is larger than the precision holds.
    @discardableResult
    package func commit(
        _ computed: RowTable, images: KeptImages?, key: UnitKey, blockRows: Int, softwareJSON: String,
        encoding: ShardEncoding
    ) throws(LogitError) -> Rounding? {
        requireWriting()
        let (unit, rounding) = try prepare(
            computed, images: images, key: key, blockRows: blockRows, softwareJSON: softwareJSON, encoding: encoding)
        try index([(try store(unit), unit.table, unit.header.created)])
        return rounding
    }

    /// SHA-256 over the unit key and every stored value.
    static func contentDigest(
        _ key: UnitKey, _ table: RowTable, _ images: KeptImages?, _ precision: Precision,
        _ checksums: RowChecksums? = nil
    ) -> String {
        var digest = Digest()
        ContentDigest.visit(key, table, images: images, precision: precision, checksums: checksums) { digest.add($0) }
        return digest.hex()
    }

    /// Reads and checks a shard file whole: every row's checksum, the content digest, the place its key belongs to. Kept
    /// images are read and checked one by one, and not returned.
    /// - Parameter isKnown: whether somebody vouches for a file of this digest; HDF5 sees others first in a child process.
    func readUnit(
        _ relative: String, isKnown: (String) -> Bool = { _ in false }
    ) throws(LogitError) -> (StoredUnit, RowTable, String) {
        try Corpus.readShard(layout.absolute(relative), at: relative, isKnown: isKnown)
    }

    /// The same of a file anywhere.
    /// - Parameters:
    ///   - relative: where it is to belong; nil: its place as a file that `compact` wrote.
    ///   - isKnown: as of `readUnit`.
    static func readShard(
        _ path: String, at relative: String?, isKnown: (String) -> Bool
    ) throws(LogitError) -> (StoredUnit, RowTable, String) {
        let file = try FileDigests(path)
        if !isKnown(file.digest) { try ForeignShard.check(path) }
        let reader = try ShardReader(path: path)
        try reader.verify()
        let table = try reader.table(0..<reader.rowCount)
        let key = reader.header.key
        var content = Digest()
        try reader.visitContent(table) { content.add($0) }
        guard content.hex() == reader.header.contentDigest else {
            throw LogitError(
                .corrupt,
                "shard \(path) does not hold what its content digest says; run logit repair, which sets it aside")
        }
        let compacted = Layout.shard(key, fileDigest: file.digest)
        guard relative == nil || relative == Layout.shard(key) || relative == compacted else {
            throw LogitError(
                .corrupt, "shard \(path) belongs at \(Layout.shard(key)), so it was moved or renamed; put it back there"
            )
        }
        let details = ShardDetails(
            table, fileChecksum: file.checksum, encoding: reader.encoding, blockRows: reader.header.blockRows,
            keptImages: reader.imageFormat?.precision)
        let unit = StoredUnit(
            key: key, path: relative ?? compacted, classCount: reader.classCount,
            contentDigest: reader.header.contentDigest,
            fileDigest: file.digest, fileBytes: file.bytes, details: details,
            software: reader.header.softwareJSON)
        return (unit, table, reader.header.created)
    }

    /// Paths of all shard files, relative to the corpus, sorted.
    func shardFiles() throws(LogitError) -> [String] {
        var found: [String] = []
        var pending = ["shards"]
        while let folder = pending.popLast() {
            for name in try Files.list(layout.absolute(folder)) {
                let path = "\(folder)/\(name)"
                if Files.isDirectory(layout.absolute(path)) {
                    pending.append(path)
                } else if name.hasSuffix(".h5") {
                    found.append(path)
                }
            }
        }
        return found.sorted()
    }

    /// Commits units to the catalogue in one transaction.
    package func index(_ units: [(StoredUnit, RowTable, String)]) throws(LogitError) {
        try catalog.write { db in
            for (unit, table, created) in units { try UnitIndexer(db).add(unit, table, created: created) }
        }
    }

    // MARK: Reading

    /// All committed units, by path.
    package func units() throws(LogitError) -> [StoredUnit] { try Corpus.units(catalog) }

    static func units(_ catalog: Catalog) throws(LogitError) -> [StoredUnit] {
        try catalog.read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT d.name AS dataset, s.name AS split, s.digest AS dataset_digest, n.name AS network,
                           n.digest AS network_digest, n.preprocessing, n.class_count, a.name AS attack_name, a.canonical,
                           a.parameters, u.*
                    FROM unit_index u
                    JOIN split_index s ON s.id = u.split_id
                    JOIN dataset_index d ON d.id = s.dataset_id
                    JOIN network_index n ON n.id = u.network_id
                    JOIN attack_index a ON a.id = u.attack_id
                    ORDER BY u.path
                    """
            ).map { row in
                let place: String = try row.value("path")
                guard Manifests.isInside(place) else {
                    throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "a shard at \(place)")
                }
                let kept = try row.value("kept_images", as: String?.self)
                guard kept == nil || kept.flatMap(ImagePrecision.init) != nil else {
                    throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "\(place) keeps images as \(kept ?? "")")
                }
                let variant = Variant(
                    name: try row.value("attack_name"), canonical: try row.value("canonical"),
                    parametersJSON: try row.value("parameters"))
                let key = UnitKey(
                    dataset: try row.value("dataset"), split: try row.value("split"),
                    datasetDigest: try row.value("dataset_digest"),
                    network: try row.value("network"), networkDigest: try row.value("network_digest"),
                    preprocessing: try row.value("preprocessing"),
                    variant: variant, view: try row.value("view"),
                    seed: UInt64(bitPattern: try row.value("seed", as: Int64.self)),
                    listDigest: try row.value("list_digest"), firstPosition: try row.value("first_position"),
                    rowCount: try row.value("row_count"))
                let unit = StoredUnit(
                    key: key, path: place, classCount: try row.value("class_count"),
                    contentDigest: try row.value("content_digest"),
                    fileDigest: try row.value("file_digest"), fileBytes: try row.value("file_bytes"),
                    // A column that a catalogue of a former version does not have gives nil.
                    details: ShardDetails(
                        fileChecksum: try row.value("file_checksum"), codec: try row.value("codec"),
                        precision: try row.value("precision"),
                        blockRows: try row.value("block_rows"),
                        keptImages: kept.flatMap(ImagePrecision.init),
                        hasStatus8bit: try row.value("status_8bit"), ordinals: try row.value("ordinals")),
                    rowDigest: try row.value("row_digest"), software: try row.value("software"))
                guard Manifests.isPossible(unit.entry) else {
                    throw DatabaseError(
                        resultCode: .SQLITE_CORRUPT,
                        message: "\(place) of \(key.rowCount) rows, \(unit.classCount) classes, \(unit.fileBytes) bytes"
                    )
                }
                return unit
            }
        }
    }
}

extension ShardDetails {
    init(
        _ table: RowTable, fileChecksum: String, encoding: ShardEncoding, blockRows: Int, keptImages: ImagePrecision?
    ) {
        self.init(
            fileChecksum: fileChecksum, codec: encoding.codec.rawValue, precision: encoding.precision.description,
            blockRows: blockRows, keptImages: keptImages, hasStatus8bit: table.attack?.status8bit != nil,
            ordinals: OrdinalRanges.text(table.ordinal))
    }
}
