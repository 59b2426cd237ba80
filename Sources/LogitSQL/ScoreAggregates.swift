import CLogitSQL
import Glibc
import Logits

/// The everyday figures of calibration and detection.
enum ScoreAggregates {
    static func all() -> [FunctionDefinition] {
        [
            FunctionDefinition("quantile", 2...2) { Quantile() },
            FunctionDefinition("ece", 2...3) { CalibrationError() },
            FunctionDefinition("nll", 2...2) { NegativeLogLikelihood() },
            FunctionDefinition("auroc", 2...2) { AreaUnderCurve() },
        ]
    }

    /// Values that an aggregate must keep until its end.
    fileprivate static let mostValues = 1 << 28

    fileprivate static func number(_ call: FunctionCall, _ name: String) throws(LogitError) -> Double {
        switch ls_numeric_type(call.values![0]) {
        case SQLITE_INTEGER, SQLITE_FLOAT: return ls_double(call.values![0])
        default: throw LogitError(.usage, "\(name) is a text or blob, and must be a number")
        }
    }

    fileprivate static func checkRoom(_ count: Int) throws(LogitError) {
        guard count < mostValues else {
            throw LogitError(.usage, "there are more than \(mostValues) values; ask for fewer rows")
        }
    }
}

/// `quantile(x, q)`: numpy.quantile's default, which interpolates between neighbours. NULLs are left out.
private final class Quantile: Aggregate {
    private var values: [Double] = []
    private var share: Double?

    override func step(_ call: FunctionCall) throws(LogitError) {
        if share == nil {
            let q = try call.real(1, "q")
            guard q >= 0, q <= 1 else { throw LogitError(.usage, "q is \(q), and must be from 0 to 1") }
            share = q
        }
        guard !call.isNull(0) else { return }
        try ScoreAggregates.checkRoom(values.count)
        values.append(try ScoreAggregates.number(call, "x"))
    }

    override func finish(_ call: FunctionCall) throws(LogitError) {
        guard let share, !values.isEmpty else { return call.null() }
        values.sort()
        let place = share * Double(values.count - 1)
        let below = min(values.count - 1, Int(place))
        let (a, b) = (values[below], values[min(below + 1, values.count - 1)])
        let t = place - Double(below)
        // NumPy's interpolation, which reaches both ends exactly.
        call.result(a == b ? a : t >= 0.5 ? b - (b - a) * (1 - t) : a + (b - a) * t)
    }
}

/// The label that a call gives for a vector.
private func label(_ call: FunctionCall, _ z: Vector) throws(LogitError) -> Int {
    let label = try call.integer(1, "the label")
    guard label >= 0, label < z.count else {
        throw LogitError(.usage, "the label is \(label), and the vector has classes 0 to \(z.count - 1)")
    }
    return label
}

/// `ece(z, label, bins)`: the expected calibration error of the largest softmax over bins of equal width (Guo et al. 2017):
/// confidences in (i/bins, (i+1)/bins] belong to bin i. Without `bins`, 15. Rows with a NULL, and rows without a confidence
/// (a NaN among their logits), are left out.
private final class CalibrationError: Aggregate {
    private var counts: [Int] = []
    private var correct: [Int] = []
    private var confidence: [Double] = []

    override func step(_ call: FunctionCall) throws(LogitError) {
        if counts.isEmpty {
            let bins = call.count > 2 ? try call.integer(2, "the number of bins") : 15
            guard (1...1_000_000).contains(bins) else {
                throw LogitError(.usage, "the number of bins is \(bins), and must be 1 to 1000000")
            }
            counts = [Int](repeating: 0, count: bins)
            correct = counts
            confidence = [Double](repeating: 0, count: bins)
        }
        guard !call.isNull(0), !call.isNull(1) else { return }
        let z = try call.vector(0)
        let label = try label(call, z)
        guard let top = z.argMax else { return }
        let share = exp(z[top] - (try RowFunction.logsumexp.value(call, 0)))
        guard share.isFinite else { return }
        let bins = counts.count
        var bin = min(bins - 1, max(0, Int((share * Double(bins)).rounded(.up)) - 1))
        if bin > 0, share <= Double(bin) / Double(bins) { bin -= 1 }
        if bin + 1 < bins, share > Double(bin + 1) / Double(bins) { bin += 1 }
        counts[bin] += 1
        correct[bin] += top == label ? 1 : 0
        confidence[bin] += share
    }

    override func finish(_ call: FunctionCall) throws(LogitError) {
        let total = Double(counts.reduce(0, +))
        guard total > 0 else { return call.null() }
        call.result(counts.indices.reduce(0) { $0 + abs(Double(correct[$1]) - confidence[$1]) } / total)
    }
}

/// `nll(z, label)`: the mean of logsumexp(z) − z_label, in nats. Rows with a NULL are left out.
private final class NegativeLogLikelihood: Aggregate {
    private var total = 0.0
    private var count = 0

    override func step(_ call: FunctionCall) throws(LogitError) {
        guard !call.isNull(0), !call.isNull(1) else { return }
        let z = try call.vector(0)
        total += try RowFunction.logsumexp.value(call, 0) - z[try label(call, z)]
        count += 1
    }

    override func finish(_ call: FunctionCall) throws(LogitError) {
        if count == 0 { call.null() } else { call.result(total / Double(count)) }
    }
}

/// `auroc(score, positive)`: the area under the ROC curve, equal scores counted half. NULL unless there are positives and
/// negatives. Rows with a NULL are left out.
private final class AreaUnderCurve: Aggregate {
    private var scores: [(score: Double, isPositive: Bool)] = []

    override func step(_ call: FunctionCall) throws(LogitError) {
        guard !call.isNull(0), !call.isNull(1) else { return }
        try ScoreAggregates.checkRoom(scores.count)
        scores.append(
            (try ScoreAggregates.number(call, "the score"), try call.real(1, "the mark of positives") != 0))
    }

    override func finish(_ call: FunctionCall) throws(LogitError) {
        let positives = scores.count { $0.isPositive }
        let negatives = scores.count - positives
        guard positives > 0, negatives > 0 else { return call.null() }
        scores.sort { $0.score < $1.score }
        // Twice the pairs in which the positive has the larger score.
        var (doubled, below, first) = (0.0, 0, 0)
        while first < scores.count {
            var (end, positive) = (first, 0)
            while end < scores.count, scores[end].score == scores[first].score {
                positive += scores[end].isPositive ? 1 : 0
                end += 1
            }
            let negative = end - first - positive
            doubled += Double(positive) * Double(2 * below + negative)
            below += negative
            first = end
        }
        call.result(doubled / 2 / (Double(positives) * Double(negatives)))
    }
}
