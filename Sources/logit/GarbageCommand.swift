import ArgumentParser
import CorpusStore
import Logits
import Report

struct GarbageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gc", abstract: "Remove files that nothing needs.",
        discussion: """
            Removed are shards that logit compact has replaced and no snapshot holds, and what killed processes left in staging/.
            What a snapshot holds is never touched: logit snapshot delete comes first. While a process reads the corpus nothing is
            removed, and the command says who reads.
            Example: logit gc corpus --dry-run
            """)

    @Argument(help: "The corpus folder.") var corpus: String
    @Flag(help: "Only say what would be removed.") var dryRun = false
    @Flag(help: "Also remove the shards that logit repair has set aside in damaged/.") var damaged = false
    @Option(help: "Remove staged work without a plan only if it is older than so many hours.") var stagingHours = 24.0
    @OptionGroup var waiting: WaitOption
    @OptionGroup var output: OutputOptions

    private struct Result: Encodable {
        var dryRun: Bool
        var bytes: Int
        var shards: [Garbage.Item]
        var unfinished: [Garbage.Item]
        var damaged: [Garbage.Item]
        var kept: [Garbage.Kept]
    }

    func run() throws {
        Interrupt.listen()
        guard stagingHours >= 0 else {
            throw LogitError(.usage, "--staging-hours is \(stagingHours); give 0 or more hours")
        }
        let patience = try waiting.patience(output)
        let opened = try Corpus(at: corpus, dryRun ? .reading : .writing, patience: patience)
        let report = try Garbage.run(
            opened, dryRun: dryRun, damaged: damaged, stagingSeconds: stagingHours * 3600, patience: patience)
        let verb = dryRun ? "would remove" : "removed"
        var lines = (report.shards + report.unfinished + report.damaged).map {
            "\(verb) \($0.path) (\($0.bytes.grouped) bytes)"
        }
        lines += report.kept.map { "kept \($0.path): \($0.reason)" }
        let parts = [
            (report.shards.count, "shards that were replaced"), (report.unfinished.count, "unfinished files"),
            (report.damaged.count, "damaged shards"),
        ].map { "\($0.0.grouped) \($0.1)" }
        lines.append("\(verb) \(report.bytes.grouped) bytes: \(parts.joined(separator: ", "))")
        output.print(
            Result(
                dryRun: dryRun, bytes: report.bytes, shards: report.shards, unfinished: report.unfinished,
                damaged: report.damaged, kept: report.kept), text: lines.joined(separator: "\n"))
    }
}
