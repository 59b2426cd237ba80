/// How well a score tells positives from negatives: the ROC curve and the area under it.
package struct ROC: Sendable, Equatable, Codable {
    /// One scored row; rows of one image belong together.
    package struct Row: Sendable {
        package let image: Int64
        package let score: Double

        package init(image: Int64, score: Double) {
            self.image = image
            self.score = score
        }
    }

    /// Area under the curve: the chance that a positive scores above a negative, ties counting half.
    package let area: Double
    /// 95 %, by the variance for clustered rows (Obuchowski 1997; DeLong's where no image has two rows), cut to 0 … 1.
    package let low: Double
    package let high: Double
    /// From (0, 0) to (1, 1): the shares of negatives and of positives at or above each threshold, points on a line left out,
    /// and not more than asked for.
    package let falsePositives: [Double]
    package let truePositives: [Double]

    /// - Parameter points: the most points of the curve, at least two.
    /// - Returns: nil where there is no positive, no negative, or a score that is not a number.
    package init?(positives: [Row], negatives: [Row], points: Int = 200) {
        guard !positives.isEmpty, !negatives.isEmpty, !(positives + negatives).contains(where: { $0.score.isNaN })
        else { return nil }
        let (up, down) = (positives.map(\.score).sorted(), negatives.map(\.score).sorted())
        // Of each row: the share of the other kind that it is on the right side of.
        let above = positives.map { ROC.share(of: down, below: $0.score) }
        let below = negatives.map { 1 - ROC.share(of: up, below: $0.score) }
        area = above.reduce(0, +) / Double(above.count)
        let half = 1.959963984540054 * ROC.variance(positives, above, negatives, below, area).squareRoot()
        (low, high) = (max(0, area - half), min(1, area + half))
        (falsePositives, truePositives) = ROC.curve(up, down, points: max(2, points))
    }

    /// The share of sorted values below one, equal ones counting half.
    private static func share(of sorted: [Double], below value: Double) -> Double {
        let (less, upTo) = (place(in: sorted) { $0 < value }, place(in: sorted) { $0 <= value })
        return Double(less + upTo) / (2 * Double(sorted.count))
    }

    /// How many of sorted values, from the first on, fulfil a condition.
    private static func place(in sorted: [Double], _ condition: (Double) -> Bool) -> Int {
        var (low, high) = (0, sorted.count)
        while low < high {
            let middle = (low + high) / 2
            if condition(sorted[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private static func variance(
        _ positives: [Row], _ above: [Double], _ negatives: [Row], _ below: [Double], _ area: Double
    ) -> Double {
        var up: [Int64: Double] = [:]
        var down: [Int64: Double] = [:]
        for (row, value) in zip(positives, above) { up[row.image, default: 0] += value - area }
        for (row, value) in zip(negatives, below) { down[row.image, default: 0] += value - area }
        func spread(_ sums: [Int64: Double], _ rows: Int) -> Double {
            guard sums.count > 1 else { return 0 }
            // In the order of the images, so that equal rows give equal bits.
            let squares = sums.sorted { $0.key < $1.key }.reduce(0.0) { $0 + $1.value * $1.value }
            return Double(sums.count) / Double(sums.count - 1) * squares / Double(rows) / Double(rows)
        }
        let images = Set(up.keys).union(down.keys).count
        let products = up.sorted { $0.key < $1.key }.reduce(0.0) { $0 + $1.value * (down[$1.key] ?? 0) }
        let both = images > 1 ? Double(images) / Double(images - 1) * products : 0
        let pairs = Double(positives.count) * Double(negatives.count)
        return max(0, spread(up, positives.count) + spread(down, negatives.count) + 2 * both / pairs)
    }

    private static func curve(_ up: [Double], _ down: [Double], points: Int) -> ([Double], [Double]) {
        var corners: [(x: Int, y: Int)] = [(0, 0)]
        var (x, y) = (0, 0)
        // Thresholds from the largest score on.
        while x < down.count || y < up.count {
            let next = max(
                x < down.count ? down[down.count - 1 - x] : -.infinity, y < up.count ? up[up.count - 1 - y] : -.infinity
            )
            while x < down.count && down[down.count - 1 - x] >= next { x += 1 }
            while y < up.count && up[up.count - 1 - y] >= next { y += 1 }
            if corners.count >= 2 {
                let (a, b) = (corners[corners.count - 2], corners[corners.count - 1])
                if (b.x - a.x) * (y - b.y) == (x - b.x) * (b.y - a.y) { corners.removeLast() }
            }
            corners.append((x, y))
        }
        let kept =
            corners.count <= points
            ? corners : (0..<points).map { corners[$0 * (corners.count - 1) / (points - 1)] }
        return (kept.map { Double($0.x) / Double(down.count) }, kept.map { Double($0.y) / Double(up.count) })
    }
}

/// ln Σ exp z, without overflow.
package func logSumExp(_ values: UnsafeBufferPointer<Float>) -> Double {
    let high = Double(values.max() ?? -.infinity)
    guard high.isFinite else { return high }
    var sum = 0.0
    for value in values { sum += exponential(Double(value) - high) }
    return naturalLogarithm(sum) + high
}
