import ArgumentParser
import CorpusStore
import Defence
import Experiments
import Logits
import Report

extension SupportMatrix.Axis: ExpressibleByArgument {}

extension SupportMatrix {
    /// The matrix over what the options of `bhattacharyya` choose.
    static func read(
        _ corpus: Corpus, _ options: StatisticOptions, across: Axis, union: Bool
    ) throws(LogitError) -> SupportMatrix {
        guard options.at == nil else {
            throw LogitError(
                .usage, "--at does not go with --supporting, which reads analyses; give it to logit support")
        }
        let attacks = try options.attack.map { (list) throws(LogitError) in
            try AttackList.choices(list, in: corpus).map(\.variant.canonical)
        }
        if across == .networks, attacks?.count != 1 {
            throw LogitError(
                .usage, "--across networks compares networks under one attack; name it, for instance --attack pgd")
        }
        return try read(
            corpus, across: across,
            network: across == .attacks ? try corpus.network(options.network).name : options.network, attacks: attacks,
            split: try corpus.split(dataset: options.dataset, split: options.split, usual: "test"),
            selection: try options.selection.map { (name) throws(LogitError) in try corpus.selection(name).name },
            union: union)
    }

    var text: String {
        let names = items.map(\.name)
        var alike = TextTable(["coefficient"] + names)
        var table = TextTable(["rows of \\ defender of"] + names)
        for (place, name) in names.enumerated() {
            alike.add([name] + coefficients[place].map { $0.formatted(4) })
            table.add(
                [name] + transfer[place].map { $0?.value.map { "\((100 * $0).formatted(1)) %" } ?? "not evaluated" })
        }
        let rank =
            rankCorrelation.map {
                "rank correlation of coefficient and mean transfer over \(rankedPairs) pairs: \($0.formatted(3))"
            }
            ?? "no rank correlation: \(rankedPairs) pairs have been evaluated both ways (logit evaluate), and it takes two that differ"
        return "\(alike.text)\n\n\(table.text)\n\n\(rank)"
    }
}
