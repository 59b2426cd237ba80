import Defence

/// One step of an experiment: what one command of `logit` would do.
package enum ExperimentStep: Sendable {
    /// A recipe's rows for one network.
    package struct Ingest: Sendable {
        package var rows: Recipe.Rows
        package var network: String
        /// One attack's defender, where the attacks go through any; the step then has one attack.
        package var through: String?
    }

    package struct Training: Sendable {
        package var name: String
        package var network: String
        package var dataset: String
        package var split: String
        package var attacks: [String]
        package var selection: String?
        package var options: DefenderOptions
    }

    package struct Evaluation: Sendable {
        package var defender: String
        package var network: String
        package var dataset: String
        package var split: String
        /// Nil: all images.
        package var selection: String?
        /// As typed; an attack through a defender names it without its digest.
        package var attacks: [String]
    }

    /// Over the rows of the defender's own network.
    package struct Analysis: Sendable {
        package var kind: Recipe.AnalysisEntry.Kind
        package var training: Training
        package var split: String
        package var selection: String?
        package var top: Int?
    }

    case dataset(Recipe.DatasetEntry, Recipe.Split)
    case network(Recipe.NetworkEntry)
    case ingest(Ingest)
    case selection(Recipe.SelectionEntry)
    case train(Training)
    case evaluate(Evaluation)
    case analyse(Analysis)
    case report

    package var title: String {
        switch self {
        case .dataset(let dataset, let split): return "dataset \(dataset.name)/\(split.name)"
        case .network(let network): return "network \(network.name)"
        case .ingest(let step):
            let images = [step.rows.limit.map { "first \($0)" }, step.rows.perClass.map { "\($0) a class" }]
            let which = images.compactMap { $0 }.joined(separator: ", ")
            let through = step.through.map { " through \($0)" } ?? ""
            return
                "ingest \(step.network) over \(step.rows.dataset)/\(step.rows.split)\(which.isEmpty ? "" : " (\(which))"): \(step.rows.attacks.joined(separator: ","))\(through)"
        case .selection(let selection): return "selection \(selection.name)"
        case .train(let step):
            return "train \(step.name) on \(step.network) under \(step.attacks.joined(separator: ","))"
        case .evaluate(let step):
            return
                "evaluate \(step.defender) on \(step.network) over \(step.dataset)/\(step.split)\(step.selection.map { ", selection \($0)" } ?? "")"
        case .analyse(let step):
            return
                "analyse \(step.kind.rawValue) of \(step.training.name) over \(step.training.dataset)/\(step.split)\(step.selection.map { ", selection \($0)" } ?? "")"
        case .report: return "report"
        }
    }
}
