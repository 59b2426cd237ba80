import Analysis
import CLogitSQL
import Glibc
import Logits

/// A histogram from SQL: `{"edges": […], "counts": […]}` as `histogram` gives it, or a JSON array of counts.
struct StoredHistogram {
    let edges: [Double]?
    let counts: [Double]

    init(_ value: OpaquePointer?, name: String) throws(LogitError) {
        let text = ls_value_text(value)
        let json =
            ls_type(value) == SQLITE_TEXT
            ? JSONValue(UnsafeBufferPointer(start: text, count: Int(ls_bytes(value)))) : nil
        var edges: [Double]?
        var counts = json?.numbers
        if case .object(let members) = json {
            counts = members["counts"]?.numbers
            edges = members["edges"]?.numbers ?? []
        }
        guard let counts, !counts.isEmpty, counts.allSatisfy({ $0 >= 0 && $0.isFinite }),
            edges.map({ $0.count == counts.count + 1 && !$0.contains(where: \.isNaN) }) ?? true
        else {
            throw LogitError(
                .usage,
                "\(name) is no histogram; give what histogram(x, bins, lo, hi) gives, or a JSON array of counts from 0 on"
            )
        }
        self.edges = edges
        self.counts = counts
    }
}

enum HistogramFunctions {
    static func all() -> [FunctionDefinition] {
        Measure.allCases.flatMap { measure in
            [
                ScalarFunctions.scalar("\(measure)", 2...2) { (call) throws(LogitError) in
                    let first = try StoredHistogram(call.values![0], name: "the first argument")
                    let second = try StoredHistogram(call.values![1], name: "the second argument")
                    if let a = first.edges, let b = second.edges, a != b {
                        throw LogitError(
                            .usage, "the histograms have different edges; make both with the same bins, lo and hi")
                    }
                    guard first.counts.count == second.counts.count else {
                        throw LogitError(
                            .usage,
                            "the histograms have \(first.counts.count) and \(second.counts.count) bins, and must have as many"
                        )
                    }
                    measure.give(Bhattacharyya(first.counts, second.counts), call)
                },
                FunctionDefinition("\(measure)_agg", 2...2) { CountPairs(measure) },
            ]
        } + [FunctionDefinition("histogram", 4...4) { HistogramAggregate() }]
    }

    enum Measure: String, CaseIterable, CustomStringConvertible {
        case bhattacharyya
        case distance = "bhattacharyya_distance"
        case hellinger

        var description: String { rawValue }

        /// NULL where a histogram is empty; the distance of histograms that share no bin is infinite.
        func give(_ found: Bhattacharyya?, _ call: FunctionCall) {
            guard let found else { return call.null() }
            switch self {
            case .bhattacharyya: call.result(found.coefficient)
            case .distance: call.result(found.distance ?? .infinity)
            case .hellinger: call.result(found.hellinger)
            }
        }
    }
}

/// `bhattacharyya_agg(n1, n2)`: over two columns of counts, a row a bin. A NULL counts as 0.
private final class CountPairs: Aggregate {
    private let measure: HistogramFunctions.Measure
    private var first: [Double] = []
    private var second: [Double] = []

    init(_ measure: HistogramFunctions.Measure) { self.measure = measure }

    override func step(_ call: FunctionCall) throws(LogitError) {
        first.append(try count(call, 0))
        second.append(try count(call, 1))
    }

    private func count(_ call: FunctionCall, _ index: Int) throws(LogitError) -> Double {
        if call.isNull(index) { return 0 }
        let value = try call.real(index, "a count")
        guard value >= 0 else { throw LogitError(.usage, "a count is \(value), and must not be negative") }
        return value
    }

    override func finish(_ call: FunctionCall) throws(LogitError) { measure.give(Bhattacharyya(first, second), call) }
}

/// `histogram(x, bins, lo, hi)`: numpy.histogram's counts, as JSON. NULLs are left out.
private final class HistogramAggregate: Aggregate {
    private static let mostBins = 1_000_000
    private var counter: HistogramCounter?

    override func step(_ call: FunctionCall) throws(LogitError) {
        if counter == nil { try prepare(call) }
        guard !call.isNull(0) else { return }
        switch ls_numeric_type(call.values![0]) {
        case SQLITE_INTEGER, SQLITE_FLOAT: counter!.add(ls_double(call.values![0]))
        default: throw LogitError(.usage, "x is a text or blob, and must be a number")
        }
    }

    private func prepare(_ call: FunctionCall) throws(LogitError) {
        let bins = try call.integer(1, "the number of bins")
        let (low, high) = (try call.real(2, "lo"), try call.real(3, "hi"))
        guard (1...HistogramAggregate.mostBins).contains(bins) else {
            throw LogitError(.usage, "the number of bins is \(bins), and must be 1 to \(HistogramAggregate.mostBins)")
        }
        guard low <= high, (high - low).isFinite else {
            throw LogitError(.usage, "lo is \(low) and hi \(high); lo must not be above hi")
        }
        counter = HistogramCounter(edges: Histogram.edges(from: low, to: high, bins: bins))
    }

    override func finish(_ call: FunctionCall) throws(LogitError) {
        guard let counter else { return call.null() }
        let counts = counter.counts.map(String.init).joined(separator: ",")
        call.result(json: "{\"edges\":\(JSONValue.text(counter.edges)),\"counts\":[\(counts)]}")
    }
}
