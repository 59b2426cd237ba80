import Defence
import Ingestion
import Logits
import Networks
import Sampling
import Shards

extension Recipe {
    // MARK: Names of what the recipe has

    private func dataset(_ keys: RecipeNode.Keyed) throws(LogitError) -> String {
        guard let node = keys["dataset"] else {
            guard datasets.count == 1 else {
                throw keys.parent.wrong(
                    "says no dataset, and there are several; write dataset: and one of \(datasets.map(\.name).joined(separator: ", "))"
                )
            }
            return datasets[0].name
        }
        return try node.word(datasets.map(\.name))
    }

    private func split(
        _ keys: RecipeNode.Keyed, of dataset: String, usual: String?
    ) throws(LogitError) -> String {
        let names = datasets.first { $0.name == dataset }?.splits.map(\.name) ?? []
        if let node = keys["split"] { return try node.word(names) }
        if names.count == 1 { return names[0] }
        guard let usual, names.contains(usual) else {
            throw keys.parent.wrong(
                "says no split of \(dataset), which has several; write split: and one of \(names.joined(separator: ", "))"
            )
        }
        return usual
    }

    private func networks(_ keys: RecipeNode.Keyed) throws(LogitError) -> [String] {
        let known = networks.map(\.name)
        guard let node = keys["networks"] else { return known }
        var found: [String] = []
        for entry in try node.list() { found.append(try entry.word(known)) }
        return found
    }

    // MARK: Parts

    func readRows(_ node: RecipeNode) throws(LogitError) -> Rows {
        let keys = try node.mapping([
            "dataset", "split", "networks", "attacks", "limit", "per_class", "seed", "views", "label", "codec",
            "precision", "keep_images", "block", "through",
        ])
        let dataset = try dataset(keys)
        var rows = Rows(
            dataset: dataset, split: try split(keys, of: dataset, usual: nil), networks: try networks(keys),
            attacks: try Recipe.attacks(try keys.required("attacks", "[clean, pgd]")))
        let many = 1...1 << 40
        rows.limit = try keys["limit"]?.whole(many)
        rows.perClass = try keys["per_class"]?.whole(many)
        rows.seed = UInt64(try keys["seed"]?.whole(0...Int.max) ?? 0)
        rows.views = try keys["views"]?.whole(1...IngestRequest.mostViews) ?? 1
        if let label = try keys["label"]?.word(LabelPolicy.allCases.map(\.rawValue)) {
            var labelled: [String] = []
            for attack in rows.attacks {
                labelled.append(
                    try AttackRegistry.choice(attack, label: LabelPolicy(rawValue: label)).variant.canonical)
            }
            rows.attacks = labelled
        }
        if let codec = try keys["codec"]?.word(Codec.allCases.map(\.rawValue)) { rows.codec = Codec(rawValue: codec)! }
        if let node = keys["precision"] {
            guard let precision = Precision(try node.text("float16")) else {
                throw node.wrong("is no precision; give float32, float16, bfloat16 or keep-bits=k")
            }
            rows.precision = precision
        }
        if let kept = try keys["keep_images"]?.word(ImagePrecision.allCases.map(\.rawValue)) {
            rows.keepImages = ImagePrecision(rawValue: kept)
        }
        rows.block = try keys["block"]?.whole(1...1 << 20)
        rows.through = try keys["through"]?.text("against-{attack}")
        if rows.through != nil, rows.attacks.contains("clean") {
            throw node.wrong("takes clean through a defender; leave clean out of its attacks")
        }
        return rows
    }

    func readSelection(_ name: String, _ node: RecipeNode) throws(LogitError) -> SelectionEntry {
        let keys = try node.mapping(["correct_by", "per_class", "folds", "random", "seed", "dataset", "split"])
        let dataset = try dataset(keys)
        let split = try split(keys, of: dataset, usual: "test")
        guard name != "full" else { throw node.wrong("cannot be named full, which stands for all images") }
        if let folds = try keys["folds"]?.whole(2...1000) {
            guard keys["correct_by"] == nil, keys["per_class"] == nil, keys["random"] == nil else {
                throw node.wrong("has folds and correct_by or random; make two selections of them")
            }
            return SelectionEntry(name: name, dataset: dataset, split: split, kind: .folds(folds))
        }
        if let count = try keys["random"]?.whole(1...1 << 40) {
            guard keys["correct_by"] == nil, keys["per_class"] == nil else {
                throw node.wrong("has random and correct_by; make two selections of them")
            }
            let seed = UInt64(try keys["seed"]?.whole(0...Int.max) ?? 0)
            return SelectionEntry(name: name, dataset: dataset, split: split, kind: .random(count, seed: seed))
        }
        let network = try keys.required("correct_by", networks.first?.name ?? "net").word(networks.map(\.name))
        return SelectionEntry(
            name: name, dataset: dataset, split: split,
            kind: .correct(by: network, perClass: try keys["per_class"]?.whole(1...1 << 40) ?? 1))
    }

