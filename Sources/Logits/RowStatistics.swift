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
        var (sum, squares) = (0.0, 0.0)
        for value in logits {
            sum += Double(value)
            squares += Double(value) * Double(value)
        }
        self.init(logits: logits, label: label, sum: sum, squares: squares)
    }

    /// The same of every row of a table, to the bit. Sums are in the order of the classes, so each waits for its last addition;
    /// those of four rows run side by side.
    ///
    /// - Parameters:
    ///   - logits: `labels.count × classCount` values, row-major.
    ///   - labels: the ground truth of each row.
    public static func rows(_ logits: UnsafeBufferPointer<Float>, classCount: Int, labels: [Int32]) -> [RowStatistics] {
        precondition(logits.count == labels.count * classCount, "a row for each label")
        var found: [RowStatistics] = []
        found.reserveCapacity(labels.count)
        for first in stride(from: 0, to: labels.count, by: 4) {
            let rows = (first..<min(first + 4, labels.count)).map {
                UnsafeBufferPointer(rebasing: logits[$0 * classCount..<($0 + 1) * classCount])
            }
            var (sum, squares) = (SIMD4<Double>(), SIMD4<Double>())
            if rows.count == 4 {
                let (a, b, c, d) = (rows[0], rows[1], rows[2], rows[3])
                for column in 0..<classCount {
                    let values = SIMD4<Double>(SIMD4<Float>(a[column], b[column], c[column], d[column]))
                    sum += values
                    squares += values * values
                }
            }
            for (lane, row) in rows.enumerated() {
                let label = Int(labels[first + lane])
                found.append(
                    rows.count == 4
                        ? RowStatistics(logits: row, label: label, sum: sum[lane], squares: squares[lane])
                        : RowStatistics(logits: row, label: label))
            }
        }
        return found
    }

    private init(logits: UnsafeBufferPointer<Float>, label: Int, sum: Double, squares: Double) {
        precondition(logits.count >= 2 && logits.indices.contains(label), "label outside the classes")
        let own = logits[label]
        let before = Extremes(logits[..<label], own)
        let after = Extremes(logits[(label + 1)...], own)
        let (low, high) = (min(before.low, after.low), max(before.high, after.high))
        mean = sum / Double(logits.count)
        minimum = Double(own < low ? own : low)
        maximum = Double(own > high ? own : high)
        l2 = squares.squareRoot()
        labelMargin = Double(own) - Double(high)
        labelRank = before.above + before.equal + after.above
    }
}

/// The ends of some logits, eight side by side, and how many are above another or equal to it. A NaN is none of these.
private struct Extremes {
    var low = Float.infinity
    var high = -Float.infinity
    var above = 0
    var equal = 0

    init(_ slice: Slice<UnsafeBufferPointer<Float>>, _ own: Float) {
        let values = UnsafeBufferPointer(rebasing: slice)
        let whole = values.count / 8 * 8
        let bytes = UnsafeRawBufferPointer(values)
        var (lows, highs) = (SIMD8<Float>(repeating: low), SIMD8<Float>(repeating: high))
        var (aboves, equals) = (SIMD8<Int32>(), SIMD8<Int32>())
        for first in stride(from: 0, to: whole, by: 8) {
            let eight = bytes.loadUnaligned(fromByteOffset: first * 4, as: SIMD8<Float>.self)
            lows.replace(with: eight, where: eight .< lows)
            highs.replace(with: eight, where: eight .> highs)
            aboves.replace(with: aboves &+ 1, where: eight .> own)
            equals.replace(with: equals &+ 1, where: eight .== own)
        }
        low = lows.min()
        high = highs.max()
        above = Int(aboves.wrappedSum())
        equal = Int(equals.wrappedSum())
        for value in values[whole...] {
            if value < low { low = value }
            if value > high { high = value }
            if value > own { above += 1 }
            if value == own { equal += 1 }
        }
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
