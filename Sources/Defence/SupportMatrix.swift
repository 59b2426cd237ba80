import Analysis
import CorpusStore
import Logits

/// How alike the supporting classes of several defences are, beside how well the defenders do on each other's rows (paper,
/// section 5.2): from the analyses and evaluations that a corpus holds.
package struct SupportMatrix: Codable, Sendable {
    package enum Axis: String, Codable, Sendable, CaseIterable { case attacks, networks }

    /// One defence: rows, and the defender that was trained on their kind alone.
    package struct Item: Codable, Sendable, Equatable {
        /// The attack or the network, whichever differs.
        package var name: String
        package var network: String
        package var attack: String
        package var defender: String
        package var analysis: String
        package var images: Int
        /// The most frequent supporting classes.
        package var supporting: [Int]
    }

    package struct Pair: Codable, Sendable {
        package var first: String
        package var second: String
        package var coefficient: Double
        /// Mean of the two accuracies that each one's defender has on the other's rows; nil where one was not evaluated.
        package var meanTransfer: Double?
    }

    package var across: Axis
    package var dataset: String
    package var split: String
    package var selection: String?
    /// Only the union of two defences' tops, renormalised; else all classes.
    package var union: Bool
    package var items: [Item]
    /// Bhattacharyya coefficients, item by item.
    package var coefficients: [[Double]]
    /// transfer[a][b]: accuracy of b's defender on the rows of a, with its interval; nil where it was not evaluated.
    package var transfer: [[Proportion?]]
    /// Unordered pairs.
    package var pairs: [Pair]
    /// Spearman's correlation of coefficient and mean transfer, over the pairs that have both.
    package var rankCorrelation: Double?
    package var rankedPairs: Int
}

extension SupportMatrix {
    /// - Parameters:
    ///   - network: of the rows; nil across networks: all that have an analysis.
    ///   - attacks: canonical names; nil: all that have an analysis. Across networks one.
    /// - Throws: `notFound` where fewer than two defences have been analysed.
    package static func read(
        _ corpus: Corpus, across: Axis, network: String?, attacks: [String]?, split: SplitDescriptor,
        selection: String?,
        union: Bool
    ) throws(LogitError) -> SupportMatrix {
        let found = try defences(corpus, split, selection).filter { one in
            (network.map { $0 == one.item.network } ?? true) && (attacks?.contains(one.item.attack) ?? true)
        }
        var chosen: [String: Defence] = [:]
        for var one in found {
            one.item.name = across == .attacks ? one.item.attack : one.item.network
            chosen[one.item.name] = one
        }
        let names = across == .attacks ? (attacks ?? chosen.keys.sorted()) : chosen.keys.sorted()
        let defences = names.compactMap { chosen[$0] }
        guard defences.count >= 2 else {
            throw LogitError(
                .notFound,
                "\(defences.count == 1 ? "only \(defences[0].item.name) has" : "none of the \(across.rawValue) has") an analysis of its own defender's supporting classes over \(split.dataset)/\(split.split)\(selection.map { ", selection \($0)" } ?? ""); run logit support for two or more defenders, each trained on one attack of one network"
            )
        }
        return try matrix(corpus, across, defences, split, selection, union)
    }

    private struct Defence {
        var item: Item
        let counts: [Int]
        let top: Int
        let weightsDigest: String
        /// As the paper's are.
        let hasTwoLayers: Bool
    }

    /// Analyses of defenders on the rows that they were trained for, with the weights that these have now: those of two layers
    /// after the others, the newest last.
    private static func defences(
        _ corpus: Corpus, _ split: SplitDescriptor, _ selection: String?
    ) throws(LogitError) -> [Defence] {
        let defenders = Set(try corpus.defenderNames())
        var found: [Defence] = []
        for one in try corpus.analyses(ofKind: Analyses.support) {
            let record = one.record
            guard record.dataset == split.dataset, record.split == split.split, record.selection == selection,
                record.correctedOnly != true, defenders.contains(record.defender), let classes = record.classes,
                let top = record.top
            else { continue }
            let defender = try StoredDefender(corpus, record.defender).descriptor
            guard defender.attacks == [record.attack], defender.network == record.network,
                defender.weightsDigest == record.weightsDigest
            else { continue }
            var counts = [Int](repeating: 0, count: classes.count)
            for one in classes { counts[one.class] = one.count }
            let supporting = classes.sorted { $0.rank < $1.rank }.prefix(top).map(\.class)
            found.append(
                Defence(
                    item: Item(
                        name: "", network: record.network, attack: record.attack, defender: record.defender,
                        analysis: one.id, images: record.images, supporting: supporting),
                    counts: counts, top: top, weightsDigest: record.weightsDigest,
                    hasTwoLayers: defender.options.layers == 2))
        }
        return found.filter { !$0.hasTwoLayers } + found.filter(\.hasTwoLayers)
    }

    private static func matrix(
        _ corpus: Corpus, _ across: Axis, _ defences: [Defence], _ split: SplitDescriptor, _ selection: String?,
        _ union: Bool
    ) throws(LogitError) -> SupportMatrix {
        let evaluations = try StoredEvaluation.all(corpus).map(\.result).filter {
            $0.dataset == split.dataset && $0.split == split.split && $0.selection == selection
        }
        let transfer = defences.map { rows in
            defences.map { defence in
                evaluations.last {
                    $0.defender == defence.item.defender && $0.weightsDigest == defence.weightsDigest
                        && $0.network == rows.item.network && $0.figures.contains { $0.attack == rows.item.attack }
                }?.figures.first { $0.attack == rows.item.attack }?.corrected
            }
        }
        var coefficients = defences.map { _ in [Double](repeating: 1, count: defences.count) }
        var pairs: [Pair] = []
        for (a, first) in defences.enumerated() {
            for (b, second) in defences.enumerated().dropFirst(a + 1) {
                let tops = union ? max(first.top, second.top) : nil
                guard let both = Bhattacharyya(supporting: first.counts, second.counts, unionTop: tops) else {
                    throw LogitError(
                        .badInput,
                        "\(first.item.name) and \(second.item.name) have \(first.counts.count) and \(second.counts.count) classes, which cannot be compared; choose networks with the same classes"
                    )
                }
                (coefficients[a][b], coefficients[b][a]) = (both.coefficient, both.coefficient)
                var mean: Double?
                if let there = transfer[a][b]?.value, let back = transfer[b][a]?.value { mean = (there + back) / 2 }
                pairs.append(
                    Pair(
                        first: first.item.name, second: second.item.name, coefficient: both.coefficient,
                        meanTransfer: mean))
            }
        }
        let ranked = pairs.filter { $0.meanTransfer != nil }
        return SupportMatrix(
            across: across, dataset: split.dataset, split: split.split, selection: selection, union: union,
            items: defences.map(\.item), coefficients: coefficients, transfer: transfer, pairs: pairs,
            rankCorrelation: Analysis.rankCorrelation(ranked.map(\.coefficient), ranked.compactMap(\.meanTransfer)),
            rankedPairs: ranked.count)
    }
}
