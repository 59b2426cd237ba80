import CorpusStore
import Glibc
import Logits
import Networks
import Platform
import Sampling
import Shards
import Torch

/// Trains a defender from a snapshot (paper, Algorithm 1): each image gives its clean logits with probability p, else its
/// attacked ones; cross-entropy against the ground truth; Adam.
package final class Trainer {
    private let corpus: Corpus
    private let sampler: Sampler
    private let net: DefenderNet
    private let validation: VariantRows?
    private var step = 0
    package private(set) var descriptor: DefenderDescriptor
    private let folder: String

    /// Rows of each variant that the validation after an epoch looks at.
    private static let validationRows = 2000

    /// - Parameters:
    ///   - attacks: canonical names.
    ///   - validation: another split of the dataset, whose rows are looked at after each epoch; nil: none.
    ///   - resume: go on from the checkpoint of a defender of this name.
    package init(
        _ corpus: Corpus, name: String, manifest: SnapshotManifest, split: SplitDescriptor, network: NetworkDescriptor,
        attacks: [String], selection: SelectionFile?, validation: SplitDescriptor?, options: DefenderOptions,
        threads: Int, device: Device = .cpu, resume: Bool
    ) throws(LogitError) {
        try Layout.check(name: name, of: "defender")
        try options.check()
        folder = StoredDefender.folder(corpus.layout, name)
        guard (1...1024).contains(threads) else {
            throw LogitError(.usage, "--threads is \(threads); give a whole number from 1 to 1024")
        }
        if !resume { try Trainer.refuseExisting(name, folder) }
        if resume, !Files.exists(Checkpoint.path(folder)) {
            throw LogitError(
                .notFound, "there is no checkpoint of a defender \(name) to resume; train it without --resume")
        }
        try corpus.refuseStale(manifest, split, network, AttackRegistry.variants(attacks))
        let library = try TorchLibrary.shared()
        try library.configure(intraOpThreads: threads)
        try library.check(device)
        var sampling = SamplerOptions()
        (sampling.cleanProbability, sampling.batchRowCount, sampling.seed) = (
            options.cleanProbability, options.batch, options.seed
        )
        (sampling.failedTwins, sampling.invalidTwins) = (options.failedTwins, options.invalidTwins)
        sampler = try Sampler(
            corpusRoot: corpus.root, manifest: manifest, dataset: split.dataset, split: split.split,
            network: network.name,
            attacks: attacks, selection: selection, options: sampling)
        net = try DefenderNet(options.net(classCount: sampler.classCount, device: device))
        descriptor = DefenderDescriptor(
            name: name, snapshot: manifest.id, tree: manifest.tree, dataset: split.dataset, split: split.split,
            network: network.name, networkDigest: network.digest, attacks: attacks, selection: selection?.name,
            classCount: sampler.classCount, options: options, images: sampler.imageCount, epochsDone: 0, history: [],
            weightsDigest: "", created: timestamp(), software: library.description(on: device))
        self.corpus = corpus
        var rows = validation.map { VariantRows(corpus, manifest, $0, network, selection: nil) }
        rows?.limit = Trainer.validationRows
        self.validation = rows
        if resume { try takeUp() }
    }

    private static func refuseExisting(_ name: String, _ folder: String) throws(LogitError) {
        guard !Files.exists(Checkpoint.path(folder)) else {
            throw LogitError(
                .usage, "defender \(name) exists already; choose another name, or go on with it by --resume")
        }
    }

    /// Images an epoch, and those left out for lack of a row or for a `failed` or `invalid` one.
    package var imageCounts: (used: Int, unpaired: Int, skipped: Int) {
        (sampler.imageCount, sampler.unpairedCount, sampler.skippedCount)
    }

    /// Trains until the options' epochs are done, saving after each.
    /// - Parameters:
    ///   - batchDone: called with (epoch, batches done, batches an epoch, mean loss so far).
    ///   - shouldStop: polled between batches; true throws `cancelled` and keeps the last finished epoch.
    package func run(
        batchDone: (Int, Int, Int, Double) -> Void, epochDone: (DefenderDescriptor.Epoch) -> Void,
        shouldStop: () -> Bool
    ) throws(LogitError) {
        let lock = try TrainingLock(folder, defender: descriptor.name)
        defer { withExtendedLifetime(lock) {} }
        if descriptor.epochsDone == 0 { try Trainer.refuseExisting(descriptor.name, folder) }
        while descriptor.epochsDone < descriptor.options.epochs {
            let epoch = descriptor.epochsDone
            let begun = seconds()
            let batches = sampler.batches(epoch: epoch)
            var (total, rows, done, waiting) = (0.0, 0, 0, 0.0)
            while let batch = try next(batches, &waiting) {
                step += 1
                total += try net.train(step: step, logits: batch.logits, labels: batch.labels) * Double(batch.count)
                rows += batch.count
                done += 1
                batchDone(epoch + 1, done, sampler.batchCount, total / Double(rows))
                if shouldStop() {
                    throw LogitError(
                        .cancelled,
                        epoch == 0
                            ? "stopped in the first epoch; nothing is kept"
                            : "stopped; the checkpoint after epoch \(epoch) is kept, and the same command with --resume goes on from it"
                    )
                }
            }
            let accuracy = try validate()
            let record = DefenderDescriptor.Epoch(
                epoch: epoch + 1, loss: total / Double(rows), validationClean: accuracy.clean,
                validationAttacked: accuracy.attacked, seconds: seconds() - begun, waitingSeconds: waiting)
            descriptor.history.append(record)
            descriptor.epochsDone = epoch + 1
            try Checkpoint.save(net, step: step, &descriptor, in: folder)
            epochDone(record)
        }
    }

    private func next(_ batches: BatchSequence, _ waiting: inout Double) throws(LogitError) -> Batch? {
        let begun = seconds()
        defer { waiting += seconds() - begun }
        return try batches.next()
    }

    /// Corrected accuracy on the validation split: clean rows, and the attacked ones all together.
    private func validate() throws(LogitError) -> (clean: Double?, attacked: Double?) {
        guard let validation else { return (nil, nil) }
        let clean = validation.has("clean") ? try Evaluation.figure(validation, "clean", net).corrected.value : nil
        var (right, rows) = (0, 0)
        for attack in descriptor.attacks where validation.has(attack) {
            let figure = try Evaluation.figure(validation, attack, net)
            right += figure.correctedCorrect
            rows += figure.rows
        }
        return (clean, rows > 0 ? Double(right) / Double(rows) : nil)
    }

    /// Goes on from the checkpoint; refuses one that was made from something else.
    private func takeUp() throws(LogitError) {
        let saved = try Checkpoint.read(folder)
        let was = saved.descriptor
        if let first = Trainer.difference(was, descriptor) {
            throw LogitError(
                .stale,
                "defender \(was.name) was trained with \(first.what) \(first.was), not \(first.now); resume it with the same snapshot (--at) and options, or train under another name"
            )
        }
        guard descriptor.options.epochs >= was.epochsDone else {
            throw LogitError(
                .usage,
                "defender \(was.name) has been trained for \(was.epochsDone) epochs already; give --epochs \(was.epochsDone) or more"
            )
        }
        let options = descriptor.options
        descriptor = was
        descriptor.options = options
        for (part, values) in zip([DefenderNet.Part.parameters, .firstMoments, .secondMoments], saved.parts) {
            guard values.count == net.parameterCount else {
                throw LogitError(
                    .corrupt, "the checkpoint of defender \(was.name) has another size; train again under another name")
            }
            try net.set(part, values)
        }
        step = saved.step
        // A process killed between the files of a save left older weights: make them the checkpoint's.
        try Checkpoint.save(net, step: step, &descriptor, in: folder)
    }

    /// The first thing in which a checkpoint and what is asked for now differ.
    private static func difference(
        _ was: DefenderDescriptor, _ now: DefenderDescriptor
    ) -> (what: String, was: String, now: String)? {
        typealias Pair = (what: String, was: String, now: String)
        func pair(_ what: String, _ value: (DefenderDescriptor) -> String) -> Pair { (what, value(was), value(now)) }
        var pairs: [Pair] = [
            pair("snapshot") { String($0.snapshot.prefix(12)) },
            pair("dataset") { "\($0.dataset)/\($0.split)" },
            pair("network") { $0.network },
            pair("module") { String($0.networkDigest.prefix(12)) },
            pair("attacks") { $0.attacks.joined(separator: ",") },
            pair("selection") { $0.selection ?? "none" },
            pair("images") { "\($0.images)" },
            pair("classes") { "\($0.classCount)" },
            pair("--threads") { $0.threads.map(String.init) ?? "unknown" },
            pair("--device") { $0.device },
        ]
        for (old, new) in zip(was.options.spelled, now.options.spelled) {
            pairs.append((old.name, old.value, new.value))
        }
        return pairs.first { $0.was != $0.now }
    }

    private func seconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
