import Logits

/// One accuracy of a table, with all that says what it is of: a line of the table's CSV file.
struct TableFigure: Encodable {
    var table: String
    var dataset: String
    var split: String
    /// `full`, a selection, or `5 folds`.
    var images: String
    /// The network whose logits are judged.
    var network: String
    /// `clean`, or an attack's canonical name.
    var logits: String
    /// `none` or `corrected`.
    var defence: String
    /// Of a defender, or of those of several seeds.
    var defenders: [String] = []
    var trainedOn: String?
    var trainedUnder: [String] = []
    var accuracy: Accuracy
    /// The paper's figure in percent, where it has this cell.
    var paper: Double?
    var evaluations: [String] = []

    static let headings = [
        "table", "dataset", "split", "images", "network", "logits", "defence", "defenders", "trained_on",
        "trained_under", "rows", "correct", "percent", "low_95", "high_95", "paper_percent", "evaluations",
    ]

    var fields: [String] {
        [
            table, dataset, split, images, network, logits, defence, defenders.joined(separator: " "), trainedOn ?? "",
            trainedUnder.joined(separator: " "), "\(accuracy.rows)",
            accuracy.correct.map(String.init).joined(separator: " "), accuracy.percent.formatted(4),
            accuracy.low.formatted(4), accuracy.high.formatted(4), paper.map { $0.formatted(2) } ?? "",
            evaluations.joined(separator: " "),
        ]
    }
}

/// A cell of a table as it is shown.
struct TableCell {
    /// Nil: the corpus does not hold it.
    var figure: TableFigure?
    /// As in `own`, said in words beside the value.
    var marks: [String] = []
    /// The paper's figure in percent, and the network that it is of.
    var paper: Double?
    var paperNetwork = ""

    /// Where the paper has no such cell.
    mutating func dropPaper() {
        paper = nil
        figure?.paper = nil
    }
}

/// A part of a table: one network, split and set of images, or one attack.
struct TablePanel {
    var caption: String
    /// Of the columns that say what a row is of, then of the cells.
    var keys: [String]
    var columns: [String]
    var rows: [(keys: [String], cells: [TableCell])] = []
}

/// A table of the report, and what the corpus lacks for its empty cells.
struct ReportTable {
    /// The beginning of its files' names: `table-1`.
    var id: String
    var title: String
    var introduction: String
    var panels: [TablePanel] = []
    var notes: [String] = []
    var missing = MissingCells()

    var figures: [TableFigure] { panels.flatMap(\.rows).flatMap(\.cells).compactMap(\.figure) }
    var isEmpty: Bool { panels.allSatisfy(\.rows.isEmpty) }

    // MARK: Files

    /// For reading in a terminal.
    var text: String {
        var parts = ["\(title)\n\n\(introduction)"]
        for panel in panels where !panel.rows.isEmpty {
            var table = TextTable(panel.keys + panel.columns)
            for row in panel.rows { table.add(row.keys + row.cells.map(\.text)) }
            parts.append("\(panel.caption)\n\n\(table.text)")
        }
        parts += notes
        if !missing.commands.isEmpty {
            parts.append(
                "What would fill the empty cells:\n\n" + missing.commands.map { "    \($0)" }.joined(separator: "\n"))
        }
        return parts.joined(separator: "\n\n") + "\n"
    }

    /// One line for each accuracy, RFC 4180.
    var csv: String {
        var table = TextTable(TableFigure.headings)
        for figure in figures { table.add(figure.fields) }
        return table.csv + "\n"
    }

    /// A `table` for each panel; needs no package.
    var latex: String {
        var lines = ["% \(LaTeX.comment(title)): \(LaTeX.comment(introduction))"]
        for panel in panels where !panel.rows.isEmpty {
            let columns =
                String(repeating: "l", count: panel.keys.count) + String(repeating: "r", count: panel.columns.count)
            lines += ["\\begin{table}", "\\caption{\(LaTeX.escaped(title)): \(LaTeX.escaped(panel.caption))}"]
            lines += ["\\begin{tabular}{\(columns)}", "\\hline"]
            lines.append((panel.keys + panel.columns).map(LaTeX.escaped).joined(separator: " & ") + " \\\\ \\hline")
            for row in panel.rows {
                lines.append((row.keys.map(LaTeX.escaped) + row.cells.map(\.latex)).joined(separator: " & ") + " \\\\")
            }
            lines += ["\\hline", "\\end{tabular}", "\\end{table}", ""]
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension TableCell {
    var text: String {
        guard let accuracy = figure?.accuracy else {
            return "–" + (paper.map { " (paper \(paperNetwork) \($0.formatted(2)))" } ?? "")
        }
        var text = "\(accuracy.value) [\(accuracy.interval)] \(accuracy.counts)"
        if !marks.isEmpty { text += " (\(marks.joined(separator: ", ")))" }
        if let paper { text += " (paper \(paperNetwork) \(paper.formatted(2)))" }
        return text
    }

    var latex: String {
        guard let accuracy = figure?.accuracy else { return "--" }
        let interval = "\(accuracy.low.formatted(1))--\(accuracy.high.formatted(1))"
        let value = marks.contains("own") ? "\\textbf{\(accuracy.value)}" : accuracy.value
        return "\(value) {\\scriptsize [\(interval)]}"
            + (paper.map { " {\\scriptsize (paper \($0.formatted(1)))}" } ?? "")
    }
}

/// What must be escaped in LaTeX's text.
enum LaTeX {
    static func escaped(_ text: String) -> String {
        text.map { character in
            switch character {
            case "\\": "\\textbackslash{}"
            case "&", "%", "$", "#", "_", "{", "}": "\\\(character)"
            case "~": "\\textasciitilde{}"
            case "^": "\\textasciicircum{}"
            case "–": "--"
            case "→": "$\\rightarrow$"
            case _ where character.isNewline: " "
            default: String(character)
            }
        }.joined()
    }

    /// For a comment, which a line break would end.
    static func comment(_ text: String) -> String { String(text.map { $0.isNewline ? " " : $0 }) }
}
