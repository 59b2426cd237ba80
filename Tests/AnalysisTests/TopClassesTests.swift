import Analysis
import Foundation
import TestSupport
import Testing

private func top(_ values: [Float], _ count: Int) -> [Int] { values.withUnsafeBufferPointer { topClasses($0, count) } }

@Test("the top classes are those of a stable sort; a NaN is none")
func topOrder() {
    #expect(top([1, 3, 2, 3, -1], 3) == [1, 3, 2])
    #expect(top([.nan, 5, .nan], 2) == [1])
    #expect(top([.nan], 2).isEmpty && top([], 1).isEmpty)
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<200 {
        let values = (0..<Int.random(in: 1...40, using: &generator)).map { _ in
            Float(Int.random(in: 0...9, using: &generator))
        }
        let sorted = values.indices.sorted { (values[$1], $0) < (values[$0], $1) }
        for count in [1, 3, 10, 50] { #expect(top(values, count) == Array(sorted.prefix(count))) }
    }
}

@Test("a tally counts, and orders by count, then first, then class")
func tally() {
    var tally = ClassTally(classCount: 4, top: 2)
    for row: [Float] in [[4, 3, 0, 0], [0, 0, 4, 3], [0, 2, 1, 0]] { row.withUnsafeBufferPointer { _ = tally.add($0) } }
    #expect(tally.counts == [1, 2, 2, 1] && tally.firsts == [1, 1, 1, 0] && tally.images == 3)
    #expect(tally.sums == [4, 5, 5, 3] && tally.order == [1, 2, 0, 3])
}

@Test("Spearman's correlation is SciPy's, ties and all")
func spearman() throws {
    // scipy.stats.spearmanr(a, b).statistic, SciPy 1.17
    let a: [Double] = [1, 2, 2, 4, 7, 3]
    let b: [Double] = [10, 9, 30, 30, 40, -1]
    #expect(abs(try #require(rankCorrelation(a, b)) - 0.4852941176470589) < 1e-12)
    #expect(rankCorrelation([1, 2, 3], [3, 2, 1]) == -1 && rankCorrelation([1, 2], [5, 9]) == 1)
    #expect(rankCorrelation([1], [1]) == nil && rankCorrelation([1, 1], [1, 2]) == nil)
    #expect(ranks([3, 1, 3, 2]) == [3.5, 1, 3.5, 2])
}

@Test("the coefficient over the union of two tops is renormalised over it")
func union() throws {
    let (a, b) = ([4, 1, 0, 3, 2], [4, 0, 5, 1, 0])
    let all = try #require(Bhattacharyya(supporting: a, b))
    #expect(abs(all.coefficient - (0.4 * 0.4).squareRoot() - (0.3 * 0.1).squareRoot()) < 1e-12)
    // The tops of two: 0 and 3, 2 and 0.
    let part = try #require(Bhattacharyya(supporting: a, b, unionTop: 2))
    #expect(abs(part.coefficient - (4.0 / 7 * 0.4).squareRoot() - (3.0 / 7 * 0.1).squareRoot()) < 1e-12)
    #expect(Bhattacharyya(supporting: a, [0, 0, 0, 0, 0]) == nil)
}
