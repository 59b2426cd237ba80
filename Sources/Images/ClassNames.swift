import Logits
import Platform

/// A file of class names in class order: one a line, or columns with tabs of which the first is the class's number and the last
/// its name, under a line of headings or none.
package enum ClassNames {
    package static func read(_ path: String) throws(LogitError) -> [String] {
        let lines = try Files.readText(path, limit: 64 << 20).split(whereSeparator: \.isNewline)
        let names = lines.contains { $0.contains("\t") } ? try columns(lines, path) : lines.map(String.init)
        guard names.count >= 2 else {
            throw LogitError(.badInput, "\(path) names \(names.count) classes; give one name a line, two or more")
        }
        return names
    }

    private static func columns(_ lines: [Substring], _ path: String) throws(LogitError) -> [String] {
        let rows = lines.map { $0.split(separator: "\t", omittingEmptySubsequences: false) }
        let isHeaded = Int(rows[0][0]) == nil
        var names: [String] = []
        for (line, row) in rows.enumerated().dropFirst(isHeaded ? 1 : 0) {
            guard row.count >= 2, row.count == rows[0].count, Int(row[0]) == names.count, !row[row.count - 1].isEmpty
            else {
                throw LogitError(
                    .badInput,
                    "line \(line + 1) of \(path) is not class \(names.count), with \(rows[0].count) columns and its name last; give the classes in order from 0, or one name a line"
                )
            }
            names.append(String(row[row.count - 1]))
        }
        return names
    }
}
