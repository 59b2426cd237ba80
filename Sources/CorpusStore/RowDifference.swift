import Logits

/// Two tables of the same rows, compared bit by bit, so that a NaN equals itself and 0 does not equal −0.
enum RowDifference {
    /// Rows in which anything differs; all rows where the columns themselves do.
    static func rows(_ first: RowTable, _ second: RowTable) -> [Int] {
        guard first.count == second.count, first.classCount == second.classCount,
            (first.attack == nil) == (second.attack == nil),
            (first.attack?.cost == nil) == (second.attack?.cost == nil),
            (first.attack?.status8bit == nil) == (second.attack?.status8bit == nil)
        else { return Array(0..<max(first.count, second.count)) }
        return (0..<first.count).filter { row in
            !isSameBeside(first, second, row) || first.prediction[row] != second.prediction[row]
                || !zip(first.row(row), second.row(row)).allSatisfy { $0.bitPattern == $1.bitPattern }
        }
    }

    /// Whether a row is the same in all but its logits and prediction.
    static func isSameBeside(_ first: RowTable, _ second: RowTable, _ row: Int) -> Bool {
        guard first.ordinal[row] == second.ordinal[row], first.image[row] == second.image[row],
            first.label[row] == second.label[row]
        else { return false }
        guard let one = first.attack, let other = second.attack else { return true }
        return one.cleanPrediction[row] == other.cleanPrediction[row] && one.status[row] == other.status[row]
            && one.iterations[row] == other.iterations[row]
            && one.perturbationL2[row].bitPattern == other.perturbationL2[row].bitPattern
            && one.perturbationLinf[row].bitPattern == other.perturbationLinf[row].bitPattern
            && one.cost?[row].bitPattern == other.cost?[row].bitPattern
            && one.status8bit?[row] == other.status8bit?[row]
    }
}
