import ArgumentParser
import CorpusStore
import Defence
import Ingestion
import Logits
import Report

struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay", abstract: "Make one row again from index, image and module, and compare it bit for bit.",
        discussion: """
            The row's whole block is computed as it was. With the software that the shard records, any bit that differs is an
            error. With other software the block must agree within the gates: predictions but for 1 % of the rows (or one row),
            clean logits within a thousandth, the median L2 of the perturbations within a thousandth.
            Example: logit replay corpus --row cifar10/test/17/resnet20/pgd:epsilon=8/255/0 --save attacked.png
            """)

    @Argument(help: "The corpus folder.") var corpus: String
    @Option(help: "DATASET/SPLIT/ORDINAL/NETWORK/ATTACK/VIEW.") var row: String
    @Option(help: "Write the image made again: .npy (float32 [3, height, width], exact) or .png (8 bits).")
    var save: String?
    @OptionGroup var output: OutputOptions

    func run() throws {
        let file = try save.map { (path) throws(LogitError) in try ImageFile(path) }
        let opened = try Corpus(at: corpus, .reading)
        let (report, image, shape) = try Replay.run(opened, try RowName(row)) {
            (choice, network) throws(LogitError) in try Through.opened(choice, network, in: opened)
        }
        try file?.write(image, shape)
        output.print(report, text: text(report))
        if let problem = report.problem { throw LogitError(.stale, "\(report.row): \(problem)") }
    }

    private func text(_ report: Replay.Report) -> String {
        var table = TextTable(["field", "stored", "made again", ""])
        for field in report.fields {
            table.add([field.name, field.stored, field.computed, field.isEqual ? "equal" : "different"])
        }
        var lines = [
            "\(report.row): image \(report.image), row \(report.shardRow) of \(report.shard), seed \(report.seed)",
            "", table.text, "",
        ]
        if report.softwareDifferences.isEmpty {
            lines.append("software: the same as the shard records")
        } else {
            lines += report.softwareDifferences.map { "other software: \($0)" }
        }
        let different = report.differentRows
        lines.append(
            "\(report.blockRows - different.count) of the block's \(report.blockRows) rows are equal bit for bit")
        lines += different.prefix(20).map { row in
            let distance = row.logitDifference.map { "logits by up to \($0)" } ?? "logits not finite"
            return "row \(row.ordinal) differs in \(row.different.joined(separator: ", ")) (\(distance))"
        }
        lines.append("verdict: \(report.verdict.rawValue)")
        if let save { lines.append("the image made again is in \(save)") }
        return lines.joined(separator: "\n")
    }
}
