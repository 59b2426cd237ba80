import Logits

/// A block of decoded images under attack.
package struct AttackBlock: Sendable {
    /// count × inputShape values in [0,1].
    package var images: [Float]
    /// Ground truth.
    package var labels: [Int32]
    package var count: Int
    /// One key an image for the counter-based generator.
    package var randomKeys: [UInt64]

    package init(images: [Float], labels: [Int32], count: Int, randomKeys: [UInt64]) {
        self.images = images
        self.labels = labels
        self.count = count
        self.randomKeys = randomKeys
    }
}

/// What an attacker made of a block.
package struct AttackedBlock: Sendable {
    /// Of the attacked images, count × classCount.
    package var logits: [Float]
    package var prediction: [Int32]
    package var columns: AttackColumns
    /// The labels that the attack pushed away from.
    package var attackedLabels: [Int32]
    /// The attacked images in [0,1].
    package var images: [Float]
}

/// An attack A with its parameters. State, stopping and random numbers are per image; arithmetic is per block.
package protocol Attacker: Sendable {
    var variant: Variant { get }
    /// Whether a seed and a view make a difference.
    var usesRandomness: Bool { get }
    /// What the attack attacks, and its outcome is judged by: the network itself, or a defended one.
    func target(_ classifier: any Classifier) -> any Classifier
    func run(_ block: AttackBlock, on classifier: any Classifier) throws(LogitError) -> AttackedBlock
}

extension Attacker {
    package func target(_ classifier: any Classifier) -> any Classifier { classifier }
}

/// Which label an attack pushes away from.
package enum LabelPolicy: String, Sendable, CaseIterable { case truth, prediction }

/// `clean` or an attack, as a command was given it.
package struct AttackChoice: Sendable {
    package let variant: Variant
    /// Nil: clean.
    package let attacker: (any Attacker)?

    package init(variant: Variant, attacker: (any Attacker)?) {
        self.variant = variant
        self.attacker = attacker
    }

    package var usesRandomness: Bool { attacker?.usesRandomness ?? false }
}
