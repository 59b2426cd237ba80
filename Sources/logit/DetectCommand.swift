import ArgumentParser
import CorpusStore
import Defence
import Logits
import Report
import Shards

struct Detect: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "How well attacked logits can be told from clean ones: ROC curves and the area under them.",
        discussion: """
            Detectors: changed (the defender's arg max is another than the network's), mean (the mean logit), energy
            (-ln sum exp z), and classifier (a small network over the sorted logits). The classifier, and whether an attacked row
            has the larger or the smaller mean and energy, are learnt from the images of --learn, none of which may be judged.
            Example: logit detect corpus --defender g --attack pgd,mim --plot roc.svg
            """)

    @OptionGroup var rows: DefenderRows
    @Option(help: "Attacks, separated by commas; the defender's own where left out.") var attack: String?
    @Option(help: "The split to learn from; the one that the defender was trained on where left out.") var learn:
        String?
    @Option(help: "Learn only from the images of this selection.") var learnSelection: String?
    @Flag(help: "Learn nothing: no classifier, and the larger score always counts as attacked.") var noLearn = false
    @Flag(help: "Only images that the attack fooled the network on.") var fooledOnly = false
    @Option(help: "Seed of the classifier.") var seed: UInt64 = 0
    @Option(help: "Draw the ROC curves into this file, .svg or .png.") var plot: String?
    @OptionGroup var output: OutputOptions

    func run() throws {
        Interrupt.listen()
        let opened = try Corpus(at: rows.corpus, .reading)
        let stored = try StoredDefender(opened, rows.defender)
        let attacks = try rows.attacks(attack, opened, stored).filter { $0 != "clean" }
        guard !attacks.isEmpty else {
            throw LogitError(.usage, "--attack names no attack; clean rows are what attacked ones are told from")
        }
        var request = DetectionRequest(
            rows: try rows.request(opened, stored), attacks: attacks, learning: try learning(opened, stored.descriptor))
        (request.fooledOnly, request.seed) = (fooledOnly, seed)
        let result = try Detection.run(opened, request, defender: stored) { Interrupt.isAsked }
        if let plot {
            try Figures.curves(
                title: "\(result.network) over \(result.dataset)/\(result.split): attacked or clean",
                curves: result.curves ?? [], to: plot)
            output.note("drew \(plot)")
        }
        try adding(to: rows.corpus, output) { _ = try $0.addAnalysis(json: JSONFile.encode(result)) }
        let from = result.options["learnt_from"].map { "learnt from \($0)" } ?? "nothing learnt"
        output.print(
            result,
            text:
                "\(result.images.grouped) images of \(result.dataset)/\(result.split), clean and attacked; \(from)\n\n\(result.table(subject: "detector").text)"
        )
    }

    private func learning(
        _ opened: Corpus, _ defender: DefenderDescriptor
    ) throws -> (split: SplitDescriptor, selection: SelectionFile?)? {
        guard !noLearn else {
            guard learn == nil, learnSelection == nil else {
                throw LogitError(
                    .usage, "--no-learn does not go with --learn or --learn-selection; leave one of them out")
            }
            return nil
        }
        let name = learnSelection ?? (learn == nil ? defender.selection : nil)
        return (
            try opened.split(dataset: defender.dataset, split: learn ?? defender.split),
            try name.map { try opened.selection($0) }
        )
    }
}
