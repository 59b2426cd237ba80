import ArgumentParser
import CorpusStore
import Images
import Logits
import Report

struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "The paper's tables and figures of a corpus, as one page and as files.",
        discussion: """
            Writes index.html, which holds everything and works offline, and each table as .txt, .csv (one accuracy a line) and
            .tex. Tables are of stored evaluations of the snapshot's rows; what is not stored is a dash, with the command that
            would make it.
            Example: logit report corpus --out report
            """)

    @Argument(help: "The corpus folder.") var corpus: String
    @Option(help: "The folder to write; files of a former report there are replaced.") var out: String
    @Option(help: "The snapshot: an id, the beginning of one, a tag; head where left out.") var at: String?
    @Option(help: "The page's title.") var title: String?
    @Option(help: "A file with one name a class for people to read, in class order.") var classNames: String?
    @Flag(help: "Also print the page to report.pdf (needs chromium).") var pdf = false
    @OptionGroup var output: OutputOptions

    func run() throws {
        var options = ReportWriter.Options(corpus: corpus)
        (options.at, options.title) = (at, title)
        options.hasPDF = pdf
        options.classNames = try classNames.map { try ClassNames.read($0) }
        let written = try ReportWriter.write(try Corpus(at: corpus, .reading), options, into: out) {
            output.note($0)
        }
        let lacking =
            written.commandsForEmptyCells == 0
            ? "" : "; \(written.commandsForEmptyCells) commands would fill its empty cells, the page lists them"
        output.print(written, text: "wrote \(out)/index.html and \(written.files.count - 1) files beside it\(lacking)")
    }
}
