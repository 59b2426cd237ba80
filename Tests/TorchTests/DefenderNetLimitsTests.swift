import Logits
import TestSupport
import Testing
import Torch

private func net(
    classes: Int, hidden: Int, layers: Int = 2, dropout: Double = 0, rate: Double = 1e-3
) throws -> DefenderNet {
    try TorchLibrary.shared().configure(intraOpThreads: 1)
    var options = DefenderNetOptions(classCount: classes)
    (options.hidden, options.layers, options.dropout, options.learningRate) = (hidden, layers, dropout, rate)
    (options.weightDecay, options.seed) = (0, 9)
    return try DefenderNet(options)
}

@Test("a logit that is no number stops the training instead of dying in the hidden layer", arguments: 1...3)
func notANumber(layers: Int) throws {
    let net = try net(classes: 5, hidden: 40, layers: layers)
    let before = try net.values(.parameters)
    let logits: [Float] = [1, .nan, 0, 2, 3, 0, 1, 2, 3, 4]
    let error = #expect(throws: LogitError.self) { _ = try net.train(step: 1, logits: logits, labels: [0, 1]) }
    #expect(error?.message.contains("--lr") == true)
    #expect(try net.values(.parameters) == before)
    #expect(try net.correct(logits)[..<5].allSatisfy(\.isNaN))
    #expect(try net.correct(logits)[5...].allSatisfy(\.isFinite))
}

/// Which hidden values a step keeps, and their scale: all weights 0 but the first biases, which make every hidden value 1,
/// so that the gradient of the second weights shows the mask.
private func mask(dropout: Double, step: Int, hidden: Int) throws -> [Float] {
    let classes = 4
    let net = try net(classes: classes, hidden: hidden, dropout: dropout, rate: 1e-30)
    var parameters = [Float](repeating: 0, count: net.parameterCount)
    for unit in 0..<hidden { parameters[classes * hidden + unit] = 1 }
    try net.set(.parameters, parameters)
    _ = try net.train(step: step, logits: [Float](repeating: 0, count: classes), labels: [0])
    // Adam's first moment after one step from 0 is a tenth of the gradient, here of (softmax - 1) = -3/4 times the value.
    return try net.values(.firstMoments)[(classes + 1) * hidden..<(classes + 2) * hidden].map { $0 * 10 / -0.75 }
}

@Test("dropout drops its share, scales the rest, and draws anew each step", arguments: [0.3, 0.5, 0.9])
func dropout(probability: Double) throws {
    let hidden = 40_000
    let (first, again, other) = (
        try mask(dropout: probability, step: 1, hidden: hidden),
        try mask(dropout: probability, step: 1, hidden: hidden),
        try mask(dropout: probability, step: 2, hidden: hidden)
    )
    #expect(first == again)
    let scale = Float(1 / (1 - probability))
    #expect(first.allSatisfy { $0 == 0 || ($0 - scale).magnitude < 1e-4 * scale })
    // Five standard deviations of a binomial share.
    func near(_ share: Double, _ expected: Double) -> Bool {
        (share - expected).magnitude < 5 * (expected * (1 - expected) / Double(hidden)).squareRoot()
    }
    #expect(near(Double(first.count { $0 == 0 }) / Double(hidden), probability))
    let both = zip(first, other).count { ($0 == 0) == ($1 == 0) }
    #expect(near(Double(both) / Double(hidden), probability * probability + (1 - probability) * (1 - probability)))
}
