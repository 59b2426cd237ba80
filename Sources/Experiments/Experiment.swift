import CorpusStore
import Glibc
import Logits
import Networks
import Platform

/// Runs a recipe: makes the corpus if it is absent, does each step that the corpus does not hold yet, and writes the report.
///
/// Killed at any moment, it can be run again: every step leaves either what it should or what the next run takes up.
package struct Experiment {
    /// What whoever runs an experiment is told.
    package struct Observer {
        /// Before each step: (its number from 1, how many there are, its title).
        package var begin: (Int, Int, String) -> Void = { _, _, _ in }
        /// Within a step: (what, done, total, of these done now).
        package var progress: (String, Int, Int, Int) -> Void = { _, _, _, _ in }
        package var note: (String) -> Void = { _ in }
        package var end: (StepReport) -> Void = { _ in }

        package init() {}
    }

    package struct StepReport: Codable, Sendable {
        package enum Outcome: String, Codable, Sendable {
            case done
            /// The corpus held it before.
            case there
            /// No rows that it could be of: an analysis of corrected images where none is corrected.
            case nothing
        }
        package var step: Int
        package var title: String
        package var outcome: Outcome
        package var seconds: Double
    }

    package struct Report: Codable, Sendable {
        package var title: String
        package var corpus: String
        package var steps: [StepReport]
        package var seconds: Double
        /// Where the report lies.
        package var report: String
    }

    package let plan: ExperimentPlan
    let corpus: String
    let out: String
    let workers: Int
    let patience: Patience
    let observer: Observer
    let shouldStop: @Sendable () -> Bool

    /// - Parameters:
    ///   - corpus: the folder; made where it is absent.
    ///   - out: where the report goes; nil: as the recipe says, else CORPUS-report.
    ///   - workers: threads that compute rows, and threads of a defender's matrix products.
    package init(
        _ plan: ExperimentPlan, corpus: String, out: String?, workers: Int, patience: Patience, observer: Observer,
        shouldStop: @escaping @Sendable () -> Bool
    ) {
        self.plan = plan
        var folder = corpus
        while folder.count > 1, folder.hasSuffix("/") { folder.removeLast() }
        self.corpus = folder
        self.out = out ?? plan.recipe.report.out ?? folder + "-report"
        self.workers = workers
        self.patience = patience
        self.observer = observer
        self.shouldStop = shouldStop
    }

    package func run() throws(LogitError) -> Report {
        let begun = Experiment.now()
        try checkFiles()
        if !Files.exists("\(corpus)/corpus.json") { try Corpus.create(at: corpus) }
        var reports: [StepReport] = []
        for (place, step) in plan.steps.enumerated() {
            if shouldStop() { throw stopped(before: step) }
            observer.begin(place + 1, plan.steps.count, step.title)
            let stepBegun = Experiment.now()
            let outcome = try self.run(step)
            let report = StepReport(
                step: place + 1, title: step.title, outcome: outcome, seconds: Experiment.now() - stepBegun)
            reports.append(report)
            observer.end(report)
        }
        return Report(
            title: plan.recipe.title, corpus: corpus, steps: reports, seconds: Experiment.now() - begun, report: out)
    }

    private func run(_ step: ExperimentStep) throws(LogitError) -> StepReport.Outcome {
        switch step {
        case .dataset(let dataset, let split): try add(dataset, split)
        case .network(let network): try add(network)
        case .ingest(let step): try ingest(step)
        case .selection(let selection): try select(selection)
        case .train(let step): try train(step)
        case .evaluate(let step): try evaluate(step)
        case .analyse(let step): try analyse(step)
        case .report: try report()
        }
    }

    /// Says now, and not after hours, that a file is missing.
    private func checkFiles() throws(LogitError) {
        let recipe = plan.recipe
        var files: [(key: String, path: String)] = recipe.networks.map { ("networks.\($0.name)", $0.module) }
        for dataset in recipe.datasets {
            if let classes = dataset.classes { files.append(("datasets.\(dataset.name).classes", classes)) }
            for split in dataset.splits {
                files.append(("datasets.\(dataset.name).\(split.name)", split.images))
                if let labels = split.labels { files.append(("datasets.\(dataset.name).\(split.name).labels", labels)) }
            }
        }
        if let names = recipe.report.classNames { files.append(("report.class_names", names)) }
        for file in files where !Files.exists(file.path) {
            throw LogitError(
                .notFound,
                "\(recipe.file): \(file.key) names \(file.path), and there is no such file; check the path, which is relative to the recipe"
            )
        }
    }

    private func stopped(before step: ExperimentStep) -> LogitError {
        LogitError(
            .cancelled, "stopped before the step “\(step.title)”; the same command goes on from there")
    }

    func reading() throws(LogitError) -> Corpus { try Corpus(at: corpus, .reading) }
    func writing() throws(LogitError) -> Corpus { try Corpus(at: corpus, .writing, patience: patience) }

    static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
