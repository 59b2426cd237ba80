import Analysis
import CorpusStore
import Logits

/// An analysis whose result is some figures: analyses/ID.json of the kinds `lowering`, `precision` and `detection`.
package struct AnalysisResult: Codable, Sendable {
    /// The ROC curve of one detector.
    package struct Curve: Codable, Sendable {
        package var attack: String
        package var detector: String
        package var falsePositives: [Double]
        package var truePositives: [Double]
    }

    package var formatVersion = 1
    package var kind: String
    package var defender: String
    package var weightsDigest: String
    package var snapshot: String
    package var dataset: String
    package var split: String
    package var selection: String?
    package var network: String
    package var networkDigest: String
    /// Canonical names with commas.
    package var attack: String
    package var images: Int
    package var invalid: Int
    /// What was done, in words that make it unique.
    package var options: [String: String]
    package var figures: [AnalysisFigure]
    package var curves: [Curve]?
    package var created: String
}

extension AnalysisResult {
    /// The options that were asked for, without what came of them.
    package var asked: [String: String] {
        options.filter { $0.key != "supporting" && !$0.key.hasPrefix("direction.") }
    }
}

extension AnalysisFigure {
    package init(_ attack: String, _ subject: String, _ measure: String, _ share: Proportion) {
        self.init(
            attack: attack, subject: subject, measure: measure, rows: share.total, count: share.count,
            value: share.value,
            low: share.low, high: share.high)
    }
}

extension SupportRequest {
    /// A result over these rows.
    func result(
        _ kind: String, _ defender: DefenderDescriptor, attacks: [String], images: Int, invalid: Int,
        options: [String: String], figures: [AnalysisFigure], curves: [AnalysisResult.Curve]? = nil
    ) -> AnalysisResult {
        AnalysisResult(
            kind: kind, defender: defender.name, weightsDigest: defender.weightsDigest, snapshot: manifest.id,
            dataset: split.dataset, split: split.split, selection: selection?.name, network: network.name,
            networkDigest: network.digest, attack: attacks.joined(separator: ","), images: images, invalid: invalid,
            options: options, figures: figures, curves: curves, created: timestamp())
    }
}
