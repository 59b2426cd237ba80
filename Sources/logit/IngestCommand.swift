import ArgumentParser
import CorpusStore
import Defence
import Experiments
import Ingestion
import Logits
import Networks
import Platform
import Report
import Shards

extension Codec: ExpressibleByArgument {}
extension Precision: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
    public var defaultValueDescription: String { description }
}
extension LabelPolicy: ExpressibleByArgument {}
extension ImagePrecision: ExpressibleByArgument {}
extension Device: ExpressibleByArgument {}

struct IngestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ingest", abstract: "Run a network and attacks over images and store the logits.",
        discussion: """
            Only rows that are missing are computed. Stopped or killed, the same command goes on from the last finished block
            and ends in the same rows. Each finished ingest makes a snapshot.
            --keep-images stores the image that the network was given, attacked or clean, beside each row (/perturbed): 8bit as
            torchvision's save_image writes it, or float, exact. Attacked rows then also get the outcome after rounding to 8
            bits (/status_8bit), which --status-8bit stores alone.
            --device cuda needs libLogitTorch.so rebuilt against a LibTorch with CUDA (tools/torch-library, see README.md); rows are
            the same on the same kind of GPU, and differ from the CPU's in last bits. It is untested on a GPU so far.
            --precision other than float32 rounds the stored logits; each shard records the bound and what it did, and predictions
            and outcomes stay those of the logits as computed.
            --through attacks a defended network, defender after network; the rows keep the network's own logits.
            --repair makes the rows again that logit repair has listed, in the same blocks, and clears the lists: on the same software
            they are as they were bit for bit, and the snapshots that hold them are whole again.
            An attack file lists what --attack takes, one an entry: `- pgd`, `- "pgd:epsilon=8/255"`, or the attack and its
            parameters as keys: `- {attack: pgd, epsilon: 8/255, steps: 20}`.
            Example: logit ingest corpus --dataset cifar10 --split test --network resnet20 --attack clean,pgd:epsilon=8/255
            """)

    @Argument(help: "The corpus folder.") var corpus: String
    @Option(help: "The dataset; may be left out where there is one.") var dataset: String?
    @Option(help: "The split; may be left out where there is one.") var split: String?
    @Option(help: "The network; may be left out where there is one.") var network: String?
    @Option(help: "clean and attacks, with parameters or without, or .yaml files of them, separated by commas.")
    var attack = "clean"
    @Option(help: "Only the first n images of the split.") var limit: Int?
    @Option(help: "Only the first n images of each class.") var perClass: Int?
    @Option(help: "Seed of the attacks' random numbers.") var seed: UInt64 = 0
    @Option(help: "Restarts of each attack that uses random numbers, each stored as a view.") var views = 1
    @Option(help: "The label an attack leaves: truth or prediction.") var label: LabelPolicy?
    @Option(help: "Attack through this defender: gradients, stopping and outcome are those of the network behind it.")
    var through: String?
    @Option(help: "How logits are stored: raw or zstd; the values are the same.") var codec = Codec.raw
    @Option(help: "Bits kept of each logit: float32 (exact), float16, bfloat16, or keep-bits=k of float32's mantissa.")
    var precision = Precision.float32
    @Option(help: "Rows of logits a chunk under --codec zstd, for other rates and sizes than the default's.")
    var chunkRows: Int?
    @Option(help: "Where the network runs: cpu or cuda.") var device = Device.cpu
    @Option(help: "Threads that compute; the default is one a core, and one with --device cuda.") var workers: Int?
    @Option(help: "Decoded blocks that may wait for a worker.") var prefetch = 4
    @Option(help: "Images computed at once, instead of the network's own block size.") var block: Int?
    @Option(help: "Keep the images that the network is given: 8bit or float.") var keepImages: ImagePrecision?
    @Flag(name: .customLong("status-8bit"), help: "Store the outcome after rounding attacked images to 8 bits.")
    var status8bit = false
    @Flag(name: .customLong("repair"), help: "Make exactly the rows again that logit repair has listed as lost.")
    var repairing = false
    @OptionGroup var waiting: WaitOption
    @OptionGroup var output: OutputOptions

    /// The attacks with their defenders opened.
    private func attacks(
        _ choices: [AttackChoice], _ network: NetworkDescriptor, _ corpus: Corpus
    ) throws(LogitError) -> [AttackChoice] {
        var opened: [AttackChoice] = []
        for var choice in choices {
            if let through, !choice.variant.isClean {
                choice = try Through.choice(choice, through: through, in: corpus)
            }
            opened.append(try Through.opened(choice, network, in: corpus))
        }
        if through != nil, !choices.contains(where: { !$0.variant.isClean }) {
            throw LogitError(.usage, "--through needs an attack; name one with --attack, for instance pgd")
        }
        return opened
    }

    func run() throws {
        Interrupt.listen()
        if repairing { return try repair() }
        let choices = try AttackList.choices(attack, label: label)
        let opened = try Corpus(at: corpus, .writing, patience: try waiting.patience(output))
        let chosen = try opened.network(network)
        var request = IngestRequest(
            split: try opened.split(dataset: dataset, split: split), network: chosen,
            attacks: try attacks(choices, chosen, opened),
            workerCount: workers ?? (device == .cpu ? usableCoreCount() : 1))
        request.limit = limit
        request.perClass = perClass
        request.seed = seed
        request.viewCount = views
        request.encoding = ShardEncoding(codec: codec, precision: precision, chunkRows: chunkRows)
        request.prefetch = prefetch
        request.blockRows = block
        request.keepImages = keepImages
        request.status8bit = status8bit
        request.device = device
        let progress = Progress("images", quiet: output.quiet)
        let report = try Ingest.run(request, into: opened) {
            progress.show($0.variant, done: $0.done, total: $0.total, computed: $0.computed)
        } note: {
            output.note($0)
        } shouldStop: {
            Interrupt.isAsked
        }
        var table = TextTable(["attack", "view", "images", "there before", "resumed", "computed", "invalid"])
        for part in report.parts {
            table.add([
                part.attack, "\(part.view)", part.images.grouped, part.present.grouped, part.resumed.grouped,
                part.computed.grouped, part.invalid.grouped,
            ])
        }
        let summary =
            "\(report.seconds.formatted(1)) s, \(report.imagesPerSecond.formatted(0)) images/s; snapshot \(report.snapshot.prefix(12))"
        output.print(report, text: table.text + "\n\n" + summary)
    }
}
