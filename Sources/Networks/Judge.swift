import Logits

/// Keeps what each image of a block was before an attack and judges what became of it.
struct Judge {
    private let labels: [Int32]
    private let classes: Int
    private let policy: LabelPolicy
    private var cleanPrediction: [Int32]
    private var isInvalid: [Bool]
    /// The labels attacked, once they are known.
    private(set) var attacked: [Int32]?

    init(_ block: AttackBlock, classes: Int, policy: LabelPolicy) {
        labels = block.labels
        self.classes = classes
        self.policy = policy
        cleanPrediction = []
        isInvalid = [Bool](repeating: false, count: block.count)
        attacked = policy == .truth ? block.labels : nil
    }

    /// Takes the logits of the clean images.
    mutating func before(_ logits: [Float]) {
        cleanPrediction = labels.indices.map { argMax(logits[$0 * classes..<($0 + 1) * classes]) }
        // An image without any finite logit has no prediction to leave; it is invalid, and its label stands in.
        if policy == .prediction { attacked = zip(cleanPrediction, labels).map { $0 < 0 ? $1 : $0 } }
    }

    /// Marks images whose logits or gradient are not finite, or whose gradient is zero everywhere.
    mutating func check(_ logits: [Float], _ gradient: [Float], _ size: Int) {
        for image in labels.indices where !isInvalid[image] {
            let slope = gradient[image * size..<(image + 1) * size]
            isInvalid[image] =
                !isUsable(slope) || !logits[image * classes..<(image + 1) * classes].allSatisfy(\.isFinite)
        }
    }

    private func isUsable(_ slope: ArraySlice<Float>) -> Bool {
        slope.withUnsafeBufferPointer { values in
            var any = false
            var finite = true
            for value in values {
                any = any || value != 0
                finite = finite && value.isFinite
            }
            return any && finite
        }
    }

    /// - Parameters:
    ///   - logits: of the attacked images.
    ///   - size: values an image.
    func result(logits: [Float], images: [Float], clean: [Float], size: Int, iterations: Int) -> AttackedBlock {
        let targets = attacked ?? labels
        var columns = AttackColumns(cleanPrediction: cleanPrediction)
        var predictions: [Int32] = []
        for image in labels.indices {
            let row = logits[image * classes..<(image + 1) * classes]
            let prediction = argMax(row)
            predictions.append(prediction)
            let outcome: Outcome
            if isInvalid[image] || !row.allSatisfy(\.isFinite) {
                outcome = .invalid
            } else if policy == .truth && cleanPrediction[image] != labels[image] {
                outcome = .trivial
            } else {
                outcome = prediction != targets[image] ? .fooled : .failed
            }
            columns.status.append(outcome.rawValue)
            columns.iterations.append(Int32(iterations))
            var squares = 0.0
            var largest: Float = 0
            for index in image * size..<(image + 1) * size {
                let change = images[index] - clean[index]
                squares += Double(change) * Double(change)
                largest = max(largest, change.magnitude)
            }
            columns.perturbationL2.append(Float(squares.squareRoot()))
            columns.perturbationLinf.append(largest)
        }
        return AttackedBlock(
            logits: logits, prediction: predictions, columns: columns, attackedLabels: targets, images: images)
    }
}
