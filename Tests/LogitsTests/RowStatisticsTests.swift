import Logits
import Testing

/// The definition, value by value.
private func definition(_ row: ArraySlice<Float>, label: Int) -> [Double] {
    let values = Array(row)
    var (sum, squares) = (0.0, 0.0)
    for value in values {
        sum += Double(value)
        squares += Double(value) * Double(value)
    }
    let numbers = values.filter { !$0.isNaN }
    let others = values.enumerated().filter { $0.offset != label && !$0.element.isNaN }.map(\.element)
    let own = values[label]
    let rank = values.enumerated().count { $0.element > own || ($0.element == own && $0.offset < label) }
    return [
        sum / Double(values.count), Double(numbers.min() ?? .infinity), Double(numbers.max() ?? -.infinity),
        squares.squareRoot(), Double(own) - Double(others.max() ?? -.infinity), Double(rank),
    ]
}

private func fields(_ statistics: RowStatistics) -> [Double] {
    [
        statistics.mean, statistics.minimum, statistics.maximum, statistics.l2, statistics.labelMargin,
        Double(statistics.labelRank),
    ]
}

/// Equal as numbers; a NaN is a NaN.
private func same(_ first: [Double], _ second: [Double]) -> Bool {
    zip(first, second).allSatisfy { $0 == $1 || ($0.isNaN && $1.isNaN) }
}

@Test(
    "statistics of a table are those of each row's definition, to the bit", arguments: [2, 3, 7, 8, 9, 10, 100, 1000])
func tableStatistics(classes: Int) {
    let random = Philox(key: UInt64(classes))
    for rows in [1, 3, 4, 5, 11] {
        var logits = (0..<rows * classes).map { Float(random.uniform(UInt64($0), stream: UInt64(rows)) * 20 - 10) }
        // Ties, zeros of both signs, and values that are not finite.
        for place in stride(from: 0, to: logits.count, by: 3) { logits[place] = logits[place].rounded() }
        if rows > 3 {
            for (place, value) in [Float.nan, .infinity, -.infinity, -0.0, 0].enumerated() where place < classes {
                logits[classes + place] = value
            }
        }
        let labels = (0..<rows).map { Int32(random.bits(UInt64($0), stream: 99) % UInt64(classes)) }
        let found = logits.withUnsafeBufferPointer {
            RowStatistics.rows($0, classCount: classes, labels: labels)
        }
        #expect(found.count == rows)
        for row in 0..<rows {
            let slice = logits[row * classes..<(row + 1) * classes]
            let expected = definition(slice, label: Int(labels[row]))
            #expect(same(fields(found[row]), expected), "row \(row) of \(rows)")
            let alone = Array(slice).withUnsafeBufferPointer { RowStatistics(logits: $0, label: Int(labels[row])) }
            #expect(same(fields(alone), expected), "row \(row) of \(rows) alone")
        }
    }
}

@Test("a row of which nothing is a number has no extremes and the first rank")
func nothingIsANumber() {
    let logits = [Float](repeating: .nan, count: 9)
    let found = logits.withUnsafeBufferPointer { RowStatistics(logits: $0, label: 4) }
    #expect(found.minimum == .infinity && found.maximum == -.infinity && found.labelRank == 0)
    #expect(found.mean.isNaN && found.l2.isNaN && found.labelMargin.isNaN)
}
