/// The `count` classes with the largest values, largest first; equal values go by the lower class, and a NaN never comes in.
package func topClasses(_ values: UnsafeBufferPointer<Float>, _ count: Int) -> [Int] {
    var best: [(value: Float, place: Int)] = []
    best.reserveCapacity(count + 1)
    for (place, value) in values.enumerated() where !value.isNaN {
        // Equal values keep the order in which they came: that of the classes.
        guard best.count < count || value > best[best.count - 1].value else { continue }
        var slot = best.count
        while slot > 0 && value > best[slot - 1].value { slot -= 1 }
        best.insert((value, place), at: slot)
        if best.count > count { best.removeLast() }
    }
    return best.map(\.place)
}

/// What values of every class, image by image, say of the classes: how often each is among an image's largest.
package struct ClassTally: Sendable, Equatable {
    /// How many classes of an image count.
    package let top: Int
    package private(set) var images = 0
    /// By class: images in whose top it is, and whose first it is.
    package private(set) var counts: [Int]
    package private(set) var firsts: [Int]
    /// By class: the sum of the values over the images.
    package private(set) var sums: [Double]

    package init(classCount: Int, top: Int) {
        precondition(top >= 1)
        self.top = top
        counts = [Int](repeating: 0, count: classCount)
        firsts = counts
        sums = [Double](repeating: 0, count: classCount)
    }

    /// Adds one image.
    /// - Parameter values: one a class.
    /// - Returns: its top classes, largest first.
    @discardableResult
    package mutating func add(_ values: UnsafeBufferPointer<Float>) -> [Int] {
        precondition(values.count == counts.count)
        let best = topClasses(values, top)
        for place in best { counts[place] += 1 }
        if let first = best.first { firsts[first] += 1 }
        for (place, value) in values.enumerated() { sums[place] += Double(value) }
        images += 1
        return best
    }

    /// Classes by how often they are in the top, then by how often they are first, then by number.
    package var order: [Int] {
        counts.indices.sorted { (counts[$1], firsts[$1], $0) < (counts[$0], firsts[$0], $1) }
    }
}

/// Spearman's rank correlation: Pearson's of the ranks, equal values sharing the mean of theirs (scipy.stats.spearmanr).
/// - Returns: nil for fewer than two pairs, or where one side does not vary.
package func rankCorrelation(_ first: [Double], _ second: [Double]) -> Double? {
    precondition(first.count == second.count)
    guard first.count >= 2 else { return nil }
    let (a, b) = (ranks(first), ranks(second))
    let centre = Double(first.count + 1) / 2
    var (products, squaresA, squaresB) = (0.0, 0.0, 0.0)
    for (x, y) in zip(a, b) {
        products += (x - centre) * (y - centre)
        squaresA += (x - centre) * (x - centre)
        squaresB += (y - centre) * (y - centre)
    }
    guard squaresA > 0, squaresB > 0 else { return nil }
    return products / (squaresA * squaresB).squareRoot()
}

/// Ranks from 1, equal values sharing the mean of theirs (scipy.stats.rankdata).
package func ranks(_ values: [Double]) -> [Double] {
    let order = values.indices.sorted { values[$0] < values[$1] }
    var ranks = [Double](repeating: 0, count: values.count)
    var first = 0
    while first < order.count {
        var last = first
        while last + 1 < order.count && values[order[last + 1]] == values[order[first]] { last += 1 }
        for place in first...last { ranks[order[place]] = Double(first + last) / 2 + 1 }
        first = last + 1
    }
    return ranks
}

extension Bhattacharyya {
    /// Between the supporting classes of two defences: counts of every class, or of the union of the two tops alone, renormalised
    /// over it.
    /// - Parameter unionTop: so many of the most frequent classes of each; nil: all classes.
    package init?(supporting first: [Int], _ second: [Int], unionTop: Int? = nil) {
        guard let unionTop else {
            self.init(first, second)
            return
        }
        func top(_ counts: [Int]) -> [Int] {
            Array(counts.indices.sorted { (counts[$1], $0) < (counts[$0], $1) }.prefix(unionTop))
        }
        let union = Set(top(first) + top(second)).sorted().filter(first.indices.contains)
        guard first.count == second.count else { return nil }
        self.init(union.map { first[$0] }, union.map { second[$0] })
    }
}
