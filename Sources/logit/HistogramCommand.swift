import Analysis
import ArgumentParser
import CorpusStore
import Defence
import Experiments
import Logits
import Report

struct HistogramCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "histogram", abstract: "Histogram of a per-row statistic of several variants.",
        discussion:
            "Example: logit histogram corpus --network resnet20 --attack clean,pgd --statistic mean --plot out.svg")

    @Argument(help: "The corpus folder.") var corpus: String
    @OptionGroup var options: StatisticOptions
    @Option(help: "shared: all variants over the same edges. own: each over its own range.") var edges = Edges.shared
    @Option(help: "Draw it into this file, .svg or .png.") var plot: String?
    @OptionGroup var output: OutputOptions

    enum Edges: String, ExpressibleByArgument, CaseIterable { case shared, own }

    private struct Result: Encodable {
        struct Variant: Encodable {
            var attack: String
            var rows: Int
            /// Its own, where they are not shared.
            var edges: [Double]?
            var counts: [Int]
        }
        var dataset: String
        var split: String
        var network: String
        var statistic: String
        var edges: [Double]?
        var variants: [Variant]
        var shareRose: Proportion?
    }

    func run() throws {
        let series = try options.read(try Corpus(at: corpus, .reading))
        let isShared = edges == .shared
        let histograms = isShared ? series.histograms(bins: options.bins) : series.ownHistograms(bins: options.bins)
        if let plot {
            try Figures.histogram(
                title: "\(series.network) over \(series.dataset)/\(series.split)",
                axis: series.axis,
                series: histograms, to: plot)
            output.note("drew \(plot)")
        }
        let rose = histograms.count >= 2 ? series.rose(from: 0, to: 1) : nil
        let result = Result(
            dataset: series.dataset, split: series.split, network: series.network, statistic: series.statistic,
            edges: isShared ? histograms[0].histogram.edges : nil,
            variants: histograms.map {
                .init(
                    attack: $0.name, rows: $0.histogram.counts.reduce(0, +), edges: isShared ? nil : $0.histogram.edges,
                    counts: $0.histogram.counts)
            },
            shareRose: rose)
        var text = table(histograms.map(\.name), histograms.map(\.histogram), isShared)
        if let rose, let share = rose.value {
            text +=
                "\n\n\(series.statistic) rose from \(histograms[0].name) to \(histograms[1].name) for \((100 * share).formatted(1)) % of \(rose.total) images"
        }
        output.print(result, text: text)
    }

    private func table(_ names: [String], _ histograms: [Histogram], _ isShared: Bool) -> String {
        var table = TextTable(
            isShared ? ["from", "to"] + names : names.flatMap { ["\($0) from", "to", "images"] })
        for bin in 0..<options.bins {
            func ends(_ histogram: Histogram) -> [String] {
                [histogram.edges[bin].formatted(4), histogram.edges[bin + 1].formatted(4)]
            }
            table.add(
                isShared
                    ? ends(histograms[0]) + histograms.map { "\($0.counts[bin])" }
                    : histograms.flatMap { ends($0) + ["\($0.counts[bin])"] })
        }
        return table.text
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
        /// Of the images with both, whose statistic is larger in the second variant.
        var shareRose: Proportion
    }
    private struct Result: Encodable {
        var dataset: String
        var split: String
        var network: String
        var statistic: String
        var bins: Int
        var pairs: [Pair]
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
            for (other, second) in histograms.enumerated().dropFirst(place + 1) {
                guard let both = Bhattacharyya(first.histogram.counts, second.histogram.counts) else {
                    throw LogitError(
                        .badInput,
                        "\(first.name) or \(second.name) has no finite \(series.statistic); choose another statistic")
                }
                pairs.append(
                    Pair(
                        first: first.name, second: second.name, coefficient: both.coefficient, distance: both.distance,
                        hellinger: both.hellinger, shareRose: series.rose(from: place, to: other)))
            }
        }
        var table = TextTable(["first", "second", "coefficient", "distance", "Hellinger", "rose %"])
        for pair in pairs {
            table.add([
                pair.first, pair.second, pair.coefficient.formatted(6), pair.distance?.formatted(6) ?? "infinite",
                pair.hellinger.formatted(6), pair.shareRose.value.map { (100 * $0).formatted(1) } ?? "",
            ])
        }
        let result = Result(
            dataset: series.dataset, split: series.split, network: series.network, statistic: series.statistic,
            bins: options.bins, pairs: pairs)
        output.print(result, text: table.text)
    }
}
