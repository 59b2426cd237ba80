import ArgumentParser
import CorpusStore
import Foundation
import Ingestion
import Logits
import Networks
import Platform
import Report

/// `logit attack check`: the product's attacked images against those of the Python libraries.
struct AttackCheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Compare attacks on a network of a corpus with the Python attack libraries.",
        discussion: """
            The same pixels go through this program and through cleverhans, torchattacks, foolbox and ART, as far as they have
            the attack, and through a plain PyTorch reference. tools/crosscheck installs them; LOGITCORPUS_PYTHON may name
            another Python that has them. A missed gate ends with status 1.
            Example: logit attack check corpus --dataset cifar10 --split test --network resnet20 --images 64
            """)

    @Argument(help: "The corpus folder.") var corpus: String
    @Option(help: "The dataset; may be left out where there is one.") var dataset: String?
    @Option(help: "The split; may be left out where there is one.") var split: String?
    @Option(help: "The network; may be left out where there is one.") var network: String?
    @Option(help: "How many images, spread evenly over the split.") var images = 64
    @Option(help: "Attacks, with parameters or without, separated by commas; the default is all.") var attack: String?
    @Option(help: "Threads that compute; the default is one a core.") var workers: Int?
    @OptionGroup var output: OutputOptions

    /// One comparison, as tools/crosscheck.py reports it.
    private struct Row: Codable {
        var attack: String
        var anchor: String
        var images: Int
        var measure: String
        var value: String
        var argMax: String
        var gate: String
        var verdict: String
        var note: String
    }

    func run() throws {
        Interrupt.listen()
        let names = attack ?? AttackRegistry.all.map(\.name).joined(separator: ",")
        let choices = try AttackRegistry.choices(names)
        guard workers.map({ $0 >= 1 }) ?? true else {
            throw LogitError(.usage, "--workers is \(workers ?? 0); give 1 or more")
        }
        let script = try CheckScript.find()
        let opened = try Corpus(at: corpus, .reading)
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("logit-check-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try AttackCheck.dump(
            choices, of: try opened.split(dataset: dataset, split: split), on: try opened.network(network), in: opened,
            count: images, workers: workers ?? usableCoreCount(), to: folder.path, note: output.note,
            shouldStop: { Interrupt.isAsked })
        output.note("comparing with the Python libraries, which takes minutes for DeepFool and C&W")
        let rows = try JSONFile.read([Row].self, from: try script.compare(folder.path))
        var table = TextTable(["attack", "anchor", "images", "measure", "value", "arg max", "gate", "", "note"])
        for row in rows {
            table.add([
                row.attack, row.anchor, "\(row.images)", row.measure, row.value, row.argMax, row.gate, row.verdict,
                row.note,
            ])
        }
        output.print(rows, text: table.text)
        let missed = rows.count { $0.verdict != "ok" }
        guard missed == 0 else {
            throw LogitError(
                .environment,
                "\(missed) of \(rows.count) comparisons missed their gate; see the rows that are not ok, and docs/attacks-agreement.md for what is usual"
            )
        }
    }
}

/// tools/crosscheck.py and a Python that can run it.
private struct CheckScript {
    private let python: String
    private let path: String

    /// The script stands in the checkout that the executable was built in; the Python beside it was made by tools/crosscheck.
    static func find() throws(LogitError) -> CheckScript {
        let executable = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        var root = (executable as NSString).deletingLastPathComponent
        while root.count > 1, !Files.exists("\(root)/tools/crosscheck.py") {
            root = (root as NSString).deletingLastPathComponent
        }
        guard root.count > 1 else {
            throw LogitError(
                .environment,
                "\(executable) stands in no checkout of LogitCorpus, whose tools/crosscheck.py makes the comparison; run the logit that swift build made there"
            )
        }
        let own = "\(root)/.venv-crosscheck/bin/python"
        let python = ProcessInfo.processInfo.environment["LOGITCORPUS_PYTHON"].flatMap { $0.isEmpty ? nil : $0 } ?? own
        guard Files.exists(python) || !python.contains("/") else { throw lacking(python) }
        return CheckScript(python: python, path: "\(root)/tools/crosscheck.py")
    }

    /// Runs the comparison on a dump and returns the path of its report.
    func compare(_ folder: String) throws(LogitError) -> String {
        let report = "\(folder)/report.json"
        let ran = try Subprocess.run(
            [python, path, "--dump", folder, "--report", report],
            remedy: "install it (apt-get install python3)", input: "")
        if ran.status == 3 { throw CheckScript.lacking(python) }
        guard Files.exists(report) else {
            let reason = ran.errors.split(separator: "\n").last.map(String.init) ?? "status \(ran.status)"
            throw LogitError(
                .environment, "\(path) failed: \(reason); run tools/crosscheck to see why", cause: ran.errors)
        }
        return report
    }

    private static func lacking(_ python: String) -> LogitError {
        LogitError(
            .environment,
            "\(python) is no Python with PyTorch, cleverhans, torchattacks, foolbox and ART; run tools/crosscheck DATA once, which installs them, or name one in LOGITCORPUS_PYTHON"
        )
    }
}
