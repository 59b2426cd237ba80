import CorpusStore
import Foundation
import Logits
import Networks
import TestSupport
import Testing
import Torch

import Defence

/// A small defender with weights of its own: C → D → C, untrained, over the fixture network's classes.
private func defended(_ network: any Classifier) throws -> (any Classifier, DefenderNet) {
    var options = DefenderNetOptions(classCount: network.classCount)
    options.hidden = 64
    options.seed = 5
    let net = try DefenderNet(options)
    // Near the identity on the logits, so that images stay correct: W2·W1 is small, so one layer is used instead.
    options.layers = 1
    let linear = try DefenderNet(options)
    var values = [Float](repeating: 0, count: linear.parameterCount)
    for index in 0..<network.classCount { values[index * network.classCount + index] = 1 }
    let noise = try net.values(.parameters)
    for index in values.indices { values[index] += 0.02 * noise[index % noise.count] }
    try linear.set(.parameters, values)
    return (DefendedClassifier(network, SharedDefender(linear)), linear)
}

@Test("a defended network gives the defender's logits, and the gradient of finite differences")
func defendedGradient() throws {
    let network = try Fixtures.classifier()
    let (both, net) = try defended(network)
    let block = try Fixtures.block(2)
    var own = [Float](repeating: 0, count: 200)
    var logits = own
    try network.logits(block.images, count: 2, into: &own)
    let pass = try both.pass(block.images, count: 2, logits: &logits)
    #expect(logits == (try net.correct(own)))
    // Labels that are wrong, so that the gradient stands out from rounding.
    let labels = block.labels.map { ($0 + 1) % 100 }
    var gradient = [Float](repeating: 0, count: block.images.count)
    try pass.gradient(of: .crossEntropy(labels: labels), into: &gradient)
    func loss(_ images: [Float]) throws -> Double {
        try both.logits(images, count: 2, into: &logits)
        return (0..<2).reduce(0.0) { sum, image in
            let row = logits[image * 100..<(image + 1) * 100].map(Double.init)
            let top = row.max() ?? 0
            return sum + top + log(row.reduce(0) { $0 + exp($1 - top) }) - row[Int(labels[image])]
        }
    }
    let norm = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    let step = 2e-3
    func moved(_ sign: Double) -> [Float] {
        zip(block.images, gradient).map { Float(Double($0) + sign * step * Double($1) / norm) }
    }
    let slope = (try loss(moved(1)) - loss(moved(-1))) / (2 * step)
    #expect(norm > 0.1 && (slope - norm).magnitude < 0.02 * norm, "\(slope) and \(norm)")
}

@Test("an attack through a defender fools the defended network; its rows keep the network's own logits")
func throughRows() throws {
    let network = try Fixtures.classifier()
    let (both, _) = try defended(network)
    let block = try Fixtures.block(6)
    let inner = try #require(try AttackRegistry.choice("pgd:through=g@0123456789abcdef").attacker as? PendingThrough)
    let attack = ThroughAttack(inner.attacker) { _ in both }
    let result = try attack.run(block, on: network)
    var logits = [Float](repeating: 0, count: 600)
    try network.logits(result.images, count: 6, into: &logits)
    #expect(result.logits == logits)
    #expect(result.prediction == (0..<6).map { argMax(logits[$0 * 100..<($0 + 1) * 100]) })
    try both.logits(result.images, count: 6, into: &logits)
    let corrected = (0..<6).map { argMax(logits[$0 * 100..<($0 + 1) * 100]) }
    for image in 0..<6 where result.columns.status[image] != Outcome.trivial.rawValue {
        let outcome: Outcome = corrected[image] != block.labels[image] ? .fooled : .failed
        #expect(result.columns.status[image] == outcome.rawValue)
    }
    #expect(result.columns.status.contains(Outcome.fooled.rawValue))
    let plain = try #require(try AttackRegistry.choice("pgd").attacker).run(block, on: network)
    #expect(plain.images != result.images)
}

@Test("an attack through a defender has a name with the weights' digest, and needs the defender to run")
func throughNames() throws {
    let choice = try AttackRegistry.choice("cw:through=g@0123456789ABCDEF,steps=5")
    #expect(choice.variant.canonical == "cw:steps=5,through=g@0123456789abcdef")
    #expect(choice.variant.parametersJSON.contains("\"through\":\"g@0123456789abcdef\""))
    #expect(try AttackRegistry.choice(choice.variant.canonical).variant == choice.variant)
    let block = try Fixtures.block(1)
    let error = #expect(throws: LogitError.self) {
        try #require(choice.attacker).run(block, on: try Fixtures.classifier())
    }
    #expect(error?.message.contains("--through") == true)
    for text in ["pgd:through=", "pgd:through=g@12", "pgd:through=g@0123456789abcdeg", "pgd:through=a@b@c"] {
        #expect(throws: LogitError.self) { try AttackRegistry.choice(text) }
    }
}
