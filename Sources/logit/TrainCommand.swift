import Analysis
import ArgumentParser
import CorpusStore
import Defence
import Experiments
import Foundation
import Logits
import Networks
import Platform
import Report
import Sampling

struct Train: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Train a defender from stored logits; the options' defaults are the paper's.",
        discussion: """
            A checkpoint is kept after each epoch; --resume goes on from it, bit for bit.
            --device cuda needs libLogitTorch.so rebuilt against a LibTorch with CUDA (tools/torch-library, see README.md). It is
            untested on a GPU so far.
            Example: logit train corpus g --network resnet20 --attack pgd --hidden 2000 --lr 1e-3
            """)

    @Argument(help: "The corpus folder.") var corpus: String
    @Argument(help: "The defender's name.") var defender: String
    @OptionGroup var mix: MixOptions
    @Option(help: "D, the width of the hidden layers.") var hidden = 10_000
    @Option(help: "Layers; 1 is a linear map.") var layers = 2
    @Option(help: "Probability of dropping a hidden value.") var dropout = 0.5
    @Option(help: "Epochs.") var epochs = 50
    @Option(help: "Adam's learning rate.") var lr = 5e-5
    @Option(help: "Added to the gradient: this times the parameter.") var weightDecay = 1e-4
    @Option(help: "Threads of the matrix products; the default is one a core.") var threads: Int?
    @Option(help: "Where the defender trains: cpu or cuda.") var device = Device.cpu
    @Flag(help: "Go on from the last checkpoint.") var resume = false
    @OptionGroup var waiting: WaitOption
    @OptionGroup var output: OutputOptions

    func run() throws {
        Interrupt.listen()
        // Takes the lock once, to say now and not after hours that nothing could be added.
        _ = try Corpus(at: corpus, .writing, patience: try waiting.patience(output))
        let opened = try Corpus(at: corpus, .reading)
        let split = try opened.split(dataset: mix.dataset, split: mix.split, usual: "train")
        let others = try opened.splits().filter { $0.dataset == split.dataset && $0.split != split.split }
        var options = DefenderOptions()
        (options.hidden, options.layers, options.dropout, options.epochs) = (hidden, layers, dropout, epochs)
        (options.batch, options.learningRate, options.weightDecay) = (mix.batch, lr, weightDecay)
        (options.cleanProbability, options.seed) = (mix.p, mix.seed)
        (options.failedTwins, options.invalidTwins) = (mix.failed, mix.invalid)
        let trainer = try Trainer(
            opened, name: defender, manifest: try opened.snapshot(mix.at), split: split,
            network: try opened.network(mix.network),
            attacks: try mix.attacks(in: opened), selection: try mix.selection.map { try opened.selection($0) },
            validation: others.first { $0.split == "test" } ?? others.first, options: options,
            threads: threads ?? usableCoreCount(), device: device, resume: resume)
        let counts = trainer.imageCounts
        output.note(
            "training \(defender) on \(counts.used.grouped) images (\(counts.unpaired) without both rows, \(counts.skipped) others left out)"
        )
        var failure: (any Error)?
        do { try train(trainer) } catch { failure = error }
        if trainer.descriptor.epochsDone > 0 { try adding(to: corpus, output) { try $0.indexDefender(defender) } }
        if let failure { throw failure }
        let last = trainer.descriptor.history.last
        output.print(
            trainer.descriptor,
            text:
                "defender \(defender): \(trainer.descriptor.epochsDone) epochs, last loss \((last?.loss ?? 0).formatted(4)); next: logit evaluate \(corpus) --defender \(defender)"
        )
    }

    private func train(_ trainer: Trainer) throws {
        let progress = Progress("batches", quiet: output.quiet)
        var before = 0
        try trainer.run { epoch, done, all, loss in
            before += 1
            let total = (epochs - epoch) * all + all - done + before
            progress.show("epoch \(epoch) loss \(loss.formatted(4))", done: before, total: total)
        } epochDone: { record in
            guard isatty(2) != 1 || record.epoch == epochs || record.epoch % 10 == 0 else { return }
            var line = "epoch \(record.epoch): loss \(record.loss.formatted(4))"
            if let clean = record.validationClean { line += ", clean \((100 * clean).formatted(2)) %" }
            if let attacked = record.validationAttacked { line += ", attacked \((100 * attacked).formatted(2)) %" }
            output.note(line + " (\(record.seconds.formatted(2)) s)")
        } shouldStop: {
            Interrupt.isAsked
        }
    }
}

