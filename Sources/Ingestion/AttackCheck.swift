import CorpusStore
import Logits
import Networks
import Platform

/// The images of a corpus and what attacks on one of its networks make of them, for a comparison with other libraries.
package enum AttackCheck {
    /// Attacks `count` images spread evenly over the split and writes an `AttackDump` to `folder`.
    /// - Parameter shouldStop: polled between attacks; true stops with `cancelled`.
    package static func dump(
        _ attacks: [AttackChoice], of split: SplitDescriptor, on network: NetworkDescriptor, in corpus: Corpus,
        count: Int, workers: Int, to folder: String, note: (String) -> Void, shouldStop: () -> Bool
    ) throws(LogitError) {
        guard count >= 1 else { throw LogitError(.usage, "--images is \(count); give 1 or more") }
        guard !attacks.isEmpty, attacks.allSatisfy({ $0.attacker != nil }) else {
            throw LogitError(.usage, "clean is no attack to check; name attacks of logit attack list")
        }
        let listed = try corpus.images(of: split)
        let taken = min(count, listed.count)
        let ordinals = (0..<taken).map { $0 * listed.count / taken }
        let source = try ImageSource(split, listed, network)
        let classifier = try Ingest.openClassifier(network, corpus)
        let block = AttackBlock(
            images: try source.block(ordinals[...]), labels: ordinals.map { listed[$0].label }, count: taken,
            randomKeys: (0..<taken).map(UInt64.init))
        let dump = try AttackDump(
            folder: folder, classifier: classifier, block: block, blockRows: network.blockRows, workers: workers)
        var parts: [AttackDump.Part] = []
        for (number, choice) in attacks.enumerated() {
            guard !shouldStop() else { throw LogitError(.cancelled, "stopped; nothing was changed") }
            note("\(choice.variant): \(taken) images of \(split.dataset)/\(split.split) on \(network.name)")
            parts.append(try dump.attack(choice, number: number))
        }
        try dump.describe(
            network: network.name, module: corpus.layout.module(network.digest), mean: network.mean,
            standardDeviation: network.standardDeviation,
            fold: network.fold, parts: parts)
    }
}
