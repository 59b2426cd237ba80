import Foundation
import TestSupport
import Testing

/// Two networks, an attack of two steps, seeds, folds, an adaptive attack: everything that a recipe can hold, in seconds.
private let recipe = """
    title: A <b>tiny</b> experiment
    datasets: {shapes: {test: \(Fixtures.testImages)}}
    networks:
      residual: \(Fixtures.network)
      plain: \(Fixtures.folder)/networks/plain.pt
    rows:
      - {attacks: [clean, fgsm, {attack: pgd, steps: 2}], limit: 60}
      - {networks: residual, attacks: fgsm, limit: 30, through: "{network}-{attack}-1"}
    selections:
      first: {correct_by: residual, per_class: 1}
      cv: {folds: 2}
    defenders:
      - {name: "{network}-{attack}-{seed}", attacks: [fgsm, "pgd:steps=2"], seeds: [0, 1], hidden: 50, lr: 1e-3, epochs: 3}
      - {name: "linear", networks: residual, attacks: fgsm, layers: 1, epochs: 3}
      - {name: "p-{p}", networks: residual, attacks: fgsm, p: [0, 0.5, 1], hidden: 40, lr: 1e-3, epochs: 2}
      - {name: "cv-{fold}", networks: residual, attacks: fgsm, selection: cv, hidden: 50, lr: 1e-3, epochs: 3}
    analyses:
      - {kinds: [support, lowering, precision, detection], defenders: "{network}-{attack}-{seed}", seeds: 0}
    """

private func write(_ text: String, _ folder: TemporaryFolder, _ name: String = "recipe.yaml") throws -> String {
    let path = folder.file(name)
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    return path
}

/// What an experiment comes to, whatever happened on the way. Weights name their snapshot, hence the time, so digests differ.
private func outcome(_ corpus: String) throws -> [String] {
    let attack = "substr(attack, 1, instr(attack || '@', '@') - 1)"
    return try answers(corpus, "SELECT defender, epochs_done FROM defenders ORDER BY 1")
        + answers(
            corpus,
            """
            SELECT DISTINCT defender, network, selection, \(attack), rows, undefended_correct, corrected_correct
            FROM evaluations ORDER BY 1, 2, 3, 4
            """) + answers(corpus, "SELECT network, \(attack), rows, correct FROM accuracy ORDER BY 1, 2")
}

@Test("a recipe goes from images to a report whose every figure NumPy makes again; again, nothing is left to do")
func experiment() throws {
    let folder = TemporaryFolder()
    let (file, corpus) = (try write(recipe, folder), folder.file("corpus"))
    let ran = try logit("experiment", "run", file, "--corpus", corpus, "--quiet")
    #expect(ran.status == 0, "\(ran.errors)")
    let page = try String(contentsOfFile: "\(corpus)-report/index.html", encoding: .utf8)
    for heading in [
        "Table 1", "Table 2", "Table 3", "Figure 1", "Defenders across networks", "Other defenders",
        "Bhattacharyya coefficients", "Supporting classes", "Settings of the defender", "Ablations and detection",
    ] {
        #expect(page.contains(">\(heading)</h2>"), "\(heading)")
    }
    #expect(page.contains("<title>A &lt;b&gt;tiny&lt;/b&gt; experiment</title>") && page.contains("<svg role=\"img\""))
    #expect(page.contains("fgsm through residual-fgsm-1") && page.contains("mean of 2 seeds"))
    for outside in ["src=\"http", "href=\"http", "<script", "@import", "url(http"] { #expect(!page.contains(outside)) }
    let csv = try String(contentsOfFile: "\(corpus)-report/table-1.csv", encoding: .utf8)
    #expect(csv.contains("2 folds") && csv.contains("first"))
    // A curve of p: clean and attacked for each of its three values.
    let curve = try String(contentsOfFile: "\(corpus)-report/settings.csv", encoding: .utf8).split(separator: "\n")
    #expect(
        curve.count == 7 && curve[1...].allSatisfy { $0.hasPrefix("p,") && $0.contains(",corrected,p-") }, "\(curve)")
    #expect(page.contains("id=\"settings-1-p") && page.contains("One layer against two on residual under fgsm"))
    if let python {
        let checked = try run(python, ["\(projectFolder)/tools/check_report.py", corpus, "\(corpus)-report"])
        #expect(checked.status == 0 && checked.output.contains(" 0 differ"), "\(checked.output)\(checked.errors)")
    }
    let again = try logit("experiment", "run", file, "--corpus", corpus, "--quiet", "--format", "json")
    let steps = try #require((try json(again) as? [String: Any])?["steps"] as? [[String: Any]])
    #expect(steps.filter { $0["outcome"] as? String == "done" }.map { $0["title"] as? String } == ["report"])
    #expect(steps.contains { ($0["title"] as? String)?.hasPrefix("analyse support") ?? false })
    #expect(try logit("verify", corpus, "--quiet").status == 0)
}

