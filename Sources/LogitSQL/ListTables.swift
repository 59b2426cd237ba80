import CLogitSQL
import Logits
import Shards

/// The table-valued functions over vectors and histograms.
enum ListTables {
    static func all(_ session: Session) -> [ComputedTable] { [topK(session), histogramBins(session)] }

    /// `top_k(z, n)`: the n largest logits, the largest first, of equals the lower class first.
    private static func topK(_ session: Session) -> ComputedTable {
        ComputedTable(
            "top_k", columns: ["rank", "class", "logit", "probability"], arguments: ["vector", "n"], required: 2,
            session
        ) { (session, arguments) throws(LogitError) in
            guard ls_type(arguments[0]) != SQLITE_NULL, ls_type(arguments[1]) != SQLITE_NULL else { return [] }
            let z = try Vector(arguments[0], name: "the vector")
            guard ls_numeric_type(arguments[1]) == SQLITE_INTEGER, ls_int(arguments[1]) >= 0 else {
                throw LogitError(
                    .usage, "n is \(Units.text(arguments[1]).prefix(40)), and must be a whole number from 0 on")
            }
            let most = Int(min(Int64(z.count), ls_int(arguments[1])))
            let total = z.logSumExp()
            return z.largest(most).enumerated().map { rank, place in
                [.integer(rank), .integer(place), .real(z[place]), .real(Vector.probability(z[place], total))]
            }
        }
    }

    /// `histogram_bins(json)`: one row a bin.
    private static func histogramBins(_ session: Session) -> ComputedTable {
        ComputedTable(
            "histogram_bins", columns: ["bin", "low", "high", "count"], arguments: ["histogram"], required: 1, session
        ) { (session, arguments) throws(LogitError) in
            guard ls_type(arguments[0]) != SQLITE_NULL else { return [] }
            let histogram = try StoredHistogram(arguments[0], name: "the argument")
            return histogram.counts.enumerated().map { bin, count in
                let edges = histogram.edges
                return [
                    .integer(bin), edges.map { .real($0[bin]) } ?? .null, edges.map { .real($0[bin + 1]) } ?? .null,
                    Int(exactly: count).map(SQLValue.integer) ?? .real(count),
                ]
            }
        }
    }
}
