import CAttackKernels
import Logits

/// The attacks that step along the sign of the gradient within an L∞ ball: FGSM (Goodfellow et al. 2015), BIM (Kurakin et
/// al. 2017), PGD (Madry et al. 2018) and MIM (Dong et al. 2018), as CleverHans has them.
///
/// Each step: x' += α·sign(direction), then x' − x clipped to ±ε, then x' clipped to [0,1]. The last iterate is the result.
struct SignAttack: Attacker {
    private enum Start { case image, uniform }
    private enum Direction { case gradient, momentum(decay: Float) }

    let variant: Variant
    private let start: Start
    private let direction: Direction
    private let epsilon: Float
    private let stepSize: Float
    private let steps: Int
    private let label: LabelPolicy

    var usesRandomness: Bool { start == .uniform }

    // MARK: Definitions

    private static let epsilonParameter = ParameterDefinition.number(
        "epsilon", 16.0 / 255, in: 0...1, "the largest change of a value, on the scale [0,1]")
    private static let stepSizeParameter = ParameterDefinition.number(
        "step-size", 2.0 / 255, in: 0...1, "the change of a value in one step")
    private static let stepsParameter = ParameterDefinition.whole("steps", 10, in: 1...100_000, "gradient steps")

    static let fgsm = AttackDefinition(
        name: "fgsm", summary: "Fast gradient sign method: one step of epsilon",
        parameters: [epsilonParameter, .label]
    ) { variant, parameters in
        let epsilon = Float(parameters.number("epsilon"))
        return SignAttack(
            variant: variant, start: .image, direction: .gradient, epsilon: epsilon, stepSize: epsilon, steps: 1,
            label: parameters.label)
    }

    static let bim = AttackDefinition(
        name: "bim", summary: "Basic iterative method: PGD without the random start",
        parameters: [epsilonParameter, stepSizeParameter, stepsParameter, .label]
    ) { variant, parameters in iterative(variant, parameters, start: .image) }

    static let pgd = AttackDefinition(
        name: "pgd", summary: "Projected gradient descent from a random start in the epsilon ball",
        parameters: [epsilonParameter, stepSizeParameter, stepsParameter, .label]
    ) { variant, parameters in iterative(variant, parameters, start: .uniform) }

    static let mim = AttackDefinition(
        name: "mim", summary: "Momentum iterative method: steps of epsilon/steps along the accumulated gradient",
        parameters: [
            epsilonParameter, stepsParameter,
            .number("step-size", 0, in: 0...1, "the change of a value in one step; 0: epsilon/steps"),
            .number("decay", 1, in: 0...10, "how much of the accumulated gradient is kept"), .label,
        ]
    ) { variant, parameters in
        let (steps, given) = (parameters.whole("steps"), parameters.number("step-size"))
        let stepSize = given > 0 ? given : parameters.number("epsilon") / Double(steps)
        return SignAttack(
            variant: variant, start: .image, direction: .momentum(decay: Float(parameters.number("decay"))),
            epsilon: Float(parameters.number("epsilon")), stepSize: Float(stepSize),
            steps: steps, label: parameters.label)
    }

    private static func iterative(_ variant: Variant, _ parameters: AttackParameters, start: Start) -> SignAttack {
        SignAttack(
            variant: variant, start: start, direction: .gradient, epsilon: Float(parameters.number("epsilon")),
            stepSize: Float(parameters.number("step-size")), steps: parameters.whole("steps"), label: parameters.label)
    }

    // MARK: Running

    func run(_ block: AttackBlock, on classifier: any Classifier) throws(LogitError) -> AttackedBlock {
        let size = classifier.inputShape.valueCount
        let classes = classifier.classCount
        var logits = [Float](repeating: 0, count: block.count * classes)
        var gradient = [Float](repeating: 0, count: block.images.count)
        var images = block.images
        if start == .uniform { addUniform(&images, block, size) }

        // Where the first gradient is taken at the image itself, its pass gives the clean logits too.
        var outcome = Judge(block, classes: classes, policy: label)
        if start == .uniform {
            try classifier.logits(block.images, count: block.count, into: &logits)
            outcome.before(logits)
        }
        var momentum = [Float](repeating: 0, count: isMomentum ? block.images.count : 0)
        for step in 0..<steps {
            let pass = try classifier.pass(images, count: block.count, logits: &logits)
            if start == .image && step == 0 { outcome.before(logits) }
            try pass.gradient(of: .crossEntropy(labels: outcome.attacked), into: &gradient)
            gradient.withUnsafeBufferPointer { gradient in
                for image in 0..<block.count {
                    outcome.check(
                        image, logits: logits[image * classes..<(image + 1) * classes],
                        gradient: UnsafeBufferPointer(start: gradient.part(image, size), count: size))
                }
            }
            if case .momentum(let decay) = direction { accumulate(&momentum, gradient, size, decay) }
            advance(&images, block.images, isMomentum ? momentum : gradient)
        }
        try classifier.logits(images, count: block.count, into: &logits)
        return outcome.result(
            logits: logits, images: images, iterations: [Int32](repeating: Int32(steps), count: block.count))
    }

    private var isMomentum: Bool {
        if case .momentum = direction { return true }
        return false
    }

    /// x + η with η ~ U(−ε, ε) for each value, clipped to [0,1].
    private func addUniform(_ images: inout [Float], _ block: AttackBlock, _ size: Int) {
        images.withUnsafeMutableBufferPointer { values in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: size) { noise in
                for image in 0..<block.count {
                    Philox(key: block.randomKeys[image]).fillUniform(noise)
                    for index in 0..<size {
                        let place = image * size + index
                        values[place] = clamp(values[place] + (2 * noise[index] - 1) * epsilon, 0, 1)
                    }
                }
            }
        }
    }

    /// m = μ·m + g / max(1e-12, mean |g|), image by image.
    private func accumulate(_ momentum: inout [Float], _ gradient: [Float], _ size: Int, _ decay: Float) {
        momentum.withUnsafeMutableBufferPointer { momentum in
            gradient.withUnsafeBufferPointer { gradient in
                for image in 0..<gradient.count / size {
                    attack_accumulate(momentum.part(image, size), gradient.part(image, size), Int64(size), decay)
                }
            }
        }
    }

    private func advance(_ images: inout [Float], _ clean: [Float], _ direction: [Float]) {
        let count = Int64(images.count)
        attack_sign_step(&images, clean, direction, count, stepSize, epsilon)
    }
}

@inline(__always)
func clamp(_ value: Float, _ low: Float, _ high: Float) -> Float { min(max(value, low), high) }
