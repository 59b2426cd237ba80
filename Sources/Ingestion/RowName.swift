import CorpusStore
import Logits
import Networks

/// DATASET/SPLIT/ORDINAL/NETWORK/ATTACK/VIEW: the name of one row. The attack may hold slashes (`pgd:epsilon=8/255`), the
/// other parts cannot.
package struct RowName: Sendable, Hashable, CustomStringConvertible {
    package let set: RowSet
    package let ordinal: Int

    package init(_ set: RowSet, ordinal: Int) {
        self.set = set
        self.ordinal = ordinal
    }

    /// - Throws: `usage` where the text is no such name, or its attack none that there is.
    package init(_ text: String) throws(LogitError) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 6, let ordinal = Int(parts[2]), let view = Int(parts[parts.count - 1]), ordinal >= 0,
            view >= 0
        else {
            throw LogitError(
                .usage,
                "--row is \"\(text)\"; give DATASET/SPLIT/ORDINAL/NETWORK/ATTACK/VIEW, for instance cifar10/test/17/resnet20/pgd:epsilon=8/255/0"
            )
        }
        let attack = parts[4..<parts.count - 1].joined(separator: "/")
        set = RowSet(
            dataset: parts[0], split: parts[1], network: parts[3],
            attack: try AttackRegistry.choice(attack).variant.canonical, view: view)
        self.ordinal = ordinal
    }

    package var description: String {
        "\(set.dataset)/\(set.split)/\(ordinal)/\(set.network)/\(set.attack)/\(set.view)"
    }
}
