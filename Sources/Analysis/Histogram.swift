/// Equal-width histograms with NumPy's semantics (numpy.histogram): the last bin is closed, and counts are those of the
/// edges as doubles, whatever rounding says of the division.
package struct Histogram: Sendable, Equatable, Codable {
    /// bins + 1 edges, ascending.
    package let edges: [Double]
    package let counts: [Int]

    package init(edges: [Double], counts: [Int]) {
        self.edges = edges
        self.counts = counts
    }

    /// Edges over the range of all finite values; a range of one point is widened by ½ on both sides, or by a whole bin of
    /// representable numbers where ½ is lost to rounding (a range that NumPy refuses).
    package static func edges(over values: [[Double]], bins: Int) -> [Double] {
        precondition(bins >= 1)
        var low = Double.infinity
        var high = -Double.infinity
        for value in values.joined() where value.isFinite {
            low = min(low, value)
            high = max(high, value)
        }
        if low > high { (low, high) = (0, 1) }
        return edges(from: low, to: high, bins: bins)
    }

    /// Edges from `low` to `high`, which are widened as above where they are equal.
    package static func edges(from low: Double, to high: Double, bins: Int) -> [Double] {
        precondition(bins >= 1 && low <= high)
        var (low, high) = (low, high)
        if low == high {
            let half = max(0.5, low.magnitude.ulp * Double(bins))
            (low, high) = (low - half, high + half)
        }
        // numpy.linspace: i · step + start, with the last edge exact.
        let step = (high - low) / Double(bins)
        var edges = (0...bins).map { Double($0) * step + low }
        edges[bins] = high
        return edges
    }

    /// Counts the finite values within the edges.
    package init(_ values: [Double], edges: [Double]) {
        var counter = HistogramCounter(edges: edges)
        for value in values { counter.add(value) }
        self.init(edges: edges, counts: counter.counts)
    }
}

/// Counts values one by one.
package struct HistogramCounter: Sendable {
    package let edges: [Double]
    package private(set) var counts: [Int]

    package init(edges: [Double]) {
        precondition(edges.count >= 2)
        self.edges = edges
        counts = [Int](repeating: 0, count: edges.count - 1)
    }

    /// A value that is not within the edges, or no number, is passed over.
    package mutating func add(_ value: Double) {
        let bins = counts.count
        let (low, high) = (edges[0], edges[bins])
        guard value >= low && value <= high else { return }
        // Edges of one point leave no number here: the search below then starts from the first bin.
        let scaled = (value - low) / (high - low) * Double(bins)
        var bin = scaled.isFinite ? min(Int(scaled), bins - 1) : 0
        if value < edges[bin] {
            bin -= 1
        } else {
            while bin != bins - 1 && value >= edges[bin + 1] { bin += 1 }
        }
        counts[bin] += 1
    }
}

/// How alike two distributions over the same bins or classes are (Bhattacharyya 1943; the paper's section 5.3).
package struct Bhattacharyya: Sendable, Equatable, Codable {
    /// BC = Σ √(p_k q_k), in 0 … 1.
    package let coefficient: Double
    /// −ln BC; infinite (nil) where the two share no bin.
    package let distance: Double?
    /// √(1 − BC).
    package let hellinger: Double

    /// - Parameters: counts over the same bins, each with a positive sum; p_k = count_k / Σ count.
    package init?(_ first: [Int], _ second: [Int]) { self.init(first.map(Double.init), second.map(Double.init)) }

    /// The same of weights that need not be whole.
    package init?(_ first: [Double], _ second: [Double]) {
        let (total1, total2) = (first.reduce(0, +), second.reduce(0, +))
        guard first.count == second.count, total1 > 0, total2 > 0 else { return nil }
        var sum = 0.0
        var apart = 0.0
        for (a, b) in zip(first, second) {
            let (p, q) = (a / total1, b / total2)
            sum += (p * q).squareRoot()
            let difference = p.squareRoot() - q.squareRoot()
            apart += difference * difference
        }
        coefficient = min(1, sum)
        distance = sum > 0 ? 0 - naturalLogarithm(coefficient) : nil
        // ½ Σ (√p_k − √q_k)² = 1 − BC, with all its digits where the two are alike.
        hellinger = min(1, (apart / 2).squareRoot())
    }
}
