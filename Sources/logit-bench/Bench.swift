import ArgumentParser
import CorpusStore
import Foundation
import Images
import Ingestion
import Logits
import Networks
import Platform
import Torch

@main
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logit-bench", abstract: "Measurements that the documentation quotes.",
        subcommands: [
            IngestBench.self, BlockBench.self, AttackBench.self, StoreWriteBench.self, StoreReadBench.self,
            GatherBench.self, VerifyBench.self, TrainBench.self, CatalogBench.self,
        ])
}

/// Wall and CPU seconds of some work.
struct Timing {
    let wall: Double
    let cpu: Double

    init(_ body: () throws -> Void) rethrows {
        let (wall, cpu) = (Timing.clock(CLOCK_MONOTONIC), Timing.clock(CLOCK_PROCESS_CPUTIME_ID))
        try body()
        self.wall = Timing.clock(CLOCK_MONOTONIC) - wall
        self.cpu = Timing.clock(CLOCK_PROCESS_CPUTIME_ID) - cpu
    }

    private static func clock(_ id: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(id, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}

func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}

func text(_ value: Double, _ digits: Int = 2) -> String { String(format: "%.\(digits)f", value) }

/// What two busy threads do of twice one: shared cores sometimes do the work of one. And what computes.
func printCalibration() throws {
    @Sendable func spin() {
        var state: UInt64 = 1
        for _ in 0..<300_000_000 { state = state &* 6_364_136_223_846_793_005 &+ 1 }
        precondition(state != 0)
    }
    let one = Timing { spin() }.wall
    let two = Timing { inParallel(2) { _ in spin() } }.wall
    print("two busy threads do \(text(2 * one / two)) times the work of one")
    try TorchLibrary.shared().configure(intraOpThreads: 1)
    print("LibTorch: \(try TorchLibrary.shared().description())")
}

/// The images and network that a measurement runs on.
struct Subject: ParsableArguments {
    @Option(help: "TorchScript module.") var module: String
    @Option(help: "Images of the network's own size.") var images: String
    @Option(help: "Images taken.") var limit = 512
    @Option(help: "The attack, or clean.") var attack = "pgd"
    @Option(help: "Threads, each with one intra-op thread.") var workers = usableCoreCount()
    @Option(help: "Repetitions; medians are printed.") var repetitions = 5
    @Flag(inversion: .prefixedNo, help: "Fold batch norm into convolutions.") var fold = false

