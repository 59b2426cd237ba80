import ArgumentParser
import CorpusStore
import Foundation
import LogitSQL
import Logits

struct SQL: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sql", abstract: "Ask the catalogue and the logits in SQL; nothing can be changed.",
        discussion: """
            The views are in docs/views.md, the table logits and the functions of a vector in docs/sql.md.
            Example: logit sql corpus "SELECT network, attack, accuracy FROM accuracy"
            Example: logit sql corpus "SELECT attack, avg(entropy(z)) FROM logits GROUP BY attack" --at v1
            """)

    @Argument(help: "The corpus folder.") var corpus: String
    @Argument(help: "One SELECT statement.") var query: String
    @Option(help: "Show the rows of this snapshot or tag only, in the views and in logits.") var at: String?
    @Option(
        help: """
            How to print the result: table, csv or json. A blob is printed as its bytes in hex (to_json(z) gives numbers); \
            a table gives only its size.
            """)
    var format = SQLPrinter.Format.table
    @Option(help: "Stop after so many seconds.") var timeout: Double?
    @Flag(help: "Accepted like everywhere; a query prints nothing but its result.") var quiet = false

    func run() throws {
        if let timeout, !(timeout > 0) {
            throw LogitError(.usage, "--timeout is \(timeout); give a number of seconds above 0")
        }
        Interrupt.listen()
        let opened = try Corpus(at: corpus, .reading)
        let snapshot = try at.map { try opened.snapshot($0) }
        let deadline = timeout.map { Date().addingTimeInterval($0) }
        let query = try ReadOnlyQuery(opened, at: snapshot, loading: SQLExtension.entryPoint) {
            Interrupt.isAsked || deadline.map { Date() > $0 } ?? false
        }
        var printer = SQLPrinter(format)
        do throws(LogitError) {
            let columns = try query.run(self.query) { (columns, values) throws(LogitError) in
                try printer.add(columns, values)
            }
            try printer.finish(columns)
        } catch {
            guard error.code == .cancelled else { throw error }
            throw LogitError(
                .cancelled,
                Interrupt.isAsked
                    ? "the query was stopped before it ended"
                    : "the query was stopped after \(timeout ?? 0) s; make it smaller, or give it more time with --timeout"
            )
        }
    }
}
