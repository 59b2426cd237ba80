import Logits
import Networks
import Platform
import Yams

/// A YAML file of attacks: a list, or a mapping whose key `attacks` holds one. An entry is an attack as it is typed
/// (`pgd:steps=20`), or a mapping: `attack` and a key a parameter.
///
/// An entry becomes the text that would be typed, from the file's own characters, so that file and command line cannot
/// differ in what they mean.
package struct AttackFile {
    /// Bytes; ten thousand attacks need less.
    static let sizeLimit = 1 << 16

    private let path: String
    private let entries: [Node]

    package static func isNamed(_ text: some StringProtocol) -> Bool {
        text.hasSuffix(".yaml") || text.hasSuffix(".yml")
    }

    /// Reads the file; its entries are not yet understood.
    package init(_ path: String) throws(LogitError) {
        self.path = path
        let wanted = YAMLFile.Wanted(
            what: "list of attacks", whole: "each attack", help: "logit ingest --help for what an attack file holds")
        guard let root = try YAMLFile.root(path, limit: AttackFile.sizeLimit, wanted) else {
            throw AttackFile.empty(path)
        }
        entries = try AttackFile.list(root, path)
        guard !entries.isEmpty else { throw AttackFile.empty(path) }
    }

    /// The attacks in the file's order.
    package func choices(label: LabelPolicy?) throws(LogitError) -> [AttackChoice] {
        var choices: [AttackChoice] = []
        for (place, entry) in entries.enumerated() {
            let line = entry.mark.map { "line \($0.line)" } ?? "entry \(place + 1)"
            do throws(LogitError) {
                choices.append(try AttackRegistry.choice(try AttackFile.typed(entry), label: label))
            } catch {
                throw LogitError(.badInput, "\(path), \(line): \(error.message)", cause: error.cause)
            }
        }
        return choices
    }

    private static func list(_ root: Node, _ path: String) throws(LogitError) -> [Node] {
        switch root {
        case .sequence(let entries): return Array(entries)
        case .mapping(let mapping) where mapping.count == 1 && mapping.first?.key.scalar?.string == "attacks":
            switch mapping.first?.value {
            case .sequence(let entries): return Array(entries)
            case .scalar(let scalar) where scalar.string.isEmpty: return []
            default: break
            }
        case .scalar(let scalar) where scalar.string.isEmpty: return []
        default: break
        }
        throw LogitError(
            .badInput,
            "\(path) is no list of attacks; write - pgd and the like, a line each, or put that list under the one key attacks"
        )
    }

    /// The entry as it would be typed on the command line.
    package static func typed(_ entry: Node) throws(LogitError) -> String {
        if case .mapping(let mapping) = entry { return try typed(mapping) }
        guard let text = word(entry) else {
            throw LogitError(.badInput, "the entry is empty, a list or long text; name one attack, for instance - pgd")
        }
        return text
    }

    private static func typed(_ mapping: Node.Mapping) throws(LogitError) -> String {
        guard mapping.contains(where: { $0.key.scalar?.string == "attack" }) else {
            throw LogitError(
                .badInput, "the entry has no key attack; write - attack: pgd, and under it a line for each parameter")
        }
        var name = ""
        var settings: [String] = []
        for (key, value) in mapping {
            guard let key = word(key), !key.contains(where: { ",=:".contains($0) }) else {
                throw LogitError(.badInput, "a key is no parameter's name; write for instance epsilon: 8/255")
            }
            guard let text = word(value), !text.contains(",") else {
                throw LogitError(.badInput, "\(key) is no single value; write one number or word after it")
            }
            if key == "attack" { name = text } else { settings.append("\(key)=\(text)") }
        }
        guard !settings.isEmpty else { return name }
        return name + (name.contains(":") ? "," : ":") + settings.joined(separator: ",")
    }

    /// A scalar's own text where it is one line of a length that can be read.
    private static func word(_ node: Node) -> String? {
        guard let text = node.scalar?.string, (1...200).contains(text.utf8.count), !text.contains(where: \.isNewline)
        else { return nil }
        return text
    }

    private static func empty(_ path: String) -> LogitError {
        LogitError(.badInput, "\(path) holds no attack; write a line for each, for instance - pgd")
    }
}
