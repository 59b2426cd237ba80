import CorpusStore
import Glibc
import Images
import Logits
import Networks
import Platform
import Shards

/// Runs networks and attacks over images and makes the rows part of the corpus.
///
/// Each (variant, view) is one plan; a plan's blocks are computed by worker threads, staged as they finish, and committed
/// unit by unit. What is stored already is not computed again; what an interrupted ingest has staged is taken up.
package enum Ingest {
    /// - Parameters:
    ///   - progress: called on the caller's thread after each block.
    ///   - shouldStop: polled between blocks; true stops with `cancelled`, keeping every finished block.
    package static func run(
        _ request: IngestRequest, into corpus: Corpus, progress: (IngestProgress) -> Void,
        note: (String) -> Void, shouldStop: @escaping @Sendable () -> Bool
    ) throws(LogitError) -> IngestReport {
        try request.check()
        try TorchScriptClassifier.check(request.device)
        try corpus.refuseChangedFile(of: request.network)
        let begun = now()
        var report = IngestReport()
        report.adoptedShards = try corpus.adoptStrayShards()
        let images = try corpus.images(of: request.split)
        let wanted = request.ordinals(images)
        let works = try works(request, corpus, note: note)
        let unkept = try unkept(works, wanted, request, corpus, note: note)
        let source = try ImageSource(request.split, images, request.network)
        let classifier = try openClassifier(request.network, corpus, device: request.device)
        var counter = ProgressCounter(total: wanted.count * works.count)
        for (work, unkept) in zip(works, unkept) {
            var part = IngestReport.Part(
                attack: work.variant.canonical, view: work.view, images: wanted.count, present: 0, resumed: 0,
                computed: 0, unkept: unkept, invalid: 0, precision: request.encoding.precision.description)
            let lost = try LostPlan.all(for: work, wanted, request, corpus)
            let plans = try plans(for: work, wanted, besides: lost, request, corpus, note: note)
            part.present = max(0, wanted.count - (lost.map(\.plan) + plans).reduce(0) { $0 + $1.ordinals.count })
            counter.add(part.present, computed: false)
            let computation = BlockComputation(work: work, classifier: classifier, source: source)
            func compute(_ plan: IngestPlan, _ request: IngestRequest) throws(LogitError) {
                let pipeline = Pipeline(
                    plan: plan, computation: computation, corpus: corpus, request: request, shouldStop: shouldStop)
                let roundings = try pipeline.run { rows, computed in
                    if computed { part.computed += rows } else { part.resumed += rows }
                    counter.add(rows, computed: computed)
                    progress(counter.value(work.variant.canonical))
                }
                part.add(roundings)
            }
            for lost in lost {
                note("making \(lost.plan.ordinals.count) rows of \(work.variant) again that logit repair has listed")
                try compute(lost.plan, lost.request(request))
                try LostShards.clear(lost.shard, corpus.layout)
                report.madeAgain += 1
            }
            for plan in plans { try compute(plan, request) }
            part.invalid = try corpus.invalidOrdinals(work.rowSet(request)).intersection(wanted).count
            if part.invalid > 0 {
                note(
                    "\(part.invalid) of \(part.images) rows of \(work.variant) are invalid (logits or gradients that are not finite, or gradients that are zero); they are marked, and left out of sampling and statistics"
                )
            }
            if let changed = part.changedArgMax, let tied = part.newlyTied {
                note(
                    "\(part.precision) changes the arg max of \(changed) rows of \(work.variant) (their prediction stays that of the logits as computed) and ties the largest logit of \(tied)"
                )
            }
            report.parts.append(part)
        }
        report.seconds = now() - begun
        report.imagesPerSecond = Double(counter.computed) / max(report.seconds, 1e-9)
        let names = works.map(\.variant.canonical)
        let message =
            "ingest \(request.split.dataset)/\(request.split.split) \(request.network.name) \(names.joined(separator: ","))"
        if report.madeAgain > 0 { try corpus.refreshManifests() }
        report.snapshot = try corpus.createSnapshot(message: message).id
        return report
    }

    /// The (variant, view) pairs asked for; refuses a seed that differs from the stored rows'.
    private static func works(
        _ request: IngestRequest, _ corpus: Corpus, note: (String) -> Void
    ) throws(LogitError) -> [Work] {
        let units = try corpus.units()
        var works: [Work] = []
        for choice in request.attacks {
            let views = choice.usesRandomness ? request.viewCount : 1
            if views < request.viewCount, !choice.variant.isClean {
                note(
                    "\(choice.variant) uses no random numbers, so all its views would be equal: it gets view 0 only, not \(request.viewCount)"
                )
            }
            for view in 0..<views {
                let work = Work(choice: choice, view: view, seed: choice.usesRandomness ? request.seed : 0)
                guard !works.contains(where: { $0.variant == work.variant && $0.view == view }) else {
                    throw LogitError(.usage, "attack \(work.variant) is given twice; name each attack once")
                }
                if let other = units.first(where: {
                    $0.key.variant.canonical == work.variant.canonical && $0.key.variant != work.variant
                }) {
                    throw LogitError(
                        .stale,
                        "\(work.variant) is stored with other parameters than it has now (\(work.variant.difference(from: other.key.variant))); use the program that made those rows, or another corpus"
                    )
                }
                let clash = units.first {
                    $0.key.dataset == request.split.dataset && $0.key.split == request.split.split
                        && $0.key.network == request.network.name && $0.key.variant == work.variant
                        && $0.key.view == view && $0.key.seed != work.seed
                }
                if let clash {
                    throw LogitError(
                        .usage,
                        "\(work.variant) of \(request.network.name) is stored with seed \(clash.key.seed), not \(work.seed); keep that seed, and use --views \(view + 2) for another restart beside it"
                    )
                }
                works.append(work)
            }
        }
        return works
    }

    /// Says how many rows of each work are stored already without the images or the 8-bit outcome asked for: rows never
    /// change. Refuses where that is all of them, so that nothing would get what was asked for.
    private static func unkept(
        _ works: [Work], _ wanted: [Int], _ request: IngestRequest, _ corpus: Corpus, note: (String) -> Void
    ) throws(LogitError) -> [Int] {
        var counts: [Int] = []
        for work in works {
            guard let keeping = request.keeping(work.variant) else {
                counts.append(0)
                continue
            }
            let lacking = try corpus.ordinalsWithout(
                images: keeping.images, status8bit: keeping.status8bit, work.rowSet(request)
            ).intersection(wanted)
            counts.append(lacking.count)
        }
        let what = request.keepImages.map { "\($0.rawValue) images" } ?? "the 8-bit outcome"
        if counts.allSatisfy({ $0 == wanted.count }) {
            throw LogitError(
                .usage,
                "all rows asked for are stored already without \(what), and stored rows never change; ingest into a new corpus, add a restart of a random attack with --views, or make single images again with logit replay --save"
            )
        }
        for (work, count) in zip(works, counts) where count > 0 {
            note(
                "\(count) rows of \(work.variant) (view \(work.view)) are stored already without \(what), and stored rows never change: only new rows get what was asked for"
            )
        }
        return counts
    }

    /// What is left to compute: unfinished plans that hold images asked for, then a new plan for those that none has.
    /// - Parameter lost: what is made again besides.
    private static func plans(
        for work: Work, _ wanted: [Int], besides lost: [LostPlan], _ request: IngestRequest, _ corpus: Corpus,
        note: (String) -> Void
    ) throws(LogitError) -> [IngestPlan] {
        let (split, network) = (request.split, request.network)
        let stored = try corpus.storedOrdinals(work.rowSet(request)).union(lost.flatMap(\.plan.ordinals))
        var missing = wanted.filter { !stored.contains($0) }
        let blockRows = request.blockRows ?? network.blockRows
        let imageBytes = request.keepImages.map {
            ImageFormat(precision: $0, height: network.height, width: network.width).byteCount
        }
        var fresh = IngestPlan(
            dataset: split.dataset, split: split.split, datasetDigest: split.digest, network: network.name,
            networkDigest: network.digest, preprocessing: network.preprocessing, attackName: work.variant.name,
            attack: work.variant.canonical, attackParameters: work.variant.parametersJSON, view: work.view,
            seed: work.seed, blockRows: blockRows,
            unitRows: unitRows(blockRows: blockRows, classCount: network.classCount, imageBytes: imageBytes ?? 0),
            ordinals: [],
            keeping: request.keeping(work.variant))
        var plans: [IngestPlan] = []
        for plan in try IngestPlan.pending(
            corpus.layout, subject: fresh.subject, imageCount: split.imageCount)
        {
            let left = plan.ordinals.filter { !stored.contains($0) }
            if left.isEmpty {
                try plan.remove(corpus.layout)
                continue
            }
            guard plan.seed == work.seed else {
                throw LogitError(
                    .usage,
                    "an interrupted ingest of \(work.variant) used seed \(plan.seed), not \(work.seed); run it with --seed \(plan.seed) to finish it"
                )
            }
            guard !Set(left).isDisjoint(with: missing) else { continue }
            guard plan.keeping == fresh.keeping else {
                throw LogitError(
                    .usage,
                    "an interrupted ingest of \(work.variant) keeps \((plan.keeping ?? .nothing).description); finish it with the same --keep-images and --status-8bit"
                )
            }
            note(
                "taking up an interrupted ingest of \(work.variant): \(left.count) images left of its \(plan.ordinals.count)"
            )
            plans.append(plan)
            missing.removeAll(where: Set(left).contains)
        }
        if !missing.isEmpty {
            fresh.ordinals = missing
            try fresh.save(corpus.layout)
            plans.append(fresh)
        }
        return plans
    }

    /// About 4,096 rows or 64 MiB of logits and images a shard, in whole blocks.
    package static func unitRows(blockRows: Int, classCount: Int, imageBytes: Int) -> Int {
        let rows = min(4096, (64 << 20) / (4 * classCount + imageBytes))
        return max(blockRows, rows / blockRows * blockRows)
    }

    static func openClassifier(
        _ network: NetworkDescriptor, _ corpus: Corpus, device: Device = .cpu
    ) throws(LogitError) -> any Classifier {
        let path = try corpus.checkedModule(of: network)
        return try TorchScriptClassifier(
            path: path, digest: network.digest, shape: ImageShape(height: network.height, width: network.width),
            classCount: network.classCount, mean: network.mean, standardDeviation: network.standardDeviation,
            fold: network.fold, device: device)
    }

    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}

/// One (variant, view) of an ingest.
struct Work: Sendable {
    let choice: AttackChoice
    let view: Int
    let seed: UInt64

    var variant: Variant { choice.variant }

    func rowSet(_ request: IngestRequest) -> RowSet {
        RowSet(
            dataset: request.split.dataset, split: request.split.split, network: request.network.name,
            attack: variant.canonical, view: view)
    }

    /// The counter-based generator's key for one image.
    func randomKey(_ image: ListedImage) -> UInt64 {
        Digest.key("\(seed)\u{1F}\(image.digest)\u{1F}\(variant.digest)\u{1F}\(view)")
    }
}

private struct ProgressCounter {
    let total: Int
    private(set) var done = 0
    private(set) var computed = 0

    init(total: Int) { self.total = total }

    mutating func add(_ rows: Int, computed isNew: Bool) {
        done += rows
        if isNew { computed += rows }
    }

    func value(_ variant: String) -> IngestProgress {
        IngestProgress(variant: variant, done: done, total: max(total, done), computed: computed)
    }
}
