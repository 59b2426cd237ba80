import CorpusStore
import Defence
import Logits
import Platform
import Shards

extension Experiment {
    /// Trains a defender that is not there, goes on with one that is unfinished, and refuses another of its name.
    func train(_ step: ExperimentStep.Training) throws(LogitError) -> StepReport.Outcome {
        let opened = try reading()
        let split = try opened.split(dataset: step.dataset, split: step.split)
        let network = try opened.network(step.network)
        var manifest = try opened.snapshot(nil)
        let attacks = try AttackList.choices(step.attacks.joined(separator: ","), in: opened).map(\.variant.canonical)
        var threads = workers
        let begun = try StoredDefender.begun(step.name, in: opened)
        if let was = begun {
            try refuseOther(was, step, network, attacks)
            manifest = try sameRows(was, split, network, manifest, in: opened)
            threads = was.threads ?? threads
            if try isFinished(was, step, in: opened) { return .there }
            observer.note("going on with \(step.name) after epoch \(was.epochsDone)")
        }
        let trainer = try Trainer(
            opened, name: step.name, manifest: manifest, split: split, network: network, attacks: attacks,
            selection: try step.selection.map { (name) throws(LogitError) in try opened.selection(name) },
            validation: nil, options: step.options, threads: threads, resume: begun != nil)
        let epochs = step.options.epochs
        var before = 0
        try trainer.run(
            batchDone: { epoch, done, all, _ in
                before += 1
                observer.progress(step.name, (epoch - 1) * all + done, epochs * all, before)
            }, epochDone: { _ in }, shouldStop: shouldStop)
        try writing().indexDefender(step.name)
        return .done
    }

    /// Whether nothing is left to do, not even of saving.
    private func isFinished(
        _ was: DefenderDescriptor, _ step: ExperimentStep.Training, in corpus: Corpus
    ) throws(LogitError) -> Bool {
        guard was.epochsDone >= step.options.epochs, try corpus.defenderNames().contains(step.name) else {
            return false
        }
        return try StoredDefender(corpus, step.name).descriptor.weightsDigest == was.weightsDigest
    }

    /// Refuses a defender of the same name that was trained otherwise, and says in what.
    private func refuseOther(
        _ was: DefenderDescriptor, _ step: ExperimentStep.Training, _ network: NetworkDescriptor, _ attacks: [String]
    ) throws(LogitError) {
        var pairs: [(what: String, was: String, now: String)] = [
            ("dataset", "\(was.dataset)/\(was.split)", "\(step.dataset)/\(step.split)"),
            ("network", was.network, step.network),
            ("module", String(was.networkDigest.prefix(12)), String(network.digest.prefix(12))),
            ("attacks", was.attacks.joined(separator: ","), attacks.joined(separator: ",")),
            ("selection", was.selection ?? "none", step.selection ?? "none"),
        ]
        for (old, new) in zip(was.options.spelled, step.options.spelled) {
            pairs.append((old.name, old.value, new.value))
        }
        if was.epochsDone > step.options.epochs {
            pairs.append(("epochs", "\(was.epochsDone)", "\(step.options.epochs)"))
        }
        guard let other = pairs.first(where: { $0.was != $0.now }) else { return }
        throw LogitError(
            .stale,
            "the corpus has a defender \(step.name) with another \(other.what) (\(other.was)) than \(plan.recipe.file) says (\(other.now)); give the new one another name"
        )
    }

    /// The snapshot that a defender was begun on, if its rows are those of now.
    private func sameRows(
        _ was: DefenderDescriptor, _ split: SplitDescriptor, _ network: NetworkDescriptor, _ now: SnapshotManifest,
        in corpus: Corpus
    ) throws(LogitError) -> SnapshotManifest {
        let former = try corpus.snapshot(was.snapshot)
        for attack in ["clean"] + was.attacks
        where former.rowDigests(split, network, attack) != now.rowDigests(split, network, attack) {
            throw LogitError(
                .stale,
                "defender \(was.name) was trained on other rows of \(network.name) under \(attack) than the corpus has now; give it another name in \(plan.recipe.file), and what is trained anew learns from all rows"
            )
        }
        return former
    }
}
