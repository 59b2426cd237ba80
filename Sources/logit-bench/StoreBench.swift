import ArgumentParser
import CorpusStore
import Foundation
import Logits
import Networks
import Platform
import Shards

/// One JSON value on standard output.
private func printJSON(_ value: some Encodable) {
    FileHandle.standardOutput.write(Data(JSONFile.encode(value)))
}

struct VerifyBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract:
            "A full verify of a corpus against plain XXH3 passes over its shards, in turn, from the page cache; JSON.")
    @Argument(help: "The corpus folder.") var corpus: String
    @Option(help: "Repetitions; medians are printed.") var repetitions = 5

    private struct Result: Encodable {
        var shards = 0
        var rows = 0
        var bytes = 0
        /// Seconds: one pass of one thread, read or mapped; the same by a thread a core; verify, with a thread a core.
        var plainRead = 0.0
        var plainMapped = 0.0
        var plainReadAllCores = 0.0
        var verify = 0.0
        var verifyCPU = 0.0
        var plainReadCPU = 0.0
        /// Rates of verify over those of the plain passes.
        var ofPlainRead = 0.0
        var ofPlainMapped = 0.0
        var ofPlainReadAllCores = 0.0
    }

    func run() throws {
        let opened = try Corpus(at: corpus, .reading)
        let paths = try opened.units().map { opened.layout.absolute($0.path) }
        var timings: [[Timing]] = [[], [], [], []]
        var report = Verify.Report()
        for repetition in 0...repetitions {
            let round = [
                try Timing { for path in paths { _ = try Checksum128.file(path) } },
                try Timing {
                    for path in paths {
                        let file = try MappedFile(path)
                        withExtendedLifetime(file) { _ = Checksum128.hex(file.bytes) }
                    }
                },
                Timing {
                    inParallel(usableCoreCount()) { thread in
                        for place in stride(from: thread, to: paths.count, by: usableCoreCount()) {
                            _ = try? Checksum128.file(paths[place])
                        }
                    }
                },
                try Timing { report = try Verify.run(opened, quick: false) { _, _ in } },
            ]
            guard repetition > 0 else { continue }  // warms the page cache
            for (place, timing) in round.enumerated() { timings[place].append(timing) }
        }
        guard report.problems.isEmpty else { throw LogitError(.corrupt, report.problems[0]) }
        var result = Result(shards: report.shards, rows: report.rows, bytes: report.bytes)
        let wall = timings.map { median($0.map(\.wall)) }
        (result.plainRead, result.plainMapped, result.plainReadAllCores, result.verify) = (
            wall[0], wall[1], wall[2], wall[3]
        )
        (result.plainReadCPU, result.verifyCPU) = (median(timings[0].map(\.cpu)), median(timings[3].map(\.cpu)))
        func ratio(_ place: Int) -> Double { median(zip(timings[place], timings[3]).map { $0.wall / $1.wall }) }
        (result.ofPlainRead, result.ofPlainMapped, result.ofPlainReadAllCores) = (ratio(0), ratio(1), ratio(2))
        printJSON(result)
    }
}

