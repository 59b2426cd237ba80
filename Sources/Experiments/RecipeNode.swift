import Ingestion
import Logits
import Yams

/// A value of a recipe with the place where it stands, so that whatever is wrong with it is one sentence with its line.
struct RecipeNode {
    let node: Node
    let file: String
    /// As in `defenders[2].hidden`; empty for the whole file.
    let name: String
    let line: Int?

    /// An error about this value.
    func wrong(_ text: String) -> LogitError {
        let line = line.map { ", line \($0)" } ?? ""
        return LogitError(.badInput, "\(file)\(line): \(name.isEmpty ? "the recipe" : name) \(text)")
    }

    /// The values of a mapping whose keys are all among `keys`.
    func mapping(_ keys: [String]) throws(LogitError) -> Keyed {
        let all = try named("has keys: \(keys.joined(separator: ", "))")
        for one in all where !keys.contains(one.key) {
            let nearest = nearestName(to: one.key, among: keys)
            throw one.value.wrong(
                "is no key of \(name.isEmpty ? "a recipe" : name); did you mean \(nearest)? There is \(keys.joined(separator: ", "))"
            )
        }
        return Keyed(parent: self, values: Dictionary(uniqueKeysWithValues: all.map { ($0.key, $0.value) }))
    }

    /// The entries of a mapping whose keys are names, in the file's order.
    func named(_ hint: String) throws(LogitError) -> [(key: String, value: RecipeNode)] {
        guard case .mapping(let mapping) = node else { throw wrong("is no mapping; it \(hint)") }
        var found: [(key: String, value: RecipeNode)] = []
        for (key, value) in mapping {
            guard let text = RecipeNode.line(key) else { throw wrong("has a key that is no word; it \(hint)") }
            found.append(
                (
                    text,
                    RecipeNode(
                        node: value, file: file, name: name.isEmpty ? text : "\(name).\(text)", line: key.mark?.line)
                ))
        }
        guard Set(found.map(\.key)).count == found.count else { throw wrong("has a key twice; give each once") }
        return found
    }

    /// The entries of a list; one value that is no list is a list of one.
    func list() throws(LogitError) -> [RecipeNode] {
        guard case .sequence(let entries) = node else { return [self] }
        guard !entries.isEmpty else { throw wrong("is an empty list; give it an entry, or leave the key out") }
        return entries.enumerated().map {
            RecipeNode(node: $1, file: file, name: "\(name)[\($0 + 1)]", line: $1.mark?.line)
        }
    }

    /// Entries of a list or mapping; 1 for anything else.
    var count: Int {
        switch node {
        case .sequence(let entries): entries.count
        case .mapping(let mapping): mapping.count
        default: 1
        }
    }

    var isList: Bool { if case .sequence = node { true } else { false } }
    var isMapping: Bool { if case .mapping = node { true } else { false } }

    /// One line of text.
    func text(_ example: String) throws(LogitError) -> String {
        guard let text = RecipeNode.line(node) else { throw wrong("is no single value; write for instance \(example)") }
        return text
    }

    func texts(_ example: String) throws(LogitError) -> [String] {
        var found: [String] = []
        for entry in try list() { found.append(try entry.text(example)) }
        return found
    }

    func whole(_ range: ClosedRange<Int>) throws(LogitError) -> Int {
        let text = try text("\(range.lowerBound)")
        guard let value = Int(text.filter { $0 != "_" }), range.contains(value) else {
            throw wrong(
                "is \(text.debugDescription); give a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    func number(_ range: ClosedRange<Double>) throws(LogitError) -> Double {
        let text = try text("\(range.lowerBound)")
        guard let value = Double(text), range.contains(value) else {
            throw wrong("is \(text.debugDescription); give a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    func flag() throws(LogitError) -> Bool {
        switch try text("true") {
        case "true", "yes": return true
        case "false", "no": return false
        case let text: throw wrong("is \(text.debugDescription); give true or false")
        }
    }

    /// One of several words.
    func word(_ words: [String]) throws(LogitError) -> String {
        guard let example = words.first else { throw wrong("names one where the recipe has none") }
        let text = try text(example)
        guard words.contains(text) else {
            throw wrong(
                "is \(text.debugDescription); did you mean \(nearestName(to: text, among: words))? There is \(words.joined(separator: ", "))"
            )
        }
        return text
    }

    /// Runs a check of ours over the value, and says in its error where the value stands.
    func checked<Value>(_ body: () throws(LogitError) -> Value) throws(LogitError) -> Value {
        do throws(LogitError) { return try body() } catch { throw wrong("is refused: \(error.message)") }
    }

    private static func line(_ node: Node) -> String? {
        guard let text = node.scalar?.string, (1...4096).contains(text.utf8.count),
            !text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F })
        else { return nil }
        return text
    }

    /// A mapping with keys that are known.
    struct Keyed {
        let parent: RecipeNode
        let values: [String: RecipeNode]

        subscript(key: String) -> RecipeNode? { values[key] }

        func required(_ key: String, _ example: String) throws(LogitError) -> RecipeNode {
            guard let value = values[key] else { throw parent.wrong("lacks the key \(key); write \(key): \(example)") }
            return value
        }

        func optional<Value>(
            _ key: String, _ body: (RecipeNode) throws(LogitError) -> Value
        ) throws(LogitError) -> Value? {
            guard let value = values[key] else { return nil }
            return try body(value)
        }
    }
}
