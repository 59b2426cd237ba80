/// The name with the smallest edit distance to a word that is none of them: for sentences such as “did you mean pgd?”.
public func nearestName(to word: String, among names: [String]) -> String {
    names.min { editDistance(word, $0) < editDistance(word, $1) } ?? ""
}

/// Letters to insert, remove or replace, whatever their case. Of long words only the first 100 bytes count.
private func editDistance(_ first: String, _ second: String) -> Int {
    let (a, b) = (Array(first.lowercased().utf8.prefix(100)), Array(second.lowercased().utf8.prefix(100)))
    var row = Array(0...b.count)
    for i in 0..<a.count {
        var previous = row[0]
        row[0] = i + 1
        for j in 0..<b.count {
            let next = min(row[j] + 1, row[j + 1] + 1, previous + (a[i] == b[j] ? 0 : 1))
            previous = row[j + 1]
            row[j + 1] = next
        }
    }
    return row[b.count]
}
