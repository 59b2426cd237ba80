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
        var widths = headings.map(\.count)
        for row in rows {
            for (column, cell) in row.enumerated() { widths[column] = max(widths[column], cell.count) }
        }
        let right = headings.indices.map { column in
            !rows.isEmpty && rows.allSatisfy { TextTable.isNumeric($0[column]) }
        }
        func line(_ cells: [String]) -> String {
            let padded = cells.enumerated().map { column, cell in
                let gap = String(repeating: " ", count: widths[column] - cell.count)
                return right[column] ? gap + cell : cell + gap
            }
            return padded.joined(separator: "  ").trimmingTrailingSpaces()
        }
        let rule = widths.map { String(repeating: "-", count: $0) }.joined(separator: "  ")
        return ([line(headings), rule] + rows.map(line)).joined(separator: "\n")
    }

    /// RFC 4180.
    package var csv: String {
        func field(_ cell: String) -> String {
            cell.contains { $0 == "," || $0 == "\"" || $0.isNewline }
                ? "\"" + cell.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
                : cell
        }
        return ([headings] + rows).map { $0.map(field).joined(separator: ",") }.joined(separator: "\n")
    }

    private static func isNumeric(_ cell: String) -> Bool {
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
