import Analysis
import CorpusStore
import Logits

/// Accuracy, without and with correction, on logits that are rounded in memory as a shard of each precision would store them: how
/// many bits a defence needs.
package enum PrecisionAblation {
    /// Exact, the formats that hardware has, and 12 to 4 bits of the mantissa (7 are bfloat16's).
    package static let usual: [Precision] =
        [.float32, .float16, .bfloat16] + [12, 11, 10, 9, 8, 6, 5, 4].map(Precision.keepBits)

    /// Figures `undefended`, `corrected` and `same` (rows on which the defender says what it says of the logits as stored) for each
    /// variant and precision.
    /// - Parameter attacks: canonical names, `clean` among them if wanted.
    /// - Throws: `badInput` where a logit is beyond what a precision holds.
    package static func run(
        _ corpus: Corpus, _ request: SupportRequest, attacks: [String], precisions: [Precision] = usual,
        defender: StoredDefender, shouldStop: () -> Bool = { false }
    ) throws(LogitError) -> AnalysisResult {
        let (net, rows) = try Evaluation.subject(
            corpus, manifest: request.manifest, split: request.split, network: request.network, attacks: attacks,
            selection: request.selection, defender: defender)
        var figures: [AnalysisFigure] = []
        var (images, invalid) = (0, 0)
        for attack in attacks {
            var counts = [Counts](repeating: Counts(), count: precisions.count)
            var total = 0
            try rows.visit(attack, batchRows: Evaluation.batchRows) { (table) throws(LogitError) in
                if shouldStop() { throw LogitError(.cancelled, "stopped; nothing is kept, run the same command again") }
                let valid = (0..<table.count).filter { !table.isInvalid($0) }
                invalid += table.count - valid.count
                total += valid.count
                let part = valid.count == table.count ? table : table.picking(valid)
                let exact = predictions(try net.correct(part.logits), part.classCount)
                for (place, precision) in precisions.enumerated() {
                    let logits = try part.rounded(to: precision).table.logits
                    counts[place].add(
                        part, predictions(logits, part.classCount),
                        precision.isExact ? exact : predictions(try net.correct(logits), part.classCount), exact)
                }
            }
            images = max(images, total)
            for (precision, count) in zip(precisions, counts) {
                for (measure, right) in [
                    ("undefended", count.before), ("corrected", count.after), ("same", count.same),
                ] {
                    figures.append(
                        AnalysisFigure(attack, precision.description, measure, Proportion(right, of: total)))
                }
            }
        }
        return request.result(
            Analyses.precision, defender.descriptor, attacks: attacks, images: images, invalid: invalid,
            options: asked(precisions), figures: figures)
    }

    /// The options of a result, as it tells them.
    package static func asked(_ precisions: [Precision] = usual) -> [String: String] {
        ["precisions": precisions.map(\.description).joined(separator: ",")]
    }

    private struct Counts {
        var before = 0
        var after = 0
        var same = 0

        mutating func add(_ table: RowTable, _ network: [Int32], _ corrected: [Int32], _ exact: [Int32]) {
            for row in 0..<table.count {
                if network[row] == table.label[row] { before += 1 }
                if corrected[row] == table.label[row] { after += 1 }
                if corrected[row] == exact[row] { same += 1 }
            }
        }
    }

    /// The arg max of each row.
    static func predictions(_ logits: [Float], _ classCount: Int) -> [Int32] {
        stride(from: 0, to: logits.count, by: classCount).map { argMax(logits[$0..<$0 + classCount]) }
    }
}
