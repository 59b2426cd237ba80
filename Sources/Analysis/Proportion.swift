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
        let z = 1.959963984540054
        let n = Double(total)
        let p = Double(count) / n
        let centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        let half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)).squareRoot()
        value = p
        low = count == 0 ? 0 : centre - half
        high = count == total ? 1 : centre + half
    }
}

func naturalLogarithm(_ value: Double) -> Double { log(value) }

func exponential(_ value: Double) -> Double { exp(value) }
