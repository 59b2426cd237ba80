import CorpusStore
import Defence
import Logits
import Shards

/// Accuracy against one setting of defenders that differ in nothing else.
struct SweepSection {
    let facts: ReportFacts
    let options: ReportWriter.Options
    let folder: String

    /// A setting that defenders may differ in.
    private struct Axis {
        let id: String
        let label: String
        var isLogarithmic = false
        /// What a family has of it; nil where it has none.
        let value: (DefenderFamily) -> Double?
        /// Makes families equal that differ in it alone.
        let neutralise: (inout DefenderFamily) -> Void

        func neutral(_ family: DefenderFamily) -> DefenderFamily {
            var family = family
            neutralise(&family)
            return family
        }

        func spelled(_ value: Double) -> String { value == value.rounded() ? "\(Int(value))" : "\(value)" }
    }

    /// Fewer points are a comparison, which the table of other defenders shows.
    private static let fewest = 3

    private var axes: [Axis] {
        [
            Axis(id: "p", label: "p, how often an image gives its clean logits") {
                $0.options.cleanProbability
            } neutralise: {
                $0.options.cleanProbability = 0
            },
            Axis(id: "images", label: "images trained on", isLogarithmic: true, value: images) { $0.selection = nil },
            Axis(id: "hidden", label: "D, width of the hidden layer", isLogarithmic: true) {
                $0.options.layers > 1 ? Double($0.options.hidden) : nil
            } neutralise: {
                $0.options.hidden = 1
            },
            Axis(id: "layers", label: "layers") {
                Double($0.options.layers)
            } neutralise: {
                $0.options.layers = 2
            },
            Axis(id: "dropout", label: "dropout of the hidden layer") {
                $0.options.layers > 1 ? $0.options.dropout : nil
            } neutralise: {
                $0.options.dropout = 0
            },
        ]
    }

    /// Clean rows that a family learnt from.
    private func images(_ family: DefenderFamily) -> Double? {
        let subject = Subject(dataset: family.dataset, split: family.split, network: family.network)
        let group = family.selection.map { ImageGroup.selection($0) } ?? .full
        return facts.counts(subject, group, "clean").map { Double($0.rows) }
    }

    /// A family of a curve, and its accuracy on clean and on attacked rows.
    private struct Point {
        let value: Double
        let family: DefenderFamily
        let cells: [(accuracy: Accuracy, evaluations: [String], defenders: [String])?]
    }

    /// Nil where no defenders make a curve.
    func section() throws(LogitError) -> (section: ReportSection, data: TextTable)? {
        var section = ReportSection(id: "settings", heading: "Settings of the defender")
        section.paragraphs = [
            "Accuracy of corrected logits against one setting of defenders that are alike in everything else; bars are 95 % Wilson intervals. The dashed line is the accuracy on clean logits without a defence."
        ]
        var data = TextTable([
            "setting", "value", "dataset", "split", "images", "network", "attack", "logits", "defence", "defenders",
            "rows", "correct", "percent", "low_95", "high_95",
        ])
        for axis in axes {
            for group in groups(axis) {
                let family = group[0].family
                for split in facts.reportedSplits where split.dataset == family.dataset {
                    let subject = facts.subject(split, family.network)
                    let points = group.map { value, family in
                        Point(
                            value: value, family: family,
                            cells: ["clean", family.attacks[0]].map { facts.corrected(family, subject, .full, $0) })
                    }.filter { $0.cells.contains { $0 != nil } }
                    guard points.count >= SweepSection.fewest else { continue }
                    section.figures.append(
                        try figure(points, axis, subject, id: "settings-\(section.figures.count + 1)-\(axis.id)"))
                    for line in lines(points, axis, subject) { data.add(line) }
                }
            }
        }
        guard !section.figures.isEmpty else { return nil }
        section.made =
            "Made by logit report, from the evaluations of snapshot \(facts.manifest.id.prefix(12)) that the tables show."
        return (section, data)
    }

    /// Families with at least three values of a setting and everything else alike, by that value.
    private func groups(_ axis: Axis) -> [[(value: Double, family: DefenderFamily)]] {
        var groups: [(like: DefenderFamily, families: [(value: Double, family: DefenderFamily)])] = []
        for family in facts.families where family.attacks.count == 1 && family.folds == nil {
            guard let value = axis.value(family) else { continue }
            let like = axis.neutral(family)
            if let place = groups.firstIndex(where: { $0.like.isLike(like) }) {
                groups[place].families.append((value, family))
            } else {
                groups.append((like, [(value, family)]))
            }
        }
        return groups.map(\.families).filter { Set($0.map(\.value)).count >= SweepSection.fewest }
            .map { $0.sorted { $0.value < $1.value } }
    }

    private func figure(
        _ points: [Point], _ axis: Axis, _ subject: Subject, id: String
    ) throws(LogitError) -> ReportFigure {
        let family = points[0].family
        let attack = family.attacks[0]
        let path = "\(folder)/\(id).svg"
        let what = "\(subject.network) under \(attack), \(subject.dataset)/\(subject.split)"
        let series = ["clean, corrected", "\(attack), corrected"].enumerated().map { index, name in
            (
                name: name,
                points: points.compactMap { point in point.cells[index].map { (x: point.value, accuracy: $0.accuracy) }
                }
            )
        }
        try Figures.accuracies(
            title: what, axis: axis.label, isLogarithmic: axis.isLogarithmic, series: series,
            reference: Accuracy(facts.counts(subject, .full, "clean"))?.percent, to: path)
        var data = TextTable([axis.id] + series.map(\.name))
        for point in points {
            data.add(
                [axis.spelled(point.value)]
                    + point.cells.map { $0.map { "\($0.accuracy.value) (\($0.accuracy.interval))" } ?? "–" })
        }
        let usual = facts.mainFamily(subject.network, subject.dataset, [attack], .full) ?? family
        let common = axis.neutral(family).difference(from: axis.neutral(usual))
        return ReportFigure(
            id: id,
            caption:
                "Accuracy against \(axis.label): \(what)\(common.isEmpty ? "" : "; all with \(common)").",
            description: data.rows.map { row in
                "\(axis.id) \(row[0]): clean \(row[1]), attacked \(row[2])"
            }.joined(separator: "; ") + ".",
            svg: try InlineSVG.read(path, id: id, label: "Accuracy against \(axis.label), \(what)"),
            command:
                "logit report \(MissingCells.word(options.corpus)) --out DIR --at \(facts.manifest.id.prefix(12))",
            data: data)
    }

    private func lines(_ points: [Point], _ axis: Axis, _ subject: Subject) -> [[String]] {
        points.flatMap { point in
            zip(["clean", point.family.attacks[0]], point.cells).compactMap { logits, cell in
                cell.map { cell in
                    let accuracy = cell.accuracy
                    return [
                        axis.id, axis.spelled(point.value), subject.dataset, subject.split, ImageGroup.full.label,
                        subject.network, point.family.attacks[0], logits, "corrected",
                        cell.defenders.joined(separator: " "), "\(accuracy.rows)",
                        accuracy.correct.map(String.init).joined(separator: " "),
                    ] + [accuracy.percent, accuracy.low, accuracy.high].map { $0.formatted(4) }
                }
            }
        }
    }
}
