import ArgumentParser
import CorpusStore
import Foundation
import Logits
import Platform
import Sampling
import Shards
import Torch

/// Our side of tools/bench-train and of tools/check_training.py: steps of a defender on the sampler's stream, timed or traced.
struct TrainBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Train a defender on rows made for the purpose, and print seconds a step as JSON.",
        discussion: """
            Rows are read from a corpus in --folder, which is made where it is absent. Each line of standard input asks for so many
            steps and gives one line back; without --serve one round is run.
            """)

    @Option(help: "The folder of the corpus.") var folder: String
    @Option(help: "Images of the corpus, each with a clean and an attacked row.") var rows = 16_384
    @Option(help: "C.") var classes = 1000
    @Option(help: "D.") var hidden = 10_000
    @Option(help: "Layers.") var layers = 2
    @Option(help: "Probability of dropping.") var dropout = 0.5
    @Option(help: "Rows a step.") var batch = 256
    @Option(help: "Threads of the matrix products.") var threads = usableCoreCount()
    @Option(help: "Steps a round.") var steps = 20
    @Flag(help: "Answer a round for each line of standard input, a number of steps.") var serve = false
    @Option(help: "Write weights, batches and losses of the first steps as raw files into this folder.") var trace:
        String?

    private struct Round: Encodable {
        let steps: Int
        let wall: Double
        let cpu: Double
        /// Seconds that the trainer waited for a batch.
        let waiting: Double
        let products: Double
        let elements: Double
        let optimiser: Double
        let peakMemoryBytes: Int
        let loss: Double
        let software: String
    }

    func run() throws {
        let library = try TorchLibrary.shared()
        try library.configure(intraOpThreads: threads)
        if !Files.exists("\(folder)/corpus.json") {
            try GeneratedCorpus(rows: rows, classes: classes).write(to: folder)
        }
        let corpus = try Corpus(at: folder, .reading)
        let split = try corpus.split(dataset: nil, split: nil)
        var options = SamplerOptions()
        options.batchRowCount = batch
        let sampler = try Sampler(
            corpusRoot: corpus.root, manifest: try corpus.snapshot(nil), dataset: split.dataset, split: split.split,
            network: try corpus.network(nil).name, attacks: ["pgd"], options: options)
        var shape = DefenderNetOptions(classCount: sampler.classCount)
        (shape.hidden, shape.layers, shape.dropout) = (hidden, layers, dropout)
        let run = TrainingRun(sampler, try DefenderNet(shape))
        if let trace { return try write(run, to: trace) }
        // The first step makes the buffers.
        _ = try run.step()
        if !serve { return try printLine(round(run, steps, library)) }
        try printLine(["ready": true])
        fflush(nil)
        while let line = readLine(), let count = Int(line) {
            try printLine(round(run, count, library))
            fflush(nil)
        }
    }

    private func round(_ run: TrainingRun, _ count: Int, _ library: TorchLibrary) throws -> Round {
        let (before, waited) = (run.net.seconds, run.waiting)
        var loss = 0.0
        let timing = try Timing { for _ in 0..<count { loss = try run.step().loss } }
        let after = run.net.seconds
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return Round(
            steps: count, wall: timing.wall, cpu: timing.cpu, waiting: run.waiting - waited,
            products: after.products - before.products, elements: after.elements - before.elements,
            optimiser: after.optimiser - before.optimiser, peakMemoryBytes: Int(usage.ru_maxrss) << 10, loss: loss,
            software: library.description())
    }

    private func write(_ run: TrainingRun, to folder: String) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        func raw<Value: BitwiseCopyable>(_ name: String, _ values: [Value]) throws {
            try Files.write(values.withUnsafeBytes { Array($0) }, to: "\(folder)/\(name)", sync: false)
        }
        try raw("parameters", try run.net.values(.parameters))
        var (logits, labels, losses, counts): ([Float], [Int32], [Double], [Int32]) = ([], [], [], [])
        for _ in 0..<steps {
            let (batch, loss) = try run.step()
            logits += batch.logits
            labels += batch.labels
            counts.append(Int32(batch.count))
            losses.append(loss)
        }
        try raw("logits", logits)
        try raw("labels", labels)
        try raw("counts", counts)
        try raw("losses", losses)
        try raw("trained", try run.net.values(.parameters))
        let o = run.net.options
        let about = [
            "classes": Double(o.classCount), "hidden": Double(o.hidden), "layers": Double(o.layers),
            "dropout": o.dropout, "learning_rate": o.learningRate, "weight_decay": o.weightDecay,
            "seed": Double(o.seed),
        ]
        try Files.write(JSONFile.encode(about), to: "\(folder)/about.json", sync: false)
    }
}

/// A trainer's loop: batches of one epoch after another, each a step.
private final class TrainingRun {
    let net: DefenderNet
    private let sampler: Sampler
    private var batches: BatchSequence
    private var epoch = 0
    private var steps = 0
    private(set) var waiting = 0.0

    init(_ sampler: Sampler, _ net: DefenderNet) {
        self.sampler = sampler
        self.net = net
        batches = sampler.batches(epoch: 0)
    }

    func step() throws -> (batch: Batch, loss: Double) {
        var next: Batch?
        waiting += try Timing { next = try batches.next() }.wall
        guard let batch = next else {
            epoch += 1
            batches = sampler.batches(epoch: epoch)
            return try step()
        }
        steps += 1
        return (batch, try net.train(step: steps, logits: batch.logits, labels: batch.labels))
    }
}

/// A corpus whose rows look like logits: the attacked ones are large at another class than the label.
private struct GeneratedCorpus {
    let rows: Int
    let classes: Int

    func write(to folder: String) throws {
        let units = SyntheticCorpus(rows: rows, classes: classes, unitRows: 4096)
        let corpus = try units.create(at: folder)
        let pgd = Variant(name: "pgd", canonical: "pgd", parametersJSON: "{}")
        try corpus.committing { (queue) throws(LogitError) in
            for (number, variant) in [Variant.clean, pgd].enumerated() {
                for (key, table) in zip(units.keys, units.tables(values(number))) {
                    var (key, table) = (key, table)
                    key.variant = variant
                    if !variant.isClean { table.attack = columns(table.count) }
                    _ = try queue.add(
                        table, images: nil, key: key, blockRows: 32, softwareJSON: "{}",
                        encoding: ShardEncoding(codec: .raw))
                }
            }
        }
        try corpus.createSnapshot(message: "generated")
    }

    private func values(_ variant: Int) -> [Float] {
        let random = Philox(key: 7)
        var values = [Float](repeating: 0, count: rows * classes)
        values.withUnsafeMutableBufferPointer { random.fillUniform($0, stream: UInt64(variant)) }
        for row in 0..<rows {
            for k in 0..<classes { values[row * classes + k] = 6 * values[row * classes + k] - 3 }
            values[row * classes + (row % classes + 7 * variant) % classes] += 8
        }
        return values
    }

    private func columns(_ count: Int) -> AttackColumns {
        AttackColumns(
            cleanPrediction: Array(repeating: 0, count: count), status: Array(repeating: 0, count: count),
            iterations: Array(repeating: 10, count: count), perturbationL2: Array(repeating: 1, count: count),
            perturbationLinf: Array(repeating: 0.06, count: count))
    }
}
