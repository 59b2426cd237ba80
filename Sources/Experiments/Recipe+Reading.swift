import Defence
import Ingestion
import Logits
import Networks
import Platform
import Shards

extension Recipe {
    /// Bytes; the largest recipe of ours has four thousand.
    private static let sizeLimit = 1 << 18

    /// Reads a recipe.
    /// - Parameters:
    ///   - variables: what `${NAME}` in a path stands for.
    /// - Throws: `badInput` with the line and key of what is wrong, `notFound` where there is no such file.
    package init(_ file: String, variables: [String: String]) throws(LogitError) {
        let wanted = YAMLFile.Wanted(
            what: "recipe", whole: "each part", help: "logit experiment run --help for what a recipe holds")
        guard let node = try YAMLFile.root(file, limit: Recipe.sizeLimit, wanted) else {
            throw LogitError(.badInput, "\(file) is empty; see logit experiment run --help for what a recipe holds")
        }
        let root = RecipeNode(node: node, file: file, name: "", line: node.mark?.line)
        let keys = try root.mapping([
            "title", "datasets", "networks", "rows", "selections", "defenders", "evaluations", "analyses", "report",
        ])
        self.init(file: file, title: try keys["title"]?.text("My experiment") ?? file)
        let paths = RecipePaths(folder: Files.parent(of: file), variables: variables)
        for one in try keys.required("datasets", "{digits: {test: test.tar}}").named("names datasets") {
            datasets.append(try Recipe.dataset(one.key, one.value, paths))
        }
        for one in try keys.required("networks", "{net: net.pt}").named("names networks") {
            networks.append(try Recipe.network(one.key, one.value, paths))
        }
        for key in ["datasets", "networks", "rows", "selections", "defenders", "evaluations", "analyses"] {
            guard let node = keys[key], node.count > (key == "networks" ? Recipe.mostNetworks : Recipe.mostEntries)
            else { continue }
            throw node.wrong("has \(node.count) entries, more than a recipe may; make several recipes of it")
        }
        for entry in try keys.required("rows", "[{split: test, attacks: [clean, pgd]}]").list() {
            rows.append(try readRows(entry))
        }
        for one in try keys["selections"]?.named("names selections") ?? [] {
            selections.append(try readSelection(one.key, one.value))
        }
        for entry in try keys["defenders"]?.list() ?? [] { defenders.append(try readDefender(entry)) }
        if let node = keys["evaluations"] {
            for entry in try node.list() { evaluations.append(try readEvaluation(entry)) }
        } else {
            evaluations = implied
        }
        for entry in try keys["analyses"]?.list() ?? [] { analyses.append(try readAnalysis(entry)) }
        if let node = keys["report"] { report = try Recipe.report(node, paths) }
    }

    /// Every defender on everything of its own network, and, where there are several networks, on the others'.
    private var implied: [EvaluationEntry] {
        let own = EvaluationEntry(networks: .own)
        guard networks.count > 1 else { return [own] }
        return [own, EvaluationEntry(networks: .all, selections: ["full"])]
    }

    private static func dataset(
        _ name: String, _ node: RecipeNode, _ paths: RecipePaths
    ) throws(LogitError) -> DatasetEntry {
        var dataset = DatasetEntry(name: name, classes: nil, splits: [])
        for (key, value) in try node.named("names splits, for instance train: train.tar") {
            if key == "classes" {
                dataset.classes = try paths.path(value)
            } else if value.isMapping {
                let keys = try value.mapping(["images", "labels"])
                dataset.splits.append(
                    Split(
                        name: key, images: try paths.path(try keys.required("images", "train.tar")),
                        labels: try keys.optional("labels", paths.path)))
            } else {
                dataset.splits.append(Split(name: key, images: try paths.path(value), labels: nil))
            }
        }
        guard !dataset.splits.isEmpty else { throw node.wrong("has no split; write for instance test: test.tar") }
        return dataset
    }

    private static func network(
        _ name: String, _ node: RecipeNode, _ paths: RecipePaths
    ) throws(LogitError) -> NetworkEntry {
        guard node.isMapping else { return NetworkEntry(name: name, module: try paths.path(node)) }
        let keys = try node.mapping(["module", "input", "resize", "crop", "mean", "std", "fold"])
        var network = NetworkEntry(name: name, module: try paths.path(try keys.required("module", "net.pt")))
        network.input = try keys["input"]?.text("3x32x32")
        network.resize = try keys["resize"]?.text("256")
        network.crop = try keys["crop"]?.text("224")
        network.mean = try keys.optional("mean", triple)
        network.standardDeviation = try keys.optional("std", triple)
        network.fold = try keys["fold"]?.flag() ?? false
        return network
    }

    private static func triple(_ node: RecipeNode) throws(LogitError) -> [Float] {
        let entries = try node.list()
        guard entries.count == 3 else { throw node.wrong("has \(entries.count) numbers; give three, for R, G and B") }
        var values: [Float] = []
        for entry in entries { values.append(Float(try entry.number(-1000...1000))) }
        return values
    }

    private static func report(_ node: RecipeNode, _ paths: RecipePaths) throws(LogitError) -> ReportEntry {
        let keys = try node.mapping(["out", "class_names"])
        return ReportEntry(
            out: try keys.optional("out", paths.path), classNames: try keys.optional("class_names", paths.path))
    }

    /// An attack as typed or as a mapping, in its canonical spelling.
    static func attack(_ node: RecipeNode) throws(LogitError) -> String {
        try node.checked { () throws(LogitError) in
            try AttackRegistry.choice(try AttackFile.typed(node.node)).variant.canonical
        }
    }

    static func attacks(_ node: RecipeNode) throws(LogitError) -> [String] {
        var found: [String] = []
        for entry in try node.list() {
            let attack = try attack(entry)
            guard !found.contains(attack) else { throw entry.wrong("names \(attack) again; name each attack once") }
            found.append(attack)
        }
        return found
    }
}

/// Paths of a recipe: relative to its file, with variables.
struct RecipePaths {
    let folder: String
    let variables: [String: String]

    func path(_ node: RecipeNode) throws(LogitError) -> String {
        let text = try node.text("images/train.tar")
        var path = ""
        var rest = text[...]
        while let start = rest.firstRange(of: "${") {
            path += rest[..<start.lowerBound]
            guard let end = rest[start.upperBound...].firstIndex(of: "}") else {
                throw node.wrong("opens ${ and does not close it; write ${NAME}")
            }
            let name = String(rest[start.upperBound..<end])
            guard let value = variables[name], !value.isEmpty else {
                throw node.wrong(
                    "needs the variable \(name), which is not set; set it in the environment"
                        + (name == Recipe.dataVariable ? ", or give --data DIR" : ""))
            }
            path += value
            rest = rest[rest.index(after: end)...]
        }
        path += rest
        return path.hasPrefix("/") ? path : "\(folder)/\(path)"
    }
}

extension Recipe {
    /// The variable that --data sets: where the networks and images of a recipe lie.
    package static let dataVariable = "LOGITCORPUS_REAL"
}
