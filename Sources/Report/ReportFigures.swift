import Analysis
import CorpusStore
import Logits
import Platform
import Shards

/// A figure of the report.
struct ReportFigure {
    /// The beginning of its file's name.
    var id: String
    var caption: String
    /// What a reader who does not see it needs to know.
    var description: String
    /// The whole <svg> element.
    var svg: String
    var command: String
    /// The same numbers as a table.
    var data: TextTable
}

/// The mean logit of each image, clean and attacked: the paper's Figure 1.
struct MeanLogitFigures {
    let corpus: Corpus
    let facts: ReportFacts
    /// The corpus as commands name it.
    let name: String
    static let bins = 20
    /// More curves than this cannot be told apart.
    private static let attacks = 5

    /// A line of the table beside the figures.
    struct Rise: Encodable {
        var dataset: String
        var split: String
        var network: String
        var attack: String
        var meanClean: Double
        var meanAttacked: Double
        /// Share of images whose mean logit is larger under the attack.
        var rose: Proportion
        /// Between the two histograms.
        var coefficient: Double?
    }

    /// One figure for each network and split that has clean and attacked rows.
    /// - Parameter folder: where the SVG files are written.
    func all(into folder: String) throws(LogitError) -> (figures: [ReportFigure], rises: [Rise]) {
        var figures: [ReportFigure] = []
        var rises: [Rise] = []
        for split in facts.reportedSplits {
            for network in facts.networks(over: split).map(\.name) {
                let subject = facts.subject(split, network)
                let attacks = facts.attacks(subject).filter { ReportFacts.defender(through: $0) == nil }
                guard facts.counts(subject, .full, "clean") != nil, !attacks.isEmpty else { continue }
                var values: [(name: String, byImage: [Int64: Double])] = []
                for attack in ["clean"] + attacks.prefix(MeanLogitFigures.attacks) {
                    values.append(
                        (
                            attack,
                            try corpus.statistic(
                                "mean", split: split, network: network, attack: attack, selection: nil,
                                at: facts.manifest)
                        ))
                }
                values.removeAll(where: \.byImage.isEmpty)
                guard values.count > 1, values[0].name == "clean" else { continue }
                let (figure, found) = try draw(subject, values, into: folder)
                figures.append(figure)
                rises += found
            }
        }
        return (figures, rises)
    }

    private func draw(
        _ subject: Subject, _ values: [(name: String, byImage: [Int64: Double])], into folder: String
    ) throws(LogitError) -> (ReportFigure, [Rise]) {
        // In the order of the images, so that sums come out the same each time.
        let sorted = values.map { one in one.byImage.sorted { $0.key < $1.key }.map(\.value) }
        let edges = Histogram.edges(over: sorted, bins: MeanLogitFigures.bins)
        let series = zip(values, sorted).map { (name: $0.name, histogram: Histogram($1, edges: edges)) }
        let id = "figure-1-\(subject.dataset)-\(subject.split)-\(subject.network)"
        let path = "\(folder)/\(id).svg"
        let title = "\(subject.network) over \(subject.dataset)/\(subject.split)"
        try Figures.histogram(title: title, axis: "mean of an image's logits", series: series, to: path)
        var rises: [Rise] = []
        for place in 1..<values.count {
            let pairs = values[0].byImage.compactMap { image, value in
                values[place].byImage[image].map { (value, $0) }
            }
            rises.append(
                Rise(
                    dataset: subject.dataset, split: subject.split, network: subject.network,
                    attack: values[place].name, meanClean: mean(sorted[0]), meanAttacked: mean(sorted[place]),
                    rose: Proportion(pairs.count { $0.1 > $0.0 }, of: pairs.count),
                    coefficient: Bhattacharyya(series[0].histogram.counts, series[place].histogram.counts)?.coefficient)
            )
        }
        var data = TextTable(["from", "to"] + series.map(\.name))
        for bin in 0..<MeanLogitFigures.bins {
            data.add(
                [edges[bin].formatted(4), edges[bin + 1].formatted(4)] + series.map { "\($0.histogram.counts[bin])" })
        }
        let attacks = values.map(\.name).joined(separator: ",")
        let told = rises.map { "under \($0.attack) it rises for \(percent($0.rose)) of them" }.joined(separator: ", ")
        let figure = ReportFigure(
            id: id,
            caption: "Mean logit of each image, \(title), in \(MeanLogitFigures.bins) bins.",
            description:
                "Histograms of the mean logit of \(sorted[0].count.grouped) images, clean and attacked: \(told). The numbers are in the table below the figure.",
            svg: try InlineSVG.read(path, id: id, label: "Histograms of the mean logit, \(title)"),
            command:
                "logit histogram \(MissingCells.word(name)) --network \(subject.network) --dataset \(subject.dataset) --split \(subject.split) --attack \(MissingCells.word(attacks)) --bins \(MeanLogitFigures.bins) --at \(facts.manifest.id.prefix(12)) --plot \(id).svg",
            data: data)
        return (figure, rises)
    }

    private func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(max(1, values.count)) }

    private func percent(_ share: Proportion) -> String { share.value.map { "\((100 * $0).formatted(1)) %" } ?? "none" }
}

/// An SVG file as part of a page.
enum InlineSVG {
    /// The <svg> element of a file that the plotting tool wrote, with a label for screen readers, and with ids of its own: those of
    /// several figures in one page must differ.
    static func read(_ path: String, id: String, label: String) throws(LogitError) -> String {
        let text = try Files.readText(path, limit: 64 << 20)
        guard let start = text.firstRange(of: "<svg") else {
            throw LogitError(.io, "gnuplot wrote no SVG into \(path); check gnuplot --version, 5.4 or newer is needed")
        }
        var svg = String(text[start.lowerBound...])
        for (old, new) in [
            ("id=\"", "id=\"\(id)-"), (" id='", " id='\(id)-"), ("href='#", "href='#\(id)-"),
            ("href=\"#", "href=\"#\(id)-"),
            ("url(#", "url(#\(id)-"),
        ] {
            svg = svg.replacing(old, with: new)
        }
        svg = svg.replacing("<title>Gnuplot</title>", with: "<title>\(escaped(label))</title>")
        let opening = "<svg role=\"img\" aria-label=\"\(escaped(label))\""
        svg.replaceSubrange(svg.startIndex..<svg.index(svg.startIndex, offsetBy: 4), with: opening)
        return svg
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing("\"", with: "&quot;")
    }
}
