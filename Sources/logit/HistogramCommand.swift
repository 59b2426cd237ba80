import Analysis
import ArgumentParser
import CorpusStore
import Defence
import Experiments
import Logits
import Networks
import Report

/// Which per-row statistic of which rows: shared by `histogram` and `bhattacharyya`.
struct StatisticOptions: ParsableArguments {
    @Option(help: "The network; may be left out where there is one.") var network: String?
    @Option(help: "Variants, separated by commas, or a .yaml file; clean,pgd where left out.") var attack: String?
    @Option(help: "mean, minimum, maximum, l2, label_margin, label_rank, perturbation_l2 or perturbation_linf.")
    var statistic = "mean"
    @Option(help: "Equal bins between the smallest and largest value of all variants.") var bins = 20
    @Option(help: "The dataset; may be left out where there is one.") var dataset: String?
    @Option(help: "The split; test where left out and there are several.") var split: String?
    @Option(help: "Only the images of this selection.") var selection: String?
    @Option(help: "The rows of this snapshot or tag only.") var at: String?

    struct Series {
        let dataset: String
        let split: String
        let network: String
        let statistic: String
        let variants: [(name: String, values: [Double])]
        /// Share of images whose statistic is larger in the second variant than in the first, over images with both.
        let rose: Proportion?
    }

    func read(_ corpus: Corpus) throws -> Series {
        guard (1...100_000).contains(bins) else {
            throw LogitError(.usage, "--bins is \(bins); give a whole number from 1 to 100000")
        }
        let network = try corpus.network(network)
        let split = try corpus.split(dataset: dataset, split: split, usual: "test")
        let chosen = try selection.map { try corpus.selection($0) }
        let snapshot = try at.map { try corpus.snapshot($0) }
        var found: [(name: String, byImage: [Int64: Double])] = []
        for choice in try AttackList.choices(attack ?? "clean,pgd", in: corpus) {
            let values = try corpus.statistic(
                statistic, split: split, network: network.name, attack: choice.variant.canonical, selection: chosen,
                at: snapshot)
            guard !values.isEmpty else {
                throw LogitError(
                    .notFound,
                    "there are no rows of \(network.name) under \(choice.variant) over \(split.dataset)/\(split.split) with a \(statistic); run logit ingest with --attack \(choice.variant) first"
                )
            }
            found.append((choice.variant.canonical, values))
        }
        var rose: Proportion?
        if found.count >= 2 {
            let pairs = found[0].byImage.compactMap { image, value in found[1].byImage[image].map { (value, $0) } }
            rose = Proportion(pairs.count { $0.1 > $0.0 }, of: pairs.count)
        }
        return Series(
            dataset: split.dataset, split: split.split, network: network.name, statistic: statistic,
            variants: found.map { one in (one.name, one.byImage.sorted { $0.key < $1.key }.map(\.value)) }, rose: rose)
    }
}

extension StatisticOptions.Series {
    /// Histograms over edges that all variants share.
    func histograms(bins: Int) -> [(name: String, histogram: Histogram)] {
        let edges = Histogram.edges(over: variants.map(\.values), bins: bins)
        return variants.map { ($0.name, Histogram($0.values, edges: edges)) }
    }
}

