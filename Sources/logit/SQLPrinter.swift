import ArgumentParser
import CorpusStore
import Logits
import Report

/// Prints rows as they come: memory holds some of them only, however many there are.
struct SQLPrinter {
    enum Format: String, ExpressibleByArgument, CaseIterable { case table, csv, json }

    /// A table's widths are those of its first rows.
    private static let fittedRows = 1000

    private let format: Format
    private var first: [[String]] = []
    private var columns: TextTable.Columns?
    private var count = 0
    private var output = StandardOutput()

    init(_ format: Format) { self.format = format }

    mutating func add(_ names: [String], _ values: [ReadOnlyQuery.Value]) throws(LogitError) {
        switch format {
        case .table:
            let cells = values.map(cell)
            if let columns {
                try output.write(columns.line(cells) + "\n")
            } else {
                first.append(cells)
                if first.count == SQLPrinter.fittedRows { try head(names) }
            }
        case .csv:
            if count == 0 { try output.write(TextTable.csvLine(names) + "\n") }
            try output.write(TextTable.csvLine(values.map(text)) + "\n")
        case .json:
            if count == 0 { try refuseDoubled(names) }
            let fields = zip(names, values).map { "\(quoted($0)): \(json($1))" }.joined(separator: ", ")
            try output.write((count == 0 ? "[\n" : ",\n") + "  {\(fields)}")
        }
        count += 1
    }

    /// - Parameter names: of the columns, also where there was no row.
    mutating func finish(_ names: [String]) throws(LogitError) {
        switch format {
        case .table: if columns == nil { try head(names) }
        case .csv: if count == 0 { try output.write(TextTable.csvLine(names) + "\n") }
        case .json: try output.write(count == 0 ? "[]\n" : "\n]\n")
        }
        try output.flush()
    }

    /// The headings, and the rows that their widths were waited for.
    private mutating func head(_ names: [String]) throws(LogitError) {
        let columns = TextTable.Columns(names, fitting: first)
        self.columns = columns
        for line in [columns.line(names), columns.rule] + first.map(columns.line) { try output.write(line + "\n") }
        first = []
    }

    private func refuseDoubled(_ names: [String]) throws(LogitError) {
        var seen: Set<String> = []
        for name in names where !seen.insert(name).inserted {
            throw LogitError(
                .usage, "two columns are named \(name), of which a JSON object can hold one; name them apart with AS")
        }
    }

    /// In a table: on one line, and without what a terminal would obey.
    private func cell(_ value: ReadOnlyQuery.Value) -> String {
        switch value {
        case .blob(let bytes): "<\(bytes.count.grouped) bytes>"
        case .text(let text):
            String(String.UnicodeScalarView(text.unicodeScalars.map { $0.properties.isControl ? " " : $0 }))
        default: self.text(value)
        }
    }

    private func text(_ value: ReadOnlyQuery.Value) -> String {
        switch value {
        case .null: ""
        case .integer(let number): String(number)
        case .real(let number): "\(number)"
        case .text(let text): text
        case .blob(let bytes): hex(bytes)
        }
    }

    private func json(_ value: ReadOnlyQuery.Value) -> String {
        switch value {
        case .null: "null"
        case .integer(let number): String(number)
        case .real(let number): number.isFinite ? "\(number)" : "null"
        case .text(let text): quoted(text)
        case .blob(let bytes): "\"\(hex(bytes))\""
        }
    }

    private func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(2 * bytes.count)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    private func quoted(_ text: String) -> String {
        var quoted: [UInt8] = [0x22]
        for byte in text.utf8 {
            switch byte {
            case 0x22, 0x5C: quoted += [0x5C, byte]
            case 0x0A: quoted += Array("\\n".utf8)
            case ..<0x20: quoted += Array("\\u00\(byte < 16 ? "0" : "")\(String(byte, radix: 16))".utf8)
            default: quoted.append(byte)
            }
        }
        quoted.append(0x22)
        return String(decoding: quoted, as: UTF8.self)
    }
}

extension Unicode.Scalar.Properties {
    fileprivate var isControl: Bool { generalCategory == .control }
}
