import Logits

/// An attack through a defender: the network attacked is g∘f. Written as a parameter of the attack, `pgd:through=G@DIGEST`:
/// the defender's name, and the beginning of the digest of its weights, so that rows of other weights have another name.
package struct ThroughReference: Sendable, Equatable {
    /// Hexadecimal digits of the weights' digest in a reference.
    package static let digestDigits = 16

    package let defender: String
    /// Nil where only the name was typed.
    package let digest: String?

    package init(defender: String, digest: String?) {
        self.defender = defender
        self.digest = digest
    }

    init(_ text: String, attack: String) throws(LogitError) {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false).map(String.init)
        let isDigest = parts.count == 2 && parts[1].count == Self.digestDigits && parts[1].allSatisfy(\.isHexDigit)
        guard !parts[0].isEmpty, parts.count == 1 || isDigest else {
            throw LogitError(
                .usage,
                "\(attack): through is \"\(text)\"; give a defender's name, alone or with @ and the first \(Self.digestDigits) digits of its weights' digest"
            )
        }
        self.init(defender: parts[0], digest: parts.count == 2 ? parts[1].lowercased() : nil)
    }

    package var text: String { digest.map { "\(defender)@\($0)" } ?? defender }
}

/// An attack whose defender is not opened yet.
package struct PendingThrough: Attacker {
    package let reference: ThroughReference
    package let attacker: any Attacker

    package var variant: Variant { attacker.variant }
    package var usesRandomness: Bool { attacker.usesRandomness }

    package func run(_ block: AttackBlock, on classifier: any Classifier) throws(LogitError) -> AttackedBlock {
        throw LogitError(.usage, "\(variant) needs its defender \(reference.defender); name one with --through")
    }
}

/// An attack through an opened defender.
///
/// The rows keep the logits and predictions of the network f itself, so that any defender can correct them; iterations,
/// perturbation and status are those of the attack on g∘f.
package struct ThroughAttack: Attacker {
    private let attacker: any Attacker
    private let defended: @Sendable (any Classifier) -> any Classifier

    /// - Parameter defended: puts the defender behind a network.
    package init(_ attacker: any Attacker, defended: @escaping @Sendable (any Classifier) -> any Classifier) {
        self.attacker = attacker
        self.defended = defended
    }

    package var variant: Variant { attacker.variant }
    package var usesRandomness: Bool { attacker.usesRandomness }
    package func target(_ classifier: any Classifier) -> any Classifier { defended(classifier) }

    package func run(_ block: AttackBlock, on classifier: any Classifier) throws(LogitError) -> AttackedBlock {
        var result = try attacker.run(block, on: defended(classifier))
        let classes = classifier.classCount
        var logits = [Float](repeating: 0, count: block.count * classes)
        func predictions() -> [Int32] {
            (0..<block.count).map { argMax(logits[$0 * classes..<($0 + 1) * classes]) }
        }
        try classifier.logits(block.images, count: block.count, into: &logits)
        result.columns.cleanPrediction = predictions()
        try classifier.logits(result.images, count: block.count, into: &logits)
        result.prediction = predictions()
        result.logits = logits
        return result
    }
}
