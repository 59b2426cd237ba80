import ArgumentParser
import CorpusStore
import Foundation
import LogitSQL
import Logits
import Report

struct SQL: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sql", abstract: "Ask the catalogue in SQL; nothing can be changed.",
        discussion: """
            Views: rows, accuracy, snapshots, defenders, evaluations, analyses, supporting_classes, analysis_figures.
            Example: logit sql corpus "SELECT network, attack, accuracy FROM accuracy"
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case table, csv, json }

    @Argument(help: "The corpus folder.") var corpus: String
    @Argument(help: "One SELECT statement.") var query: String
    @Option(help: "Show the rows of this snapshot or tag only.") var at: String?
    @Option(help: "How to print the result: table, csv or json.") var format = Format.table
    @Option(help: "Stop after so many seconds.") var timeout: Double?
    @Flag(help: "Accepted like everywhere; a query prints nothing but its result.") var quiet = false

    func run() throws {
        Interrupt.listen()
        let opened = try Corpus(at: corpus, .reading)
        let snapshot = try at.map { try opened.snapshot($0) }
        let deadline = timeout.map { Date().addingTimeInterval($0) }
        let query = try ReadOnlyQuery(opened, at: snapshot, loading: SQLExtension.entryPoint) {
            Interrupt.isAsked || deadline.map { Date() > $0 } ?? false
        }
        var printer = Printer(format: format)
        let columns = try query.run(self.query) { columns, values in printer.add(columns, values) }
        printer.finish(columns)
    }

    /// CSV and JSON are printed row by row; a table waits for its widths.
    private struct Printer {
        let format: Format
        private var table: TextTable?
        private var count = 0
        private let out = FileHandle.standardOutput

        init(format: Format) { self.format = format }

        mutating func add(_ columns: [String], _ values: [ReadOnlyQuery.Value]) {
            switch format {
            case .table:
                let cells = values.map(text)
                if table == nil { table = TextTable(columns) }
                table?.add(cells)
            case .csv:
                var line = TextTable(columns)
                line.add(values.map(text))
                let lines = line.csv.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
                write(count == 0 ? line.csv + "\n" : lines[1] + "\n")
            case .json:
                let fields = zip(columns, values).map { "\(quoted($0)): \(json($1))" }.joined(separator: ", ")
                write((count == 0 ? "[\n" : ",\n") + "  {\(fields)}")
            }
            count += 1
        }

        mutating func finish(_ columns: [String]) {
            switch format {
            case .table: write((table ?? TextTable(columns)).text + "\n")
            case .csv: if count == 0 { write(columns.joined(separator: ",") + "\n") }
            case .json: write(count == 0 ? "[]\n" : "\n]\n")
            }
        }

        private func write(_ text: some StringProtocol) { out.write(Data(text.utf8)) }

        private func text(_ value: ReadOnlyQuery.Value) -> String {
            switch value {
            case .null: ""
            case .integer(let number): String(number)
            case .real(let number): "\(number)"
            case .text(let text): text
            case .blob(let bytes): "x'" + bytes.map { String(format: "%02x", $0) }.joined() + "'"
            }
        }

        private func json(_ value: ReadOnlyQuery.Value) -> String {
            switch value {
            case .null: "null"
            case .integer(let number): String(number)
            case .real(let number): number.isFinite ? "\(number)" : "null"
            case .text(let text): quoted(text)
            case .blob: quoted(text(value))
            }
        }

        private func quoted(_ text: String) -> String {
            let encoder = JSONEncoder()
            encoder.outputFormatting = .withoutEscapingSlashes
            return (try? encoder.encode(text)).map { String(decoding: $0, as: UTF8.self) } ?? "\"\""
        }
    }
}
