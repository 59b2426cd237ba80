/// The statistics of one logit vector z with ground truth y, as the view `rows` shows them. Sums in double.
public struct RowStatistics: Sendable, Equatable {
    public let mean: Double
    public let minimum: Double
    public let maximum: Double
    /// ‖z‖₂.
    public let l2: Double
    /// z_y − max over j ≠ y of z_j.
    public let labelMargin: Double
    /// 0 = the largest; ties count for the lower index.
    public let labelRank: Int

    /// - Parameters:
    ///   - logits: the C logits of one row, C ≥ 2.
    ///   - label: the ground truth, in 0 ..< C.
    public init(logits: UnsafeBufferPointer<Float>, label: Int) {
        precondition(logits.count >= 2 && logits.indices.contains(label), "label outside the classes")
        var sum = 0.0
        var squares = 0.0
        var low = Float.infinity
        var high = -Float.infinity
        var bestOther = -Float.infinity
        var rank = 0
        let own = logits[label]
        for (index, value) in logits.enumerated() {
            sum += Double(value)
            squares += Double(value) * Double(value)
            low = min(low, value)
            high = max(high, value)
            guard index != label else { continue }
            bestOther = max(bestOther, value)
            if value > own || (value == own && index < label) { rank += 1 }
        }
        mean = sum / Double(logits.count)
        minimum = Double(low)
        maximum = Double(high)
        l2 = squares.squareRoot()
        labelMargin = Double(own) - Double(bestOther)
        labelRank = rank
    }
}

/// The index of the largest logit; ties go to the lower index, a NaN never wins. −1 if every value is NaN.
/// Inlinable: without the caller's type it takes 0.4 µs a value.
@inlinable
public func argMax(_ logits: some Collection<Float>) -> Int32 {
    var best: Int32 = -1
    var bestValue = -Float.infinity
    for (index, value) in logits.enumerated() where value > bestValue || (best < 0 && value == bestValue) {
        best = Int32(index)
        bestValue = value
    }
    return best
}