/// Adds a result that is there already to the corpus: waits for another writer, so that nothing computed is lost.
func adding(to corpus: String, _ output: OutputOptions, _ body: (Corpus) throws -> Void) throws {
    let patience = Patience(seconds: 600) { output.note($0) }
    try body(try Corpus(at: corpus, .writing, patience: patience))
}

struct Evaluate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "What a defender recovers: accuracy on clean and attacked logits, without and with correction.",
        discussion: "Example: logit evaluate corpus --defender g --attack clean,pgd --split test")

    @Argument(help: "The corpus folder.") var corpus: String
    @Option(help: "The defender.") var defender: String
    @Option(help: "The network; the defender's own where left out.") var network: String?
    @Option(help: "clean and attacks, or a .yaml file; clean and the defender's own where left out.")
    var attack: String?
    @Option(help: "The dataset; the defender's own where left out.") var dataset: String?
    @Option(help: "The split; test where left out.") var split: String?
    @Option(help: "Only the images of this selection.") var selection: String?
    @Option(help: "The snapshot: an id, the beginning of one, a tag; head where left out.") var at: String?
    @OptionGroup var output: OutputOptions

    func run() throws {
        let opened = try Corpus(at: corpus, .reading)
        let stored = try StoredDefender(opened, defender)
        let chosen = try opened.split(dataset: dataset ?? stored.descriptor.dataset, split: split, usual: "test")
        let attacks =
            try attack.map { try AttackList.choices($0, in: opened).map(\.variant.canonical) } ?? ["clean"]
            + stored.descriptor.attacks
        let result = try Evaluation.run(
            opened, manifest: try opened.snapshot(at), split: chosen,
            network: try opened.network(network ?? stored.descriptor.network), attacks: attacks,
            selection: try selection.map { try opened.selection($0) }, defender: stored)
        try adding(to: corpus, output) { _ = try $0.addEvaluation(json: JSONFile.encode(result)) }
        var table = TextTable(["logits", "rows", "no defence", "95 %", "corrected", "95 %"])
        for figure in result.figures {
            table.add(
                [figure.attack, figure.rows.grouped] + cells(figure.undefended) + cells(figure.corrected))
        }
        let over =
            "\(result.network) over \(result.dataset)/\(result.split)"
            + (result.selection.map { ", selection \($0)" } ?? "")
        output.print(result, text: "\(defender) on \(over)\n\n\(table.text)")
    }

    private func cells(_ share: Proportion) -> [String] {
        guard let value = share.value, let low = share.low, let high = share.high else { return ["-", "-"] }
        return [
            "\((100 * value).formatted(2)) % (\(share.count.grouped))",
            "\((100 * low).formatted(2))–\((100 * high).formatted(2))",
        ]
    }
}

struct DefenderCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "defender", abstract: "The defenders of a corpus.",
        subcommands: [List.self, Show.self, Export.self])

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "All defenders.", discussion: "Example: logit defender list corpus")
        @Argument(help: "The corpus folder.") var corpus: String
        @OptionGroup var output: OutputOptions

        func run() throws {
            let opened = try Corpus(at: corpus, .reading)
            let all = try opened.defenderNames().map { try StoredDefender(opened, $0).descriptor }
            var table = TextTable(["defender", "network", "attacks", "images", "hidden", "epochs", "loss", "snapshot"])
            for one in all {
                table.add([
                    one.name, one.network, one.attacks.joined(separator: ","), one.images.grouped,
                    "\(one.options.hidden)",
                    "\(one.epochsDone)/\(one.options.epochs)", (one.history.last?.loss ?? 0).formatted(4),
                    String(one.snapshot.prefix(12)),
                ])
            }
            output.print(all, text: table.text)
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "One defender: what made it and how its training went.",
            discussion: "Example: logit defender show corpus g")
        @Argument(help: "The corpus folder.") var corpus: String
        @Argument(help: "The defender.") var defender: String
        @OptionGroup var output: OutputOptions

        func run() throws {
            let stored = try StoredDefender(Corpus(at: corpus, .reading), defender)
            output.print(stored.descriptor, text: String(decoding: JSONFile.encode(stored.descriptor), as: UTF8.self))
        }
    }

    struct Export: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write a defender for use in PyTorch: .safetensors (weights) or .pt (TorchScript).",
            discussion: "Example: logit defender export corpus g --out g.pt")
        @Argument(help: "The corpus folder.") var corpus: String
        @Argument(help: "The defender.") var defender: String
        @Option(help: "The file to write, .safetensors or .pt.") var out: String

        func run() throws {
            try StoredDefender(Corpus(at: corpus, .reading), defender).export(to: out)
            print("wrote \(out)")
        }
    }
}
