import Logits

/// An attack as the registry knows it: a new attacker is one file and one line here.
package struct AttackDefinition: Sendable {
    package let name: String
    package let summary: String
    package let parameters: [ParameterDefinition]
    let make: @Sendable (Variant, AttackParameters) -> any Attacker
}

/// All attacks, and the way from what a user types to an attacker.
package enum AttackRegistry {
    package static let all: [AttackDefinition] = [
        SignAttack.fgsm, SignAttack.bim, SignAttack.pgd, SignAttack.mim, DeepFool.definition, CarliniWagner.definition,
    ]

    /// Splits a list as typed: `clean,pgd:epsilon=8/255,steps=20,mim` is three; an item `name=value` belongs to the attack
    /// before it.
    package static func choices(_ list: String, label: LabelPolicy? = nil) throws(LogitError) -> [AttackChoice] {
        var items: [String] = []
        for piece in list.split(separator: ",", omittingEmptySubsequences: false) {
            let part = String(piece.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
            if part.contains("="), !part.contains(":"), let last = items.last {
                items[items.count - 1] = last.contains(":") ? "\(last),\(part)" : "\(last):\(part)"
            } else {
                items.append(part)
            }
        }
        var choices: [AttackChoice] = []
        for item in items { choices.append(try choice(item, label: label)) }
        return choices
    }

    /// One attack: `clean`, `pgd`, `pgd:epsilon=8/255,steps=20`.
    /// - Parameter label: the label policy where the text itself gives none.
    package static func choice(_ text: String, label: LabelPolicy? = nil) throws(LogitError) -> AttackChoice {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let name = parts[0]
        if name == "clean" {
            guard parts.count == 1 else {
                throw LogitError(.usage, "clean takes no parameters, so \"\(text)\" means nothing; give clean")
            }
            return AttackChoice(variant: .clean, attacker: nil)
        }
        let definition = try definition(name)
        var values = Dictionary(uniqueKeysWithValues: definition.parameters.map { ($0.name, $0.preset) })
        if let label, values["label"] != nil { values["label"] = .word(label.rawValue) }
        var given: Set<String> = []
        var through: ThroughReference?
        for setting in parts.count > 1
            ? parts[1].split(separator: ",", omittingEmptySubsequences: false).map(String.init) : []
        {
            let pair = setting.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard pair.count == 2 else {
                throw LogitError(
                    .usage, "\(name): \"\(setting)\" is no setting; write parameter=value, for instance epsilon=8/255")
            }
            if pair[0] == "through" {
                through = try ThroughReference(pair[1], attack: name)
                values["through"] = through.map { .word($0.text) }
                guard given.insert(pair[0]).inserted else {
                    throw LogitError(.usage, "\(name): \(pair[0]) is given twice; give it once")
                }
                continue
            }
            guard let parameter = definition.parameters.first(where: { $0.name == pair[0] }) else {
                let known = definition.parameters.map(\.name)
                throw LogitError(
                    .usage,
                    "\(name) has no parameter \(pair[0]); did you mean \(nearestName(to: pair[0], among: known))? It has \(known.joined(separator: ", "))"
                )
            }
            guard given.insert(pair[0]).inserted else {
                throw LogitError(.usage, "\(name): \(pair[0]) is given twice; give it once")
            }
            values[pair[0]] = try parameter.parse(pair[1], attack: name)
        }
        let parameters = AttackParameters(values: values)
        let variant = Variant(
            name: name, canonical: canonical(definition, parameters), parametersJSON: parameters.json)
        let attacker = definition.make(variant, parameters)
        return AttackChoice(
            variant: variant,
            attacker: through.map { PendingThrough(reference: $0, attacker: attacker) } ?? attacker)
    }

    /// What canonical names mean to this program; one that it does not have is left out.
    package static func variants(_ names: [String]) -> [Variant] {
        names.compactMap { name in (try? choice(name))?.variant }
    }

    package static func definition(_ name: String) throws(LogitError) -> AttackDefinition {
        guard let definition = all.first(where: { $0.name == name }) else {
            let names = ["clean"] + all.map(\.name)
            throw LogitError(
                .usage,
                "there is no attack \"\(name)\"; did you mean \(nearestName(to: name, among: names))? There is \(names.joined(separator: ", "))"
            )
        }
        return definition
    }

    /// The bare name for the preset, else with the parameters that differ from it, sorted.
    private static func canonical(_ definition: AttackDefinition, _ parameters: AttackParameters) -> String {
        let presets = Dictionary(uniqueKeysWithValues: definition.parameters.map { ($0.name, $0.preset) })
        let differing = parameters.values.filter { presets[$0.key] != $0.value }.sorted { $0.key < $1.key }
        guard !differing.isEmpty else { return definition.name }
        let settings = differing.map { "\($0.key)=\($0.value.text)" }
        return "\(definition.name):\(settings.joined(separator: ","))"
    }
}
