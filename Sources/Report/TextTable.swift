import Logits

/// Rows under headings, as aligned text or CSV.
package struct TextTable: Sendable {
    package let headings: [String]
    package private(set) var rows: [[String]] = []

    package init(_ headings: [String]) { self.headings = headings }

    package mutating func add(_ cells: [String]) {
        precondition(cells.count == headings.count)
        rows.append(cells)
    }

    /// Columns padded to their widest cell; numbers to the right.
    package var text: String {
        let columns = Columns(headings, fitting: rows)
        return ([columns.line(headings), columns.rule] + rows.map(columns.line)).joined(separator: "\n")
    }

    /// RFC 4180.
    package var csv: String { ([headings] + rows).map(TextTable.csvLine).joined(separator: "\n") }

    package static func csvLine(_ cells: [String]) -> String {
        func field(_ cell: String) -> String {
            cell.contains { $0 == "," || $0 == "\"" || $0.isNewline }
                ? "\"" + cell.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
                : cell
        }
        return cells.map(field).joined(separator: ",")
    }

    /// How wide the columns are, and which hold numbers, to go by some rows.
    package struct Columns: Sendable {
        private var widths: [Int]
        private let right: [Bool]

        package init(_ headings: [String], fitting rows: [[String]]) {
            widths = headings.map(\.count)
            for row in rows {
                for (column, cell) in row.enumerated() { widths[column] = max(widths[column], cell.count) }
            }
            right = headings.indices.map { column in
                !rows.isEmpty && rows.allSatisfy { TextTable.isNumeric($0[column]) }
            }
        }

        /// A wider cell pushes the others aside.
        package func line(_ cells: [String]) -> String {
            let padded = cells.enumerated().map { column, cell in
                let gap = String(repeating: " ", count: max(0, widths[column] - cell.count))
                return right[column] ? gap + cell : cell + gap
            }
            return padded.joined(separator: "  ").trimmingTrailingSpaces()
        }

        package var rule: String { widths.map { String(repeating: "-", count: $0) }.joined(separator: "  ") }
    }

    fileprivate static func isNumeric(_ cell: String) -> Bool {
        guard let first = cell.unicodeScalars.first else { return true }
        return first == "-" || first == "–" || first == "." || ("0"..."9").contains(first)
    }
}

extension String {
    fileprivate func trimmingTrailingSpaces() -> String {
        var copy = self
        while copy.last == " " { copy.removeLast() }
        return copy
    }
}
