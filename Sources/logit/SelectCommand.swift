import ArgumentParser
import CorpusStore
import Logits
import Report
import Shards

struct Select: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Name a set of images: for each class the first ones that a network gets right, or a fold of a split.",
        discussion: """
            Folds are for cross-validation: image i belongs to fold i mod N. Train on the --rest of a fold and evaluate on the fold.
            Example: logit select corpus paper --correct-by resnet20 --per-class 1 --split test
            Example: logit select corpus fold-0 --fold 0/5 && logit select corpus fold-0-rest --fold 0/5 --rest
            """)

    @Argument(help: "The corpus folder.") var corpus: String
    @Argument(help: "The selection's name.") var name: String
    @Option(help: "The network that must get the clean image right.") var correctBy: String?
    @Option(help: "Images a class.") var perClass = 1
    @Option(help: "Fold K of N of the split's images, as K/N.") var fold: String?
    @Flag(help: "All images but those of the fold.") var rest = false
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
        guard (correctBy == nil) != (fold == nil) else {
            throw LogitError(.usage, "give one of --correct-by NETWORK and --fold K/N, which say what images to take")
        }
        let opened = try Corpus(at: corpus, .writing, patience: try waiting.patience(output))
        let chosen = try opened.split(dataset: dataset, split: split, usual: "test")
        let selection =
            if let fold { try opened.selection(name, of: try part(fold), chosen) } else {
                try opened.selectionOfCorrect(name, chosen, by: try opened.network(correctBy), perClass: perClass)
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
