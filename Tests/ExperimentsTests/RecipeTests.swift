import Experiments
import Foundation
import Logits
import TestSupport
import Testing

private let whole = """
    title: A test
    datasets: {shapes: {train: a.tar, test: b.tar}}
    networks: {net: net.pt, other: {module: o.pt, resize: 256, crop: 224}}
    rows:
      - {split: train, attacks: [clean, pgd, mim], per_class: 5}
      - {split: test, attacks: [clean, pgd, {attack: pgd, epsilon: 8/255}], limit: 100}
      - {split: test, networks: net, attacks: pgd, through: "{network}-{attack}-0"}
    selections:
      first: {correct_by: net, per_class: 2}
    defenders:
      - {name: "{network}-{attack}-{seed}", attacks: [pgd, [pgd, mim]], seeds: [0, 1], hidden: 200, lr: 1e-3}
    """

private func plan(_ text: String, variables: [String: String] = [:]) throws -> ExperimentPlan {
    let folder = TemporaryFolder()
    let path = folder.file("recipe.yaml")
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    return try ExperimentPlan(try Recipe(path, variables: variables))
}

@Test("a recipe becomes steps: every network, attack and seed, what goes through defenders after them")
func steps() throws {
    let titles = try plan(whole).steps.map(\.title)
    #expect(titles.count { $0.hasPrefix("dataset") } == 2 && titles.count { $0.hasPrefix("network") } == 2)
    #expect(titles.count { $0.hasPrefix("train ") } == 8)
    #expect(titles.contains("train net-pgd-mim-1 on net under pgd,mim"))
    #expect(titles.contains("ingest other over shapes/test (first 100): clean,pgd,pgd:epsilon=8/255"))
    let through = try #require(titles.firstIndex { $0.hasSuffix("through net-pgd-0") })
    #expect(through > titles.lastIndex { $0.hasPrefix("train ") }!)
    // Eight defenders on their own network, all images and the selection, and on the other network.
    #expect(titles.count { $0.hasPrefix("evaluate ") } == 24)
    #expect(titles.last == "report")
}

@Test("an evaluation is of what the recipe has rows of; attacks through defenders are among them")
func evaluations() throws {
    for case .evaluate(let step) in try plan(whole).steps where step.defender == "net-pgd-0" {
        let own = ["clean", "pgd", "pgd:epsilon=8/255", "pgd:through=net-pgd-0"]
        #expect(step.attacks == (step.network == "net" ? own : ["clean", "pgd"]))
    }
}

@Test("folds give each defender the images outside one, and evaluate it on that one")
func folds() throws {
    let text = """
        datasets: {one: {all: a.tar}}
        networks: {net: net.pt}
        rows: [{attacks: [clean, pgd]}]
        selections: {cv: {folds: 3, split: all}}
        defenders: [{name: "{attack}-{fold}", attacks: pgd, selection: cv}]
        """
    let steps = try plan(text).steps
    var pairs: [String] = []
    for step in steps {
        if case .train(let training) = step { pairs.append("\(training.name) \(training.selection ?? "")") }
        if case .evaluate(let evaluation) = step {
            pairs.append("\(evaluation.defender) \(evaluation.selection ?? "")")
        }
    }
    #expect(
        pairs == ["pgd-0 cv-0-rest", "pgd-1 cv-1-rest", "pgd-2 cv-2-rest", "pgd-0 cv-0", "pgd-1 cv-1", "pgd-2 cv-2"])
}

