import CorpusStore
import Defence
import Logits

/// What would fill a table's empty cells: commands, each once, with the attacks of all cells that it would fill.
struct MissingCells {
    /// The corpus as commands name it.
    var corpus = "CORPUS"
    private var order: [String] = []
    private var attacks: [String: [String]] = [:]

    /// In the order in which the cells were found missing; `{}` stands for the attacks.
    var commands: [String] {
        order.map { command in
            command.replacing("{}", with: MissingCells.word((attacks[command] ?? []).joined(separator: ",")))
        }
    }

    mutating func evaluation(_ defender: String, _ subject: Subject, selection: String?, _ attack: String) {
        add(
            "logit evaluate \(MissingCells.word(corpus)) --defender \(defender) --network \(subject.network) --dataset \(subject.dataset) --split \(subject.split)\(selection.map { " --selection \($0)" } ?? "") --attack {}",
            attack)
    }

    mutating func rows(_ subject: Subject, _ attack: String) {
        add(
            "logit ingest \(MissingCells.word(corpus)) --dataset \(subject.dataset) --split \(subject.split) --network \(subject.network) --attack {}",
            attack)
    }

    mutating func defender(_ network: String, _ attack: String) {
        add("logit train \(MissingCells.word(corpus)) NAME --network \(network) --attack {}", attack)
    }

    private mutating func add(_ command: String, _ attack: String) {
        if attacks[command] == nil { order.append(command) }
        if !attacks[command, default: []].contains(attack) { attacks[command, default: []].append(attack) }
    }

    /// A word as a shell reads it back.
    static func word(_ text: String) -> String {
        let plain = text.utf8.allSatisfy {
            ($0 >= 0x30 && $0 <= 0x39) || ($0 >= 0x41 && $0 <= 0x5A) || ($0 >= 0x61 && $0 <= 0x7A)
                || "-_./:=,@+".utf8.contains($0)
        }
        return plain && !text.isEmpty ? text : "'" + text.replacing("'", with: "'\\''") + "'"
    }
}
