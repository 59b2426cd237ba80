import ArgumentParser
import CorpusStore
import Defence
import Experiments
import Logits
import Report

/// A defender and the rows it is looked at on: shared by `ablate` and `detect`.
struct DefenderRows: ParsableArguments {
    @Argument(help: "The corpus folder.") var corpus: String
    @Option(help: "The defender.") var defender: String
    @Option(help: "The network; the defender's own where left out.") var network: String?
    @Option(help: "The dataset; the defender's own where left out.") var dataset: String?
    @Option(help: "The split; test where left out.") var split: String?
    @Option(help: "Only the images of this selection.") var selection: String?
    @Option(help: "The snapshot: an id, the beginning of one, a tag; head where left out.") var at: String?

    /// What they name; the attack is still open.
    func request(_ opened: Corpus, _ stored: StoredDefender) throws -> SupportRequest {
        SupportRequest(
            manifest: try opened.snapshot(at),
            split: try opened.split(dataset: dataset ?? stored.descriptor.dataset, split: split, usual: "test"),
            network: try opened.network(network ?? stored.descriptor.network), attack: "",
            selection: try selection.map { try opened.selection($0) })
    }

    /// The attacks named, or the defender's own.
    func attacks(_ list: String?, _ opened: Corpus, _ stored: StoredDefender) throws(LogitError) -> [String] {
        guard let list else { return stored.descriptor.attacks }
        return try AttackList.choices(list, in: opened).map(\.variant.canonical)
    }
}

struct Ablate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "What a defender loses: with its supporting classes lowered, or with fewer bits a logit.",
        discussion: """
            Ablations of the training itself are options of logit train: --layers, --dropout, --hidden, --p, --selection.
            Example: logit ablate lower corpus --defender g --attack pgd
            """,
        subcommands: [Lower.self, Bits.self])

    struct Lower: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lower logits of corrected images before the defender: of the supporting classes, of others.",
            discussion: """
                Over the images that the network gets wrong and the defender right: how many it still gets right, and how many it
                leaves at the class that the attack made of them, when --by is taken from the attack's --top supporting classes,
                from those of each image, and, as a control, from as many random classes of each image.
                Example: logit ablate lower corpus --defender g --attack pgd --by 20
                """)
        @OptionGroup var rows: DefenderRows
        @Option(help: "The attack; the defender's own where left out and it has one.") var attack: String?
        @Option(help: "What is taken from each logit.") var by: Float = 20
        @Option(help: "How many classes; where left out 10, or 3 where there are at most 20 classes.") var top: Int?
        @Option(help: "Seed of the random classes.") var seed: UInt64 = 0
        @OptionGroup var output: OutputOptions

        func run() throws {
            Interrupt.listen()
            let opened = try Corpus(at: rows.corpus, .reading)
            let stored = try StoredDefender(opened, rows.defender)
            var request = try rows.request(opened, stored)
            let attacks = try rows.attacks(attack, opened, stored)
            guard attacks.count == 1 else {
                throw LogitError(
                    .usage, "lowering is for one attack; choose it with --attack: \(attacks.joined(separator: ", "))")
            }
            request.attack = attacks[0]
            if let top { request.top = top }
            let result = try Lowering.run(opened, request, defender: stored, amount: by, seed: seed) {
                Interrupt.isAsked
            }
            try adding(to: rows.corpus, output) { _ = try $0.addAnalysis(json: JSONFile.encode(result)) }
            output.print(
                result,
                text:
                    "\(result.images.grouped) corrected images of \(result.network) under \(result.attack); supporting classes \(result.options["supporting"] ?? "")\n\n\(result.table(subject: "lowered").text)"
            )
        }
    }

    struct Bits: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "precision",
            abstract: "Accuracy against the precision of the logits, rounded in memory.",
            discussion:
                "Example: logit ablate precision corpus --defender g --attack clean,pgd --precision float16,keep-bits=4"
        )
        @OptionGroup var rows: DefenderRows
        @Option(help: "clean and attacks; clean and the defender's own where left out.") var attack: String?
        @Option(help: "Precisions, separated by commas; where left out float32, float16, bfloat16 and 12 to 4 bits.")
        var precision: String?
        @OptionGroup var output: OutputOptions

        func run() throws {
            Interrupt.listen()
            let opened = try Corpus(at: rows.corpus, .reading)
            let stored = try StoredDefender(opened, rows.defender)
            let chosen = try rows.attacks(attack, opened, stored)
            let result = try PrecisionAblation.run(
                opened, try rows.request(opened, stored), attacks: attack == nil ? ["clean"] + chosen : chosen,
                precisions: try precisions(), defender: stored
            ) {
                Interrupt.isAsked
            }
            try adding(to: rows.corpus, output) { _ = try $0.addAnalysis(json: JSONFile.encode(result)) }
            output.print(result, text: result.table(subject: "precision").text)
        }

        private func precisions() throws(LogitError) -> [Precision] {
            guard let precision else { return PrecisionAblation.usual }
            var found: [Precision] = []
            for text in precision.split(separator: ",", omittingEmptySubsequences: false) {
                guard let one = Precision(String(text)) else {
                    throw LogitError(
                        .usage,
                        "\"\(text)\" is no precision; give float32, float16, bfloat16 or keep-bits=k with k from 1 to 22"
                    )
                }
                if !found.contains(one) { found.append(one) }
            }
            return found
        }
    }
}

extension AnalysisResult {
    /// The figures, a line for each attack and subject.
    func table(subject name: String) -> TextTable {
        var measures: [String] = []
        var keys: [[String]] = []
        for figure in figures {
            if !measures.contains(figure.measure) { measures.append(figure.measure) }
            let key = [figure.attack, figure.subject]
            if !keys.contains(key) { keys.append(key) }
        }
        var table = TextTable(["logits", name, "rows"] + measures.flatMap { [$0, "95 %"] })
        for key in keys {
            let own = figures.filter { [$0.attack, $0.subject] == key }
            table.add(
                key + ["\(own.first?.rows ?? 0)"]
                    + measures.flatMap { measure in cells(own.first { $0.measure == measure }) })
        }
        return table
    }

    private func cells(_ figure: AnalysisFigure?) -> [String] {
        guard let figure, let value = figure.value, let low = figure.low, let high = figure.high else {
            return ["-", "-"]
        }
        guard let count = figure.count else { return [value.formatted(4), "\(low.formatted(4))–\(high.formatted(4))"] }
        return [
            "\((100 * value).formatted(2)) % (\(count))", "\((100 * low).formatted(2))–\((100 * high).formatted(2))",
        ]
    }
}
