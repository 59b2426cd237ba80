import CorpusStore
import Logits
import Platform
import Shards

/// An evaluation as the corpus keeps it.
package struct StoredEvaluation: Sendable {
    /// The name of its file.
    package let id: String
    package let result: EvaluationResult

    /// All of a corpus, the oldest first.
    package static func all(_ corpus: Corpus) throws(LogitError) -> [StoredEvaluation] {
        var found: [StoredEvaluation] = []
        for file in try Files.list(corpus.layout.evaluations) where file.hasSuffix(".json") {
            found.append(
                StoredEvaluation(
                    id: String(file.dropLast(5)),
                    result: try JSONFile.read(EvaluationResult.self, from: "\(corpus.layout.evaluations)/\(file)")))
        }
        return found.sorted { ($0.result.created, $0.id) < ($1.result.created, $1.id) }
    }

    /// Whether it is of a defender as it is now, on these images.
    package func isOf(
        _ defender: DefenderDescriptor, _ split: SplitDescriptor, _ network: NetworkDescriptor, _ selection: String?
    ) -> Bool {
        result.defender == defender.name && result.weightsDigest == defender.weightsDigest
            && result.dataset == split.dataset && result.split == split.split && result.network == network.name
            && result.selection == selection
    }
}

extension SnapshotManifest {
    /// Content digests of the rows of one variant (view 0), sorted: equal where the rows are.
    package func rowDigests(_ split: SplitDescriptor, _ network: NetworkDescriptor, _ attack: String) -> [String] {
        shards.filter {
            $0.key.dataset == split.dataset && $0.key.split == split.split && $0.key.network == network.name
                && $0.key.variant.canonical == attack && $0.key.view == 0
        }.map(\.contentDigest).sorted()
    }
}
