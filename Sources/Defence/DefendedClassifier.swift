import CorpusStore
import Logits
import Networks
import Platform
import Torch

/// A network f with a defender g behind it: again a classifier, g∘f.
package final class DefendedClassifier: Classifier {
    private let network: any Classifier
    private let defender: SharedDefender

    package init(_ network: any Classifier, _ defender: SharedDefender) {
        precondition(network.classCount == defender.classCount)
        self.network = network
        self.defender = defender
    }

    package var identity: NetworkIdentity { network.identity }
    package var inputShape: ImageShape { network.inputShape }
    package var classCount: Int { network.classCount }

    package func logits(_ images: [Float], count: Int, into logits: inout [Float]) throws(LogitError) {
        try network.logits(images, count: count, into: &logits)
        logits = try defender.correct(logits)
    }

    package func pass(_ images: [Float], count: Int, logits: inout [Float]) throws(LogitError) -> any GradientPass {
        let pass = try network.pass(images, count: count, logits: &logits)
        let own = logits
        logits = try defender.correct(own)
        return DefendedPass(pass: pass, defender: defender, logits: own, corrected: logits)
    }
}

private final class DefendedPass: GradientPass {
    private let pass: any GradientPass
    private let defender: SharedDefender
    /// Of the network, and of the defender behind it.
    private let logits: [Float]
    private let corrected: [Float]

    init(pass: any GradientPass, defender: SharedDefender, logits: [Float], corrected: [Float]) {
        self.pass = pass
        self.defender = defender
        self.logits = logits
        self.corrected = corrected
    }

    func gradient(of loss: Loss, into gradient: inout [Float]) throws(LogitError) {
        let cotangent = loss.cotangent(logits: corrected, classCount: defender.classCount)
        try pass.gradient(of: .cotangent(try defender.pull(logits, cotangent)), into: &gradient)
    }
}

/// A defender that several threads share, one at a time.
///
/// `@unchecked Sendable`: the network is only used by the thread that has taken the queue's one token.
package final class SharedDefender: @unchecked Sendable {
    package let classCount: Int
    private let net: DefenderNet
    private let turn = BoundedQueue<Bool>(capacity: 1)

    package init(_ net: DefenderNet) {
        self.net = net
        classCount = net.options.classCount
        turn.push(true)
    }

    func correct(_ logits: [Float]) throws(LogitError) -> [Float] {
        _ = turn.pop()
        defer { turn.push(true) }
        return try net.correct(logits)
    }

    /// vᵀ ∂g(z)/∂z.
    func pull(_ logits: [Float], _ cotangent: [Float]) throws(LogitError) -> [Float] {
        _ = turn.pop()
        defer { turn.push(true) }
        return try net.gradient(logits, cotangent: cotangent).gradient
    }
}

/// Finds the defenders that attacks go through.
package enum Through {
    /// The attack through a defender of the corpus, as its weights are now.
    /// - Throws: `usage` for clean, or an attack that names another defender.
    package static func choice(
        _ choice: AttackChoice, through name: String, in corpus: Corpus
    ) throws(LogitError) -> AttackChoice {
        if choice.attacker is PendingThrough {
            throw LogitError(.usage, "\(choice.variant) names its defender already; leave --through out")
        }
        let text = choice.variant.canonical
        return try named(AttackRegistry.choice("\(text)\(text.contains(":") ? "," : ":")through=\(name)"), in: corpus)
    }

    /// A choice whose defender, if it names one, is named with the digest of its weights.
    package static func named(_ choice: AttackChoice, in corpus: Corpus) throws(LogitError) -> AttackChoice {
        guard let pending = choice.attacker as? PendingThrough, pending.reference.digest == nil else { return choice }
        let digest = try StoredDefender(corpus, pending.reference.defender).descriptor.weightsDigest
        let whole = ThroughReference(
            defender: pending.reference.defender, digest: String(digest.prefix(ThroughReference.digestDigits)))
        return try AttackRegistry.choice(
            choice.variant.canonical.replacing("through=\(pending.reference.text)", with: "through=\(whole.text)"))
    }

    /// Opens the defender of a choice that names one.
    /// - Throws: `stale` where its weights are no longer those named, `badInput` where it is for other classes.
    package static func opened(
        _ choice: AttackChoice, _ network: NetworkDescriptor, in corpus: Corpus
    ) throws(LogitError) -> AttackChoice {
        let choice = try named(choice, in: corpus)
        guard let pending = choice.attacker as? PendingThrough else { return choice }
        let stored = try StoredDefender(corpus, pending.reference.defender)
        guard let digest = pending.reference.digest, stored.descriptor.weightsDigest.hasPrefix(digest) else {
            throw LogitError(
                .stale,
                "\(choice.variant) is through other weights than defender \(stored.descriptor.name) has now (\(stored.descriptor.weightsDigest.prefix(ThroughReference.digestDigits))); put the old weights back, or attack through it as it is"
            )
        }
        guard stored.descriptor.classCount == network.classCount else {
            throw LogitError(
                .badInput,
                "defender \(stored.descriptor.name) corrects \(stored.descriptor.classCount) classes, but network \(network.name) has \(network.classCount); choose a defender for this network"
            )
        }
        try TorchLibrary.shared().configure(intraOpThreads: 1)
        let shared = SharedDefender(try stored.net())
        return AttackChoice(
            variant: choice.variant,
            attacker: ThroughAttack(pending.attacker) { DefendedClassifier($0, shared) })
    }
}
