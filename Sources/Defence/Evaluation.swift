import Analysis
import CorpusStore
import Logits
import Networks
import Sampling
import Shards
import Torch

/// What a defender recovers: the paper's Table 1 for one network, any attacks.
package struct EvaluationResult: Codable, Sendable {
    package struct Figure: Codable, Sendable {
        /// `clean`, or an attack's canonical name.
        package var attack: String
        /// Rows judged; invalid ones are left out.
        package var rows: Int
        package var invalid: Int
        package var undefendedCorrect: Int
        package var correctedCorrect: Int
        /// Accuracy with its 95 % Wilson interval.
        package var undefended: Proportion
        package var corrected: Proportion
    }

    package var formatVersion = 1
    package var defender: String
    package var weightsDigest: String
    package var snapshot: String
    package var dataset: String
    package var split: String
    package var selection: String?
    package var network: String
    package var figures: [Figure]
    package var created: String
}

package enum Evaluation {
    /// Rows corrected at once; fixed, so that results do not depend on memory or threads.
    static let batchRows = 512

    /// - Parameter attacks: canonical names, `clean` among them if wanted.
    /// - Throws: `notFound` where the snapshot has no rows of a variant; `corrupt` where a row fails its check.
    package static func run(
        _ corpus: Corpus, manifest: SnapshotManifest, split: SplitDescriptor, network: NetworkDescriptor,
        attacks: [String], selection: SelectionFile?, defender: StoredDefender
    ) throws(LogitError) -> EvaluationResult {
        let (net, rows) = try subject(
            corpus, manifest: manifest, split: split, network: network, attacks: attacks, selection: selection,
            defender: defender)
        var figures: [EvaluationResult.Figure] = []
        for attack in attacks { figures.append(try figure(rows, attack, net)) }
        return EvaluationResult(
            defender: defender.descriptor.name, weightsDigest: defender.descriptor.weightsDigest, snapshot: manifest.id,
            dataset: split.dataset, split: split.split, selection: selection?.name, network: network.name,
            figures: figures, created: timestamp())
    }

    /// A defender's network, and the rows that it may be used on.
    /// - Throws: `badInput` or `stale` where the defender is not for these rows, or the rows are not those of the names.
    static func subject(
        _ corpus: Corpus, manifest: SnapshotManifest, split: SplitDescriptor, network: NetworkDescriptor,
        attacks: [String], selection: SelectionFile?, defender: StoredDefender
    ) throws(LogitError) -> (net: DefenderNet, rows: VariantRows) {
        guard defender.descriptor.classCount == network.classCount else {
            throw LogitError(
                .badInput,
                "defender \(defender.descriptor.name) corrects \(defender.descriptor.classCount) classes, but network \(network.name) has \(network.classCount); choose a defender for this network"
            )
        }
        let trained = defender.descriptor
        guard trained.network != network.name || trained.networkDigest == network.digest else {
            throw LogitError(
                .stale,
                "defender \(trained.name) was trained on module \(trained.networkDigest.prefix(12)) of network \(network.name), which is \(network.digest.prefix(12)) now; train another, or put the old network back"
            )
        }
        let classes = try corpus.splits().first { $0.dataset == trained.dataset }?.classNames
        guard classes == nil || classes == split.classNames else {
            throw LogitError(
                .badInput,
                "defender \(trained.name) corrects the classes of dataset \(trained.dataset), and \(split.dataset) has others under the same numbers; choose a defender for this dataset"
            )
        }
        if let selection { try corpus.check(selection, split) }
        try corpus.refuseStale(manifest, split, network, AttackRegistry.variants(attacks))
        let rows = VariantRows(corpus, manifest, split, network, selection: selection.map { Set($0.ordinals) })
        return (try defender.net(), rows)
    }

    /// Accuracies over the rows of one variant, without and with correction.
    static func figure(
        _ rows: VariantRows, _ attack: String, _ net: DefenderNet
    ) throws(LogitError) -> EvaluationResult.Figure {
        var (count, invalid, before, after) = (0, 0, 0, 0)
        try rows.visit(attack, batchRows: batchRows) { (table) throws(LogitError) in
            let valid = (0..<table.count).filter { !table.isInvalid($0) }
            invalid += table.count - valid.count
            count += valid.count
            let corrected = try net.correct(table.logits)
            for row in valid {
                if table.prediction[row] == table.label[row] { before += 1 }
                let range = row * table.classCount..<(row + 1) * table.classCount
                if argMax(corrected[range]) == table.label[row] { after += 1 }
            }
        }
        return EvaluationResult.Figure(
            attack: attack, rows: count, invalid: invalid, undefendedCorrect: before, correctedCorrect: after,
            undefended: Proportion(before, of: count), corrected: Proportion(after, of: count))
    }
}

/// The rows of a split and network in a snapshot, variant by variant, in shard order.
package struct VariantRows {
    private let corpus: Corpus
    private let manifest: SnapshotManifest
    private let split: SplitDescriptor
    private let network: NetworkDescriptor
    private let selection: Set<Int64>?
    /// So many rows of a variant, evenly spread: the images may be sorted by class. Nil: all.
    package var limit: Int?

    package init(
        _ corpus: Corpus, _ manifest: SnapshotManifest, _ split: SplitDescriptor, _ network: NetworkDescriptor,
        selection: Set<Int64>?
    ) {
        self.corpus = corpus
        self.manifest = manifest
        self.split = split
        self.network = network
        self.selection = selection
    }

    package func has(_ attack: String) -> Bool { !entries(attack).isEmpty }

    private func entries(_ attack: String) -> [ShardEntry] {
        manifest.shards.filter {
            $0.key.dataset == split.dataset && $0.key.split == split.split && $0.key.network == network.name
                && $0.key.variant.canonical == attack && $0.key.view == 0
        }
    }

    /// Hands the rows to `body`, `batchRows` or fewer at a time, checked.
    package func visit(
        _ attack: String, batchRows: Int, _ body: (RowTable) throws(LogitError) -> Void
    ) throws(LogitError) {
        let entries = entries(attack)
        guard !entries.isEmpty else {
            throw LogitError(
                .notFound,
                "snapshot \(manifest.id.prefix(12)) has no rows of \(network.name) under \(attack) over \(split.dataset)/\(split.split); run logit ingest with --attack \(attack) first"
            )
        }
        let total = entries.reduce(0) { $0 + $1.key.rowCount }
        var passed = 0
        for entry in entries {
            try Corpus.refuseStale(entry, split, network)
            let reader = try ShardReader(path: corpus.layout.absolute(entry.path))
            guard reader.header.contentDigest == entry.contentDigest else {
                throw LogitError(
                    .stale,
                    "shard \(reader.path) is not the one that the snapshot holds; put back a copy, or run logit verify")
            }
            for first in stride(from: 0, to: reader.rowCount, by: batchRows) {
                let table = try reader.table(first..<min(reader.rowCount, first + batchRows))
                let chosen = chosen(table, passed, of: total)
                passed += table.count
                if chosen.count > 0 { try body(chosen) }
            }
        }
    }

    /// What limit and selection leave of a table that begins with row `first` of `total`.
    private func chosen(_ table: RowTable, _ first: Int, of total: Int) -> RowTable {
        let limit = min(limit ?? total, total)
        guard selection != nil || limit < total else { return table }
        var rows: [Int] = []
        for row in 0..<table.count {
            let place = first + row
            // Over all rows the quotient steps up exactly `limit` times.
            guard place * limit / total != (place + 1) * limit / total else { continue }
            if let selection, !selection.contains(table.ordinal[row]) { continue }
            rows.append(row)
        }
        return table.picking(rows)
    }
}
