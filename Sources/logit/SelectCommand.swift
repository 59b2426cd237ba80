import ArgumentParser
import CorpusStore
import Logits
import Report
import Shards

struct Select: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Name a set of images: for each class the first ones that a network gets right, a fold of a split, or so many at random.",
        discussion: """
            --random draws from the split, or from --among; the images of a smaller number are among those of a larger one of the
            same seed, which is what a learning curve wants.
            Folds are for cross-validation: image i belongs to fold i mod N. Train on the --rest of a fold and evaluate on the fold.
            Example: logit select corpus paper --correct-by resnet20 --per-class 1 --split test
            Example: logit select corpus fold-0 --fold 0/5 && logit select corpus fold-0-rest --fold 0/5 --rest
            Example: logit select corpus tenth --random 1000 --split train
            """)

    @Argument(help: "The corpus folder.") var corpus: String
    @Argument(help: "The selection's name.") var name: String
    @Option(help: "The network that must get the clean image right.") var correctBy: String?
    @Option(help: "Images a class, with --correct-by; 1 where left out.") var perClass: Int?
    @Option(help: "Fold K of N of the split's images, as K/N.") var fold: String?
    @Flag(help: "All images but those of the fold.") var rest = false
    @Option(help: "So many images at random.") var random: Int?
    @Option(help: "Draw from this selection.") var among: String?
    @Option(help: "Seed of the draw.") var seed: UInt64 = 0
    @Option(help: "The dataset; may be left out where there is one.") var dataset: String?
    @Option(help: "The split; test where left out.") var split: String?
    @OptionGroup var waiting: WaitOption
    @OptionGroup var output: OutputOptions

    private struct Result: Encodable {
        var name: String
        var dataset: String
        var split: String
        var images: Int
        var classes: Int
    }

    func run() throws {
        let ways = [correctBy != nil, fold != nil, random != nil].count { $0 }
        guard ways == 1, among == nil || random != nil, perClass == nil || correctBy != nil else {
            throw LogitError(
                .usage,
                "give one of --correct-by NETWORK, --fold K/N and --random N, which say what images to take; --per-class goes with --correct-by, --among with --random"
            )
        }
        let opened = try Corpus(at: corpus, .writing, patience: try waiting.patience(output))
        let chosen = try opened.split(dataset: dataset, split: split, usual: "test")
        let selection =
            if let fold { try opened.selection(name, of: try part(fold), chosen) } else if let random {
                try opened.selectionAtRandom(
                    name, chosen, count: random, seed: seed, among: try among.map { try opened.selection($0) })
            } else {
                try opened.selectionOfCorrect(name, chosen, by: try opened.network(correctBy), perClass: perClass ?? 1)
            }
        try opened.addSelection(selection)
        let result = Result(
            name: name, dataset: chosen.dataset, split: chosen.split, images: selection.ordinals.count,
            classes: chosen.classNames.count)
        output.print(
            result,
            text:
                "selection \(name): \(result.images.grouped) images of \(chosen.dataset)/\(chosen.split), \(selection.provenance)"
        )
    }

    private func part(_ fold: String) throws(LogitError) -> SelectionFold {
        let parts = fold.split(separator: "/", omittingEmptySubsequences: false).map { Int(String($0)) }
        guard parts.count == 2, let index = parts[0], let count = parts[1] else {
            throw LogitError(.usage, "--fold is \"\(fold)\"; give K/N, for instance 0/5")
        }
        return SelectionFold(index: index, count: count, isRest: rest)
    }
}
