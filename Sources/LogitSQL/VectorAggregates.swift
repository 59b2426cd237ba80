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
}

/// An aggregate that folds vectors into values for each class: of whole blocks by the scan's threads, of other vectors here.
private class VectorAggregate: Aggregate {
    /// What some rows gave.
    struct Partial: Sendable {
        var count = 0
        var first: [Double] = []
        var second: [Double] = []
    }

    private var own = Partial()
    private var fold: BlockFold<Partial>?
    private var classCount = 0

    /// Before the first vector: reads further arguments.
    func prepare(_ call: FunctionCall, _ z: Vector) throws(LogitError) {}
    /// A partial result without rows.
    func empty(_ classCount: Int) -> Partial { fatalError("each aggregate has one") }
    /// Adds rows of a block; on any thread.
    func add(_ block: Block, _ run: Range<Int>, to partial: inout Partial) {}
    func add(_ z: Vector, to partial: inout Partial) {}
    func merge(_ other: Partial, into partial: inout Partial) {}
    func result(_ partial: Partial) -> [Double]? { nil }

    override final func step(_ call: FunctionCall) throws(LogitError) {
        guard !call.isNull(0) else { return }
        if classCount == 0 { try begin(call) }
        if call.type(0) == SQLITE_BLOB, Int(ls_bytes(call.values![0])) == 4 * classCount, fold!.take(call) { return }
        let z = try call.vector(0)
        guard z.count == classCount else {
            throw LogitError(
                .usage,
                "a vector has \(z.count) values and one before it \(classCount), so they are of different classes; ask for one network at a time"
            )
        }
        own.count += 1
        add(z, to: &own)
    }

    private func begin(_ call: FunctionCall) throws(LogitError) {
        let z = try call.vector(0)
        try prepare(call, z)
        classCount = z.count
        own = empty(classCount)
        let empty = own
        // Constant from here on, and kept by the fold's owner.
        nonisolated(unsafe) unowned let aggregate = self
        fold = BlockFold { block, runs in
            var partial = empty
            for run in runs {
                partial.count += run.count
                aggregate.add(block, run, to: &partial)
            }
            return partial
        } merge: { total, next in
            aggregate.merge(next, into: &total)
            total.count += next.count
        }
    }

    override final func finish(_ call: FunctionCall) throws(LogitError) {
        guard let fold else { return call.null() }
        var total = fold.finish() ?? empty(classCount)
        merge(own, into: &total)
        total.count += own.count
        if total.count > 0, let values = result(total) {
            call.result(json: JSONValue.text(values))
        } else {
            call.null()
        }
    }
}

extension Block {
    fileprivate func floats(_ row: Int) -> UnsafePointer<Float> {
        (first + row * rowBytes).assumingMemoryBound(to: Float.self)
    }
}

private func addUp(_ other: [Double], to totals: inout [Double]) {
    for place in totals.indices { totals[place] += other[place] }
}

private final class VectorMean: VectorAggregate {
    override func empty(_ classCount: Int) -> Partial { Partial(first: [Double](repeating: 0, count: classCount)) }

    override func add(_ block: Block, _ run: Range<Int>, to partial: inout Partial) {
        let count = Int64(partial.first.count)
        vector_add_rows(&partial.first, block.floats(run.lowerBound), count, Int64(run.count), count)
    }

    override func add(_ z: Vector, to partial: inout Partial) {
        switch z.values {
        case .floats(let floats):
            vector_add_rows(&partial.first, floats.baseAddress, Int64(floats.count), 1, Int64(floats.count))
        case .doubles(let doubles): addUp(doubles, to: &partial.first)
        }
    }

    override func merge(_ other: Partial, into partial: inout Partial) { addUp(other.first, to: &partial.first) }
    override func result(_ partial: Partial) -> [Double]? { partial.first.map { $0 / Double(partial.count) } }
}

/// `vec_variance(z)` is the population's, as numpy.var has it; `vec_variance(z, 1)` divides by n − 1.
private final class VectorVariance: VectorAggregate {
    /// The first vector: sums are of differences from it, so that a large mean does not drown a small variance.
    private var origin: [Double] = []
    private var lostDegrees = 0

    override func prepare(_ call: FunctionCall, _ z: Vector) throws(LogitError) {
        if call.count > 1 {
            lostDegrees = try call.integer(1, "the second argument (what is taken from n)")
            guard (0...1).contains(lostDegrees) else {
                throw LogitError(
                    .usage, "the second argument is \(lostDegrees), and must be 0 (population) or 1 (sample)")
            }
        }
        origin = z.doubles.map { $0.isFinite ? $0 : 0 }
    }

    override func empty(_ classCount: Int) -> Partial {
        let zeros = [Double](repeating: 0, count: classCount)
        return Partial(first: zeros, second: zeros)
    }

    override func add(_ block: Block, _ run: Range<Int>, to partial: inout Partial) {
        let count = Int64(partial.first.count)
        vector_add_square_rows(
            &partial.first, &partial.second, origin, block.floats(run.lowerBound), count, Int64(run.count), count)
    }

    override func add(_ z: Vector, to partial: inout Partial) {
        for place in 0..<z.count {
            let difference = z[place] - origin[place]
            partial.first[place] += difference
            partial.second[place] += difference * difference
        }
    }

    override func merge(_ other: Partial, into partial: inout Partial) {
        addUp(other.first, to: &partial.first)
        addUp(other.second, to: &partial.second)
    }

    override func result(_ partial: Partial) -> [Double]? {
        guard partial.count > lostDegrees else { return nil }
        let n = Double(partial.count)
        return zip(partial.first, partial.second).map { sum, square in
            let total = square - sum * sum / n
            return (total < 0 ? 0 : total) / (n - Double(lostDegrees))
        }
    }
}

/// A class with a NaN has none, as with numpy.min.
private final class VectorExtreme: VectorAggregate {
    private let isLeast: Bool

    init(isLeast: Bool) { self.isLeast = isLeast }

    override func empty(_ classCount: Int) -> Partial {
        Partial(first: [Double](repeating: isLeast ? .infinity : -.infinity, count: classCount))
    }

    override func add(_ block: Block, _ run: Range<Int>, to partial: inout Partial) {
        let (kernel, count) = (isLeast ? vector_lower : vector_raise, Int64(partial.first.count))
        for row in run { kernel(&partial.first, block.floats(row), count) }
    }

    override func add(_ z: Vector, to partial: inout Partial) {
        for place in 0..<z.count { keep(z[place], &partial.first[place]) }
    }

    override func merge(_ other: Partial, into partial: inout Partial) {
        for place in partial.first.indices { keep(other.first[place], &partial.first[place]) }
    }

    private func keep(_ value: Double, _ extreme: inout Double) {
        if value.isNaN || (isLeast ? value < extreme : value > extreme) { extreme = value }
    }

    override func result(_ partial: Partial) -> [Double]? { partial.first }
}
