import ArgumentParser
import CorpusStore
import Experiments
import Logits
import Platform
import Report
import Shards

struct CompactCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compact", abstract: "Rewrite stored shards in another codec or precision.",
        discussion: """
            Each shard is written anew, read back and compared row by row, then takes the place of the old one; stopped or killed,
            the same command goes on. The codec loses nothing: rows, content digests and the tree stay. A precision rounds exact
            logits; rounded ones cannot become exact again. The files of before stay as long as a snapshot holds them: logit snapshot
            delete and logit gc win their bytes.
            Example: logit compact corpus --codec zstd --network resnet20
            """)

    @Argument(help: "The corpus folder.") var corpus: String
    @Option(help: "How logits are stored: raw or zstd; as they are where left out.") var codec: Codec?
    @Option(help: "float32, float16, bfloat16 or keep-bits=k; as they are where left out.") var precision: Precision?
    @Option(help: "Rows a chunk under zstd.") var chunkRows: Int?
    @Option(help: "Only the shards of this network.") var network: String?
    @Option(help: "Only those of clean and attacks, or a .yaml file.") var attack: String?
    @Option(help: "Threads that rewrite; the default is one a core.") var workers: Int?
    @OptionGroup var waiting: WaitOption
    @OptionGroup var output: OutputOptions

    func run() throws {
        Interrupt.listen()
        let opened = try Corpus(at: corpus, .writing, patience: try waiting.patience(output))
        var request = CompactionRequest()
        request.codec = codec
        request.precision = precision
        request.chunkRows = chunkRows
        request.network = try network.map { try opened.network($0).name }
        request.attacks = try attack.map { try AttackList.choices($0, in: opened).map(\.variant.canonical) }
        request.workerCount = workers ?? usableCoreCount()
        let progress = Progress("shards", quiet: output.quiet)
        let report = try Compaction.run(opened, request) {
            progress.show("compact", done: $0, total: $1)
        } shouldStop: {
            Interrupt.isAsked
        }
        output.print(report, text: text(report))
    }

    private func text(_ report: Compaction.Report) -> String {
        var lines = [
            "rewrote \(report.rewritten.grouped) of \(report.shards.grouped) shards (\(report.present.grouped) were so already), \(report.rows.grouped) rows: \(report.bytesBefore.grouped) bytes before, \(report.bytesAfter.grouped) now; snapshot \(report.snapshot.prefix(12))"
        ]
        if report.largestError > 0 {
            lines.append(
                "rounding: largest error \(Float(report.largestError)); of \(report.changedArgMax.grouped) rows the largest logit is another, \(report.newlyTied.grouped) share it with another class now"
            )
        }
        if report.heldBytes > 0 {
            lines.append(
                "\(report.holdingSnapshots.grouped) snapshots still hold files of before, \(report.heldBytes.grouped) bytes: delete them (logit snapshot delete) and run logit gc to win these"
            )
        }
        if report.collectableBytes > 0 {
            lines.append("logit gc wins \(report.collectableBytes.grouped) bytes that no snapshot holds")
        }
        return lines.joined(separator: "\n")
    }
}