@Test("settings and selections that are lists make a defender for each combination")
func settings() throws {
    let text = """
        datasets: {one: {train: a.tar, test: b.tar}}
        networks: {net: net.pt}
        rows: [{split: train, attacks: [clean, pgd]}, {split: test, attacks: [clean, pgd]}]
        selections: {few: {random: 10, split: train}}
        defenders: [{name: "{p}-{hidden}-{selection}", attacks: pgd, p: [0, 0.5, 1], hidden: [10, 20], selection: [full, few]}]
        """
    var names: [String] = []
    for case .train(let step) in try plan(text).steps {
        names.append("\(step.name) \(step.options.cleanProbability) \(step.options.hidden) \(step.selection ?? "none")")
    }
    #expect(names.count == 12 && Set(names).count == 12)
    #expect(names.contains("0.5-20-few 0.5 20 few") && names.contains("1.0-10-full 1.0 10 none"))
    let many = (1...50).map(String.init).joined(separator: ", ")
    let error = #expect(throws: LogitError.self) {
        try plan(
            text.replacingOccurrences(of: "[10, 20]", with: "[\(many)]").replacingOccurrences(
                of: "[0, 0.5, 1]", with: "[0, 0.5, 1], layers: [2, 3, 4, 5], epochs: [1, 2, 3, 4]"))
    }
    #expect(error?.message.contains("several recipes") ?? false)
}

@Test("{selection} names folds as well as selections")
func foldedSettings() throws {
    let text = """
        datasets: {one: {all: a.tar}}
        networks: {net: net.pt}
        rows: [{attacks: [clean, pgd]}]
        selections: {cv: {folds: 2, split: all}, few: {random: 10, split: all}}
        defenders: [{name: "g-{selection}-{fold}", attacks: pgd, selection: [full, few, cv]}]
        """
    let names = try plan(text).steps.compactMap { if case .train(let step) = $0 { step.name } else { nil } }
    #expect(names == ["g-full-", "g-few-", "g-cv-0", "g-cv-1"])
}

@Test("paths are relative to the recipe, and ${NAME} is a variable")
func paths() throws {
    let text = whole.replacingOccurrences(of: "a.tar", with: "\"${DATA}/a.tar\"")
    let recipe = try plan(text, variables: ["DATA": "/data"]).recipe
    #expect(recipe.datasets[0].splits[0].images == "/data/a.tar")
    #expect(recipe.datasets[0].splits[1].images.hasSuffix("/b.tar") && recipe.networks[0].module.hasPrefix("/"))
    #expect(throws: LogitError.self) { try plan(text) }
}

@Test(
    "what is wrong with a recipe is one sentence with the line, the key and what to write",
    arguments: [
        ("title: A test", "titel: A test", ["line 1", "titel", "title"]),
        (
            "attacks: [clean, pgd, mim], per_class: 5", "attacks: [clean, pgd, mim], perclass: 5",
            ["line 5", "per_class"]
        ),
        ("per_class: 5", "per_class: five", ["line 5", "rows[1].per_class", "whole number"]),
        ("per_class: 5", "per_class: 0", ["line 5", "whole number"]),
        ("per_class: 5", "per_class: [5]", ["line 5", "single value"]),
        ("attacks: [clean, pgd, mim]", "attacks: [clean, pdg]", ["line 5", "pdg", "did you mean pgd"]),
        ("attacks: [clean, pgd, mim]", "attacks: [clean, pgd, pgd]", ["pgd again"]),
        ("attacks: [clean, pgd, mim]", "attacks: []", ["rows[1].attacks", "empty"]),
        ("split: train", "split: trian", ["line 5", "did you mean train"]),
        ("networks: net,", "networks: nett,", ["line 7", "did you mean net"]),
        ("{network}-{attack}-0\"", "{network}-{attack}-7\"", ["net-pgd-7", "net-pgd-0"]),
        ("correct_by: net", "correct_by: nobody", ["selections.first.correct_by", "nobody"]),
        ("{network}-{attack}-{seed}", "{network}-{attack}", ["two defenders", "{seed}"]),
        ("{network}-{attack}-{seed}", "../{network}-{attack}-{seed}", ["defender name"]),
        ("lr: 1e-3", "lr: 0", ["defenders[1]", "--lr"]), ("lr: 1e-3", "lr: [1e-3, 0]", ["defenders[1]", "--lr"]),
        ("lr: 1e-3", "p: [0, 2]", ["line 11", "defenders[1].p[2]"]), ("lr: 1e-3", "p: []", ["empty"]),
        ("lr: 1e-3", "lr: nan", ["line 11", "number"]),
        ("hidden: 200", "hidden: 99999999", ["line 11", "1000000"]),
        ("attacks: [pgd, [pgd, mim]]", "attacks: [clean]", ["clean"]),
        ("net: net.pt", "net: {modul: net.pt}", ["line 3", "module"]),
        ("net: net.pt", "net: \"${DATA}/n.pt\"", ["DATA"]),
        ("net: net.pt", "net: ", ["networks.net"]),
        ("test: b.tar}", "test: [b.tar]}", ["datasets.shapes.test"]),
        ("title: A test", "title: [", ["line"]), ("title: A test", "title: a\ntitle: b", ["title"]),
        ("title: A test", "title: &a x\nreport: {out: *a}", ["anchors"]),
    ])
