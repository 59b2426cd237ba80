import Logits
import Platform
import Shards

/// A mini-batch of rows.
package struct Batch: Sendable {
    package let classCount: Int
    /// count × classCount, as stored.
    package let logits: [Float]
    /// Ground truth.
    package let labels: [Int32]
    package let ordinals: [Int64]
    /// For each row: 0 clean, k the k-th attack.
    package let variants: [Int]

    package var count: Int { labels.count }
    package var cleanCount: Int { variants.count { $0 == 0 } }
}

/// Mini-batches over a snapshot: every image once an epoch, in an order that (seed, epoch) determines, clean with
/// probability p (paper, Algorithm 1). The stream is a pure function of (snapshot, selection, options): the same for any
/// number of threads, any prefetch and any rank, and from any batch on after a resume.
package final class Sampler: Sendable {
    package let options: SamplerOptions
    package let attacks: [String]
    private let index: PairIndex

    package var classCount: Int { index.classCount }
    /// Images in an epoch.
    package var imageCount: Int { index.ordinals.count }
    /// Images that lack the clean row or an attacked one, and are left out.
    package var unpairedCount: Int { index.unpairedCount }
    /// Images left out for a `failed` or `invalid` row, as the options say.
    package var skippedCount: Int { index.skippedCount }
    /// Batches an epoch, all ranks together; the last may be short.
    package var batchCount: Int { (imageCount + options.batchRowCount - 1) / options.batchRowCount }

    /// - Parameter attacks: canonical names; the clean rows always belong to the mix.
    package init(
        corpusRoot: String, manifest: SnapshotManifest, dataset: String, split: String, network: String,
        attacks: [String], view: Int = 0, selection: SelectionFile? = nil, options: SamplerOptions
    ) throws(LogitError) {
        try options.check()
        guard !attacks.isEmpty, Set(attacks).count == attacks.count, !attacks.contains("clean") else {
            throw LogitError(
                .usage, "--attack needs one or more attacks beside clean, each once, for instance --attack pgd")
        }
        self.options = options
        self.attacks = attacks
        index = try PairIndex(
            corpusRoot: corpusRoot, manifest: manifest, dataset: dataset, split: split, network: network,
            attacks: attacks, view: view, selection: selection, options: options)
    }

    /// The batches of one epoch for this rank, from global batch `first` on.
    package func batches(epoch: Int, from first: Int = 0) -> BatchSequence {
        let mine = (first..<max(first, batchCount)).filter { $0 % options.worldSize == options.rank }
        return BatchSequence(self, order: order(epoch), epoch: epoch, batches: mine)
    }

    // MARK: The stream

    /// Numbers for one purpose in one epoch: streams of the generator never meet.
    private func stream(_ epoch: Int, _ purpose: UInt64) -> UInt64 { UInt64(epoch) << 2 | purpose }

    /// Fisher–Yates over the images in ordinal order.
    private func order(_ epoch: Int) -> [Int32] {
        let random = Philox(key: options.seed)
        var order = Array(Int32(0)..<Int32(imageCount))
        for last in stride(from: imageCount - 1, to: 0, by: -1) {
            let bits = random.bits(UInt64(last), stream: stream(epoch, 0))
            let (high, _) = bits.multipliedFullWidth(by: UInt64(last + 1))
            order.swapAt(last, Int(high))
        }
        return order
    }

    /// Which row an image gives in an epoch: 0 clean, k the k-th attack. It depends on its ordinal, not on its place.
    private func variant(_ image: Int, _ epoch: Int) -> Int {
        let random = Philox(key: options.seed)
        let ordinal = UInt64(bitPattern: index.ordinals[image])
        if random.uniform(ordinal, stream: stream(epoch, 1)) < options.cleanProbability { return 0 }
        let (pick, _) = random.bits(ordinal, stream: stream(epoch, 2)).multipliedFullWidth(by: UInt64(attacks.count))
        let variant = 1 + Int(pick)
        let place = index.places[variant][image]
        let status = index.readers[Int(place.shard)].columns.attack?.status[Int(place.row)] ?? 0
        return PairIndex.policy(status, options) == .clean ? 0 : variant
    }

    fileprivate func read(
        _ batch: Int, order: [Int32], epoch: Int, scratch: RowScratch
    ) throws(LogitError) -> Batch {
        let images = order[batch * options.batchRowCount..<min(order.count, (batch + 1) * options.batchRowCount)].map(
            Int.init)
        let variants = images.map { variant($0, epoch) }
        let places = zip(images, variants).map { index.places[$1][$0] }
        // Of the rows whose logits are read: their checksums, compared then, cover the labels too.
        let labels = places.map { index.readers[Int($0.shard)].columns.label[Int($0.row)] }
        var failure: LogitError?
        let logits = [Float](unsafeUninitializedCapacity: images.count * classCount) { buffer, filled in
            do throws(LogitError) {
                try index.gather.copy(places, into: buffer, scratch: scratch)
                filled = buffer.count
            } catch { failure = error }
        }
        if let failure { throw failure }
        return Batch(
            classCount: classCount, logits: logits, labels: labels, ordinals: images.map { index.ordinals[$0] },
            variants: variants)
    }

    /// Hands out what a digest of the stream covers, row by row: ordinal (int64), variant (UTF-8 and a zero byte), label
    /// (int32), stored logits (float32), all little-endian.
    package func visit(_ batch: Batch, _ sink: (UnsafeRawBufferPointer) -> Void) {
        let names = (["clean"] + attacks).map { Array($0.utf8) + [0] }
        for row in 0..<batch.count {
            withUnsafeBytes(of: batch.ordinals[row].littleEndian, sink)
            names[batch.variants[row]].withUnsafeBytes(sink)
            withUnsafeBytes(of: batch.labels[row].littleEndian, sink)
            batch.logits.withUnsafeBytes { all in
                sink(UnsafeRawBufferPointer(rebasing: all[row * 4 * classCount..<(row + 1) * 4 * classCount]))
            }
        }
    }
}

