import CorpusStore
import Logits
import Networks

/// `verify --recompute n`: random rows computed again, and judged against what another block size alone does to them.
///
/// Each row's block is computed twice: whole, as it was, and in halves (a block of one row: beside a copy of itself). With the
/// software that made it, the stored block must equal the first bit for bit. With other software a row fails where no noise
/// explains it: it is further from the first than ten times the largest distance between first and second in its block, and
/// than 10⁻³ of its largest logit, or of ‖x' − x‖₂; and, if it is attacked, its block as a whole is beyond the gates. Iterated
/// attacks amplify the last bits of a few images without bound, so such an image alone proves nothing.
package enum Recompute {
    package struct Row: Codable, Sendable {
        package var row: String
        package var isSameSoftware: Bool
        /// Stored against computed again.
        package var comparison: RowComparison
        /// The largest difference of a logit in the block, whole against halves; nil: only one is finite.
        package var blockNoise: Double?
        package var hasFailed: Bool
    }

    package struct Report: Codable, Sendable {
        package var seed: UInt64
        package var rows: [Row] = []
        /// One sentence each.
        package var problems: [String] = []
    }

    /// - Parameters:
    ///   - count: rows to choose among all of the corpus; at most all of them.
    ///   - progress: called with (rows done, rows in all).
    package static func run(
        _ corpus: Corpus, count: Int, seed: UInt64, opening: @escaping AttackOpening = openingNothing,
        progress: (Int, Int) -> Void,
        shouldStop: () -> Bool
    ) throws(LogitError) -> Report {
        guard count >= 1 else { throw LogitError(.usage, "--recompute is \(count); give at least 1") }
        var report = Report(seed: seed)
        let units = try corpus.units()
        let chosen = choose(count, of: units.reduce(0) { $0 + $1.key.rowCount }, seed: seed)
        let recomputer = Recomputer(corpus, opening: opening)
        var unit = 0
        var first = 0  // place of the unit's first row among all
        var block: Judged?
        for (done, place) in chosen.enumerated() {
            progress(done, chosen.count)
            if shouldStop() { throw LogitError(.cancelled, "stopped after \(done) of \(chosen.count) rows") }
            while place >= first + units[unit].key.rowCount {
                first += units[unit].key.rowCount
                unit += 1
                block = nil
            }
            let row = place - first
            do throws(LogitError) {
                if block?.rows.contains(row) != true {
                    block = try judge(StoredBlock(units[unit], row: row, in: corpus), recomputer)
                }
            } catch {
                if !report.problems.contains(error.message) { report.problems.append(error.message) }
            }
            if let block, block.rows.contains(row) { report.add(block.row(row)) }
        }
        progress(chosen.count, chosen.count)
        return report
    }

    /// Distinct numbers below `total`, ascending: Floyd's algorithm over the counter-based generator.
    static func choose(_ count: Int, of total: Int, seed: UInt64) -> [Int] {
        let random = Philox(key: seed)
        var chosen: Set<Int> = []
        for last in max(0, total - count)..<total {
            let (pick, _) = random.bits(UInt64(last)).multipliedFullWidth(by: UInt64(last + 1))
            if !chosen.insert(Int(pick)).inserted { chosen.insert(last) }
        }
        return chosen.sorted()
    }

    /// A block with what its rows are judged by.
    private struct Judged {
        let rows: Range<Int>
        let set: RowSet
        let isSameSoftware: Bool
        /// Stored against the whole block computed again.
        let comparisons: [RowComparison]
        /// The whole block against halves of it.
        let noise: [RowComparison]
        /// Whether other software explains the block as a whole: of no weight for clean rows, which amplify nothing.
        let isBlockWithinGates: Bool
        let precision: Precision

        func row(_ row: Int) -> Row {
            let comparison = comparisons[row - rows.lowerBound]
            let logitNoise = Judged.largest(noise.map(\.logitDifference))
            let perturbationNoise = Judged.largest(noise.compactMap { $0.perturbationDifference })
            let logits = Judged.isExplained(
                comparison.logitDifference, noise: logitNoise,
                gate: Gates.logits(precision) * max(1, comparison.logitScale))
            let perturbation =
                !comparison.different.contains("perturbation_l2")
                || Judged.isExplained(
                    comparison.perturbationDifference, noise: perturbationNoise, gate: Gates.perturbation)
            let isExplained = isBlockWithinGates || (logits && perturbation)
            return Row(
                row: RowName(set, ordinal: comparison.ordinal).description, isSameSoftware: isSameSoftware,
                comparison: comparison, blockNoise: logitNoise,
                hasFailed: isSameSoftware ? !comparison.different.isEmpty : !isExplained)
        }

        private static func largest(_ values: [Double?]) -> Double? {
            values.reduce(0) { largest, value in
                guard let largest, let value else { return nil }
                return max(largest, value)
            }
        }

        private static func isExplained(_ difference: Double?, noise: Double?, gate: Double) -> Bool {
            guard let noise else { return true }
            return difference.map { $0 <= 10 * noise || $0 <= gate } ?? false
        }
    }

    private static func judge(_ block: StoredBlock, _ recomputer: Recomputer) throws(LogitError) -> Judged {
        let key = block.unit.key
        let computation = try recomputer.computation(key)
        let ordinals = block.ordinals
        let whole = try recomputer.rows(ordinals, like: block, by: computation)
        let halves =
            ordinals.count == 1
            ? try recomputer.rows(ordinals + ordinals, like: block, by: computation)
            : try recomputer.rows(ordinals, like: block, by: computation, chunk: ordinals.count / 2)
        let noise = (0..<whole.table.count).map { RowComparison(whole.table, halves.table, row: $0) }
        let software = SoftwareComparison.differences(
            block.header.softwareJSON, computation.classifier.identity.softwareJSON)
        let comparisons = block.comparisons(with: whole)
        let isClean = key.variant.isClean
        return Judged(
            rows: block.rows,
            set: RowSet(
                dataset: key.dataset, split: key.split, network: key.network, attack: key.variant.canonical,
                view: key.view), isSameSoftware: software.isEmpty, comparisons: comparisons, noise: noise,
            isBlockWithinGates: !isClean
                && Gates.complaint(comparisons, isClean: false, precision: block.precision) == nil,
            precision: block.precision)
    }
}

extension Recompute.Report {
    fileprivate mutating func add(_ row: Recompute.Row) {
        rows.append(row)
        guard row.hasFailed else { return }
        let fields = row.comparison.different.joined(separator: ", ")
        let distance = row.comparison.logitDifference.map { "by up to \($0)" } ?? "from finite to not finite"
        let noise = row.blockNoise.map { "\($0)" } ?? "as much"
        problems.append(
            "row \(row.row) is not what it is when made again (\(fields); logits differ \(distance), where another block size alone makes \(noise)); ingest it again into a new corpus, or find out what changed"
        )
    }
}
