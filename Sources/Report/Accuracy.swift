import Analysis
import CorpusStore

/// How many of so many rows are right: of one count, or the mean over defenders that differ in their seed alone.
struct Accuracy: Encodable, Equatable {
    let rows: Int
    /// One a seed.
    let correct: [Int]

    /// In percent. The interval is Wilson's of 95 % for the mean share over these images: it says nothing of the seeds, whose
    /// lowest and highest share stand beside it.
    let percent: Double
    let low: Double
    let high: Double

    /// Nil where there are no rows.
    init?(_ correct: [Int], of rows: Int) {
        guard rows > 0, !correct.isEmpty else { return nil }
        self.rows = rows
        self.correct = correct
        if correct.count == 1, case let one = Proportion(correct[0], of: rows), let low = one.low, let high = one.high {
            (self.low, self.high) = (100 * low, 100 * high)
            percent = 100 * Double(correct[0]) / Double(rows)
        } else {
            let share = Double(correct.reduce(0, +)) / Double(rows * correct.count)
            let bounds = Proportion.wilson(share, of: rows)
            (percent, low, high) = (100 * share, 100 * bounds.low, 100 * bounds.high)
        }
    }

    init?(_ counts: RowCounts?) {
        guard let counts else { return nil }
        self.init([counts.correct], of: counts.rows)
    }

    var value: String { percent.formatted(2) }
    var interval: String { "\(low.formatted(2))–\(high.formatted(2))" }
    /// `915 of 1,000`, or `mean of 3 seeds, 90.10–91.90, 1,000 images`.
    var counts: String {
        guard correct.count > 1, let least = correct.min(), let most = correct.max() else {
            return "\(correct[0].grouped) of \(rows.grouped)"
        }
        func share(_ count: Int) -> String { (100 * Double(count) / Double(rows)).formatted(2) }
        return "mean of \(correct.count) seeds (\(share(least)) to \(share(most))) on \(rows.grouped)"
    }
}
