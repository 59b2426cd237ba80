import Glibc

/// A share k of n with its 95 % Wilson score interval (Wilson 1927).
package struct Proportion: Sendable, Equatable, Codable {
    package let count: Int
    package let total: Int
    /// Nil where the total is 0.
    package let value: Double?
    package let low: Double?
    package let high: Double?

    package init(_ count: Int, of total: Int) {
        precondition(count >= 0 && count <= total)
        self.count = count
        self.total = total
        guard total > 0 else {
            (value, low, high) = (nil, nil, nil)
            return
        }
        let p = Double(count) / Double(total)
        let bounds = Proportion.wilson(p, of: total)
        value = p
        low = count == 0 ? 0 : bounds.low
        high = count == total ? 1 : bounds.high
    }

    /// The 95 % Wilson score interval of a share that n trials gave.
    package static func wilson(_ p: Double, of total: Int) -> (low: Double, high: Double) {
        precondition(total > 0)
        let z = 1.959963984540054
        let n = Double(total)
        let centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        let half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)).squareRoot()
        return (max(0, centre - half), min(1, centre + half))
    }
}

func naturalLogarithm(_ value: Double) -> Double { log(value) }

func exponential(_ value: Double) -> Double { exp(value) }
