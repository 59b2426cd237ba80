import Analysis
import Foundation
import TestSupport
import Testing

/// Frozen by Tests/AnalysisTests/make_roc.py.
private struct Case: Decodable {
    let name: String
    let positives: [Double]
    let positiveImages: [Int64]
    let negatives: [Double]
    let negativeImages: [Int64]
    let area: Double
    let variance: Double
    let falsePositives: [Double]
    let truePositives: [Double]

    static func load() throws -> [Case] {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let url = URL(fileURLWithPath: "\(projectFolder)/Tests/AnalysisTests/roc.json")
        return try decoder.decode([Case].self, from: Data(contentsOf: url))
    }

    func roc(points: Int = 200) throws -> ROC {
        try #require(
            ROC(
                positives: zip(positiveImages, positives).map { ROC.Row(image: $0, score: $1) },
                negatives: zip(negativeImages, negatives).map { ROC.Row(image: $0, score: $1) }, points: points))
    }
}

@Test("the area is scikit-learn's, the interval that of the clustered variance, the curve scikit-learn's")
func areas() throws {
    for one in try Case.load() {
        let roc = try one.roc()
        #expect(abs(roc.area - one.area) < 1e-12, "\(one.name)")
        let half = 1.959963984540054 * one.variance.squareRoot()
        #expect(abs(roc.low - max(0, one.area - half)) < 1e-12 && abs(roc.high - min(1, one.area + half)) < 1e-12)
        let theirs = Set(zip(one.falsePositives, one.truePositives).map { "\($0) \($1)" })
        for (x, y) in zip(roc.falsePositives, roc.truePositives) { #expect(theirs.contains("\(x) \(y)")) }
        // No corner is left out: the trapezoids under what is kept have the whole area.
        let (x, y) = (roc.falsePositives, roc.truePositives)
        var area = 0.0
        for place in 1..<x.count {
            let height = (y[place] + y[place - 1]) / 2
            area += (x[place] - x[place - 1]) * height
        }
        #expect(abs(area - one.area) < 1e-12 && x.first == 0 && y.first == 0 && x.last == 1 && y.last == 1)
        let short = try one.roc(points: 5)
        #expect(short.falsePositives.count <= 5 && short.truePositives.last == 1 && short.area == roc.area)
    }
}

@Test("separated scores have the area 1, equal ones ½; without rows or with a NaN there is none")
func edges() throws {
    func rows(_ scores: [Double]) -> [ROC.Row] { scores.enumerated().map { ROC.Row(image: Int64($0), score: $1) } }
    let apart = try #require(ROC(positives: rows([2, 3]), negatives: rows([0, 1])))
    #expect(apart.area == 1 && apart.falsePositives == [0, 0, 1] && apart.truePositives == [0, 1, 1])
    let same = try #require(ROC(positives: rows([1, 1, 1]), negatives: rows([1, 1])))
    #expect(same.area == 0.5 && same.falsePositives == [0, 1])
    let endless = try #require(ROC(positives: rows([.infinity, 1]), negatives: rows([-.infinity])))
    #expect(endless.area == 1)
    #expect(ROC(positives: [], negatives: rows([1])) == nil && ROC(positives: rows([1]), negatives: []) == nil)
    #expect(ROC(positives: rows([.nan]), negatives: rows([1])) == nil)
}

@Test("ln Σ exp does not overflow")
func logSums() {
    func sum(_ values: [Float]) -> Double { values.withUnsafeBufferPointer(logSumExp) }
    // scipy.special.logsumexp
    #expect(abs(sum([1, 2, 3]) - 3.4076059644443806) < 1e-12)
    #expect(abs(sum([1000, 1000]) - 1000.6931471805599) < 1e-9)
    #expect(abs(sum([-1000, -1001]) + 999.6867383124818) < 1e-9)
}
