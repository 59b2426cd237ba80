import CLogitSQL
import CVectorKernels
import Glibc
import Logits

/// Means, variances and extremes over vectors, class by class. Results are JSON arrays of doubles, which every function of a
/// vector takes.
enum VectorAggregates {
    static func all() -> [FunctionDefinition] {
        [
            FunctionDefinition("vec_mean", 1...1) { VectorMean() },
            FunctionDefinition("vec_variance", 1...2) { VectorVariance() },
            FunctionDefinition("vec_min", 1...1) { VectorExtreme(isLeast: true) },
            FunctionDefinition("vec_max", 1...1) { VectorExtreme(isLeast: false) },
        ]
    }

    static func check(_ z: Vector, against count: Int) throws(LogitError) {
        guard z.count == count else {
            throw LogitError(
                .usage,
                "a vector has \(z.count) values and one before it \(count), so they are of different classes; ask for one network at a time"
            )
        }
    }
}

private final class VectorMean: Aggregate {
    private var totals: [Double] = []
    private var count = 0

    func step(_ call: FunctionCall) throws(LogitError) {
        guard !call.isNull(0) else { return }
        let z = try call.vector(0)
        if count == 0 { totals = [Double](repeating: 0, count: z.count) }
        try VectorAggregates.check(z, against: totals.count)
        count += 1
        switch z.values {
        case .floats(let floats):
            vector_add_rows(&totals, floats.baseAddress, Int64(floats.count), 1, Int64(floats.count))
        case .doubles(let doubles):
            for place in doubles.indices { totals[place] += doubles[place] }
        }
    }

    func finish(_ call: FunctionCall) throws(LogitError) {
        guard count > 0 else { return call.null() }
        call.result(json: JSONValue.text(totals.map { $0 / Double(count) }))
    }
}

/// `vec_variance(z)` is the population's, as numpy.var has it; `vec_variance(z, 1)` divides by n − 1.
private final class VectorVariance: Aggregate {
    /// The first vector: sums are of differences from it, so that a large mean does not drown a small variance.
    private var origin: [Double] = []
    private var sums: [Double] = []
    private var squares: [Double] = []
    private var count = 0
    private var lostDegrees = 0

    func step(_ call: FunctionCall) throws(LogitError) {
        guard !call.isNull(0) else { return }
        let z = try call.vector(0)
        if count == 0 {
            if call.count > 1 {
                lostDegrees = try call.integer(1, "the second argument (what is taken from n)")
                guard (0...1).contains(lostDegrees) else {
                    throw LogitError(
                        .usage, "the second argument is \(lostDegrees), and must be 0 (population) or 1 (sample)")
                }
            }
            origin = z.doubles.map { $0.isFinite ? $0 : 0 }
            sums = [Double](repeating: 0, count: z.count)
            squares = sums
        }
        try VectorAggregates.check(z, against: sums.count)
        count += 1
        switch z.values {
        case .floats(let floats):
            vector_add_square_rows(
                &sums, &squares, origin, floats.baseAddress, Int64(floats.count), 1, Int64(floats.count))
        case .doubles(let doubles):
            for place in doubles.indices {
                let difference = doubles[place] - origin[place]
                sums[place] += difference
                squares[place] += difference * difference
            }
        }
    }

    func finish(_ call: FunctionCall) throws(LogitError) {
        guard count > lostDegrees else { return call.null() }
        let n = Double(count)
        call.result(
            json: JSONValue.text(
                zip(sums, squares).map { sum, square in
                    let total = square - sum * sum / n
                    return (total < 0 ? 0 : total) / (n - Double(lostDegrees))
                }))
    }
}

/// A class with a NaN has none, as with numpy.min.
private final class VectorExtreme: Aggregate {
    private let isLeast: Bool
    private var extremes: [Double] = []

    init(isLeast: Bool) { self.isLeast = isLeast }

    func step(_ call: FunctionCall) throws(LogitError) {
        guard !call.isNull(0) else { return }
        let z = try call.vector(0)
        guard !extremes.isEmpty else {
            extremes = z.doubles
            return
        }
        try VectorAggregates.check(z, against: extremes.count)
        switch z.values {
        case .floats(let floats):
            (isLeast ? vector_lower : vector_raise)(&extremes, floats.baseAddress, Int64(floats.count))
        case .doubles(let doubles):
            for (place, value) in doubles.enumerated()
            where value.isNaN || (isLeast ? value < extremes[place] : value > extremes[place]) {
                extremes[place] = value
            }
        }
    }

    func finish(_ call: FunctionCall) throws(LogitError) {
        if extremes.isEmpty { call.null() } else { call.result(json: JSONValue.text(extremes)) }
    }
}