func wrong(was: String, now: String, words: [String]) throws {
    #expect(whole.contains(was))
    let error = #expect(throws: LogitError.self) { try plan(whole.replacingOccurrences(of: was, with: now)) }
    let message = error?.message ?? ""
    #expect(message.contains("recipe.yaml") && !message.contains("\n"), "\(message)")
    for word in words { #expect(message.contains(word), "\(message)") }
}

@Test("parts that name what the recipe has none of are refused")
func noneOfThem() throws {
    let rest = "datasets: {one: {test: a.tar}}\nnetworks: {net: net.pt}\nrows: [{attacks: [clean, pgd]}]\n"
    for part in ["analyses: [{kinds: support, defenders: [a]}]", "evaluations: [{defenders: [a]}]"] {
        let error = #expect(throws: LogitError.self) { try plan(rest + part) }
        #expect(error?.message.contains("line 4") ?? false, "\(error?.message ?? "")")
    }
    #expect(throws: LogitError.self) {
        try plan("datasets: {}\nnetworks: {}\nrows: [{dataset: x, networks: [y], attacks: pgd}]")
    }
}

@Test("a recipe that asks for too much says so at once")
func tooMuch() throws {
    let seeds = (0..<2100).map(String.init).joined(separator: ", ")
    for text in [
        whole.replacingOccurrences(of: "seeds: [0, 1]", with: "seeds: [\(seeds)]"),
        whole + "\nevaluations: [\(Array(repeating: "{networks: own}", count: 300).joined(separator: ", "))]",
    ] {
        let error = #expect(throws: LogitError.self) { try plan(text) }
        #expect(error?.message.contains("several recipes") ?? false)
    }
}

@Test(
    "bytes that are no recipe are refused quickly", arguments: ["", "- a", "7", "\u{0}", "{", "a: b", "datasets: {}"])
func noRecipe(text: String) throws {
    #expect(throws: LogitError.self) { try plan(text) }
    #expect(throws: LogitError.self) { try plan(String(repeating: "[", count: 100_000)) }
    #expect(throws: LogitError.self) { try Recipe("/nowhere.yaml", variables: [:]) }
}

@Test("the recipes that come with the project are read, and say what the paper says")
func ours() throws {
    let folder = "\(projectFolder)/experiments"
    let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".yaml") }
    #expect(names.count >= 4)
    for name in names {
        let plan = try ExperimentPlan(try Recipe("\(folder)/\(name)", variables: ["LOGITCORPUS_REAL": "/data"]))
        #expect(plan.steps.count > 10)
    }
    let paper = try Recipe("\(folder)/paper.yaml", variables: ["LOGITCORPUS_REAL": "/data"])
    let options = try #require(paper.defenders.first).options
    #expect(paper.networks.count == 3 && options.count == 1 && options[0].hidden == 10_000 && options[0].epochs == 50)
    #expect(options[0].learningRate == 5e-5 && options[0].cleanProbability == 0.3 && options[0].batch == 256)
}
