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

private func net(
    _ reference: Reference, layers: Int, dropout: Double = 0, operators: Bool = false
) throws -> DefenderNet {
    try TorchLibrary.shared().configure(intraOpThreads: 1)
    var options = DefenderNetOptions(classCount: reference.classes)
    (options.hidden, options.layers, options.dropout) = (reference.hidden, layers, dropout)
    (options.learningRate, options.weightDecay, options.seed) = (1e-2, 1e-2, 3)
    options.usesOperators = operators
    return try DefenderNet(options)
}

@Test(
    "ten Adam steps with weight decay equal PyTorch's: losses, parameters, output, input gradient", arguments: 0..<3,
    [false, true])
func adam(which: Int, operators: Bool) throws {
    let reference = try Reference.load()
    let expected = reference.cases[which]
    let net = try net(reference, layers: expected.layers, operators: operators)
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

@Test("training resumed from parameters and moments equals training that never stopped", arguments: [false, true])
func resume(operators: Bool) throws {
    let reference = try Reference.load()
    let whole = try net(reference, layers: 2, dropout: 0.5, operators: operators)
    let firstHalf = try net(reference, layers: 2, dropout: 0.5, operators: operators)
    for step in 1...10 {
        _ = try whole.train(step: step, logits: reference.logits, labels: reference.labels)
        if step <= 5 { _ = try firstHalf.train(step: step, logits: reference.logits, labels: reference.labels) }
    }
    let secondHalf = try net(reference, layers: 2, dropout: 0.5, operators: operators)
    for part in [DefenderNet.Part.parameters, .firstMoments, .secondMoments] {
        try secondHalf.set(part, try firstHalf.values(part))
    }
    for step in 6...10 { _ = try secondHalf.train(step: step, logits: reference.logits, labels: reference.labels) }
    #expect(try secondHalf.values(.parameters).map(\.bitPattern) == whole.values(.parameters).map(\.bitPattern))
}

/// The operators are what a GPU runs; the CPU runs them here.
@Test("LibTorch's operators train as our kernels do, dropout masks included", arguments: 1...3, [0, 0.3, 0.9])
func operators(layers: Int, dropout: Double) throws {
    let reference = try Reference.load()
    let ours = try net(reference, layers: layers, dropout: dropout)
    let theirs = try net(reference, layers: layers, dropout: dropout, operators: true)
    let begin = try ours.values(.parameters)
    #expect(try theirs.values(.parameters) == begin)
    for step in 1...8 {
        let loss = try ours.train(step: step, logits: reference.logits, labels: reference.labels)
        let other = try theirs.train(step: step, logits: reference.logits, labels: reference.labels)
        #expect((loss - other).magnitude < 1e-5 * max(1, loss))
    }
    for part in [DefenderNet.Part.parameters, .firstMoments, .secondMoments] {
        let (kernels, operators) = (try ours.values(part), try theirs.values(part))
        let largest = kernels.reduce(0) { max($0, $1.magnitude) }
        #expect(zip(kernels, operators).allSatisfy { ($0 - $1).magnitude < 1e-4 * largest })
    }
    // Far less than what the steps did.
    #expect(zip(begin, try ours.values(.parameters)).contains { ($0 - $1).magnitude > 1e-2 })
    let corrected = (try ours.correct(reference.logits), try theirs.correct(reference.logits))
    #expect(zip(corrected.0, corrected.1).allSatisfy { ($0 - $1).magnitude < 1e-3 })
}

@Test("an exported defender is a TorchScript module")
func export() throws {
    let folder = TemporaryFolder()
    let reference = try Reference.load()
    try net(reference, layers: 2).exportTorchScript(to: folder.file("g.pt"))
    #expect(throws: Never.self) { try TorchModule(path: folder.file("g.pt"), options: ModuleOptions(fold: false)) }
}
