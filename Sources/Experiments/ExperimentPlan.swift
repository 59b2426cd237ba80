import CorpusStore
import Defence
import Logits

/// The steps of a recipe, in the order in which they can be done.
package struct ExperimentPlan: Sendable {
    package let recipe: Recipe
    package let steps: [ExperimentStep]

    /// - Throws: `badInput` where names clash or nothing of the recipe makes what another part needs.
    package init(_ recipe: Recipe) throws(LogitError) {
        self.recipe = recipe
        let trainings = try ExperimentPlan.trainings(recipe)
        var steps: [ExperimentStep] = []
        for dataset in recipe.datasets { steps += dataset.splits.map { .dataset(dataset, $0) } }
        steps += recipe.networks.map { .network($0) }
        var adaptive: [ExperimentStep] = []
        for rows in recipe.rows {
            for network in rows.networks {
                guard let pattern = rows.through else {
                    steps.append(.ingest(.init(rows: rows, network: network)))
                    continue
                }
                for attack in rows.attacks {
                    let name = ExperimentPlan.filled(pattern, network: network, attacks: [attack])
                    guard trainings.contains(where: { $0.step.name == name }) else {
                        throw LogitError(
                            .badInput,
                            "\(recipe.file): rows go through defender \(name), which the recipe does not train; did you mean \(nearestName(to: name, among: trainings.map(\.step.name)))?"
                        )
                    }
                    var one = rows
                    one.attacks = [attack]
                    adaptive.append(.ingest(.init(rows: one, network: network, through: name)))
                }
            }
        }
        steps += recipe.selections.map { .selection($0) }
        steps += trainings.map { .train($0.step) } + adaptive
        steps += (try ExperimentPlan.evaluations(recipe, trainings)).map { .evaluate($0) }
        self.steps = steps + (try ExperimentPlan.analyses(recipe, trainings)).map { .analyse($0) } + [.report]
    }

    // MARK: Defenders

    /// `held`: the selection that a defender of a fold has not seen.
    private typealias Trainings = [(entry: Recipe.DefenderEntry, step: ExperimentStep.Training, held: String?)]

    private static func trainings(_ recipe: Recipe) throws(LogitError) -> Trainings {
        var found: Trainings = []
        for entry in recipe.defenders {
            let parts = entry.selections.flatMap {
                name -> [(name: String?, selection: String?, held: String?, fold: Int?)] in
                guard let name, let folds = recipe.selections.first(where: { $0.name == name })?.foldCount else {
                    return [(name, name, nil, nil)]
                }
                return (0..<folds).map { (name, "\(name)-\($0)-rest", "\(name)-\($0)", $0) }
            }
            // None of the factors is larger than the recipe's file has bytes.
            let many =
                Double(entry.networks.count * entry.mixes.count) * Double(entry.seeds.count)
                * Double(entry.options.count * parts.count)
            guard Double(found.count) + many <= Double(Recipe.mostDefenders) else {
                throw LogitError(
                    .badInput,
                    "\(recipe.file) asks for more than \(Recipe.mostDefenders) defenders; make several recipes of it")
            }
            for network in entry.networks {
                for mix in entry.mixes {
                    for options in entry.options {
                        for part in parts {
                            for seed in entry.seeds {
                                var options = options
                                options.seed = seed
                                let name = filled(
                                    entry.name, network: network, attacks: mix, options: options,
                                    selection: part.name, fold: part.fold)
                                found.append(
                                    (
                                        entry,
                                        .init(
                                            name: name, network: network, dataset: entry.dataset, split: entry.split,
                                            attacks: mix, selection: part.selection, options: options), part.held
                                    ))
                            }
                        }
                    }
                }
            }
        }
        try checkNames(found, recipe)
        return found
    }

    private static func checkNames(_ found: Trainings, _ recipe: Recipe) throws(LogitError) {
        var names: Set<String> = []
        for one in found {
            do throws(LogitError) { try Layout.check(name: one.step.name, of: "defender") } catch {
                throw LogitError(.badInput, "\(recipe.file): \(error.message)")
            }
            guard names.insert(one.step.name).inserted else {
                throw LogitError(
                    .badInput,
                    "\(recipe.file): two defenders would be named \(one.step.name); put {network}, {attack}, {seed}, {fold}, {selection}, {p}, {hidden} … into the name, where the recipe has several of them"
                )
            }
        }
    }

    /// A name's pattern with its places filled; what no name can hold becomes a hyphen.
    private static func filled(
        _ pattern: String, network: String, attacks: [String], options: DefenderOptions = DefenderOptions(),
        selection: String? = nil, fold: Int? = nil
    ) -> String {
        let attack = attacks.joined(separator: "-").map {
            $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "." || $0 == "_") ? $0 : "-"
        }
        var name = pattern.replacing("{network}", with: network).replacing("{attack}", with: String(attack))
            .replacing("{fold}", with: fold.map(String.init) ?? "").replacing("{epochs}", with: "\(options.epochs)")
            .replacing("{selection}", with: selection ?? "full")
        for (option, value) in options.spelled {
            name = name.replacing("{\(option.dropFirst(2).replacing("-", with: "_"))}", with: value)
        }
        return name
    }

    // MARK: Evaluations

    private static func evaluations(
        _ recipe: Recipe, _ trainings: Trainings
    ) throws(LogitError) -> [ExperimentStep.Evaluation] {
        var found: [ExperimentStep.Evaluation] = []
        var places: [[String?]: Int] = [:]
        for entry in recipe.evaluations {
            for training in trainings where entry.defenders?.contains(training.entry.name) ?? true {
                for step in try evaluations(recipe, entry, training) {
                    let key = [step.defender, step.network, step.dataset, step.split, step.selection]
                    guard let place = places[key] else {
                        places[key] = found.count
                        found.append(step)
                        continue
                    }
                    found[place].attacks += step.attacks.filter { !found[place].attacks.contains($0) }
                }
                guard found.count <= Recipe.mostEvaluations else {
                    throw LogitError(
                        .badInput,
                        "\(recipe.file) asks for more than \(Recipe.mostEvaluations) evaluations; say in evaluations which ones you want"
                    )
                }
            }
        }
        return found
    }

    private static func evaluations(
        _ recipe: Recipe, _ entry: Recipe.EvaluationEntry, _ training: Trainings.Element
    ) throws(LogitError) -> [ExperimentStep.Evaluation] {
        let step = training.step
        let dataset = entry.dataset ?? step.dataset
        let split = entry.split ?? (training.held == nil ? recipe.usualTest(of: dataset) : step.split)
        guard let split else {
            throw LogitError(
                .badInput,
                "\(recipe.file): dataset \(dataset) has several splits and none is named test; say in evaluations which split to evaluate on"
            )
        }
        let networks: [String]
        switch entry.networks {
        case .own: networks = [step.network]
        case .all: networks = recipe.networks.map(\.name).filter { $0 != step.network }
        case .named(let names): networks = names
        }
        var selections: [String?] = [nil]
        if let held = training.held {
            selections = [held]
        } else if let names = entry.selections {
            selections = names.map { $0 == "full" ? nil : $0 }
        } else {
            selections += recipe.selections.filter { $0.dataset == dataset && $0.split == split && $0.foldCount == nil }
                .map(\.name)
        }
        var found: [ExperimentStep.Evaluation] = []
        for network in networks {
            let stored = recipe.attacks(network: network, dataset: dataset, split: split)
            let usual = network == step.network ? stored : ["clean"] + step.attacks
            let attacks = (entry.attacks ?? usual).filter { stored.contains($0) }
            guard !attacks.isEmpty else { continue }
            found += selections.map {
                .init(
                    defender: step.name, network: network, dataset: dataset, split: split, selection: $0,
                    attacks: attacks)
            }
        }
        return found
    }

    // MARK: Analyses

    private static func analyses(
        _ recipe: Recipe, _ trainings: Trainings
    ) throws(LogitError) -> [ExperimentStep.Analysis] {
        var found: [ExperimentStep.Analysis] = []
        for entry in recipe.analyses {
            for training in trainings where training.held == nil {
                let step = training.step
                guard entry.defenders?.contains(training.entry.name) ?? true,
                    entry.seeds?.contains(step.options.seed) ?? true
                else { continue }
                guard let split = entry.split ?? recipe.usualTest(of: step.dataset) else {
                    throw LogitError(
                        .badInput,
                        "\(recipe.file): dataset \(step.dataset) has several splits and none is named test; say in analyses which split to look at"
                    )
                }
                for kind in entry.kinds {
                    // Supporting classes are those of one attack.
                    if kind == .support || kind == .lowering, step.attacks.count > 1 { continue }
                    found += entry.selections.map {
                        .init(
                            kind: kind, training: step, split: split, selection: $0 == "full" ? nil : $0,
                            top: entry.top)
                    }
                }
            }
        }
        return found
    }

    /// `pgd` through a defender, as it is typed.
    package static func through(_ attack: String, _ defender: String) -> String {
        "\(attack)\(attack.contains(":") ? "," : ":")through=\(defender)"
    }

    fileprivate static func name(_ rows: Recipe.Rows, _ attack: String, network: String) -> String {
        guard let pattern = rows.through else { return attack }
        return through(attack, filled(pattern, network: network, attacks: [attack]))
    }
}

extension Recipe {
    /// The split that evaluations are of unless they say another.
    fileprivate func usualTest(of dataset: String) -> String? {
        let names = datasets.first { $0.name == dataset }?.splits.map(\.name) ?? []
        return names.contains("test") ? "test" : names.count == 1 ? names[0] : nil
    }

    /// What the recipe computes of a network over a split, as typed.
    fileprivate func attacks(network: String, dataset: String, split: String) -> [String] {
        var found: [String] = []
        for rows in rows where rows.dataset == dataset && rows.split == split && rows.networks.contains(network) {
            for attack in rows.attacks {
                let name = ExperimentPlan.name(rows, attack, network: network)
                if !found.contains(name) { found.append(name) }
            }
        }
        return found
    }
}

extension Recipe.SelectionEntry {
    package var foldCount: Int? { if case .folds(let count) = kind { count } else { nil } }
}
