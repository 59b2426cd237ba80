/// What keeping fewer bits did to the logits of some rows.
public struct Rounding: Sendable, Equatable, Codable {
    /// Of any finite value.
    public var largestError = 0.0
    /// Relative to the value, of those that are large enough for the relative bound.
    public var largestRelativeError = 0.0
    /// Rows whose arg max of the stored logits is another than that of the computed ones.
    public var changedArgMax = 0
    /// Rows whose largest logit is held by several classes now and was not before.
    public var newlyTied = 0
    /// Distinct values among the rows' largest logits.
    public var distinctMaximaBefore = 0
    public var distinctMaximaAfter = 0

    public init() {}
}

extension RowTable {
    /// The rows as a shard of some precision holds them: logits rounded, every other column that of the logits as computed.
    /// - Returns: the rows, and what rounding did; nil where nothing is rounded.
    /// - Throws: `badInput`, naming the row, where a finite logit would become infinite.
    public func rounded(to precision: Precision) throws(LogitError) -> (table: RowTable, rounding: Rounding?) {
        guard !precision.isExact else { return (self, nil) }
        var table = self
        var rounding = Rounding()
        // As bits: NaN counts as one value.
        var before: Set<UInt32> = []
        var after: Set<UInt32> = []
        for row in 0..<count {
            let range = row * classCount..<(row + 1) * classCount
            let fits = table.logits.withUnsafeMutableBufferPointer { all in
                rounding.round(UnsafeMutableBufferPointer(rebasing: all[range]), precision)
            }
            guard fits else { throw beyond(precision, row) }
            let (old, new) = (peak(logits[range]), peak(table.logits[range]))
            if old.place != new.place { rounding.changedArgMax += 1 }
            if new.isTied && !old.isTied { rounding.newlyTied += 1 }
            before.insert(old.value.bitPattern)
            after.insert(new.value.bitPattern)
        }
        rounding.distinctMaximaBefore = before.count
        rounding.distinctMaximaAfter = after.count
        return (table, rounding)
    }

    private func peak(_ values: ArraySlice<Float>) -> (place: Int32, value: Float, isTied: Bool) {
        let place = argMax(values)
        guard place >= 0 else { return (place, .nan, false) }
        let value = values[values.startIndex + Int(place)]
        return (place, value, values.count { $0 == value } > 1)
    }

    private func beyond(_ precision: Precision, _ row: Int) -> LogitError {
        let limit = precision == .float16 ? " (at most \(HalfFloat.largest))" : ""
        let remedy =
            precision == .float16
            ? "use --precision keep-bits=10, which keeps as many bits of any size" : "use --precision float32"
        return LogitError(
            .badInput,
            "a logit of row \(row) (image \(image[row])), of magnitude \(self.row(row).lazy.filter(\.isFinite).map(\.magnitude).max() ?? 0), is larger than \(precision) holds\(limit); \(remedy)"
        )
    }
}

extension Rounding {
    /// Rounds one row in place. Every value is held to the precision's bound before it counts.
    /// - Returns: false where a finite value is beyond what the precision holds.
    fileprivate mutating func round(_ values: UnsafeMutableBufferPointer<Float>, _ precision: Precision) -> Bool {
        let (relative, absolute) = (precision.relativeBound, precision.absoluteBound)
        for index in values.indices {
            let value = values[index]
            let stored = precision.rounded(value)
            values[index] = stored
            guard value.isFinite else { continue }
            guard stored.isFinite, precision != .float16 || value.magnitude <= HalfFloat.largest else { return false }
            let error = (Double(stored) - Double(value)).magnitude
            let magnitude = Double(value.magnitude)
            precondition(error <= max(relative * magnitude, absolute), "rounding beyond its bound")
            largestError = max(largestError, error)
            // Where the relative bound is the larger one.
            if relative * magnitude >= absolute { largestRelativeError = max(largestRelativeError, error / magnitude) }
        }
        return true
    }
}
