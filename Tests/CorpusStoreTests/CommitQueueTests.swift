import CorpusStore
import Foundation
import Logits
import Shards
import Synchronization
import TestSupport
import Testing

/// A corpus without images or module, and units of 50 rows.
private struct Subject {
    let folder = TemporaryFolder()
    let corpus: Corpus
    let key: UnitKey

    init() throws {
        let path = folder.file("corpus")
        try Corpus.create(at: path)
        corpus = try Corpus(at: path, .writing)
        let whole = exampleTable(rows: 500, classes: 10)
        let images = zip(whole.image, whole.label).map { ListedImage(id: $0, label: $1, digest: Digest.hex($0)) }
        let split = SplitDescriptor(
            dataset: "d", split: "s", source: "none", kind: "folder", classNames: (0..<10).map { "class\($0)" },
            imageCount: images.count, digest: Digest.hex(Corpus.imageListBytes(images)), height: 8, width: 8,
            created: "2026-01-01T00:00:00Z")
        try corpus.addSplit(split, images: images)
        let network = NetworkDescriptor(
            name: "n", digest: Digest.hex("module"), height: 8, width: 8, classCount: 10, mean: nil,
            standardDeviation: nil, blockRows: 8, fold: false, source: "none", created: "2026-01-01T00:00:00Z")
        try corpus.addNetwork(network, module: Array("module".utf8))
        key = UnitKey(
            dataset: "d", split: "s", datasetDigest: split.digest, network: "n", networkDigest: network.digest,
            preprocessing: network.preprocessing, variant: .clean, view: 0, seed: 0, listDigest: Digest.hex("list"),
            firstPosition: 0, rowCount: 50)
    }

    func add(_ unit: Int, to queue: CommitQueue, slipped: Bool = false, then: @escaping CommitQueue.Completion = {})
        throws(LogitError)
    {
        var key = key
        key.firstPosition = unit * 50
        var table = exampleTable(rows: 50, classes: 10, firstOrdinal: unit * 50)
        if slipped { table.ordinal.swapAt(3, 4) }
        _ = try queue.add(
            table, images: nil, key: key, blockRows: 8, softwareJSON: "{}",
            encoding: unit % 2 == 0 ? .raw : .zstd, whenVisible: then)
    }

    func visible() throws -> [Int] { try corpus.units().map(\.key.firstPosition).sorted() }
}

@Test("units of a queue become visible in order, each before its completion is called")
func inOrder() throws {
    let subject = try Subject()
    let seen = Mutex<[[Int]]>([])
    try subject.corpus.committing { (queue) throws(LogitError) in
        for unit in 0..<8 {
            try subject.add(unit, to: queue) {
                let visible = (try? subject.visible()) ?? []
                seen.withLock { $0.append(visible) }
            }
        }
    }
    #expect(seen.withLock { $0 } == (1...8).map { count in (0..<count).map { $0 * 50 } })
    #expect(try Verify.run(subject.corpus, quick: false) { _, _ in }.problems == [])
}

@Test("after a unit that cannot be committed no later one is, and the failure comes out")
func failed() throws {
    let subject = try Subject()
    let done = Mutex<[Int]>([])
    let error = #expect(throws: LogitError.self) {
        try subject.corpus.committing { (queue) throws(LogitError) in
            for unit in 0..<8 {
                try subject.add(unit, to: queue, slipped: unit == 2) { done.withLock { $0.append(unit) } }
            }
        }
    }
    #expect(error?.code == .stale)
    #expect(done.withLock { $0 } == [0, 1])
    #expect(try subject.visible() == [0, 50])
}

@Test("a disk that takes long to fail leaves nobody waiting", .timeLimit(.minutes(1)))
func failedSlowly() throws {
    let subject = try Subject()
    // Each file is written and synced in staging before its folder turns out to be none, while more units are laid out.
    let shards = "\(subject.corpus.root)/shards"
    try FileManager.default.removeItem(atPath: shards)
    try Data().write(to: URL(fileURLWithPath: shards))
    let error = #expect(throws: LogitError.self) {
        try subject.corpus.committing { (queue) throws(LogitError) in
            for unit in 0..<10 { try subject.add(unit, to: queue) }
        }
    }
    #expect(error?.code == .io)
    #expect(try subject.visible() == [])
}

@Test("units added before an error of the caller's are committed all the same")
func callersError() throws {
    let subject = try Subject()
    #expect(throws: LogitError.self) {
        try subject.corpus.committing { (queue) throws(LogitError) in
            for unit in 0..<3 { try subject.add(unit, to: queue) }
            throw LogitError(.cancelled, "stopped")
        }
    }
    #expect(try subject.visible() == [0, 50, 100])
}
