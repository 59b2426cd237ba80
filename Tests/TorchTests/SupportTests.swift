import Foundation
import TestSupport
import Testing
import Torch

/// S_k and mean over l of H_lk from PyTorch's whole Jacobian, frozen by Tests/TorchTests/make_support.py.
private struct Reference: Decodable {
    struct Case: Decodable {
        let layers: Int
        let parameters: [Float]
        let support: [Double]
        let mean: [Double]
        let corrected: [Double]
    }
    let classes: Int
    let hidden: Int
    let logits: [Float]
    let labels: [Int32]
    let cases: [Case]
}

@Test("S and H equal PyTorch's Jacobian, also where a hidden value is exactly 0", arguments: 0..<3, [false, true])
func jacobian(which: Int, operators: Bool) throws {
    let path = "\(projectFolder)/Tests/TorchTests/support.json"
    let reference = try JSONDecoder().decode(Reference.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
    let expected = reference.cases[which]
    var options = DefenderNetOptions(classCount: reference.classes)
    (options.hidden, options.layers, options.usesOperators) = (reference.hidden, expected.layers, operators)
    let net = try DefenderNet(options)
    try net.set(.parameters, expected.parameters)
    let found = try net.support(reference.logits, labels: reference.labels)
    for (ours, theirs) in [
        (found.support, expected.support), (found.mean, expected.mean), (found.corrected, expected.corrected),
    ] {
        #expect(ours.count == theirs.count)
        for (a, b) in zip(ours, theirs) { #expect((Double(a) - b).magnitude < 1e-5 * max(1, b.magnitude)) }
    }
    // A vector-Jacobian product of any other kind says the same.
    let share = 1 / Float(reference.classes)
    let cotangent: [Float] = reference.labels.flatMap { label in
        (0..<reference.classes).map { (k: Int) -> Float in k == Int(label) ? 1 - share : -share }
    }
    let pulled = try net.gradient(reference.logits, cotangent: cotangent).gradient
    #expect(zip(found.support, pulled).allSatisfy { ($0 - $1).magnitude < 1e-5 })
}

@Test("a network of fewer outputs than inputs learns two classes")
func detector() throws {
    var options = DefenderNetOptions(classCount: 4, outputCount: 2)
    (options.hidden, options.dropout, options.learningRate) = (8, 0, 1e-2)
    let net = try DefenderNet(options)
    #expect(net.parameterCount == 4 * 8 + 8 + 8 * 2 + 2)
    let rows: [[Float]] = (0..<40).map { row in
        (0..<4).map { (column: Int) -> Float in Float((row * 7 + column * 5) % 11 - 5) }
    }
    let labels = rows.map { $0[0] > $0[3] ? Int32(1) : 0 }
    for step in 1...300 { _ = try net.train(step: step, logits: rows.flatMap { $0 }, labels: labels) }
    let outputs = try net.correct(rows.flatMap { $0 })
    #expect(outputs.count == 80)
    for (row, label) in labels.enumerated() {
        let says: Int32 = outputs[2 * row + 1] > outputs[2 * row] ? 1 : 0
        #expect(says == label)
    }
}