    func open() throws -> (classifier: TorchScriptClassifier, block: AttackBlock) {
        let set = try ImageSet.open(images, classNames: nil)
        let count = min(limit, set.entries.count)
        let first = try set.decode(try set.bytes(0), of: 0)
        let shape = ImageShape(height: first.height, width: first.width)
        let found = try NetworkProbe.inspect(
            path: module, candidates: [shape], mean: nil, standardDeviation: nil, fold: fold)
        var values = [Float](repeating: 0, count: count * shape.valueCount)
        for ordinal in 0..<count {
            let image = try set.decode(try set.bytes(ordinal), of: ordinal)
            values.withUnsafeMutableBufferPointer {
                image.writePlanar(
                    into: UnsafeMutableBufferPointer(
                        rebasing: $0[ordinal * shape.valueCount..<(ordinal + 1) * shape.valueCount]))
            }
        }
        let classifier = try TorchScriptClassifier(
            path: module, digest: "", shape: shape, classCount: found.classCount, mean: nil, standardDeviation: nil,
            fold: fold)
        let block = AttackBlock(
            images: values, labels: set.entries[..<count].map(\.label), count: count,
            randomKeys: (0..<count).map(UInt64.init))
        return (classifier, block)
    }
}

/// Decoded blocks through the network on plain threads, and nothing else.
func bareLoop(
    _ choice: AttackChoice, _ all: AttackBlock, _ classifier: any Classifier, blockRows: Int, workers: Int
) throws {
    let size = classifier.inputShape.valueCount
    let starts = Array(stride(from: 0, to: all.count, by: blockRows))
    let blocks = starts.map { start in
        let end = min(start + blockRows, all.count)
        return AttackBlock(
            images: Array(all.images[start * size..<end * size]), labels: Array(all.labels[start..<end]),
            count: end - start,
            randomKeys: Array(all.randomKeys[start..<end]))
    }
    let queue = BoundedQueue<AttackBlock>(capacity: blocks.count)
    blocks.forEach { queue.push($0) }
    queue.close()
    inParallel(workers) { _ in
        while let block = queue.pop() {
            var logits = [Float](repeating: 0, count: block.count * classifier.classCount)
            if let attacker = choice.attacker {
                _ = try? attacker.run(block, on: classifier)
            } else {
                _ = try? classifier.logits(block.images, count: block.count, into: &logits)
            }
        }
    }
}

struct IngestBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ingest",
        abstract: "A whole ingest (decoding, digests, shards, catalogue) against a bare loop over decoded blocks.")
    @OptionGroup var subject: Subject

    func run() throws {
        try printCalibration()
        let (classifier, block) = try subject.open()
        let choice = try AttackRegistry.choice(subject.attack)
        let rows = recommendedBlockRows(for: classifier.inputShape)
        var loops: [Timing] = []
        var ingests: [Timing] = []
        for repetition in 0...subject.repetitions {
            let loop = try Timing { try bareLoop(choice, block, classifier, blockRows: rows, workers: subject.workers) }
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("bench-\(UUID().uuidString)")
                .path
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let ingest = try ingestTiming(folder, choice)
            guard repetition > 0 else { continue }  // warm-up
            loops.append(loop)
            ingests.append(ingest)
            print(
                "bare loop \(text(loop.wall)) s, ingest \(text(ingest.wall)) s, ratio \(text(ingest.wall / loop.wall, 3))"
            )
        }
        let ratio = median(zip(ingests, loops).map { $0.wall / $1.wall })
        let cpu = median(zip(ingests, loops).map { $0.cpu / $1.cpu })
        print(
            "\(block.count) images, \(subject.attack), blocks of \(rows), \(subject.workers) workers: medians of \(subject.repetitions)"
        )
        print("bare loop \(text(median(loops.map(\.wall)))) s wall, \(text(median(loops.map(\.cpu)))) s CPU")
        print("ingest    \(text(median(ingests.map(\.wall)))) s wall, \(text(median(ingests.map(\.cpu)))) s CPU")
        print("ratio     \(text(ratio, 3)) wall, \(text(cpu, 3)) CPU")
    }

    private func ingestTiming(_ folder: String, _ choice: AttackChoice) throws -> Timing {
        try Corpus.create(at: folder)
        let corpus = try Corpus(at: folder, .writing)
        _ = try DatasetImport.run(
            corpus, dataset: "d", split: "s", source: subject.images, classNames: nil, progress: { _, _ in },
            shouldStop: { false })
        _ = try NetworkImport.run(
            corpus, name: "n", module: subject.module, input: nil, mean: nil, standardDeviation: nil, fold: subject.fold
        )
        var request = IngestRequest(
            split: try corpus.split(dataset: nil, split: nil), network: try corpus.network(nil), attacks: [choice],
            workerCount: subject.workers)
        request.limit = subject.limit
        return try Timing {
            _ = try Ingest.run(request, into: corpus, progress: { _ in }, note: { _ in }, shouldStop: { false })
        }
    }
}

struct BlockBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "blocks", abstract: "Milliseconds an image for several block sizes, interleaved.")
    @OptionGroup var subject: Subject
    @Option(help: "Block sizes.") var sizes = "8,16,32,64,128,256"

    func run() throws {
        try printCalibration()
        let (classifier, block) = try subject.open()
        let choice = try AttackRegistry.choice(subject.attack)
        let rows = sizes.split(separator: ",").compactMap { Int($0) }
        var timings: [Int: [Timing]] = [:]
        for repetition in 0...subject.repetitions {
            for size in rows {
                let timing = try Timing {
                    try bareLoop(choice, block, classifier, blockRows: size, workers: subject.workers)
                }
                if repetition > 0 { timings[size, default: []].append(timing) }
            }
        }
        print(
            "\(block.count) images, \(subject.attack), \(subject.workers) workers, ms an image (median of \(subject.repetitions))"
        )
        print("block  wall   CPU")
        for size in rows {
            let all = timings[size] ?? []
            let scale = 1000 / Double(block.count)
            print("\(size)\t\(text(median(all.map(\.wall)) * scale, 3))\t\(text(median(all.map(\.cpu)) * scale, 3))")
        }
    }
}
