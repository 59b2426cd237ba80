import ArgumentParser
import CorpusStore
import Defence
import Ingestion
import Logits
import Report

struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Read every byte of a corpus and compare all digests and checksums.",
        discussion: """
            Every shard's bytes are compared with the XXH3-128 recorded when it was committed, the catalogue's rows with theirs, and
            manifests, image lists, modules and weights with their digests. --deep also undoes each row: its checksum, the shard's
            content digest and SHA-256, and its statistics. All problems are listed, with shard and rows; the exit status is 1.
            --recompute n also makes n random rows again, clean and attacked, from images and modules. Each row's block is computed
            whole, as it was, and once more in halves: what another block size alone changes is arithmetic noise. With the
            software that made it a row fails where any bit differs. With other software it fails where it is further away than
            ten times the block's noise, and than a thousandth of its largest logit (or of its perturbation's L2); an attacked row
            only if its block is also beyond the gates of logit replay, since attacks amplify the last bits of a few images.
            Example: logit verify corpus --recompute 20
            """)

    @Argument(help: "The corpus folder.") var corpus: String
    @Flag(help: "Presence, sizes and digests of everything but the shards' bytes.") var quick = false
    @Flag(help: "Also each row from its decoded values, SHA-256s and statistics.") var deep = false
    @Option(help: "Make so many random rows again.") var recompute: Int?
    @Option(help: "Seed of the choice of rows; the result prints the one that was taken.") var seed: UInt64?
    @OptionGroup var output: OutputOptions

    private struct Result: Encodable {
        var shards: Int
        var rows: Int
        var bytes: Int
        var snapshots: Int
        var problems: [String]
        var recomputed: Recompute.Report?
    }

    func run() throws {
        if let recompute, recompute < 1 {
            throw LogitError(.usage, "--recompute is \(recompute); give a whole number of at least 1")
        }
        guard !quick || !deep else {
            throw LogitError(.usage, "--quick and --deep contradict each other; give one of them")
        }
        let opened = try Corpus(at: corpus, .reading)
        let progress = Progress("shards", quiet: output.quiet)
        let report = try Verify.run(opened, quick: quick, deep: deep) { progress.show("verify", done: $0, total: $1) }
        var result = Result(
            shards: report.shards, rows: report.rows, bytes: report.bytes, snapshots: report.snapshots,
            problems: report.problems + (try StoredDefender.checkpointProblems(opened)))
        if let recompute {
            Interrupt.listen()
            let progress = Progress("rows", quiet: output.quiet)
            let seed = seed ?? UInt64.random(in: 0..<1 << 32)
            result.recomputed = try Recompute.run(opened, count: recompute, seed: seed) {
                (choice, network) throws(LogitError) in
                try Through.opened(choice, network, in: opened)
            } progress: {
                progress.show("recompute", done: $0, total: $1)
            } shouldStop: {
                Interrupt.isAsked
            }
            result.problems += result.recomputed?.problems ?? []
        }
        output.print(result, text: text(result))
        if let first = result.problems.first {
            throw LogitError(
                .corrupt,
                result.problems.count == 1 ? first : "\(first) (and \(result.problems.count - 1) more problems)")
        }
    }

    private func text(_ result: Result) -> String {
        var lines = result.problems
        if let recomputed = result.recomputed {
            var table = TextTable(["row", "software", "stored: different", "logits by", "other block size: logits by"])
            for row in recomputed.rows {
                let different = row.comparison.different
                table.add([
                    row.row, row.isSameSoftware ? "same" : "other",
                    different.isEmpty ? "nothing" : different.joined(separator: " "),
                    difference(row.comparison.logitDifference), difference(row.blockNoise),
                ])
            }
            lines += [table.text, ""]
            let isOther = recomputed.rows.contains { !$0.isSameSoftware }
            let other = isOther ? ", or as far from it as other software explains" : ""
            let good = recomputed.rows.count { !$0.hasFailed }
            lines.append(
                "\(good) of \(recomputed.rows.count) rows made again are as stored\(other); the same rows: --recompute \(recompute ?? 0) --seed \(recomputed.seed)"
            )
        }
        let checked = quick ? "present" : "read"
        lines.append(
            "\(result.shards.grouped) shards, \(result.rows.grouped) rows, \(result.bytes.grouped) bytes \(checked); \(result.snapshots) snapshots; "
                + (result.problems.isEmpty ? "no problem found" : "\(result.problems.count) problems"))
        return lines.joined(separator: "\n")
    }

    private func difference(_ value: Double?) -> String { value.map { $0 == 0 ? "0" : "\(Float($0))" } ?? "not finite" }
}
