import Logits
import Platform
import Yams

/// Reads YAML that somebody wrote by hand: small, without aliases, and what is wrong with it is one sentence with its line.
package enum YAMLFile {
    /// What a file should be, for sentences about those that are not.
    package struct Wanted {
        let what: String
        let whole: String
        let help: String

        /// - Parameters:
        ///   - what: as in “is no YAML …”.
        ///   - whole: what to write out instead of using aliases.
        ///   - help: as in “see …”.
        package init(what: String, whole: String, help: String) {
            self.what = what
            self.whole = whole
            self.help = help
        }
    }

    /// - Parameter limit: bytes.
    /// - Returns: nil for an empty file.
    package static func root(_ path: String, limit: Int, _ wanted: Wanted) throws(LogitError) -> Node? {
        let text = try Files.readText(path, limit: limit)
        // An alias needs both; without any, the tree is no larger than the file.
        let lines = text.split(whereSeparator: \.isNewline).filter { $0.first { $0 != " " } != "#" }
        guard !(lines.contains { $0.contains("&") } && lines.contains { $0.contains("*") }) else {
            throw LogitError(
                .badInput,
                "\(path) holds & and *, YAML's anchors and aliases; write \(wanted.whole) out, without them")
        }
        do {
            return try Parser(yaml: text, encoding: .utf8).singleRoot()
        } catch {
            throw LogitError(.badInput, "\(path)\(sentence(error, wanted))", cause: "\(error)")
        }
    }

    /// What Yams found wrong, on one line.
    private static func sentence(_ error: any Error, _ wanted: Wanted) -> String {
        switch error as? YamlError {
        case .parser(_, let problem, _, _) where problem.contains("nesting"):
            return " is nested too deeply; write a \(wanted.what)"
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            let words = [context?.text, problem].compactMap { $0 }.joined(separator: ", ")
            return ", line \(mark.line), is no YAML \(wanted.what): \(words)"
        case .duplicatedKeysInMapping(let keys, let context):
            let key = keys[0].prefix(40).prefix { !$0.isNewline }
            return ", line \(context.mark.line): \(key) is given twice in one mapping; give it once"
        case .reader(let problem, _, _, _): return " is no YAML: \(problem); save it as UTF-8 text"
        default: return " is no YAML; see \(wanted.help)"
        }
    }
}
