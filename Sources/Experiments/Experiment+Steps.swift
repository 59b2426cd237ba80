import CorpusStore
import Defence
import Images
import Ingestion
import Logits
import Networks
import Platform
import Report
import Shards

extension Experiment {
    // MARK: Images and networks

    func add(_ dataset: Recipe.DatasetEntry, _ split: Recipe.Split) throws(LogitError) -> StepReport.Outcome {
        let opened = try writing()
        if let known = try opened.splits().first(where: { $0.dataset == dataset.name && $0.split == split.name }) {
            let labels = split.labels.map(Files.absolute)
            guard known.source == Files.absolute(split.images), known.labels == labels else {
                throw LogitError(
                    .stale,
                    "the corpus has \(dataset.name)/\(split.name) from \(known.source)\(known.labels.map { " with \($0)" } ?? ""), not from \(Files.absolute(split.images))\(split.labels.map { " with \($0)" } ?? "") as \(plan.recipe.file) says; put the path back, or choose another corpus"
                )
            }
            return .there
        }
        let names = try dataset.classes.map { (path) throws(LogitError) in try ClassNames.read(path) }
        _ = try DatasetImport.run(
            opened, dataset: dataset.name, split: split.name, source: split.images, classNames: names,
            labels: split.labels, progress: { _, _ in }, shouldStop: shouldStop)
        return .done
    }

    func add(_ network: Recipe.NetworkEntry) throws(LogitError) -> StepReport.Outcome {
        let opened = try writing()
        if let known = try opened.networks().first(where: { $0.name == network.name }) {
            let framing = try Framing(resize: network.resize, crop: network.crop)
            let pairs: [(what: String, was: String, now: String)] = [
                ("module", known.digest, Digest.hex(try Files.read(network.module))),
                ("input", "3x\(known.height)x\(known.width)", network.input ?? "3x\(known.height)x\(known.width)"),
                ("resize", known.resize ?? "none", framing.resizeText ?? "none"),
                ("crop", known.crop ?? "none", framing.cropText ?? "none"),
                ("mean", "\(known.mean ?? [])", "\(network.mean ?? [])"),
                ("std", "\(known.standardDeviation ?? [])", "\(network.standardDeviation ?? [])"),
                ("fold", "\(known.fold)", "\(network.fold)"),
            ]
            if let other = pairs.first(where: { $0.was != $0.now }) {
                throw LogitError(
                    .stale,
                    "the corpus has network \(network.name) with another \(other.what) (\(other.was.prefix(40))) than \(plan.recipe.file) says (\(other.now.prefix(40))); name it otherwise, since stored rows refer to the old one, or choose another corpus"
                )
            }
            return .there
        }
        _ = try NetworkImport.run(
            opened, name: network.name, module: network.module, input: network.input, resize: network.resize,
            crop: network.crop, mean: network.mean, standardDeviation: network.standardDeviation, fold: network.fold)
        return .done
    }

    // MARK: Rows

    func ingest(_ step: ExperimentStep.Ingest) throws(LogitError) -> StepReport.Outcome {
        let opened = try writing()
        let rows = step.rows
        let network = try opened.network(step.network)
        var attacks: [AttackChoice] = []
        for attack in rows.attacks {
            let text = step.through.map { ExperimentPlan.through(attack, $0) } ?? attack
            attacks.append(try Through.opened(try AttackRegistry.choice(text), network, in: opened))
        }
        var request = IngestRequest(
            split: try opened.split(dataset: rows.dataset, split: rows.split), network: network, attacks: attacks,
            workerCount: workers)
        (request.limit, request.perClass, request.seed) = (rows.limit, rows.perClass, rows.seed)
        (request.viewCount, request.blockRows, request.keepImages) = (rows.views, rows.block, rows.keepImages)
        request.encoding = ShardEncoding(codec: rows.codec, precision: rows.precision)
        let report = try Ingest.run(
            request, into: opened,
            progress: { observer.progress($0.variant, $0.done, $0.total, $0.computed) }, note: { observer.note($0) },
            shouldStop: shouldStop)
        return report.parts.contains { $0.computed + $0.resumed > 0 } ? .done : .there
    }

    // MARK: Selections

    func select(_ selection: Recipe.SelectionEntry) throws(LogitError) -> StepReport.Outcome {
        let opened = try writing()
        let split = try opened.split(dataset: selection.dataset, split: selection.split)
        var wanted: [SelectionFile] = []
        switch selection.kind {
        case .correct(let network, let perClass):
            wanted = [
                try opened.selectionOfCorrect(
                    selection.name, split, by: try opened.network(network), perClass: perClass)
            ]
        case .random(let count, let seed):
            wanted = [try opened.selectionAtRandom(selection.name, split, count: count, seed: seed)]
        case .folds(let count):
            for fold in 0..<count {
                for isRest in [false, true] {
                    let part = SelectionFold(index: fold, count: count, isRest: isRest)
                    let name = "\(selection.name)-\(fold)\(isRest ? "-rest" : "")"
                    wanted.append(try opened.selection(name, of: part, split))
                }
            }
        }
        var outcome = StepReport.Outcome.there
        for one in wanted {
            guard Files.exists(opened.layout.selection(one.name)) else {
                try opened.addSelection(one)
                outcome = .done
                continue
            }
            let known = try opened.selection(one.name)
            guard known.ordinals == one.ordinals, known.datasetDigest == one.datasetDigest else {
                throw LogitError(
                    .stale,
                    "the corpus has a selection \(one.name) of other images (\(known.ordinals.count): \(known.provenance)) than \(plan.recipe.file) says now (\(one.ordinals.count): \(one.provenance)); give the selection another name"
                )
            }
        }
        return outcome
    }

    // MARK: Evaluations

    func evaluate(_ step: ExperimentStep.Evaluation) throws(LogitError) -> StepReport.Outcome {
        let opened = try reading()
        let stored = try StoredDefender(opened, step.defender)
        let split = try opened.split(dataset: step.dataset, split: step.split)
        let network = try opened.network(step.network)
        let manifest = try opened.snapshot(nil)
        var attacks = try AttackList.choices(step.attacks.joined(separator: ","), in: opened).map(\.variant.canonical)
        let known = try StoredEvaluation.all(opened).filter {
            $0.isOf(stored.descriptor, split, network, step.selection)
        }
        for one in known {
            // What was measured on rows that are the same now.
            guard let former = try? opened.snapshot(one.result.snapshot) else { continue }
            attacks.removeAll { attack in
                one.result.figures.contains { $0.attack == attack }
                    && former.rowDigests(split, network, attack) == manifest.rowDigests(split, network, attack)
            }
        }
        guard !attacks.isEmpty else { return .there }
        let result = try Evaluation.run(
            opened, manifest: manifest, split: split, network: network, attacks: attacks,
            selection: try step.selection.map { (name) throws(LogitError) in try opened.selection(name) },
            defender: stored)
        _ = try writing().addEvaluation(json: JSONFile.encode(result))
        return .done
    }

    func report() throws(LogitError) -> StepReport.Outcome {
        var options = ReportWriter.Options(corpus: corpus)
        options.title = plan.recipe.title
        options.classNames = try plan.recipe.report.classNames.map { (path) throws(LogitError) in
            try ClassNames.read(path)
        }
        _ = try ReportWriter.write(try reading(), options, into: out)
        return .done
    }
}
