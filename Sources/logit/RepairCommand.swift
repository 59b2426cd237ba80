import ArgumentParser
import CorpusStore
import Defence
import Ingestion
import Logits
import Platform

struct RepairCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair", abstract: "Rebuild the catalogue from the files beside it; set damaged shards aside.",
        discussion: """
            Damaged shards go to damaged/. For each of them, and for each shard that is missing, damaged/PATH.json lists exactly the
            rows to make again, with all that it takes (schema/integrity.md); logit ingest CORPUS --repair does so. It can be stopped
            at any point and run again.
            Example: logit repair corpus
            """)

    @Argument(help: "The corpus folder.") var corpus: String
    @OptionGroup var waiting: WaitOption
    @OptionGroup var output: OutputOptions

    func run() throws {
        let progress = Progress("shards", quiet: output.quiet)
        let report = try Repair.run(at: corpus, patience: try waiting.patience(output)) {
            progress.show("repair", done: $0, total: $1)
        }
        var lines = report.setAside.map { "set aside in damaged/: \($0.path) (\($0.reason))" }
        lines += report.putBack.map { "put back, since it is whole: \($0)" }
        lines += report.lost.map { lost in
            lost.isKnown
                ? "lost: \(lost.rows ?? 0) rows of \(lost.path), listed in \(lost.list)"
                : "lost: \(lost.path), of whose rows not enough is known to make them again (\(lost.list))"
        }
        lines += report.incomplete + report.unreadable
        lines.append(
            "the catalogue is rebuilt: \(report.shards.grouped) shards, \(report.rows.grouped) rows, \(report.snapshots) snapshots, \(report.tags) tags, \(report.selections) selections, \(report.defenders) defenders, \(report.evaluations) evaluations, \(report.analyses) analyses"
        )
        if report.lost.contains(where: \.isKnown) {
            lines.append("make the lost rows again: logit ingest \(corpus) --repair")
        }
        output.print(report, text: lines.joined(separator: "\n"))
        if !report.unreadable.isEmpty {
            throw LogitError(
                .corrupt,
                "\(report.unreadable.count) files could not be taken in; they are named above and left as they are")
        }
    }
}

extension IngestCommand {
    /// `--repair`: what is made again the lists say.
    func repair() throws {
        guard dataset == nil, split == nil, network == nil, attack == "clean", limit == nil, perClass == nil,
            through == nil, block == nil, keepImages == nil, !status8bit
        else {
            throw LogitError(
                .usage,
                "--repair makes the rows again that logit repair has listed, as they were; give it without options of what to ingest"
            )
        }
        let opened = try Corpus(at: corpus, .writing, patience: try waiting.patience(output))
        var options = RepairIngest.Options(workerCount: workers ?? (device == .cpu ? usableCoreCount() : 1))
        (options.prefetch, options.device) = (prefetch, device)
        let progress = Progress("rows", quiet: output.quiet)
        let report = try RepairIngest.run(opened, options) { (choice, network) throws(LogitError) in
            try Through.opened(choice, network, in: opened)
        } progress: {
            progress.show("repair", done: $0, total: $1)
        } shouldStop: {
            Interrupt.isAsked
        }
        var lines = report.problems
        lines += report.parts.map { part in
            part.isEqual
                ? "\(part.rows) rows of \(part.path) are as they were, bit for bit"
                : "\(part.rows) rows of \(part.path) are made again, but differ from what was stored (by other software or another machine): snapshots that hold the former ones stay incomplete"
        }
        if report.present > 0 { lines.append("\(report.present) lists whose rows were there already are cleared") }
        if lines.isEmpty { lines.append("there is nothing to make again") }
        output.print(report, text: lines.joined(separator: "\n"))
        if let first = report.problems.first {
            let others = report.problems.count - 1
            throw LogitError(.stale, others > 0 ? "\(first) (and \(others) more)" : first)
        }
    }
}