@Test("killed at any moment and run again, an experiment comes to the same")
func killedExperiment() throws {
    let folder = TemporaryFolder()
    let (file, whole, killed) = (try write(recipe, folder), folder.file("whole"), folder.file("killed"))
    #expect(try logit("experiment", "run", file, "--corpus", whole, "--quiet").status == 0)
    var kills = 0
    for attempt in 0..<40 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: logit)
        process.arguments = ["experiment", "run", file, "--corpus", killed, "--quiet"]
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        // Longer each time, so that it comes to an end.
        usleep(useconds_t(100_000 + 150_000 * attempt))
        if process.isRunning {
            kill(process.processIdentifier, SIGKILL)
            kills += 1
        }
        process.waitUntilExit()
        if process.terminationReason == .exit { break }
    }
    #expect(kills > 0)
    let last = try logit("experiment", "run", file, "--corpus", killed, "--quiet")
    #expect(last.status == 0, "\(last.errors)")
    let (found, wanted) = (try outcome(killed), try outcome(whole))
    #expect(found == wanted, "\(Set(found).symmetricDifference(wanted).sorted())")
    let verified = try logit("verify", killed, "--quiet")
    #expect(verified.status == 0, "\(verified.output)\(verified.errors)")
}

@Test("a recipe that says other than the corpus holds, or names what is not there, is refused in one sentence")
func refusedExperiment() throws {
    let folder = TemporaryFolder()
    let corpus = folder.file("corpus")
    let small = """
        datasets: {shapes: {test: \(Fixtures.testImages)}}
        networks: {residual: \(Fixtures.network)}
        rows: [{attacks: [clean, fgsm], limit: 32}]
        defenders: [{name: g, attacks: fgsm, hidden: 20, epochs: 1}]
        """
    func tried(_ was: String = "", _ now: String = "") throws -> Ran {
        let text = was.isEmpty ? small : small.replacingOccurrences(of: was, with: now)
        return try logit("experiment", "run", try write(text, folder), "--corpus", corpus, "--quiet")
    }
    expectSentence(try tried("residual.pt", "nowhere.pt"), mentions: "networks.residual", "nowhere.pt")
    #expect(!FileManager.default.fileExists(atPath: corpus))
    expectSentence(try tried("hidden: 20", "hiden: 20"), mentions: "line 4", "hidden")
    #expect(try tried().status == 0)
    expectSentence(try tried("hidden: 20", "hidden: 21"), mentions: "defender g", "--hidden", "20", "21")
    expectSentence(try tried("epochs: 1", "epochs: 1, seeds: 4"), mentions: "defender g", "--seed")
    expectSentence(
        try tried("residual: \(Fixtures.network)", "residual: \(Fixtures.folder)/networks/plain.pt"),
        mentions: "network residual", "module")
    expectSentence(try tried("test.tar", "train.tar"), mentions: "shapes/test", "train.tar")
    // More epochs are what goes on from where it ended.
    #expect(try tried("epochs: 1", "epochs: 2").status == 0)
    expectSentence(try tried(), mentions: "epochs")
    let (rows, defender) = ("limit: 32}]", "\ndefenders: [{name: g, attacks: fgsm, hidden: 20, epochs: ")
    expectSentence(
        try tried(rows + defender + "1", "limit: 40}]" + defender + "2"), mentions: "defender g", "other rows")
    expectSentence(try logit("experiment", "run", folder.file("none.yaml"), "--corpus", corpus), mentions: "none.yaml")
}

@Test("a dry run lists the steps and makes nothing")
func dryRun() throws {
    let folder = TemporaryFolder()
    let ran = try logit(
        "experiment", "run", try write(recipe, folder), "--corpus", folder.file("corpus"), "--dry-run")
    #expect(ran.status == 0 && ran.output.contains("train residual-fgsm-0") && ran.output.contains("report"))
    #expect(!FileManager.default.fileExists(atPath: folder.file("corpus")))
}
