import ArgumentParser
import CorpusStore
import Experiments
import Foundation
import Logits
import Platform
import Report

struct ExperimentCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "experiment", abstract: "Whole experiments from one file.", subcommands: [Run.self])

    struct Run: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Do what a recipe says: images, networks, rows, defenders, evaluations, and the report.",
            discussion: """
                The corpus is made if it is absent. What it holds already is left as it is, so the same command goes on where it
                was stopped or killed. Paths in the recipe are relative to its file, and ${NAME} in them is a variable of the
                environment; --data sets LOGITCORPUS_REAL. experiments/ has recipes to start from, docs/experiments.md all keys.
                Example: logit experiment run experiments/fixtures.yaml --corpus corpus
                Example: logit experiment run experiments/cifar10.yaml --corpus corpus --data DIR
                """)

        @Argument(help: "The recipe, a YAML file.") var file: String
        @Option(help: "The corpus folder; made if it is absent.") var corpus: String
        @Option(help: "Where the report goes; as the recipe says where left out, else CORPUS-report.") var out: String?
        @Option(help: "The folder of networks and images: ${LOGITCORPUS_REAL} in the recipe's paths.") var data: String?
        @Option(help: "Threads that compute; the default is one a core.") var workers: Int?
        @Flag(help: "Only say what the steps are.") var dryRun = false
        @OptionGroup var waiting: WaitOption
        @OptionGroup var output: OutputOptions

        func run() throws {
            Interrupt.listen()
            var variables = ProcessInfo.processInfo.environment
            if let data { variables[Recipe.dataVariable] = Files.absolute(data) }
            let plan = try ExperimentPlan(try Recipe(file, variables: variables))
            if dryRun {
                return output.print(
                    plan.steps.map(\.title),
                    text: plan.steps.enumerated().map { "\($0 + 1)  \($1.title)" }.joined(separator: "\n"))
            }
            let workers = workers ?? usableCoreCount()
            guard (1...1024).contains(workers) else {
                throw LogitError(.usage, "--workers is \(workers); give a whole number from 1 to 1024")
            }
            let experiment = Experiment(
                plan, corpus: corpus, out: out, workers: workers, patience: try waiting.patience(output),
                observer: ExperimentProgress(output).observer, shouldStop: { Interrupt.isAsked })
            let report = try experiment.run()
            let done = report.steps.count { $0.outcome == .done }
            output.print(
                report,
                text:
                    "\(report.title): \(report.steps.count) steps, \(done) done now, in \(report.seconds.formatted(1)) s; the report is \(report.report)/index.html"
            )
        }
    }
}

/// What an experiment is doing, on standard error.
private final class ExperimentProgress {
    private let output: OutputOptions
    private let begun = Date()
    private var step: Progress?

    init(_ output: OutputOptions) { self.output = output }

    var observer: Experiment.Observer {
        var observer = Experiment.Observer()
        observer.begin = { [self] step, count, title in
            output.note("[\(step)/\(count), \(Int(Date().timeIntervalSince(begun))) s] \(title)")
            self.step = Progress("done", quiet: output.quiet)
        }
        observer.progress = { [self] label, done, total, computed in
            step?.show(label, done: done, total: total, computed: computed)
        }
        observer.note = { [self] in output.note("    \($0)") }
        observer.end = { [self] report in
            switch report.outcome {
            case .there: output.note("    there already")
            case .nothing: output.note("    nothing to do it on")
            case .done: output.note("    done in \(report.seconds.formatted(1)) s")
            }
        }
        return observer
    }
}