struct CatalogBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "catalog",
        abstract:
            "A synthetic catalogue by the real indexer: time to index, bytes a row, and the time of queries; JSON.")
    @Argument(help: "A folder to make; 3 GB for 20 million rows.") var folder: String
    @Option(help: "Images of the split.") var images = 1_333_248
    @Option(help: "Networks.") var networks = 3
    @Option(help: "clean and attacks.") var attacks = "clean,fgsm,pgd,mim,cw"
    @Option(help: "Logits a row.") var classes = 1000
    @Option(help: "Rows a unit.") var unitRows = 4096
    @Option(help: "Point queries.") var queries = 1000

    private struct Result: Encodable {
        var rows = 0
        var units = 0
        /// Of the catalogue, after the images were listed, and after the rows were.
        var imageBytes = 0
        var bytes = 0
        var bytesARow = 0.0
        /// Seconds for each million rows in turn, statistics of the logits included.
        var secondsAMillion: [Double] = []
        var accuracyMilliseconds: [Double] = []
        /// From the summaries of the units: outcomes, one statistic, all statistics.
        var successMilliseconds: [Double] = []
        var oneStatisticMilliseconds: [Double] = []
        var statisticsMilliseconds: [Double] = []
        /// Of all point queries in one connection, the first of them in a cold connection.
        var pointMilliseconds = 0.0
        var point99Milliseconds = 0.0
        var firstPointMilliseconds = 0.0
        /// Of one network and attack, counted and averaged through the view `rows`.
        var scanSeconds = 0.0
        var quickVerifySeconds = 0.0
    }

    func run() throws {
        var result = Result()
        try Corpus.create(at: folder)
        do {
            let corpus = try Corpus(at: folder, .writing)
            let split = try addSplit(corpus)
            result.imageBytes = try Files.size(corpus.layout.catalog)
            try index(corpus, split, &result)
        }
        try measure(try Corpus(at: folder, .reading), &result)
        printJSON(result)
    }

    private func addSplit(_ corpus: Corpus) throws -> SplitDescriptor {
        let listed = (0..<images).map { ordinal in
            ListedImage(id: name(ordinal), label: label(ordinal), digest: Digest.hex("\(ordinal)"))
        }
        let split = SplitDescriptor(
            dataset: "imagenet", split: "train", source: "/data/imagenet/train", kind: "folder",
            classNames: (0..<classes).map { "n\(10_000_000 + $0)" }, imageCount: images,
            digest: Digest.hex(Corpus.imageListBytes(listed)), height: nil, width: nil, created: timestamp())
        try corpus.addSplit(split, images: listed)
        for network in 0..<networks {
            let module = Array("network \(network)".utf8)
            try corpus.addNetwork(
                NetworkDescriptor(
                    name: "network\(network)", digest: Digest.hex(module), height: 224, width: 224, classCount: classes,
                    mean: nil, standardDeviation: nil, blockRows: 8, fold: false, source: "", created: timestamp()),
                module: module)
        }
        return split
    }

    private func label(_ ordinal: Int) -> Int32 { Int32(ordinal * classes / images) }
    private func name(_ ordinal: Int) -> String {
        let label = 10_000_000 + Int(label(ordinal))
        return "n\(label)/n\(label)_\(ordinal).JPEG"
    }

    /// Unit after unit as an ingest commits them: one transaction each.
    private func index(_ corpus: Corpus, _ split: SplitDescriptor, _ result: inout Result) throws {
        let choices = try AttackRegistry.choices(attacks)
        let random = Philox(key: 1)
        let logits = (0..<unitRows * classes).map { Float(random.uniform(UInt64($0)) * 20 - 10) }
        let predictions = (0..<unitRows).map { argMax(logits[$0 * classes..<($0 + 1) * classes]) }
        var seconds = 0.0
        var million = 0
        for choice in choices {
            for network in try corpus.networks() {
                for first in stride(from: 0, to: images, by: unitRows) {
                    let ordinals = first..<min(first + unitRows, images)
                    var table = RowTable(
                        classCount: classes, logits: Array(logits[..<(ordinals.count * classes)]),
                        ordinal: ordinals.map(Int64.init), image: ordinals.map(name), label: ordinals.map(label),
                        prediction: Array(predictions[..<ordinals.count]))
                    if !choice.variant.isClean { table.attack = columns(ordinals.count) }
                    let unit = unit(split, network, choice.variant, ordinals)
                    seconds += try Timing { try corpus.index([(unit, table, timestamp())]) }.wall
                    million += ordinals.count
                    result.rows += ordinals.count
                    result.units += 1
                    if million >= 1_000_000 {
                        result.secondsAMillion.append(seconds / Double(million) * 1e6)
                        (seconds, million) = (0, 0)
                    }
                }
            }
        }
        if million > 0 { result.secondsAMillion.append(seconds / Double(million) * 1e6) }
    }

    private func columns(_ count: Int) -> AttackColumns {
        AttackColumns(
            cleanPrediction: [Int32](repeating: 1, count: count), status: (0..<count).map { UInt8($0 % 2) },
            iterations: [Int32](repeating: 20, count: count), perturbationL2: (0..<count).map { Float($0) / 7 },
            perturbationLinf: [Float](repeating: 16 / 255, count: count))
    }

    private func unit(
        _ split: SplitDescriptor, _ network: NetworkDescriptor, _ variant: Variant, _ ordinals: Range<Int>
    ) -> StoredUnit {
        let key = UnitKey(
            dataset: split.dataset, split: split.split, datasetDigest: split.digest, network: network.name,
            networkDigest: network.digest, preprocessing: network.preprocessing, variant: variant, view: 0, seed: 0,
            listDigest: split.digest, firstPosition: ordinals.lowerBound, rowCount: ordinals.count)
        let digest = Digest.hex(key.canonicalText)
        return StoredUnit(
            key: key, path: Layout.shard(key), classCount: classes, contentDigest: digest, fileDigest: digest,
            fileBytes: ordinals.count * classes * 4,
            details: ShardDetails(
                fileChecksum: String(digest.prefix(32)), codec: "raw", precision: "float32", blockRows: 8,
                hasStatus8bit: false, ordinals: "\(ordinals.lowerBound)-\(ordinals.upperBound - 1)"))
    }

    private func measure(_ corpus: Corpus, _ result: inout Result) throws {
        result.bytes = try Files.size(corpus.layout.catalog)
        result.bytesARow = Double(result.bytes - result.imageBytes) / Double(result.rows)
        let query = try ReadOnlyQuery(corpus, at: nil) { false }
        func milliseconds(_ sql: String) throws -> Double {
            var rows = 0
            let time = try Timing { _ = try query.run(sql) { _, _ in rows += 1 } }.wall
            guard rows > 0 else { throw LogitError(.corrupt, "no row answers \(sql)") }
            return time * 1e3
        }
        let canonical = try AttackRegistry.choices(attacks).map(\.variant.canonical)
        let random = Philox(key: 2)
        var points: [Double] = []
        for place in 0..<queries {
            let image = name(Int(random.uniform(UInt64(3 * place)) * Double(images)))
            let attack = canonical[Int(random.uniform(UInt64(3 * place + 1)) * Double(canonical.count))]
            let network = Int(random.uniform(UInt64(3 * place + 2)) * Double(networks))
            points.append(
                try milliseconds(
                    "SELECT * FROM rows WHERE image = '\(image)' AND network = 'network\(network)' AND attack = '\(attack)'"
                ))
        }
        result.firstPointMilliseconds = points[0]
        result.pointMilliseconds = median(points)
        result.point99Milliseconds = points.sorted()[points.count * 99 / 100]
        for _ in 0..<5 {
            result.accuracyMilliseconds.append(
                try milliseconds("SELECT network, attack, rows, accuracy FROM accuracy ORDER BY network, attack"))
            result.successMilliseconds.append(try milliseconds("SELECT * FROM attack_success"))
            result.oneStatisticMilliseconds.append(
                try milliseconds("SELECT * FROM statistics WHERE statistic = 'label_margin'"))
            result.statisticsMilliseconds.append(try milliseconds("SELECT * FROM statistics"))
        }
        result.scanSeconds =
            try milliseconds(
                "SELECT count(*), avg(label_margin) FROM rows WHERE network = 'network1' AND attack = '\(canonical.last ?? "clean")'"
            ) / 1e3
        result.quickVerifySeconds = try Timing { _ = try Verify.run(corpus, quick: true) { _, _ in } }.wall
    }
}
