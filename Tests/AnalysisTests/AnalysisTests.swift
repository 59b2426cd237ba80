import Analysis
import Foundation
import TestSupport
import Testing

/// Values that fall on edges, between them and at both ends.
private let first: [Double] = (0..<400).map { (index: Int) -> Double in
    let coarse = Double(index % 37) * 0.1
    return coarse - 1.7 + Double(index / 37) * 0.01
}
private let second: [Double] = (0..<300).map { (index: Int) -> Double in Double(index % 23) * 0.2 - 3 }

@Test("counts, edges and coefficient equal NumPy's", .enabled(if: python != nil), arguments: [1, 7, 20, 33])
func numpy(bins: Int) throws {
    let edges = Histogram.edges(over: [first, second], bins: bins)
    let (a, b) = (Histogram(first, edges: edges), Histogram(second, edges: edges))
    let both = try #require(Bhattacharyya(a.counts, b.counts))
    let script = """
        import json, numpy as np, sys
        given = json.loads(sys.argv[1])
        x, y = np.array(given["first"]), np.array(given["second"])
        edges = np.histogram_bin_edges(np.concatenate([x, y]), bins=given["bins"])
        assert np.array_equal(edges, given["edges"]), (edges, given["edges"])
        p, q = np.histogram(x, edges)[0], np.histogram(y, edges)[0]
        assert p.tolist() == given["p"] and q.tolist() == given["q"], (p, q)
        # Counts over equal bins of a range take another path in NumPy: the same here.
        assert np.histogram(x, given["bins"], (edges[0], edges[-1]))[0].tolist() == given["p"]
        bc = np.sqrt(p / p.sum() * (q / q.sum())).sum()
        assert abs(bc - given["bc"]) < 1e-13, (bc, given["bc"])
        """
    let given: [String: Any] = [
        "first": first, "second": second, "bins": bins, "edges": edges, "p": a.counts, "q": b.counts,
        "bc": both.coefficient,
    ]
    let json = String(decoding: try JSONSerialization.data(withJSONObject: given), as: UTF8.self)
    let ran = try run(try #require(python), ["-c", script, json])
    #expect(ran.status == 0, "\(ran.errors)")
}

@Test("degenerate ranges follow NumPy: half a unit to both sides; NaN is left out")
func degenerate() {
    let edges = Histogram.edges(over: [[2, 2, .nan]], bins: 4)
    #expect(edges == [1.5, 1.75, 2, 2.25, 2.5])
    #expect(Histogram([2, 2, .nan, .infinity], edges: edges).counts == [0, 0, 2, 0])
}

@Test("the coefficient is 1 for equal shapes, 0 for disjoint ones, none for an empty one")
func coefficient() {
    #expect(abs((Bhattacharyya([1, 2, 3], [10, 20, 30])?.coefficient ?? 0) - 1) < 1e-15)
    #expect(Bhattacharyya([1, 0], [0, 5])?.coefficient == 0)
    #expect(Bhattacharyya([1, 0], [0, 5])?.distance == nil)
    #expect(Bhattacharyya([0, 0], [0, 5]) == nil)
}

/// scipy.stats.binomtest(k, n).proportion_ci(method="wilson"), SciPy 1.17.1.
@Test(
    "Wilson intervals equal SciPy's",
    arguments: [
        (0, 1000, 0.0, 0.003826758485555124), (1000, 1000, 0.9961732415144448, 1.0),
        (754, 1000, 0.726368159976174, 0.7796878467131638), (3, 7, 0.1582198552514697, 0.7495416354723428),
    ])
func wilson(count: Int, total: Int, low: Double, high: Double) throws {
    let share = Proportion(count, of: total)
    let (foundLow, foundHigh) = (try #require(share.low), try #require(share.high))
    #expect(abs(foundLow - low) < 1e-12)
    #expect(abs(foundHigh - high) < 1e-12)
}

@Test("one value, however large, falls into a bin of its own range", arguments: [0, 1e20, -3e38])
func onePoint(value: Double) {
    let edges = Histogram.edges(over: [[value, .nan], [value]], bins: 20)
    #expect(zip(edges, edges.dropFirst()).allSatisfy { $0 < $1 })
    #expect(Histogram([value, value, .infinity], edges: edges).counts.reduce(0, +) == 2)
    // Edges that somebody else chose badly count as well, and do not trap.
    #expect(Histogram([value], edges: [value, value]).counts == [1])
}
