import CorpusStore
import Logits
import Platform
import Shards

/// Computes one plan: a thread decodes blocks ahead, worker threads run the network, the caller's thread commits units.
/// Two bounded queues between them keep memory at a few blocks whatever the number of images.
struct Pipeline: Sendable {
    let plan: IngestPlan
    let computation: BlockComputation
    let corpus: Corpus
    let request: IngestRequest
    let shouldStop: @Sendable () -> Bool
    /// The plan's units in list order.
    private let units: [UnitKey]
    /// The folder of the plan's staged blocks.
    private let staging: String

    init(
        plan: IngestPlan, computation: BlockComputation, corpus: Corpus, request: IngestRequest,
        shouldStop: @escaping @Sendable () -> Bool
    ) {
        self.plan = plan
        self.computation = computation
        self.corpus = corpus
        self.request = request
        self.shouldStop = shouldStop
        units = plan.units
        staging = plan.blocks(corpus.layout)
    }

    /// A decoded block on its way to a worker.
    private struct Decoded: Sendable {
        let range: Range<Int>
        let images: [Float]
    }

    /// A finished block on its way to the committer: its rows are staged already.
    private enum Finished: Sendable {
        case block(Range<Int>)
        case failure(LogitError)
    }

    /// - Parameter count: called with (rows, computed now) for every block, resumed ones included.
    /// - Returns: what rounding did to each unit committed, unless it is stored exactly.
    func run(_ count: (Int, Bool) -> Void) throws(LogitError) -> [Rounding] {
        var roundings: [Rounding] = []
        let committed = try committedUnits()
        let todo = units.filter { !committed.contains($0.firstPosition) }
        for unit in todo { try Files.makeDirectory(folder(unit)) }
        var waiting: [Int: Int] = [:]  // blocks of a unit that are not staged yet
        var missing: [Range<Int>] = []
        for unit in todo {
            let blocks = plan.blocks(of: unit)
            let left = blocks.filter { staged($0, of: unit) == nil }
            for block in blocks where !left.contains(block) { count(block.count, false) }
            waiting[unit.firstPosition] = left.count
            missing += left
        }
        try corpus.committing { (queue) throws(LogitError) in
            for unit in todo where waiting[unit.firstPosition] == 0 {
                if let rounding = try commit(unit, queue) { roundings.append(rounding) }
            }
            try compute(missing) { (block) throws(LogitError) in
                count(block.count, true)
                let unit = unit(of: block)
                waiting[unit.firstPosition, default: 0] -= 1
                if waiting[unit.firstPosition] == 0, let rounding = try commit(unit, queue) {
                    roundings.append(rounding)
                }
            }
        }
        try plan.remove(corpus.layout)
        return roundings
    }

    /// Every unit but the list's last has the same size.
    private func unit(of block: Range<Int>) -> UnitKey { units[block.lowerBound / plan.unitRows] }

    /// Units of this plan that a former ingest has committed, by first position.
    private func committedUnits() throws(LogitError) -> Set<Int> {
        let (digest, work) = (units[0].listDigest, computation.work)
        return Set(
            try corpus.units().filter {
                $0.key.listDigest == digest && $0.key.variant == work.variant && $0.key.view == work.view
                    && $0.key.network == plan.network && $0.key.dataset == plan.dataset && $0.key.split == plan.split
            }.map(\.key.firstPosition))
    }

    /// Decodes, computes and stages `blocks`; `finished` runs on the caller's thread for each.
    private func compute(
        _ blocks: [Range<Int>], finished: (Range<Int>) throws(LogitError) -> Void
    ) throws(LogitError) {
        guard !blocks.isEmpty else { return }
        let decoded = BoundedQueue<Decoded>(capacity: request.prefetch)
        let results = BoundedQueue<Finished>(capacity: request.workerCount * 2)
        let decoder = PlainThread { decode(blocks, into: decoded, failures: results) }
        let workers = (0..<request.workerCount).map { _ in
            PlainThread {
                while let block = decoded.pop() { results.push(computed(block)) }
            }
        }
        var failure: LogitError?
        var left = blocks.count
        while left > 0, failure == nil, let result = results.pop() {
            switch result {
            case .block(let range):
                left -= 1
                do throws(LogitError) { try finished(range) } catch { failure = error }
                if failure == nil, left > 0, shouldStop() {
                    failure = LogitError(
                        .cancelled, "stopped; every finished block is kept, and the same command goes on from there")
                }
            case .failure(let error): failure = error
            }
        }
        decoded.close()
        results.close()
        decoder.join()
        workers.forEach { $0.join() }
        if let failure { throw failure }
    }

