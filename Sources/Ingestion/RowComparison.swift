import Logits

/// How far one row as stored is from the same row computed again.
package struct RowComparison: Codable, Sendable {
    package var ordinal: Int
    package var image: String
    /// Fields whose bits differ.
    package var different: [String]
    /// The largest difference of a logit; nil where only one of the two is finite.
    package var logitDifference: Double?
    /// The largest magnitude of a stored logit: what the difference is to be seen against.
    package var logitScale: Double
    /// The relative difference of ‖x' − x‖₂; nil for clean rows, or where only one of the two is finite.
    package var perturbationDifference: Double?
    package var isSamePrediction: Bool

    /// - Parameters:
    ///   - images: the stored and the computed images, in one format, where the shard keeps any.
    init(
        _ stored: RowTable, _ computed: RowTable, row: Int, images: (stored: KeptImages, computed: KeptImages)? = nil
    ) {
        ordinal = Int(stored.ordinal[row])
        image = stored.image[row]
        isSamePrediction = stored.prediction[row] == computed.prediction[row]
        var different: [String] = []
        func compare<Value: Equatable>(_ name: String, _ values: Value?, _ others: Value?) {
            if values != others { different.append(name) }
        }
        compare("ordinal", stored.ordinal[row], computed.ordinal[row])
        compare("image", stored.image[row], computed.image[row])
        compare("label", stored.label[row], computed.label[row])
        let (values, others) = (Array(stored.row(row)), Array(computed.row(row)))
        compare("logits", values.map(\.bitPattern), others.map(\.bitPattern))
        compare("prediction", stored.prediction[row], computed.prediction[row])
        if let attack = stored.attack, let other = computed.attack {
            compare("clean_prediction", attack.cleanPrediction[row], other.cleanPrediction[row])
            compare("status", attack.status[row], other.status[row])
            compare("iterations", attack.iterations[row], other.iterations[row])
            compare("perturbation_l2", attack.perturbationL2[row].bitPattern, other.perturbationL2[row].bitPattern)
            compare(
                "perturbation_linf", attack.perturbationLinf[row].bitPattern, other.perturbationLinf[row].bitPattern)
            compare("cost", attack.cost?[row].bitPattern, other.cost?[row].bitPattern)
            compare("status_8bit", attack.status8bit?[row], other.status8bit?[row])
            perturbationDifference = RowComparison.relative(attack.perturbationL2[row], other.perturbationL2[row])
        }
        if let images { compare("perturbed", images.stored.image(row), images.computed.image(row)) }
        self.different = different
        logitScale = values.reduce(0) { $1.isFinite ? max($0, Double($1.magnitude)) : $0 }
        logitDifference = zip(values, others).reduce(0) { largest, pair in
            guard let largest, let difference = RowComparison.absolute(pair.0, pair.1) else { return nil }
            return max(largest, difference)
        }
    }

    private static func absolute(_ first: Float, _ second: Float) -> Double? {
        if first == second || (first.isNaN && second.isNaN) { return 0 }
        return first.isFinite && second.isFinite ? (Double(first) - Double(second)).magnitude : nil
    }

    /// Against the larger of the two, and never against less than 10⁻⁶.
    private static func relative(_ first: Float, _ second: Float) -> Double? {
        absolute(first, second).map { $0 / max(Double(first.magnitude), Double(second.magnitude), 1e-6) }
    }
}
