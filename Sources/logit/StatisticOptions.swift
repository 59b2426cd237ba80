import Analysis
import ArgumentParser
import CorpusStore
import Experiments
import LogitSQL
import Logits
import Networks
import Shards

/// Which per-row statistic of which rows: shared by `histogram` and `bhattacharyya`.
struct StatisticOptions: ParsableArguments {
    @Option(help: "The network; may be left out where there is one.") var network: String?
    @Option(help: "Variants, separated by commas, or a .yaml file; clean,pgd where left out.") var attack: String?
    @Option(
        help: """
            From the catalogue: mean, minimum, maximum, l2, label_margin, label_rank, iterations, perturbation_l2 or \
            perturbation_linf. From the logits: logsumexp, entropy, margin (of the two largest) or probability (the largest).
            """)
    var statistic = "mean"
    @Option(help: "Equal bins between the smallest and largest value.") var bins = 20
    @Option(help: "The dataset; may be left out where there is one.") var dataset: String?
    @Option(help: "The split; test where left out and there are several.") var split: String?
    @Option(help: "The view of the images: a further restart or transform.") var view = 0
    @Option(help: "Only the images of this selection.") var selection: String?
    @Option(help: "The rows of this snapshot or tag only.") var at: String?

    /// SQL over the table `logits` for what the catalogue does not hold.
    static let ofLogits = [
        "logsumexp": "logsumexp(z)", "entropy": "entropy(z)", "margin": "margin(z)",
        "probability": "softmax(z, argmax(z))",
    ]

    struct Series {
        let dataset: String
        let split: String
        let network: String
        let statistic: String
        let variants: [(name: String, byImage: [Int64: Double])]

        /// What the axis of a figure says.
        var axis: String {
            switch statistic {
            case "perturbation_l2": "L2 norm of the perturbation"
            case "perturbation_linf": "largest change of a pixel"
            case "iterations": "gradient evaluations"
            case "label_margin": "margin of the true class"
            case "label_rank": "rank of the true class (0: the largest logit)"
            case "probability": "largest softmax probability"
            case "entropy": "entropy of the softmax, nats"
            case "l2": "L2 norm of the logits"
            case "margin": "gap between the two largest logits"
            default: "\(statistic) of the logits"
            }
        }

        func values(_ variant: Int) -> [Double] { variants[variant].byImage.sorted { $0.key < $1.key }.map(\.value) }

        /// Share of images whose statistic is larger in one variant than in another, over images with both.
        func rose(from first: Int, to second: Int) -> Proportion {
            let pairs = variants[first].byImage.compactMap { image, value in
                variants[second].byImage[image].map { (value, $0) }
            }
            return Proportion(pairs.count { $0.1 > $0.0 }, of: pairs.count)
        }

        /// Histograms over edges that all variants share.
        func histograms(bins: Int) -> [(name: String, histogram: Histogram)] {
            let edges = Histogram.edges(over: variants.indices.map(values), bins: bins)
            return variants.indices.map { (variants[$0].name, Histogram(values($0), edges: edges)) }
        }

        /// Each over its own range.
        func ownHistograms(bins: Int) -> [(name: String, histogram: Histogram)] {
            variants.indices.map { place in
                let values = values(place)
                return (variants[place].name, Histogram(values, edges: Histogram.edges(over: [values], bins: bins)))
            }
        }
    }

    func read(_ corpus: Corpus) throws -> Series {
        guard (1...100_000).contains(bins) else {
            throw LogitError(.usage, "--bins is \(bins); give a whole number from 1 to 100000")
        }
        guard Corpus.statistics.contains(statistic) || StatisticOptions.ofLogits[statistic] != nil else {
            let names = Corpus.statistics + StatisticOptions.ofLogits.keys.sorted()
            throw LogitError(
                .usage, "there is no statistic \"\(statistic)\"; there is \(names.joined(separator: ", "))")
        }
        let network = try corpus.network(network)
        let split = try corpus.split(dataset: dataset, split: split, usual: "test")
        let chosen = try selection.map { try corpus.selection($0) }
        if let chosen { try corpus.check(chosen, split) }
        let snapshot = try at.map { try corpus.snapshot($0) }
        var found: [(name: String, byImage: [Int64: Double])] = []
        for choice in try AttackList.choices(attack ?? "clean,pgd", in: corpus) {
            let canonical = choice.variant.canonical
            var values =
                if let expression = StatisticOptions.ofLogits[statistic] {
                    try computed(expression, corpus, split, network.name, canonical, snapshot)
                } else {
                    try corpus.statistic(
                        statistic, split: split, network: network.name, attack: canonical, view: view,
                        selection: chosen,
                        at: snapshot)
                }
            if let chosen {
                let wanted = Set(chosen.ordinals)
                values = values.filter { wanted.contains($0.key) }
            }
            guard !values.isEmpty else {
                throw LogitError(
                    .notFound,
                    "there are no rows of \(network.name) under \(choice.variant) over \(split.dataset)/\(split.split)\(view == 0 ? "" : " in view \(view)") with a \(statistic); run logit ingest with --attack \(choice.variant) first"
                )
            }
            found.append((canonical, values))
        }
        return Series(
            dataset: split.dataset, split: split.split, network: network.name, statistic: statistic, variants: found)
    }

    private func computed(
        _ expression: String, _ corpus: Corpus, _ split: SplitDescriptor, _ network: String, _ attack: String,
        _ snapshot: SnapshotManifest?
    ) throws -> [Int64: Double] {
        func quoted(_ text: String) -> String { "'" + text.replacing("'", with: "''") + "'" }
        Interrupt.listen()
        let query = try ReadOnlyQuery(corpus, at: snapshot, loading: SQLExtension.entryPoint) { Interrupt.isAsked }
        var values: [Int64: Double] = [:]
        _ = try query.run(
            """
            SELECT ordinal, \(expression) FROM logits WHERE dataset = \(quoted(split.dataset))
                AND split = \(quoted(split.split)) AND network = \(quoted(network)) AND attack = \(quoted(attack))
                AND view = \(view) AND status IS NOT 3 AND prediction >= 0
            """
        ) { _, row in
            if case .integer(let ordinal) = row[0], case .real(let value) = row[1] { values[ordinal] = value }
        }
        return values
    }
}