    private func decode(_ blocks: [Range<Int>], into queue: BoundedQueue<Decoded>, failures: BoundedQueue<Finished>) {
        for range in blocks {
            do throws(LogitError) {
                guard queue.push(Decoded(range: range, images: try computation.source.block(plan.ordinals[range])))
                else { return }
            } catch {
                failures.push(.failure(error))
                return
            }
        }
    }

    /// Runs the network or attack on one block and stages its rows.
    private func computed(_ block: Decoded) -> Finished {
        do throws(LogitError) {
            let keeping = plan.keeping ?? .nothing
            let rows = try computation.rows(
                plan.ordinals[block.range], images: block.images, status8bit: keeping.status8bit)
            let shape = computation.classifier.inputShape
            let images = keeping.images.map {
                KeptImages(rows.images, format: ImageFormat(precision: $0, height: shape.height, width: shape.width))
            }
            let staged = StagedBlock(table: rows.table, images: images)
            try staged.write(to: path(block.range, of: unit(of: block.range)))
            return .block(block.range)
        } catch {
            return .failure(error)
        }
    }

    /// Puts a unit's staged blocks together as its shard; they are cleared away once its rows are visible.
    /// - Returns: what rounding did, unless the rows are stored exactly.
    private func commit(_ unit: UnitKey, _ queue: CommitQueue) throws(LogitError) -> Rounding? {
        var whole: StagedBlock?
        for block in plan.blocks(of: unit) {
            guard let part = staged(block, of: unit), whole?.hasColumns(of: part) ?? true else {
                throw LogitError(
                    .io,
                    "a staged block of \(plan.variant), \(path(block, of: unit)), is gone or damaged; run the same command again"
                )
            }
            if whole == nil {
                whole = part
                whole?.images?.reserve(unit.rowCount)
            } else {
                whole?.append(part)
            }
        }
        guard let whole else { preconditionFailure("a unit without blocks") }
        let staged = folder(unit)
        return try queue.add(
            whole.table, images: whole.images, key: unit, blockRows: plan.blockRows,
            softwareJSON: computation.classifier.identity.softwareJSON, encoding: request.encoding
        ) { () throws(LogitError) in try Files.removeTree(staged) }
    }

    /// A finished block, where one is there whole and of exactly the rows that the plan has at that place.
    private func staged(_ block: Range<Int>, of unit: UnitKey) -> StagedBlock? {
        guard let staged = StagedBlock.read(path(block, of: unit)) else { return nil }
        let ordinals = plan.ordinals[block]
        let listed = ordinals.lazy.map { computation.source.listed[$0] }
        let shape = computation.classifier.inputShape
        let format = plan.keeping?.images.map { ImageFormat(precision: $0, height: shape.height, width: shape.width) }
        let table = staged.table
        let isTheirs =
            table.classCount == computation.classifier.classCount
            && table.ordinal.elementsEqual(ordinals.lazy.map(Int64.init))
            && table.image.elementsEqual(listed.map(\.id)) && table.label.elementsEqual(listed.map(\.label))
            && (table.attack == nil) == plan.variant.isClean && staged.images?.format == format
        return isTheirs ? staged : nil
    }

    /// Staged blocks of one unit, made by one kind of machine and library: another kind's are not mixed in, nor are blocks of
    /// which something else is kept.
    private func folder(_ unit: UnitKey) -> String {
        let keeping = plan.keeping.map { "\u{1F}\($0.images?.rawValue ?? "")\u{1F}\($0.status8bit)" } ?? ""
        let software = computation.classifier.identity.softwareJSON
        let name = Digest.hex(unit.canonicalText + software + keeping).prefix(24)
        return "\(staging)/\(name)"
    }

    private func path(_ block: Range<Int>, of unit: UnitKey) -> String { "\(folder(unit))/\(block.lowerBound).block" }
}
