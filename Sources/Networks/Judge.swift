import CAttackKernels
import Logits

/// Keeps what each image of a block was before an attack and judges what became of it.
struct Judge {
    private let block: AttackBlock
    private let classes: Int
    private let policy: LabelPolicy
    private var cleanPrediction: [Int32] = []
    private var isInvalid: [Bool]
    /// The labels attacked; under `prediction` they are known once `before` has seen the clean logits.
    private(set) var attacked: [Int32]

    init(_ block: AttackBlock, classes: Int, policy: LabelPolicy) {
        self.block = block
        self.classes = classes
        self.policy = policy
        isInvalid = [Bool](repeating: false, count: block.count)
        attacked = block.labels
    }

    /// Takes the logits of the clean images.
    mutating func before(_ logits: [Float]) {
        cleanPrediction = (0..<block.count).map { argMax(logits[$0 * classes..<($0 + 1) * classes]) }
        for image in 0..<block.count where !logits[image * classes..<(image + 1) * classes].allSatisfy(\.isFinite) {
            isInvalid[image] = true
        }
        // An image without any finite logit has no prediction to leave; it is invalid, and its label stands in.
        if policy == .prediction { attacked = zip(cleanPrediction, block.labels).map { $0 < 0 ? $1 : $0 } }
    }

    /// Whether the image was wrong before any step.
    func isTrivial(_ image: Int) -> Bool {
        policy == .truth && cleanPrediction[image] != block.labels[image]
    }

    func isValid(_ image: Int) -> Bool { !isInvalid[image] }

    mutating func invalidate(_ image: Int) { isInvalid[image] = true }

    /// Marks an image whose logits or gradient are not finite, or whose gradient is zero everywhere.
    mutating func check(_ image: Int, logits: ArraySlice<Float>, gradient: UnsafeBufferPointer<Float>) {
        guard !isInvalid[image] else { return }
        let usable = attack_usable(gradient.baseAddress, Int64(gradient.count)) == 2
        isInvalid[image] = !usable || !logits.allSatisfy(\.isFinite)
    }

    /// - Parameters:
    ///   - logits: of the attacked images, count × classes.
    ///   - images: the attacked images.
    ///   - iterations: gradient evaluations of each image.
    func result(logits: [Float], images: [Float], iterations: [Int32], cost: [Float]? = nil) -> AttackedBlock {
        let size = images.count / block.count
        var columns = AttackColumns(cleanPrediction: cleanPrediction, iterations: iterations, cost: cost)
        var predictions: [Int32] = []
        for image in 0..<block.count {
            let row = logits[image * classes..<(image + 1) * classes]
            let prediction = argMax(row)
            predictions.append(prediction)
            let outcome: Outcome
            if isInvalid[image] || !row.allSatisfy(\.isFinite) {
                outcome = .invalid
            } else if isTrivial(image) {
                outcome = .trivial
            } else {
                outcome = prediction != attacked[image] ? .fooled : .failed
            }
            columns.status.append(outcome.rawValue)
            let (squares, largest) = distance(images, image, size)
            columns.perturbationL2.append(Float(squares.squareRoot()))
            columns.perturbationLinf.append(largest)
        }
        return AttackedBlock(
            logits: logits, prediction: predictions, columns: columns, attackedLabels: attacked, images: images)
    }

    private func distance(_ images: [Float], _ image: Int, _ size: Int) -> (squares: Double, largest: Float) {
        var largest: Float = 0
        let squares = images.withUnsafeBufferPointer { after in
            block.images.withUnsafeBufferPointer { before in
                attack_distance(after.part(image, size), before.part(image, size), Int64(size), &largest)
            }
        }
        return (squares, largest)
    }
}

extension UnsafeBufferPointer {
    /// Where row `index` of rows of `size` values begins.
    func part(_ index: Int, _ size: Int) -> UnsafePointer<Element> {
        precondition((index + 1) * size <= count)
        return baseAddress! + index * size
    }
}

extension UnsafeMutableBufferPointer {
    /// Where row `index` of rows of `size` values begins.
    func part(_ index: Int, _ size: Int) -> UnsafeMutablePointer<Element> {
        precondition((index + 1) * size <= count)
        return baseAddress! + index * size
    }
}
