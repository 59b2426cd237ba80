import CorpusStore
import Logits
import Networks
import Shards

/// What one `logit ingest` is asked for.
package struct IngestRequest: Sendable {
    package var split: SplitDescriptor
    package var network: NetworkDescriptor
    package var attacks: [AttackChoice]
    package var seed: UInt64 = 0
    /// How many views (restarts) of each attack that uses random numbers.
    package var viewCount = 1
    /// The first n images of the split.
    package var limit: Int?
    /// The first n images of each class.
    package var perClass: Int?
    /// How logits are stored.
    package var encoding = ShardEncoding.raw
    /// Threads that compute blocks, each with one intra-op thread.
    package var workerCount: Int
    /// Decoded blocks that may wait for a worker.
    package var prefetch = 4
    /// Rows computed at once, for a list begun by this ingest; the network's own if nil.
    package var blockRows: Int?
    /// Keep the images that the network is given, attacked or clean, in the shards.
    package var keepImages: ImagePrecision?
    /// Store the outcome after rounding attacked images to 8 bits; always so where images are kept.
    package var status8bit = false
    /// Where the network runs.
    package var device = Device.cpu

    /// Each view is a part of its own of an ingest.
    package static let mostViews = 1000

    package init(split: SplitDescriptor, network: NetworkDescriptor, attacks: [AttackChoice], workerCount: Int) {
        self.split = split
        self.network = network
        self.attacks = attacks
        self.workerCount = workerCount
    }

    /// Refuses values out of range.
    func check() throws(LogitError) {
        let limits: [(String, Int?, ClosedRange<Int>)] = [
            ("--limit", limit, 1...Int.max), ("--per-class", perClass, 1...Int.max),
            ("--workers", workerCount, 1...1024), ("--prefetch", prefetch, 1...1 << 16),
            ("--views", viewCount, 1...IngestRequest.mostViews), ("--block", blockRows, 1...1 << 20),
        ]
        for (option, value, range) in limits {
            if let value, !range.contains(value) {
                let most = range.upperBound == .max ? "of at least 1" : "from 1 to \(range.upperBound)"
                throw LogitError(.usage, "\(option) is \(value); give a whole number \(most)")
            }
        }
        try encoding.check(classCount: network.classCount)
        guard network.classCount == split.classNames.count else {
            throw LogitError(
                .badInput,
                "network \(network.name) has \(network.classCount) classes but dataset \(split.dataset) has \(split.classNames.count); use a network for these classes, or name the dataset's classes with --classes when it is added"
            )
        }
    }

    /// What the rows of a variant keep; nil: nothing.
    func keeping(_ variant: Variant) -> Keeping? {
        let keeping = Keeping(images: keepImages, status8bit: !variant.isClean && (status8bit || keepImages != nil))
        return keeping == .nothing ? nil : keeping
    }

    /// The ordinals asked for, in order.
    func ordinals(_ images: [ListedImage]) -> [Int] {
        var taken: [Int32: Int] = [:]
        var chosen: [Int] = []
        for (ordinal, image) in images.enumerated() {
            if let limit, chosen.count >= limit { break }
            if let perClass {
                guard taken[image.label, default: 0] < perClass else { continue }
                taken[image.label, default: 0] += 1
            }
            chosen.append(ordinal)
        }
        return chosen
    }
}

/// Progress of an ingest, for whoever shows it.
package struct IngestProgress: Sendable {
    package let variant: String
    /// Images of this ingest done, all variants together; skipped and resumed ones count as done.
    package let done: Int
    package let total: Int
    /// Images computed since the ingest began, which is what a rate is made of.
    package let computed: Int
}

/// What an ingest did.
package struct IngestReport: Codable, Sendable {
    package struct Part: Codable, Sendable {
        package var attack: String
        package var view: Int
        /// Images asked for.
        package var images: Int
        /// Rows that were there before.
        package var present: Int
        /// Rows in blocks that an interrupted ingest had finished.
        package var resumed: Int
        /// Rows computed now.
        package var computed: Int
        /// Rows that were there before without the images or the 8-bit outcome asked for, and stay so.
        package var unkept: Int
        /// Of all stored rows of this attack and view over these images: logits or gradients that were not finite, or gradients
        /// that were zero.
        package var invalid: Int
        /// How the rows computed or resumed now are stored.
        package var precision: String
        /// Of these, unless they are exact: rows whose arg max of the stored logits is not the prediction, and rows whose
        /// largest logit several classes share only once stored.
        package var changedArgMax: Int?
        package var newlyTied: Int?
    }

    package var parts: [Part] = []
    package var adoptedShards = 0
    /// Shards of rows that `logit repair` had listed as lost.
    package var madeAgain = 0
    package var snapshot = ""
    package var seconds = 0.0
    package var imagesPerSecond = 0.0
}

extension IngestReport.Part {
    mutating func add(_ roundings: [Rounding]) {
        for rounding in roundings {
            changedArgMax = (changedArgMax ?? 0) + rounding.changedArgMax
            newlyTied = (newlyTied ?? 0) + rounding.newlyTied
        }
    }
}