    func readDefender(_ node: RecipeNode) throws(LogitError) -> DefenderEntry {
        let keys = try node.mapping([
            "name", "dataset", "split", "networks", "attacks", "seeds", "selection", "hidden", "layers", "dropout",
            "epochs", "batch", "lr", "weight_decay", "p", "failed", "invalid",
        ])
        let dataset = try dataset(keys)
        let all = try optionSets(keys)
        for options in all { try node.checked { () throws(LogitError) in try options.check() } }
        var mixes: [[String]] = []
        for entry in try keys.required("attacks", "[pgd, mim, [pgd, mim]]").list() {
            mixes.append(entry.isList ? try Recipe.attacks(entry) : [try Recipe.attack(entry)])
        }
        guard !mixes.joined().contains("clean") else {
            throw node.wrong("names clean among its attacks; clean rows always belong to the mix (p says how often)")
        }
        var seeds: [UInt64] = []
        for entry in try keys["seeds"]?.list() ?? [] { seeds.append(UInt64(try entry.whole(0...Int.max))) }
        return DefenderEntry(
            name: try keys.required("name", "against-{attack}-{seed}").text("against-{attack}-{seed}"),
            dataset: dataset, split: try split(keys, of: dataset, usual: "train"), networks: try networks(keys),
            mixes: mixes, seeds: seeds.isEmpty ? [0] : seeds,
            selections: try keys.optional("selection", selectionNames)?.map { $0 == "full" ? nil : $0 } ?? [nil],
            options: all)
    }

    /// Every combination of the options of a defender that are lists.
    private func optionSets(_ keys: RecipeNode.Keyed) throws(LogitError) -> [DefenderOptions] {
        var all = [DefenderOptions()]
        func vary<Value>(
            _ key: String, _ place: WritableKeyPath<DefenderOptions, Value>,
            _ read: (RecipeNode) throws(LogitError) -> Value
        ) throws(LogitError) {
            guard let node = keys[key] else { return }
            var values: [Value] = []
            for entry in try node.list() { values.append(try read(entry)) }
            guard all.count * values.count <= Recipe.mostDefenders else {
                throw node.wrong("makes more than \(Recipe.mostDefenders) defenders; make several recipes of it")
            }
            all = all.flatMap { options in
                values.map { value in
                    var one = options
                    one[keyPath: place] = value
                    return one
                }
            }
        }
        try vary("hidden", \.hidden) { (node) throws(LogitError) in try node.whole(1...1_000_000) }
        try vary("layers", \.layers) { (node) throws(LogitError) in try node.whole(1...16) }
        try vary("dropout", \.dropout) { (node) throws(LogitError) in try node.number(0...1) }
        try vary("epochs", \.epochs) { (node) throws(LogitError) in try node.whole(1...1_000_000) }
        try vary("batch", \.batch) { (node) throws(LogitError) in try node.whole(1...1 << 20) }
        try vary("lr", \.learningRate) { (node) throws(LogitError) in try node.number(0...1e6) }
        try vary("weight_decay", \.weightDecay) { (node) throws(LogitError) in try node.number(0...1e6) }
        try vary("p", \.cleanProbability) { (node) throws(LogitError) in try node.number(0...1) }
        let policies = TwinPolicy.allCases.map(\.rawValue)
        try vary("failed", \.failedTwins) { (node) throws(LogitError) in TwinPolicy(rawValue: try node.word(policies))!
        }
        try vary("invalid", \.invalidTwins) { (node) throws(LogitError) in
            TwinPolicy(rawValue: try node.word(policies))!
        }
        return all
    }

    func readAnalysis(_ node: RecipeNode) throws(LogitError) -> AnalysisEntry {
        let keys = try node.mapping(["kinds", "defenders", "seeds", "split", "selections", "top"])
        var entry = AnalysisEntry(kinds: [], selections: ["full"])
        for one in try keys.required("kinds", "[support]").list() {
            let kind = try one.word(AnalysisEntry.Kind.allCases.map(\.rawValue))
            if let kind = AnalysisEntry.Kind(rawValue: kind) { entry.kinds.append(kind) }
        }
        entry.defenders = try keys.optional("defenders", defenderNames)
        entry.seeds = try keys.optional("seeds") { (node) throws(LogitError) in
            var seeds: [UInt64] = []
            for one in try node.list() { seeds.append(UInt64(try one.whole(0...Int.max))) }
            return seeds
        }
        if keys["split"] != nil { entry.split = try split(keys, of: try dataset(keys), usual: nil) }
        entry.selections = try keys.optional("selections", selectionNames) ?? ["full"]
        entry.top = try keys["top"]?.whole(1...1_000_000)
        return entry
    }

    private func defenderNames(_ node: RecipeNode) throws(LogitError) -> [String] {
        var names: [String] = []
        for one in try node.list() { names.append(try one.word(defenders.map(\.name))) }
        return names
    }

    /// Names of selections, `full` among them.
    private func selectionNames(_ node: RecipeNode) throws(LogitError) -> [String] {
        var names: [String] = []
        for one in try node.list() { names.append(try one.word(["full"] + selections.map(\.name))) }
        return names
    }

    func readEvaluation(_ node: RecipeNode) throws(LogitError) -> EvaluationEntry {
        let keys = try node.mapping(["defenders", "networks", "attacks", "dataset", "split", "selections"])
        var entry = EvaluationEntry(networks: .own)
        entry.defenders = try keys.optional("defenders", defenderNames)
        if let node = keys["networks"] {
            let words = try node.texts("own")
            if words == ["own"] || words == ["all"] {
                entry.networks = words == ["own"] ? .own : .all
            } else {
                entry.networks = .named(try networks(keys))
            }
        }
        entry.attacks = try keys.optional("attacks", Recipe.attacks)
        if keys["dataset"] != nil || keys["split"] != nil {
            let dataset = try dataset(keys)
            entry.dataset = dataset
            entry.split = try split(keys, of: dataset, usual: "test")
        }
        entry.selections = try keys.optional("selections", selectionNames)
        return entry
    }
}
