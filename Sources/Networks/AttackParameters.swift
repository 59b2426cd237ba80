import FoundationEssentials
import Logits

/// One parameter of an attack: its preset and what it may be.
package struct ParameterDefinition: Sendable {
    package enum Value: Sendable, Equatable {
        case number(Double)
        case whole(Int)
        case word(String)

        /// The canonical text: the shortest decimal, or k/255 where that is exactly the value and shorter.
        package var text: String {
            switch self {
            case .whole(let value): return String(value)
            case .word(let value): return value
            case .number(let value):
                if value == value.rounded() && value.magnitude < 1e15 { return String(Int(value)) }
                let levels = (value * 255).rounded()
                let fraction = "\(Int(levels.magnitude < 1e6 ? levels : 0))/255"
                return levels / 255 == value && fraction.count < "\(value)".count ? fraction : "\(value)"
            }
        }

        var json: String {
            switch self {
            case .whole(let value): String(value)
            case .number(let value): "\(value)"
            case .word(let value): "\"\(value)\""
            }
        }
    }

    package let name: String
    package let preset: Value
    package let meaning: String
    /// For numbers.
    let range: ClosedRange<Double>
    /// For words.
    let choices: [String]

    static func number(_ name: String, _ preset: Double, in range: ClosedRange<Double>, _ meaning: String) -> Self {
        .init(name: name, preset: .number(preset), meaning: meaning, range: range, choices: [])
    }

    static func whole(_ name: String, _ preset: Int, in range: ClosedRange<Int>, _ meaning: String) -> Self {
        let bounds = Double(range.lowerBound)...Double(range.upperBound)
        return .init(name: name, preset: .whole(preset), meaning: meaning, range: bounds, choices: [])
    }

    /// - Parameter choices: the preset first.
    static func word(_ name: String, _ choices: [String], _ meaning: String) -> Self {
        .init(name: name, preset: .word(choices[0]), meaning: meaning, range: 0...0, choices: choices)
    }

    static let label = word(
        "label", LabelPolicy.allCases.map(\.rawValue),
        "the label to leave: the ground truth, or the network's clean prediction")

    func parse(_ text: String, attack: String) throws(LogitError) -> Value {
        if case .word = preset {
            guard choices.contains(text) else {
                throw LogitError(.usage, "\(attack): \(name) is \"\(text)\"; give \(choices.joined(separator: " or "))")
            }
            return .word(text)
        }
        guard let value = ParameterDefinition.number(text), value.isFinite else {
            throw LogitError(.usage, "\(attack): \(name) is \"\(text)\"; give a number, for instance 8/255 or 0.03")
        }
        guard range.contains(value) else {
            throw LogitError(
                .usage,
                "\(attack): \(name) is \(text), outside \(bound(range.lowerBound)) to \(bound(range.upperBound)); give a value in that range"
            )
        }
        guard case .whole = preset else { return .number(value == 0 ? 0 : value) }  // −0 is 0
        guard value == value.rounded() else {
            throw LogitError(.usage, "\(attack): \(name) is \(text); give a whole number")
        }
        return .whole(Int(value))
    }

    private func bound(_ value: Double) -> String { Value.number(value).text }

    /// A decimal, or a fraction a/b.
    private static func number(_ text: String) -> Double? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        switch parts.count {
        case 1: return Double(String(parts[0]))
        case 2:
            guard let top = Double(String(parts[0])), let bottom = Double(String(parts[1])), bottom != 0 else {
                return nil
            }
            return top / bottom
        default: return nil
        }
    }
}

/// The parameters of one attack, all of them, in canonical form.
package struct AttackParameters: Sendable, Equatable {
    let values: [String: ParameterDefinition.Value]

    func number(_ name: String) -> Double {
        switch values[name] {
        case .number(let value): return value
        case .whole(let value): return Double(value)
        default: preconditionFailure("the attack has no number \(name)")
        }
    }

    func whole(_ name: String) -> Int { Int(number(name)) }

    func word(_ name: String) -> String {
        guard case .word(let value) = values[name] else { preconditionFailure("the attack has no word \(name)") }
        return value
    }

    var label: LabelPolicy { LabelPolicy(rawValue: word("label")) ?? .truth }

    var json: String {
        "{" + values.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\($0.value.json)" }.joined(separator: ",") + "}"
    }
}
