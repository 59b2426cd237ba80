import CLogitSQL
import CVectorKernels
import Glibc
import Logits

/// A vector from SQL: a blob of little-endian float32, as `logits.z` is, or a JSON array of numbers, as the aggregates of
/// vectors give. It is valid as long as the value that it came from.
struct Vector {
    enum Values {
        case floats(UnsafeBufferPointer<Float>)
        case doubles([Double])
    }

    let values: Values

    init(_ value: OpaquePointer?, name: String) throws(LogitError) {
        switch ls_type(value) {
        case SQLITE_BLOB:
            let count = Int(ls_bytes(value))
            guard count > 0, count % 4 == 0, let bytes = ls_blob(value) else {
                throw LogitError(
                    .usage, "\(name) is a blob of \(count) bytes, and must hold float32 values of 4 bytes each")
            }
            if UInt(bitPattern: bytes) % 4 == 0 {
                values = .floats(
                    UnsafeBufferPointer(start: bytes.assumingMemoryBound(to: Float.self), count: count / 4))
            } else {
                values = .doubles(
                    (0..<count / 4).map { Double(bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self)) })
            }
        case SQLITE_TEXT:
            let text = UnsafeBufferPointer(start: ls_value_text(value), count: Int(ls_bytes(value)))
            guard let numbers = JSONValue(text)?.numbers, !numbers.isEmpty else {
                throw LogitError(
                    .usage, "\(name) is a text, and must be a blob of float32 values or a JSON array of numbers")
            }
            values = .doubles(numbers)
        default:
            throw LogitError(
                .usage, "\(name) is a number, and must be a blob of float32 values or a JSON array of numbers")
        }
    }

    init(_ floats: UnsafeBufferPointer<Float>) { values = .floats(floats) }

    var count: Int {
        switch values {
        case .floats(let floats): floats.count
        case .doubles(let doubles): doubles.count
        }
    }

    subscript(_ index: Int) -> Double {
        switch values {
        case .floats(let floats): Double(floats[index])
        case .doubles(let doubles): doubles[index]
        }
    }

    var doubles: [Double] {
        switch values {
        case .floats(let floats): floats.map(Double.init)
        case .doubles(let doubles): doubles
        }
    }

    var sum: Double {
        switch values {
        case .floats(let floats): vector_sum(floats.baseAddress, Int64(floats.count))
        case .doubles(let doubles): doubles.reduce(0, +)
        }
    }

    var sumOfSquares: Double {
        switch values {
        case .floats(let floats): vector_sum_squares(floats.baseAddress, Int64(floats.count))
        case .doubles(let doubles): doubles.reduce(0) { $0 + $1 * $1 }
        }
    }

    /// The place of the largest value: the first of equals, a NaN never. Nil where there is no number.
    var argMax: Int? { argMax(0..<count) }

    private func argMax(_ range: Range<Int>) -> Int? {
        guard !range.isEmpty else { return nil }
        switch values {
        case .floats(let floats):
            let start = floats.baseAddress! + range.lowerBound
            let place = vector_find(start, Int64(range.count), vector_max(start, Int64(range.count)))
            return place < 0 ? nil : range.lowerBound + Int(place)
        case .doubles(let doubles):
            var best: Int?
            for place in range where !doubles[place].isNaN {
                if let current = best, doubles[place] <= doubles[current] { continue }
                best = place
            }
            return best
        }
    }

    /// The gap between the two largest values; NaN where there are no two.
    var margin: Double {
        guard let top = argMax else { return .nan }
        let others = [argMax(0..<top), argMax(top + 1..<count)].compactMap { $0.map { self[$0] } }
        return others.max().map { self[top] - $0 } ?? .nan
    }

    /// Σ e^((z − max) / T), and the same weighted with (z − max) / T; with the maximum.
    private func exponentials(_ temperature: Double) -> (top: Double, sum: Double, weighted: Double) {
        guard let place = argMax else { return (.nan, .nan, .nan) }
        let top = self[place]
        switch values {
        case .floats(let floats):
            var (sum, weighted) = (0.0, 0.0)
            vector_exp_sums(floats.baseAddress, Int64(floats.count), top, 1 / temperature, &sum, &weighted)
            return (top, sum, weighted)
        case .doubles(let doubles):
            var (sum, weighted) = (0.0, 0.0)
            for value in doubles {
                let x = (value - top) / temperature
                let e = exp(x)
                sum += e
                weighted += e == 0 ? 0 : x * e
            }
            return (top, sum, weighted)
        }
    }

    /// T · ln Σ e^(z / T): with its sign changed, the energy of Liu et al. 2020.
    func logSumExp(_ temperature: Double = 1) -> Double {
        let (top, sum, _) = exponentials(temperature)
        return top + temperature * log(sum)
    }

    /// Of softmax(z / T), in nats.
    func entropy(_ temperature: Double = 1) -> Double {
        let (_, sum, weighted) = exponentials(temperature)
        let value = log(sum) - weighted / sum
        return value < 0 ? 0 : value  // a NaN stays one, which max(0, …) would hide
    }

    func softmax(_ index: Int, _ temperature: Double = 1) -> Double {
        let (top, sum, _) = exponentials(temperature)
        return exp((self[index] - top) / temperature) / sum
    }

    /// The softmax of one logit, of the logsumexp of all.
    static func probability(_ logit: Double, _ logSumExp: Double) -> Double { exp(logit - logSumExp) }

    func dot(_ other: Vector) -> Double {
        if case .floats(let a) = values, case .floats(let b) = other.values {
            return vector_dot(a.baseAddress, b.baseAddress, Int64(a.count))
        }
        return (0..<count).reduce(0) { $0 + self[$1] * other[$1] }
    }

    /// The places of the `most` largest values, the largest first, the first of equals first, without NaNs.
    func largest(_ most: Int) -> [Int] {
        let places = (0..<count).filter { !self[$0].isNaN }
        guard most <= 64 else { return Array(places.sorted { (self[$0], $1) > (self[$1], $0) }.prefix(most)) }
        var best: [Int] = []
        for place in places {
            let value = self[place]
            var rank = best.count
            while rank > 0, value > self[best[rank - 1]] { rank -= 1 }
            if rank < most { best.insert(place, at: rank) }
            if best.count > most { best.removeLast() }
        }
        return best
    }
}
