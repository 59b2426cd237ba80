import CorpusStore
import Defence
import Logits
import Platform

/// Lowered supporting classes, fewer bits a logit, detection: what the stored analyses say.
struct AblationSection {
    let corpus: Corpus
    let facts: ReportFacts
    let options: ReportWriter.Options
    let folder: String

    private static let kinds = [
        (Analyses.lowering, "Lowered logits", "lowered"), (Analyses.precision, "Precision of the logits", "precision"),
        (Analyses.detection, "Detection", "detector"),
    ]

    /// Nil where there is no such analysis.
    func section() throws(LogitError) -> (section: ReportSection, data: TextTable)? {
        var section = ReportSection(id: "ablations", heading: "Ablations and detection")
        section.paragraphs = [
            "Lowered logits: images that the network gets wrong and the defender right, with as much taken as the table says from the logits of the attack's supporting classes, of each image's own, or of random ones; how many the defender still gets right, and how many it leaves at the class of the attack. Precision: accuracy on logits rounded to fewer bits. Detection: the area under the ROC curve of telling attacked rows from clean ones."
        ]
        var data = TextTable([
            "analysis", "kind", "defender", "network", "dataset", "split", "images", "logits", "subject", "measure",
            "rows", "count", "value", "low_95", "high_95",
        ])
        for (kind, title, subject) in AblationSection.kinds {
            for (id, one) in try newest(kind) {
                let of = "\(one.defender) on \(one.network), \(one.dataset)/\(one.split), \(one.selection ?? "full")"
                let asked = one.asked.sorted { $0.key < $1.key }.filter { $0.key != "precisions" }.map {
                    "\($0.key.replacing("_", with: " ")) \($0.value)"
                }
                let how = asked.isEmpty ? "" : " (\(asked.joined(separator: ", ")))"
                section.tables.append(grid(one, "\(title): \(of)\(how)", subject))
                for figure in one.figures {
                    data.add(
                        [id, kind, one.defender, one.network, one.dataset, one.split, one.selection ?? "full"]
                            + [figure.attack, figure.subject, figure.measure, "\(figure.rows)"]
                            + [figure.count.map(String.init) ?? ""]
                            + [figure.value, figure.low, figure.high].map { $0.map { $0.formatted(6) } ?? "" })
                }
                if let curves = one.curves, !curves.isEmpty { section.figures.append(try roc(one, curves, of)) }
            }
        }
        guard !section.tables.isEmpty else { return nil }
        section.made =
            "Made by logit ablate lower, logit ablate precision and logit detect, from the analyses that these stored of the rows of snapshot \(facts.manifest.id.prefix(12))."
        return (section, data)
    }

    /// What `logit ablate lower` found, for each defender.
    func lowerings() throws(LogitError) -> [AnalysisResult] { try newest(Analyses.lowering).map(\.result) }

    /// The newest of a kind for each defender, set of images and options, of the weights and rows of now.
    private func newest(_ kind: String) throws(LogitError) -> [(id: String, result: AnalysisResult)] {
        let now = Dictionary(
            facts.families.flatMap(\.members).map { ($0.descriptor.name, $0.descriptor.weightsDigest) },
            uniquingKeysWith: { first, _ in first })
        var found: [String: (id: String, result: AnalysisResult)] = [:]
        for one in try corpus.analyses(ofKind: kind) {
            let record = one.record
            guard now[record.defender] == record.weightsDigest, facts.isOfTheseRows(record, corpus) else { continue }
            let result = try corpus.analysis(one.id, as: AnalysisResult.self)
            let key = [
                record.network, record.defender, record.dataset, record.split, record.selection ?? "", record.attack,
                "\(result.asked.sorted { $0.key < $1.key })",
            ]
            found[key.joined(separator: "\u{1F}")] = (one.id, result)
        }
        return found.sorted { $0.key < $1.key }.map(\.value)
    }

    private func grid(_ one: AnalysisResult, _ label: String, _ subject: String) -> ReportSection.Grid {
        var measures: [String] = []
        var keys: [[String]] = []
        for figure in one.figures {
            if !measures.contains(figure.measure) { measures.append(figure.measure) }
            if !keys.contains([figure.attack, figure.subject]) { keys.append([figure.attack, figure.subject]) }
        }
        return ReportSection.Grid(
            label: label, keys: ["logits", subject], columns: measures.map { $0.replacing("_", with: " ") },
            rows: keys.map { key in
                (
                    key,
                    measures.map { measure in
                        cell(one.figures.first { [$0.attack, $0.subject] == key && $0.measure == measure })
                    }
                )
            })
    }

    private func cell(_ figure: AnalysisFigure?) -> ReportSection.Grid.Cell {
        guard let figure, let value = figure.value else { return .init(value: "–") }
        let (low, high) = (figure.low ?? value, figure.high ?? value)
        guard let count = figure.count else {
            return .init(
                value: value.formatted(4),
                lines: [
                    ("\(figure.rows.grouped) rows", false), ("95 %: \(low.formatted(4))–\(high.formatted(4))", false),
                ])
        }
        return .init(
            value: (100 * value).formatted(2),
            lines: [
                ("\(count.grouped) of \(figure.rows.grouped)", false),
                ("95 %: \((100 * low).formatted(2))–\((100 * high).formatted(2))", false),
            ])
    }

    private func roc(
        _ one: AnalysisResult, _ curves: [AnalysisResult.Curve], _ of: String
    ) throws(LogitError) -> ReportFigure {
        let id = "roc-\(one.defender)-\(one.network)-\(one.dataset)-\(one.split)-\(one.selection ?? "full")"
        let path = "\(folder)/\(id).svg"
        try Figures.curves(
            title: "\(one.network) over \(one.dataset)/\(one.split): attacked or clean", curves: curves, to: path)
        var data = TextTable(["attack", "detector", "area under the curve"])
        for figure in one.figures {
            data.add([figure.attack, figure.subject, figure.value.map { $0.formatted(4) } ?? "–"])
        }
        return ReportFigure(
            id: id, caption: "ROC curves of telling attacked rows from clean ones: \(of).",
            description: data.rows.map { "\($0[0]), \($0[1]): area \($0[2])" }.joined(separator: "; ") + ".",
            svg: try InlineSVG.read(path, id: id, label: "ROC curves, \(of)"),
            command:
                "logit detect \(MissingCells.word(options.corpus)) --defender \(one.defender) --network \(one.network) --dataset \(one.dataset) --split \(one.split) --attack \(MissingCells.word(one.attack)) --at \(one.snapshot.prefix(12)) --plot \(id).svg",
            data: data)
    }
}
