import ArgumentParser
import CorpusStore
import Logits
import Report

struct ScrubCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scrub", abstract: "Check a corpus bit by bit, a part at a time, round after round.",
        discussion: """
            Like logit verify --deep, but it goes on where it stopped: its position is kept in scrub.json, through Ctrl-C, kills and
            budgets. When every shard has been checked, the next run begins a new round. --limit 0 only reports. The exit status is 1
            while any shard, as last checked, has a problem. It takes no lock: ingests go on beside it.
            Example: logit scrub corpus --seconds 600
            """)

    @Argument(help: "The corpus folder.") var corpus: String
    @Option(help: "Check so many shards at most.") var limit: Int?
    @Option(help: "Stop after so many seconds.") var seconds: Double?
    @Flag(help: "Print when each shard was last checked.") var list = false
    @OptionGroup var output: OutputOptions

    func run() throws {
        Interrupt.listen()
        if let limit, limit < 0 { throw LogitError(.usage, "--limit is \(limit); give 0 or a positive number") }
        if let seconds, !(seconds > 0 && seconds <= 1e9) {
            throw LogitError(.usage, "--seconds is \(seconds); give a positive number, at most 1e9")
        }
        let opened = try Corpus(at: corpus, .reading)
        let progress = Progress("shards", quiet: output.quiet)
        let report = try Scrub.run(opened, limit: limit, seconds: seconds) {
            progress.show("scrub", done: $0, total: $1)
        } shouldStop: {
            Interrupt.isAsked
        }
        output.print(report, text: text(report))
        if let first = report.problems.first {
            let others = report.problems.count - 1
            throw LogitError(.corrupt, others > 0 ? "\(first) (and \(others) more problems)" : first)
        }
    }

    private func text(_ report: Scrub.Report) -> String {
        var lines = report.problems
        if list {
            var table = TextTable(["shard", "last checked", "problems"])
            for shard in report.shards {
                table.add([shard.path, shard.checked ?? "never", "\(shard.problems.count)"])
            }
            lines += [table.text, ""]
        }
        let never = report.shards.count { $0.checked == nil }
        let oldest = report.shards.compactMap(\.checked).min()
        lines.append(
            "round \(report.round), begun \(report.roundBegan): \(report.checked.grouped) shards checked now (\(report.bytes.grouped) bytes), \(report.left.grouped) left; "
                + (never > 0
                    ? "\(never.grouped) never checked" : "the longest unchecked was checked \(oldest ?? "never")"))
        return lines.joined(separator: "\n")
    }
}
