import CorpusStore
import Logits
import Networks
import Platform
import Shards

/// `ingest --repair`: makes exactly the rows again that `logit repair` has listed, of any network and attack.
package enum RepairIngest {
    package struct Report: Codable, Sendable {
        package struct Part: Codable, Sendable {
            package var path: String
            package var rows: Int
            /// Whether every bit is as it was.
            package var isEqual: Bool
        }

        package var adoptedShards = 0
        package var parts: [Part] = []
        /// Lists whose rows were there already.
        package var present = 0
        /// Lists that cannot be worked off, one sentence each; they stay.
        package var problems: [String] = []
        package var snapshot: String?
    }

    /// How it is computed; what is computed the lists say.
    package struct Options: Sendable {
        package var workerCount: Int
        package var prefetch = 4
        package var device = Device.cpu

        package init(workerCount: Int) { self.workerCount = workerCount }
    }

    /// - Parameters:
    ///   - opening: opens the defender that an attack goes through.
    ///   - progress: called on the caller's thread with (rows done, rows in all).
    ///   - shouldStop: polled between blocks; true stops with `cancelled`, keeping every finished block.
    package static func run(
        _ corpus: Corpus, _ options: Options, opening: @escaping AttackOpening = openingNothing,
        progress: (Int, Int) -> Void, shouldStop: @escaping @Sendable () -> Bool
    ) throws(LogitError) -> Report {
        try TorchScriptClassifier.check(options.device)
        var report = Report()
        report.adoptedShards = try corpus.adoptStrayShards()
        let lists = try LostShards.all(corpus.layout)
        let present = Set(try corpus.units().map(\.key))
        let recomputer = Recomputer(corpus, opening: opening, device: options.device)
        let total = lists.reduce(0) { $0 + ($1.shard?.key.rowCount ?? 0) }
        var done = 0
        for lost in lists {
            let before = done
            if let key = lost.shard?.key, present.contains(key) {
                report.present += 1
                try LostShards.clear(lost, corpus.layout)
            } else {
                do throws(LogitError) {
                    let part = try make(lost, corpus, recomputer, options, shouldStop) { rows in
                        done += rows
                        progress(done, total)
                    }
                    report.parts.append(part)
                } catch {
                    guard [.stale, .notFound, .badInput, .usage, .corrupt].contains(error.code) else { throw error }
                    report.problems.append("shard \(lost.path) cannot be made again: \(error.message)")
                }
            }
            done = before + (lost.shard?.key.rowCount ?? 0)
            progress(done, total)
        }
        guard !(try corpus.units().isEmpty) else { return report }
        try corpus.refreshManifests()
        report.snapshot = try corpus.createSnapshot(message: "ingest --repair").id
        return report
    }

    private static func make(
        _ lost: LostShard, _ corpus: Corpus, _ recomputer: Recomputer, _ options: Options,
        _ shouldStop: @escaping @Sendable () -> Bool, _ count: (Int) -> Void
    ) throws(LogitError) -> Report.Part {
        guard let shard = lost.shard, let plan = LostPlan(lost) else {
            throw LogitError(
                .notFound,
                "neither catalogue nor manifest nor the shard itself told which rows it held; run the ingest that made it again, and remove damaged/\(lost.path).json"
            )
        }
        let computation = try recomputer.computation(shard.key)
        guard plan.plan.ordinals.allSatisfy({ computation.source.listed.indices.contains($0) }) else {
            throw LogitError(.corrupt, "damaged/\(lost.path).json names images that the split does not have; remove it")
        }
        var request = IngestRequest(
            split: try corpus.split(dataset: shard.key.dataset, split: shard.key.split),
            network: try corpus.network(shard.key.network), attacks: [computation.work.choice],
            workerCount: options.workerCount)
        (request.prefetch, request.device) = (options.prefetch, options.device)
        try request.check()
        let pipeline = Pipeline(
            plan: plan.plan, computation: computation, corpus: corpus, request: plan.request(request),
            shouldStop: shouldStop)
        _ = try pipeline.run { rows, _ in count(rows) }
        try LostShards.clear(lost, corpus.layout)
        let made = try corpus.units().first { $0.key == shard.key }
        return Report.Part(
            path: made?.path ?? lost.path, rows: shard.key.rowCount, isEqual: made?.contentDigest == shard.contentDigest
        )
    }
}
