import Foundation
import Logits
import TestSupport
import Testing
import Torch

/// Adam steps of PyTorch from given weights, frozen by Tests/TorchTests/make_reference.py.
private struct Reference: Decodable {
    struct Case: Decodable {
        let layers: Int
        let before: [Float]
        let after: [Float]
        let losses: [Double]
        let corrected: [Float]
        let gradient: [Float]
    }
    let classes: Int
    let hidden: Int
    let rows: Int
    let logits: [Float]
    let labels: [Int32]
    let cotangent: [Float]
    let cases: [Case]

    static func load() throws -> Reference {
        let path = "\(projectFolder)/Tests/TorchTests/reference.json"
        return try JSONDecoder().decode(Reference.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
    }
}

private func net(_ reference: Reference, layers: Int, dropout: Double = 0) throws -> DefenderNet {
    try TorchLibrary.shared().configure(intraOpThreads: 1)
    var options = DefenderNetOptions(classCount: reference.classes)
    (options.hidden, options.layers, options.dropout) = (reference.hidden, layers, dropout)
    (options.learningRate, options.weightDecay, options.seed) = (1e-2, 1e-2, 3)
    return try DefenderNet(options)
}

@Test("ten Adam steps with weight decay equal PyTorch's: losses, parameters, output, input gradient", arguments: 0..<3)
func adam(which: Int) throws {
    let reference = try Reference.load()
    let expected = reference.cases[which]
    let net = try net(reference, layers: expected.layers)
    try net.set(.parameters, expected.before)
    for (step, loss) in expected.losses.enumerated() {
        let ours = try net.train(step: step + 1, logits: reference.logits, labels: reference.labels)
        #expect(abs(ours - loss) < 1e-5 * max(1, loss))
    }
    for (ours, theirs) in zip(try net.values(.parameters), expected.after) { #expect((ours - theirs).magnitude < 2e-5) }
    let result = try net.gradient(reference.logits, cotangent: reference.cotangent)
    for (ours, theirs) in zip(result.corrected, expected.corrected) { #expect((ours - theirs).magnitude < 1e-4) }
    for (ours, theirs) in zip(result.gradient, expected.gradient) { #expect((ours - theirs).magnitude < 1e-4) }
}

@Test("parameters begin uniform within ±1/√fan_in, a function of the seed")
func initialisation() throws {
    let reference = try Reference.load()
    let values = try net(reference, layers: 2).values(.parameters)
    #expect(try net(reference, layers: 2).values(.parameters) == values)
    let first = values[..<(reference.classes * reference.hidden)]
    let bound = 1 / Float(reference.classes).squareRoot()
    #expect(first.allSatisfy { $0.magnitude <= bound } && (first.map(\.magnitude).max() ?? 0) > 0.9 * bound)
}

@Test("training resumed from parameters and moments equals training that never stopped, dropout included")
func resume() throws {
    let reference = try Reference.load()
    let whole = try net(reference, layers: 2, dropout: 0.5)
    let firstHalf = try net(reference, layers: 2, dropout: 0.5)
    for step in 1...10 {
        _ = try whole.train(step: step, logits: reference.logits, labels: reference.labels)
        if step <= 5 { _ = try firstHalf.train(step: step, logits: reference.logits, labels: reference.labels) }
    }
    let secondHalf = try net(reference, layers: 2, dropout: 0.5)
    for part in [DefenderNet.Part.parameters, .firstMoments, .secondMoments] {
        try secondHalf.set(part, try firstHalf.values(part))
    }
    for step in 6...10 { _ = try secondHalf.train(step: step, logits: reference.logits, labels: reference.labels) }
    #expect(try secondHalf.values(.parameters).map(\.bitPattern) == whole.values(.parameters).map(\.bitPattern))
}

@Test("an exported defender is a TorchScript module")
func export() throws {
    let folder = TemporaryFolder()
    let reference = try Reference.load()
    try net(reference, layers: 2).exportTorchScript(to: folder.file("g.pt"))
    #expect(throws: Never.self) { try TorchModule(path: folder.file("g.pt"), options: ModuleOptions(fold: false)) }
}
