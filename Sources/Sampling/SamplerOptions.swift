import Logits

/// What the sampler does with an image whose attacked row is `failed` (or `invalid`).
package enum TwinPolicy: String, Sendable, Codable, CaseIterable {
    /// The attacked row is used like any other.
    case keep
    /// The clean row takes its place.
    case clean
    /// The image is left out, clean row and all.
    case skip
}

/// Options of a stream. The stream is a function of the snapshot, the selection and all of these but the last three.
package struct SamplerOptions: Sendable, Equatable {
    /// p: the probability that an image gives its clean row in an epoch.
    package var cleanProbability = 0.3
    package var batchRowCount = 256
    package var seed: UInt64 = 0
    /// An attack that did not succeed is still what the defender will meet.
    package var failedTwins = TwinPolicy.keep
    /// A row without finite logits or gradient teaches nothing.
    package var invalidTwins = TwinPolicy.skip
    /// Batch b of the global order goes to rank b mod worldSize.
    package var rank = 0
    package var worldSize = 1
    package var threadCount = 1
    /// Batches read ahead by each thread.
    package var prefetch = 4
    /// Check a row at each use, not only at its first.
    package var verifyEvery = false

    package init() {}

    func check() throws(LogitError) {
        guard cleanProbability >= 0, cleanProbability <= 1 else {
            throw LogitError(.usage, "--p is \(cleanProbability); give a probability from 0 to 1")
        }
        guard batchRowCount >= 1, batchRowCount <= 1 << 20 else {
            throw LogitError(.usage, "--batch is \(batchRowCount); give a whole number from 1 to \(1 << 20)")
        }
        guard threadCount >= 1, threadCount <= 1024, prefetch >= 1 else {
            throw LogitError(.usage, "--threads is \(threadCount); give a whole number from 1 to 1024")
        }
        guard worldSize >= 1, rank >= 0, rank < worldSize else {
            throw LogitError(.usage, "--rank \(rank) of --world \(worldSize) does not exist; ranks count from 0")
        }
    }
}
