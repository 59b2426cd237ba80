import CorpusStore
import Logits
import Shards

/// The plan that makes the rows of a lost shard again: the same images in the same blocks, stored in the same way.
struct LostPlan {
    let shard: LostShard
    let plan: IngestPlan
    private let encoding: ShardEncoding

    /// Nil where not enough is known.
    init?(_ lost: LostShard) {
        guard lost.isKnown, let key = lost.shard?.key, let details = lost.shard?.details,
            let blockRows = details.blockRows,
            blockRows >= 1, let ordinals = lost.ordinals
        else { return nil }
        shard = lost
        encoding = lost.encoding ?? .raw
        let keeping = Keeping(images: details.keptImages, status8bit: details.hasStatus8bit ?? false)
        plan = IngestPlan(
            dataset: key.dataset, split: key.split, datasetDigest: key.datasetDigest, network: key.network,
            networkDigest: key.networkDigest, preprocessing: key.preprocessing, attackName: key.variant.name,
            attack: key.variant.canonical, attackParameters: key.variant.parametersJSON, view: key.view, seed: key.seed,
            blockRows: blockRows, unitRows: key.rowCount, ordinals: ordinals.map(Int.init),
            keeping: keeping == .nothing ? nil : keeping,
            origin: IngestPlan.Origin(listDigest: key.listDigest, firstPosition: key.firstPosition))
    }

    /// A request with the encoding that the shard had.
    func request(_ request: IngestRequest) -> IngestRequest {
        var own = request
        own.encoding = encoding
        return own
    }

    /// The lists of one work that hold images asked for. One whose rows are there again is cleared.
    static func all(
        for work: Work, _ wanted: [Int], _ request: IngestRequest, _ corpus: Corpus
    ) throws(LogitError) -> [LostPlan] {
        let lists = try LostShards.all(corpus.layout)
        guard !lists.isEmpty else { return [] }
        let present = Set(try corpus.units().map(\.key))
        let wanted = Set(wanted)
        var found: [LostPlan] = []
        for lost in lists {
            guard let key = lost.shard?.key, key.dataset == request.split.dataset, key.split == request.split.split,
                key.datasetDigest == request.split.digest, key.network == request.network.name,
                key.networkDigest == request.network.digest, key.preprocessing == request.network.preprocessing,
                key.variant == work.variant, key.view == work.view, key.seed == work.seed, let plan = LostPlan(lost)
            else { continue }
            if present.contains(key) {
                try LostShards.clear(lost, corpus.layout)
            } else if !wanted.isDisjoint(with: plan.plan.ordinals) {
                found.append(plan)
            }
        }
        return found
    }
}
