/// Ordinals in order as text, runs joined: `0-4095`, `0-4,1300-1304,7`.
enum OrdinalRanges {
    /// Longer texts are not kept.
    static let byteLimit = 16 << 10

    /// Nil where the text would be too long.
    static func text(_ ordinals: [Int64]) -> String? {
        var parts: [String] = []
        var bytes = 0
        var place = 0
        while place < ordinals.count {
            var end = place
            while end + 1 < ordinals.count, ordinals[end + 1] == ordinals[end] &+ 1 { end += 1 }
            parts.append(place == end ? "\(ordinals[place])" : "\(ordinals[place])-\(ordinals[end])")
            bytes += parts[parts.count - 1].utf8.count + 1
            if bytes > byteLimit { return nil }
            place = end + 1
        }
        return parts.joined(separator: ",")
    }

    /// The runs of a text; nil where it is none.
    static func runs(_ text: String) -> [ClosedRange<Int64>]? {
        var runs: [ClosedRange<Int64>] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int64(String($0)) }
            guard ends.count == 1 || ends.count == 2, let first = ends[0], let last = ends[ends.count - 1], first >= 0,
                first <= last
            else { return nil }
            runs.append(first...last)
        }
        return runs
    }

    /// The ordinals of a text that is to hold `count` of them; nil where it does not.
    static func ordinals(_ text: String, count: Int) -> [Int64]? {
        guard let runs = runs(text) else { return nil }
        var left = count
        for run in runs {
            // Compared before it is added up: a text from outside may name any numbers.
            guard run.upperBound - run.lowerBound < Int64(left) else { return nil }
            left -= run.count
        }
        return left == 0 ? runs.flatMap(Array.init) : nil
    }

    /// Whether two lists of runs share an ordinal. Runs are few where a list is not scattered, so each is compared with each
    /// that can meet it.
    static func overlap(_ first: [ClosedRange<Int64>], _ second: [ClosedRange<Int64>]) -> Bool {
        let sorted = second.sorted { $0.lowerBound < $1.lowerBound }
        return first.contains { run in
            // The last run that begins no later than this one ends.
            var (low, high) = (0, sorted.count)
            while low < high {
                let middle = (low + high) / 2
                if sorted[middle].lowerBound <= run.upperBound { low = middle + 1 } else { high = middle }
            }
            return low > 0 && sorted[low - 1].upperBound >= run.lowerBound
        }
    }
}
