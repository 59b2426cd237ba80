import Logits
import Platform

extension ReportSection.Grid {
    /// As the page shows it, a line a row.
    var table: TextTable {
        var table = TextTable(keys + columns)
        for row in rows {
            table.add(row.keys + row.cells.map { ([$0.value] + $0.lines.map(\.line)).joined(separator: "; ") })
        }
        return table
    }

    fileprivate var latex: String {
        var lines = ["\\begin{table}", "\\caption{\(LaTeX.escaped(label))}"]
        lines += [
            "\\begin{tabular}{\(String(repeating: "l", count: keys.count))\(String(repeating: "r", count: columns.count))}",
            "\\hline",
        ]
        lines.append((keys + columns).map(LaTeX.escaped).joined(separator: " & ") + " \\\\ \\hline")
        for row in rows {
            lines.append((row.keys + row.cells.map(\.value)).map(LaTeX.escaped).joined(separator: " & ") + " \\\\")
        }
        return (lines + ["\\hline", "\\end{tabular}", "\\end{table}"]).joined(separator: "\n")
    }
}

extension ReportSection {
    /// Writes the section's tables as text and LaTeX, and, a line a fact, as CSV. What is in figures alone is CSV alone.
    /// - Parameter data: the facts.
    /// - Returns: the files' names.
    mutating func write(_ data: TextTable, into folder: String) throws(LogitError) -> [String] {
        let text =
            ([heading] + paragraphs + points + tables.map { "\($0.label)\n\n\($0.table.text)" }).joined(
                separator: "\n\n") + "\n"
        let latex = "% \(LaTeX.comment(heading))\n" + tables.map(\.latex).joined(separator: "\n\n") + "\n"
        let all = [("csv", data.csv + "\n"), ("txt", text), ("tex", latex)]
        for (ending, content) in all.prefix(data.rows.isEmpty ? 0 : tables.isEmpty ? 1 : 3) {
            try Files.writeDurably(Array(content.utf8), to: "\(folder)/\(id).\(ending)")
            files.append("\(id).\(ending)")
        }
        return files
    }
}
