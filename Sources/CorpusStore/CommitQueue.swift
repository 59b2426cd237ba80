import Logits
import Platform
import Shards
import Synchronization

/// A unit whose rows are digested and laid out, and of which nothing is on the disk yet.
struct PreparedUnit: Sendable {
    let key: UnitKey
    let table: RowTable
    let images: KeptImages?
    let header: ShardHeader
    let encoding: ShardEncoding
    let image: ShardImage
}

/// Commits units one behind the other: while the file of one is written and synced, the next is digested and laid out, and the
/// one before goes into the catalogue. Each goes all the steps of `Corpus.commit` in their order, and units become visible in
/// the order they were added. After a failure nothing more is stored.
package final class CommitQueue: Sendable {
    private let corpus: Corpus
    private let toStore = BoundedQueue<(PreparedUnit, Completion)>(capacity: unitLimit)
    private let toIndex = BoundedQueue<(StoredUnit, PreparedUnit, Completion)>(capacity: unitLimit)
    /// One for each unit under way.
    private let places = BoundedQueue<Void>(capacity: unitLimit)
    private let failure = Mutex<LogitError?>(nil)
    private let threads = Mutex<[PlainThread]>([])

    /// Called on another thread once the unit's rows are visible.
    package typealias Completion = @Sendable () throws(LogitError) -> Void

    /// Units in memory at once.
    private static let unitLimit = 3

    fileprivate init(_ corpus: Corpus) {
        self.corpus = corpus
        let stages = [
            PlainThread { [self] in
                while let (unit, completion) = toStore.pop() {
                    let isStored = noting { () throws(LogitError) in
                        toIndex.push((try corpus.store(unit), unit, completion))
                    }
                    // A unit that ends here leaves its place, or `add` would wait for it for ever.
                    if !isStored { _ = places.pop() }
                }
                toIndex.close()
            },
            PlainThread { [self] in
                while let (stored, unit, completion) = toIndex.pop() {
                    noting { () throws(LogitError) in
                        try corpus.index([(stored, unit.table, unit.header.created)])
                        try completion()
                    }
                    _ = places.pop()
                }
            },
        ]
        threads.withLock { $0 = stages }
    }

    /// Adds a unit; waits while too many are under way. The parameters are those of `Corpus.commit`.
    ///
    /// - Returns: what rounding did, unless the precision is exact.
    /// - Throws: what `Corpus.commit` throws for this unit, or what it threw for an earlier one.
    package func add(
        _ computed: RowTable, images: KeptImages?, key: UnitKey, blockRows: Int, softwareJSON: String,
        encoding: ShardEncoding, whenVisible completion: @escaping Completion = {}
    ) throws(LogitError) -> Rounding? {
        try check()
        let (unit, rounding) = try corpus.prepare(
            computed, images: images, key: key, blockRows: blockRows, softwareJSON: softwareJSON, encoding: encoding)
        places.push(())
        toStore.push((unit, completion))
        return rounding
    }

    /// Waits for every unit added.
    fileprivate func finish() throws(LogitError) {
        toStore.close()
        for thread in threads.withLock({ $0 }) { thread.join() }
        try check()
    }

    private func check() throws(LogitError) {
        if let failure = failure.withLock({ $0 }) { throw failure }
    }

    /// Runs one step unless an earlier one failed; false where it did not come to its end.
    @discardableResult
    private func noting(_ step: () throws(LogitError) -> Void) -> Bool {
        guard failure.withLock({ $0 }) == nil else { return false }
        do throws(LogitError) {
            try step()
            return true
        } catch {
            failure.withLock { $0 = $0 ?? error }
            return false
        }
    }
}

extension Corpus {
    /// Hands out a queue of commits, and waits for all of them, whatever becomes of `body`.
    package func committing<Result>(_ body: (CommitQueue) throws(LogitError) -> Result) throws(LogitError) -> Result {
        requireWriting()
        let queue = CommitQueue(self)
        let result: Result
        do throws(LogitError) {
            result = try body(queue)
        } catch {
            try? queue.finish()
            throw error
        }
        try queue.finish()
        return result
    }

    /// The first step of a commit: digests and lays out.
    func prepare(
        _ computed: RowTable, images: KeptImages?, key: UnitKey, blockRows: Int, softwareJSON: String,
        encoding: ShardEncoding
    ) throws(LogitError) -> (PreparedUnit, Rounding?) {
        precondition(computed.count == key.rowCount, "a unit is committed whole")
        let (table, rounding) = try computed.rounded(to: encoding.precision)
        let checksums = RowChecksums(table, images: images, precision: encoding.precision)
        let header = ShardHeader(
            key: key, classCount: table.classCount, blockRows: blockRows,
            contentDigest: Corpus.contentDigest(key, table, images, encoding.precision, checksums),
            softwareJSON: softwareJSON, created: timestamp())
        let image = try ShardWriter.layOut(
            table, images: images, header: header, encoding: encoding, rounding: rounding, checksums: checksums,
            for: staged(key))
        return (
            PreparedUnit(
                key: key, table: table, images: images, header: header, encoding: encoding, image: image), rounding
        )
    }

    /// The second step: the shard in staging, synced, renamed. Its digest is computed beside the writing.
    func store(_ unit: PreparedUnit) throws(LogitError) -> StoredUnit {
        let staged = staged(unit.key)
        try Files.remove(staged)
        let image = unit.image
        let digests = Mutex<FileDigests?>(nil)
        let failure = Mutex<LogitError?>(nil)
        inParallel(2) { part in
            if part == 0 {
                let found = FileDigests(image)
                digests.withLock { $0 = found }
            } else {
                do throws(LogitError) {
                    try image.write(to: staged)
                } catch {
                    failure.withLock { $0 = error }
                }
            }
        }
        if let failure = failure.withLock({ $0 }) { throw failure }
        guard let file = digests.withLock({ $0 }) else { preconditionFailure("both parts have ended") }
        // A former file of the unit (from before `compact`) may lie at its place, held by a snapshot.
        let place = Layout.shard(unit.key)
        let isFree = !Files.exists(layout.absolute(place))
        let relative = isFree ? place : Layout.shard(unit.key, fileDigest: file.digest)
        let target = layout.absolute(relative)
        try Files.makeDirectory(Files.parent(of: target))
        try Files.renameDurably(staged, to: target)
        let details = ShardDetails(
            unit.table, fileChecksum: file.checksum, encoding: unit.encoding, blockRows: unit.header.blockRows,
            keptImages: unit.images?.format.precision)
        return StoredUnit(
            key: unit.key, path: relative, classCount: unit.table.classCount, contentDigest: unit.header.contentDigest,
            fileDigest: file.digest, fileBytes: file.bytes, details: details, software: unit.header.softwareJSON)
    }

    private func staged(_ key: UnitKey) -> String {
        "\(layout.staging)/shard-\(Digest.hex(key.canonicalText).prefix(16)).h5"
    }
}
