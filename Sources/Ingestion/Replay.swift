import CorpusStore
import Logits
import Networks
import Shards

/// Makes the block of one row again, from index, images and module, and compares every stored field bit for bit.
package enum Replay {
    package enum Verdict: String, Codable, Sendable {
        /// Every bit of the block.
        case equal
        /// Other software, other bits, but no more than other software makes.
        case withinGates = "within the gates"
        case different
    }

    package struct Field: Codable, Sendable {
        package var name: String
        package var stored: String
        package var computed: String
        package var isEqual: Bool
    }

    package struct Report: Codable, Sendable {
        package var row: String
        package var image: String
        package var shard: String
        package var shardRow: Int
        package var seed: UInt64
        /// Rows of the block, of this one and the others.
        package var blockRows: Int
        /// What the shard records of its software otherwise than this program; empty: the same.
        package var softwareDifferences: [String]
        package var fields: [Field]
        /// The rows of the block of which a field differs, the one asked for among them.
        package var differentRows: [RowComparison]
        package var verdict: Verdict
        /// Why the verdict is `different`, as a sentence.
        package var problem: String?
    }

    /// - Returns: the report, and the image that the network was given for the row, as it was made now: values in [0,1] of
    ///   three planes.
    /// - Throws: `notFound` where there is no such row, `stale` where images, module or attack have changed since.
    package static func run(
        _ corpus: Corpus, _ name: RowName, opening: @escaping AttackOpening = openingNothing
    ) throws(LogitError) -> (report: Report, image: [Float], shape: ImageShape) {
        let split = try corpus.split(dataset: name.set.dataset, split: name.set.split)
        _ = try corpus.network(name.set.network)
        guard name.ordinal < split.imageCount else {
            throw LogitError(
                .notFound,
                "\(split.dataset)/\(split.split) has \(split.imageCount) images, so there is none at \(name.ordinal); give an ordinal from 0 on"
            )
        }
        guard let place = try corpus.place(of: name.ordinal, in: name.set) else {
            throw LogitError(
                .notFound,
                "the corpus has no row \(name); logit sql \(corpus.root) \"SELECT DISTINCT network, attack, view FROM rows\" shows what it has"
            )
        }
        let block = try StoredBlock(place.unit, row: place.row, in: corpus)
        let recomputer = Recomputer(corpus, opening: opening)
        let computation = try recomputer.computation(place.unit.key)
        let computed = try recomputer.rows(block.ordinals, like: block, by: computation)
        let comparisons = block.comparisons(with: computed)
        let software = SoftwareComparison.differences(
            block.header.softwareJSON, computation.classifier.identity.softwareJSON)
        let row = place.row - block.rows.lowerBound
        let size = computation.classifier.inputShape.valueCount
        let different = comparisons.filter { !$0.different.isEmpty }
        let problem =
            software.isEmpty
            ? difference(different, of: comparisons.count)
            : Gates.complaint(
                comparisons, isClean: name.set.attack == Variant.clean.canonical, precision: block.precision)
        let report = Report(
            row: name.description, image: block.table.image[row], shard: place.unit.path, shardRow: place.row,
            seed: place.unit.key.seed, blockRows: block.rows.count, softwareDifferences: software,
            fields: fields(block, computed, row, comparisons[row]), differentRows: different,
            verdict: different.isEmpty ? .equal : problem == nil ? .withinGates : .different, problem: problem)
        return (report, Array(computed.images[row * size..<(row + 1) * size]), computation.classifier.inputShape)
    }

    private static func difference(_ different: [RowComparison], of rows: Int) -> String? {
        guard let first = different.first else { return nil }
        return
            "\(different.count) of the block's \(rows) rows differ from what they are when made again with the same software (row \(first.ordinal): \(first.different.joined(separator: ", ")))"
    }

    private static func fields(
        _ block: StoredBlock, _ computed: BlockComputation.Rows, _ row: Int, _ comparison: RowComparison
    ) -> [Field] {
        let (stored, now) = (texts(block.table, row), texts(computed.table, row))
        var fields = zip(stored, now).map {
            Field(name: $0.0, stored: $0.1, computed: $1.1, isEqual: !comparison.different.contains($0.0))
        }
        if let images = block.images {
            let isEqual = !comparison.different.contains("perturbed")
            let text = "\(images.format.precision.rawValue) image"
            fields.append(Field(name: "perturbed", stored: text, computed: text, isEqual: isEqual))
        }
        return fields
    }

    /// The stored fields of a row, for people; of the logits the arg max's.
    private static func texts(_ table: RowTable, _ row: Int) -> [(String, String)] {
        var texts = [
            ("label", "\(table.label[row])"),
            ("logits", "\(table.classCount), largest \(table.row(row).max().map { "\($0)" } ?? "none")"),
            ("prediction", "\(table.prediction[row])"),
        ]
        guard let attack = table.attack else { return texts }
        func outcome(_ status: UInt8) -> String { Outcome(rawValue: status)?.description ?? "\(status)" }
        texts += [
            ("clean_prediction", "\(attack.cleanPrediction[row])"), ("status", outcome(attack.status[row])),
            ("iterations", "\(attack.iterations[row])"), ("perturbation_l2", "\(attack.perturbationL2[row])"),
            ("perturbation_linf", "\(attack.perturbationLinf[row])"),
        ]
        if let cost = attack.cost { texts.append(("cost", "\(cost[row])")) }
        if let rounded = attack.status8bit { texts.append(("status_8bit", outcome(rounded[row]))) }
        return texts
    }
}

extension StoredBlock {
    /// Row by row, what differs from the block computed again.
    func comparisons(with computed: BlockComputation.Rows) -> [RowComparison] {
        let pair = images.map { (stored: $0, computed: KeptImages(computed.images, format: $0.format)) }
        return (0..<table.count).map { RowComparison(table, computed.table, row: $0, images: pair) }
    }
}

/// How far a block may be from one that other software made: what libraries on one machine agree within
/// (docs/attacks-agreement.md).
enum Gates {
    /// Relative to the larger ‖x' − x‖₂.
    static let perturbation = 1e-3
    /// Relative to the row's largest logit, or to 1. Where logits are rounded, a last bit may take them to the next step.
    static func logits(_ precision: Precision) -> Double { 1e-3 + 2 * precision.relativeBound }

    /// What is beyond the gates, as a sentence; nil if nothing is. Predictions must be equal but for 1 % of the rows (or
    /// one row); clean logits agree within 10⁻³; of attacked rows the median ‖x' − x‖₂ does.
    static func complaint(_ rows: [RowComparison], isClean: Bool, precision: Precision) -> String? {
        let other = rows.count { !$0.isSamePrediction }
        if other > max(1, rows.count / 100) {
            return
                "\(other) of the block's \(rows.count) rows have another prediction, more than other software explains"
        }
        if isClean {
            guard
                let far = rows.first(where: {
                    ($0.logitDifference ?? .infinity) > logits(precision) * max(1, $0.logitScale)
                })
            else { return nil }
            return
                "the logits of row \(far.ordinal) differ by \(far.logitDifference.map { "\($0)" } ?? "NaN"), more than other software explains"
        }
        let differences = rows.map { $0.perturbationDifference ?? .infinity }.sorted()
        guard differences[(differences.count - 1) / 2] > perturbation else { return nil }
        return
            "the perturbations of half of the block's \(rows.count) rows differ by more than a thousandth, more than other software explains"
    }
}