/// The batches of an epoch in order, read ahead by threads that start with the first `next` and end with the sequence.
package final class BatchSequence {
    private let sampler: Sampler
    private let order: [Int32]
    private let epoch: Int
    private let batches: [Int]
    private var queues: [BoundedQueue<Result<Batch, LogitError>>] = []
    private var taken = 0
    private var failure: LogitError?

    fileprivate init(_ sampler: Sampler, order: [Int32], epoch: Int, batches: [Int]) {
        self.sampler = sampler
        self.order = order
        self.epoch = epoch
        self.batches = batches
    }

    deinit { queues.forEach { $0.close() } }

    /// The next batch, or nil at the end of the epoch. After an error every further call throws it again: a stream never
    /// goes on behind a hole.
    package func next() throws(LogitError) -> Batch? {
        if let failure { throw failure }
        guard taken < batches.count else { return nil }
        if queues.isEmpty { start() }
        // Thread t reads batches t, t + T, …: taking the queues in turn gives them back in order.
        switch queues[taken % queues.count].pop() {
        case .success(let batch):
            taken += 1
            return batch
        case .failure(let error):
            failure = error
            queues.forEach { $0.close() }
            throw error
        case nil: return nil
        }
    }

    private func start() {
        let threads = min(sampler.options.threadCount, batches.count)
        for thread in 0..<threads {
            let queue = BoundedQueue<Result<Batch, LogitError>>(capacity: sampler.options.prefetch)
            queues.append(queue)
            let (sampler, order, epoch, batches) = (sampler, order, epoch, batches)
            PlainThread {
                let scratch = RowScratch()
                for place in stride(from: thread, to: batches.count, by: threads) {
                    let result: Result<Batch, LogitError>
                    do throws(LogitError) {
                        result = .success(
                            try sampler.read(
                                batches[place], order: order, epoch: epoch, scratch: scratch))
                    } catch { result = .failure(error) }
                    guard queue.push(result), case .success = result else { break }
                }
                queue.close()
            }.detach()
        }
    }
}