struct HistogramCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "histogram", abstract: "Histogram of a per-row statistic, several variants over the same edges.",
        discussion:
            "Example: logit histogram corpus --network resnet20 --attack clean,pgd --statistic mean --plot out.svg")

    @Argument(help: "The corpus folder.") var corpus: String
    @OptionGroup var options: StatisticOptions
    @Option(help: "Draw it into this file, .svg or .png.") var plot: String?
    @OptionGroup var output: OutputOptions

    private struct Result: Encodable {
        struct Variant: Encodable {
            var attack: String
            var rows: Int
            var counts: [Int]
        }
        var dataset: String
        var split: String
        var network: String
        var statistic: String
        var edges: [Double]
        var variants: [Variant]
        var shareRose: Proportion?
    }

    func run() throws {
        let series = try options.read(try Corpus(at: corpus, .reading))
        let histograms = series.histograms(bins: options.bins)
        let edges = histograms[0].histogram.edges
        if let plot {
            try Figures.histogram(
                title: "\(series.network) over \(series.dataset)/\(series.split)",
                axis: "\(series.statistic) of the logits",
                series: histograms, to: plot)
            output.note("drew \(plot)")
        }
        let result = Result(
            dataset: series.dataset, split: series.split, network: series.network, statistic: series.statistic,
            edges: edges,
            variants: histograms.map {
                .init(attack: $0.name, rows: $0.histogram.counts.reduce(0, +), counts: $0.histogram.counts)
            },
            shareRose: series.rose)
        var table = TextTable(["from", "to"] + histograms.map(\.name))
        for bin in 0..<options.bins {
            table.add(
                [edges[bin].formatted(4), edges[bin + 1].formatted(4)]
                    + histograms.map { "\($0.histogram.counts[bin])" })
        }
        var text = table.text
        if let rose = series.rose, let share = rose.value {
            text +=
                "\n\n\(series.statistic) rose from \(histograms[0].name) to \(histograms[1].name) for \((100 * share).formatted(1)) % of \(rose.total) images"
        }
        output.print(result, text: text)
    }
}

struct BhattacharyyaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bhattacharyya",
        abstract:
            "Bhattacharyya coefficients between histograms of variants, or between supporting classes of defences.",
        discussion: """
            Histograms are over the same edges. With --supporting the counts of the supporting classes are compared (logit support
            stores them), each attack's by its own defender, and beside them stands what each defender recovers of the other
            attacks (logit evaluate stores it), with the rank correlation of the two over the pairs.
            Example: logit bhattacharyya corpus --network resnet20 --attack clean,pgd --statistic mean
            Example: logit bhattacharyya corpus --supporting --network resnet20
            """)

    @Argument(help: "The corpus folder.") var corpus: String
    @OptionGroup var options: StatisticOptions
    @Flag(help: "Compare supporting classes, of all attacks that have been analysed or those of --attack.")
    var supporting = false
    @Option(help: "With --supporting: attacks of one network, or networks under one attack.")
    var across = SupportMatrix.Axis.attacks
    @Flag(help: "With --supporting: only the union of two defences' most frequent classes, renormalised.") var union =
        false
    @OptionGroup var output: OutputOptions

    private struct Pair: Encodable {
        var first: String
        var second: String
        var coefficient: Double
        var distance: Double?
        var hellinger: Double
    }
    private struct Result: Encodable {
        var dataset: String
        var split: String
        var network: String
        var statistic: String
        var bins: Int
        var pairs: [Pair]
        var shareRose: Proportion?
    }

    func run() throws {
        if supporting {
            let opened = try Corpus(at: corpus, .reading)
            let matrix = try SupportMatrix.read(opened, options, across: across, union: union)
            return output.print(matrix, text: matrix.text)
        }
        let series = try options.read(try Corpus(at: corpus, .reading))
        let histograms = series.histograms(bins: options.bins)
        guard histograms.count >= 2 else {
            throw LogitError(.usage, "--attack names one variant; name two or more, for instance clean,pgd")
        }
        var pairs: [Pair] = []
        for (place, first) in histograms.enumerated() {
            for second in histograms[(place + 1)...] {
                guard let both = Bhattacharyya(first.histogram.counts, second.histogram.counts) else {
                    throw LogitError(
                        .badInput,
                        "\(first.name) or \(second.name) has no finite \(series.statistic); choose another statistic")
                }
                pairs.append(
                    Pair(
                        first: first.name, second: second.name, coefficient: both.coefficient, distance: both.distance,
                        hellinger: both.hellinger))
            }
        }
        var table = TextTable(["first", "second", "coefficient", "distance", "Hellinger"])
        for pair in pairs {
            table.add([
                pair.first, pair.second, pair.coefficient.formatted(6), pair.distance?.formatted(6) ?? "infinite",
                pair.hellinger.formatted(6),
            ])
        }
        let result = Result(
            dataset: series.dataset, split: series.split, network: series.network, statistic: series.statistic,
            bins: options.bins, pairs: pairs, shareRose: series.rose)
        output.print(result, text: table.text)
    }
}
