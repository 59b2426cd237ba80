import ArgumentParser
import CorpusStore
import Foundation
import Logits
import Platform
import Shards

/// Our side of tools/bench-store: what a measurement prints, as JSON in one line.
struct StoreFigures: Codable {
    let wall: Double
    let cpu: Double
    var rows: Int?
    var bytes: Int?

    init(_ timing: Timing, rows: Int? = nil, bytes: Int? = nil) {
        (wall, cpu) = (timing.wall, timing.cpu)
        self.rows = rows
        self.bytes = bytes
    }
}

func printLine(_ value: some Encodable) throws {
    print(String(decoding: try JSONEncoder().encode(value), as: UTF8.self))
}

struct StoreWriteBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store-write",
        abstract: "Write logits from memory until they are synced, and print seconds and bytes as JSON.")

    enum What: String, ExpressibleByArgument, CaseIterable {
        /// Shards, catalogue and snapshot of a corpus.
        case corpus
        /// The shard files alone.
        case shards
        /// write() and fsync of the logits, nothing else.
        case plain
    }

    @Option(help: "Raw little-endian float32, rows × classes.") var logits: String
    @Option(help: "Values a row.") var classes: Int
    @Option(help: "An empty folder.") var folder: String
    @Option(help: "corpus, shards or plain.") var what = What.corpus
    @Option(help: "raw or zstd.") var codec = "raw"
    @Option(help: "Rows a shard.") var unitRows = 4096
    @Option(help: "Rows a chunk under zstd; the default is the format's.") var chunkRows: Int?

    func run() throws {
        guard let codec = Codec(rawValue: codec), classes >= 2, unitRows >= 1 else {
            throw ValidationError("a codec is raw or zstd; classes are at least 2, rows a shard at least 1")
        }
        let encoding = ShardEncoding(codec: codec, chunkRows: chunkRows)
        try encoding.check(classCount: classes)
        let bytes = try MappedFile(logits)
        let values = withExtendedLifetime(bytes) { [Float](bytes.bytes.bindMemory(to: Float.self)) }
        guard values.count % classes == 0 else { throw ValidationError("\(logits) is no whole number of rows") }
        let timing: Timing
        switch what {
        case .plain: timing = try Timing { try writePlainly(values) }
        case .shards: timing = try writeShards(values, encoding)
        case .corpus: timing = try writeCorpus(values, encoding)
        }
        try printLine(StoreFigures(timing, rows: values.count / classes, bytes: try size(of: folder)))
    }

    /// The fastest that the file system takes these bytes: one file, pieces of 16 MiB, one fsync.
    private func writePlainly(_ values: [Float]) throws {
        let path = "\(folder)/plain"
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw Files.failure("create", path, errno: errno) }
        defer { close(descriptor) }
        try values.withUnsafeBytes { bytes in
            var offset = 0
            while offset < bytes.count {
                let put = write(descriptor, bytes.baseAddress! + offset, min(16 << 20, bytes.count - offset))
                guard put > 0 else { throw Files.failure("write", path, errno: errno) }
                offset += put
            }
        }
        guard fsync(descriptor) == 0 else { throw Files.failure("sync", path, errno: errno) }
        try Files.sync(folder)
    }

    private func writeShards(_ values: [Float], _ encoding: ShardEncoding) throws -> Timing {
        let units = SyntheticCorpus(rows: values.count / classes, classes: classes, unitRows: unitRows)
        let tables = units.tables(values)
        return try Timing {
            for (key, table) in zip(units.keys, tables) {
                var digest = Digest()
                let checksums = RowChecksums(table, images: nil, precision: .float32)
                ContentDigest.visit(key, table, images: nil, precision: .float32, checksums: checksums) {
                    digest.add($0)
                }
                let header = ShardHeader(
                    key: key, classCount: classes, blockRows: 32, contentDigest: digest.hex(), softwareJSON: "{}",
                    created: "2026-01-01T00:00:00Z")
                let path = "\(folder)/\(key.firstPosition).h5"
                try ShardWriter.layOut(
                    table, images: nil, header: header, encoding: encoding, rounding: nil, checksums: checksums,
                    for: path
                ).write(to: path)
            }
            try Files.sync(folder)
        }
    }

    private func writeCorpus(_ values: [Float], _ encoding: ShardEncoding) throws -> Timing {
        let units = SyntheticCorpus(rows: values.count / classes, classes: classes, unitRows: unitRows)
        let tables = units.tables(values)
        let corpus = try units.create(at: folder)
        return try Timing {
            try corpus.committing { (queue) throws(LogitError) in
                for (key, table) in zip(units.keys, tables) {
                    _ = try queue.add(
                        table, images: nil, key: key, blockRows: 32, softwareJSON: "{}", encoding: encoding)
                }
            }
            try corpus.createSnapshot(message: "bench")
        }
    }

    private func size(of folder: String) throws -> Int {
        var sum = 0
        for name in try Files.list(folder) {
            let path = "\(folder)/\(name)"
            sum += Files.isDirectory(path) ? try size(of: path) : try Files.size(path)
        }
        return sum
    }
}

/// A corpus of one dataset and one network whose images do not exist: rows in order, labels by turns.
struct SyntheticCorpus {
    let rows: Int
    let classes: Int
    let unitRows: Int
    private let images: [ListedImage]
    private let split: SplitDescriptor
    private let network: NetworkDescriptor

    init(rows: Int, classes: Int, unitRows: Int) {
        self.rows = rows
        self.classes = classes
        self.unitRows = unitRows
        let images = (0..<rows).map { row in
            ListedImage(
                id: "class\(row % classes)/image\(row).png", label: Int32(row % classes), digest: Digest.hex("\(row)"))
        }
        self.images = images
        split = SplitDescriptor(
            dataset: "generated", split: "train", source: "none", kind: "folder",
            classNames: (0..<classes).map { "class\($0)" }, imageCount: rows,
            digest: Digest.hex(Corpus.imageListBytes(images)), height: 32, width: 32, created: "2026-01-01T00:00:00Z")
        network = NetworkDescriptor(
            name: "generated", digest: Digest.hex("no module"), height: 32, width: 32, classCount: classes, mean: nil,
            standardDeviation: nil, blockRows: 32, fold: false, source: "none", created: "2026-01-01T00:00:00Z")
    }

    func create(at folder: String) throws -> Corpus {
        try Corpus.create(at: folder)
        let corpus = try Corpus(at: folder, .writing)
        try corpus.addSplit(split, images: images)
        try corpus.addNetwork(network, module: Array("no module".utf8))
        return corpus
    }

    private var ranges: [Range<Int>] {
        stride(from: 0, to: rows, by: unitRows).map { $0..<min($0 + unitRows, rows) }
    }

    var keys: [UnitKey] {
        let list = Digest.hex((0..<rows).map { "\($0)\n" }.joined())
        return ranges.map { range in
            UnitKey(
                dataset: split.dataset, split: split.split, datasetDigest: split.digest, network: network.name,
                networkDigest: network.digest, preprocessing: network.preprocessing, variant: .clean, view: 0, seed: 0,
                listDigest: list, firstPosition: range.lowerBound, rowCount: range.count)
        }
    }

    func tables(_ values: [Float]) -> [RowTable] {
        ranges.map { range in
            let part = Array(values[range.lowerBound * classes..<range.upperBound * classes])
            return RowTable(
                classCount: classes, logits: part, ordinal: range.map(Int64.init), image: images[range].map(\.id),
                label: images[range].map(\.label),
                prediction: range.map { row in argMax(values[row * classes..<(row + 1) * classes]) })
        }
    }
}
