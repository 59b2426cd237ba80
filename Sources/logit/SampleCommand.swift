import ArgumentParser
import CorpusStore
import Experiments
import Logits
import Networks
import Platform
import Report
import Sampling

extension TwinPolicy: ExpressibleByArgument {}

/// Which rows a defender learns from: shared by `sample` and `train`.
struct MixOptions: ParsableArguments {
    @Option(help: "The network; may be left out where there is one.") var network: String?
    @Option(help: "The attacks of the mix, separated by commas, or a .yaml file; clean rows always belong to it.")
    var attack = "pgd"
    @Option(help: "The dataset; may be left out where there is one.") var dataset: String?
    @Option(help: "The split; train where left out.") var split: String?
    @Option(help: "Only the images of this selection.") var selection: String?
    @Option(help: "The snapshot: an id, the beginning of one, a tag; head where left out.") var at: String?
    @Option(help: "Probability that an image gives its clean row in an epoch.") var p = 0.3
    @Option(help: "Rows a batch.") var batch = 256
    @Option(help: "Seed of order and choice.") var seed: UInt64 = 0
    @Option(help: "An image whose attacked row failed: keep it, take its clean row, or skip the image.")
    var failed = TwinPolicy.keep
    @Option(help: "An image whose attacked row is invalid: keep it, take its clean row, or skip the image.")
    var invalid = TwinPolicy.skip

    /// Canonical names of the attacks, without clean.
    func attacks(in corpus: Corpus) throws(LogitError) -> [String] {
        try AttackList.choices(attack, in: corpus).map(\.variant.canonical).filter { $0 != "clean" }
    }
}

struct Sample: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Read the stream that a trainer would get, and digest it.",
        discussion: """
            The digest covers, in stream order, each row's ordinal, variant, label and stored logits.
            Example: logit sample corpus --network resnet20 --attack pgd --p 0.3 --seed 1 --format json
            """)

    @Argument(help: "The corpus folder.") var corpus: String
    @OptionGroup var mix: MixOptions
    @Option(help: "Threads that read.") var threads = 1
    @Option(help: "This reader, of so many --world.") var rank = 0
    @Option(help: "Readers that share the stream.") var world = 1
    @Option(help: "Epochs.") var epochs = 1
    @Option(help: "Start at this epoch, counted from 0.") var fromEpoch = 0
    @Option(help: "Start at this batch of the first epoch.") var fromBatch = 0
    @OptionGroup var output: OutputOptions

    private struct Result: Encodable {
        var rows = 0
        var cleanRows = 0
        var batches = 0
        var digest = ""
        var images = 0
        var unpaired = 0
        var skipped = 0
        var snapshot = ""
    }

    func run() throws {
        Interrupt.listen()
        let most = 1_000_000
        guard (1...most).contains(epochs), (0...most).contains(fromEpoch), fromBatch >= 0 else {
            throw LogitError(
                .usage,
                "--epochs is a whole number from 1 to \(most), --from-epoch from 0 to \(most), --from-batch at least 0")
        }
        let opened = try Corpus(at: corpus, .reading)
        let split = try opened.split(dataset: mix.dataset, split: mix.split, usual: "train")
        var options = SamplerOptions()
        (options.cleanProbability, options.batchRowCount, options.seed) = (mix.p, mix.batch, mix.seed)
        (options.failedTwins, options.invalidTwins) = (mix.failed, mix.invalid)
        (options.threadCount, options.rank, options.worldSize) = (threads, rank, world)
        let manifest = try opened.snapshot(mix.at)
        let network = try opened.network(mix.network)
        let attacks = try mix.attacks(in: opened)
        try opened.refuseStale(manifest, split, network, AttackRegistry.variants(attacks))
        let sampler = try Sampler(
            corpusRoot: opened.root, manifest: manifest, dataset: split.dataset, split: split.split,
            network: network.name, attacks: attacks,
            selection: try mix.selection.map { try opened.selection($0) }, options: options)
        var result = Result()
        (result.images, result.unpaired, result.skipped) = (
            sampler.imageCount, sampler.unpairedCount, sampler.skippedCount
        )
        result.snapshot = manifest.id
        var digest = Digest()
        let progress = Progress("rows", quiet: output.quiet)
        for epoch in fromEpoch..<fromEpoch + epochs {
            let batches = sampler.batches(epoch: epoch, from: epoch == fromEpoch ? fromBatch : 0)
            while let batch = try batches.next() {
                sampler.visit(batch) { digest.add($0) }
                result.rows += batch.count
                result.cleanRows += batch.cleanCount
                result.batches += 1
                progress.show("sample", done: result.rows, total: sampler.imageCount * epochs)
                if Interrupt.isAsked { throw LogitError(.cancelled, "stopped after \(result.rows) rows") }
            }
        }
        withExtendedLifetime(opened) {}  // and with it the lock of those who read
        result.digest = digest.hex()
        let share = result.rows > 0 ? 100 * Double(result.cleanRows) / Double(result.rows) : 0
        output.print(
            result,
            text:
                "\(result.rows.grouped) rows in \(result.batches.grouped) batches, \(share.formatted(2)) % clean; \(result.unpaired) images without both rows and \(result.skipped) others left out\ndigest \(result.digest)"
        )
    }
}
