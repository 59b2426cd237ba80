import CorpusStore
import Foundation
import Ingestion
import Logits
import Shards
import Synchronization
import TestSupport
import Testing

/// Every row of a corpus, whatever its shards: variant, image, bits of the logits.
private func rows(_ path: String) throws -> [String] {
    let corpus = try Corpus(at: path, .reading)
    var found: [String] = []
    for unit in try corpus.units() {
        let table = try ShardReader(path: corpus.layout.absolute(unit.path)).table(0..<unit.key.rowCount)
        for row in 0..<table.count {
            found.append(
                "\(unit.key.variant) \(unit.key.view) \(table.ordinal[row]) \(table.prediction[row]) \(table.row(row).map(\.bitPattern)) \(table.attack?.perturbationL2[row] ?? 0)"
            )
        }
    }
    return found.sorted()
}

@Test("an ingest stopped after any block and run again ends in the same rows, bit for bit, and the same tree")
func resume() throws {
    let folder = TemporaryFolder()
    let whole = try Fixtures.corpus(folder, name: "whole")
    try Fixtures.ingest(whole, limit: 400)
    let stopped = try Fixtures.corpus(folder, name: "stopped")
    // Stops at the 1st, 2nd, 3rd … question, so that each attempt ends somewhere else.
    var attempts = 0
    var resumed = 0
    while true {
        attempts += 1
        let asked = Mutex(0)
        let patience = attempts
        do {
            let report = try Fixtures.ingest(
                stopped, limit: 400, change: { $0.workerCount = attempts % 2 + 1 },
                shouldStop: {
                    asked.withLock {
                        $0 += 1
                        return $0 >= patience
                    }
                })
            resumed = report.parts.reduce(0) { $0 + $1.resumed + $1.present }
            break
        } catch let error as LogitError {
            #expect(error.code == .cancelled)
        }
    }
    #expect(attempts > 2 && resumed > 0)
    #expect(try rows(stopped) == rows(whole))
    let trees = try [whole, stopped].map { try Corpus(at: $0, .reading).snapshot(nil).tree }
    #expect(trees[0] == trees[1])
    #expect(try Verify.run(Corpus(at: stopped, .reading), quick: false) { _, _ in }.problems == [])
}

@Test(
    "workers, prefetch and codec change no row",
    arguments: [(1, 1, Codec.raw), (3, 2, Codec.zstd), (2, 16, Codec.zstd)])
func settings(workers: Int, prefetch: Int, codec: Codec) throws {
    let folder = TemporaryFolder()
    let usual = try Fixtures.corpus(folder, name: "usual")
    try Fixtures.ingest(usual, limit: 200)
    let other = try Fixtures.corpus(folder, name: "other")
    try Fixtures.ingest(other, limit: 200) {
        $0.workerCount = workers
        $0.prefetch = prefetch
        $0.encoding.codec = codec
    }
    #expect(try rows(other) == rows(usual))
    #expect(try Corpus(at: other, .reading).snapshot(nil).tree == Corpus(at: usual, .reading).snapshot(nil).tree)
}

@Test("a larger ingest computes only what is missing, and the rows that were there stay as they were")
func larger() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, limit: 100)
    let before = try rows(path)
    let report = try Fixtures.ingest(path, limit: 170)
    #expect(report.parts.map(\.present) == [100, 100] && report.parts.map(\.computed) == [70, 70])
    let after = try rows(path)
    #expect(after.count == 340 && Set(before).isSubset(of: Set(after)))
    let again = try Fixtures.ingest(path, limit: 170)
    #expect(again.parts.map(\.computed) == [0, 0] && again.snapshot == report.snapshot)
}

@Test("--per-class takes the first images of each class")
func perClass() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, attacks: "clean") { $0.perClass = 2 }
    let corpus = try Corpus(at: path, .reading)
    let table = try ShardReader(path: corpus.layout.absolute(try corpus.units()[0].path)).columns
    #expect(table.count == 200 && table.ordinal.prefix(3) == [0, 1, 12])
}

@Test("views are rows of their own, and another seed under the same view is refused")
func views() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    let report = try Fixtures.ingest(path, attacks: "pgd", limit: 64, change: { $0.viewCount = 2 })
    #expect(report.parts.map(\.view) == [0, 1])
    #expect(Set(try rows(path)).count == 128)
    let error = #expect(throws: LogitError.self) { try Fixtures.ingest(path, attacks: "pgd", limit: 64, seed: 5) }
    #expect(error?.code == .usage && error?.message.contains("--views") == true)
}

@Test("images that changed, vanished or were renamed since they were added stop the ingest, and nothing is visible")
func stale() throws {
    let folder = TemporaryFolder()
    try FileManager.default.createDirectory(atPath: folder.file("set"), withIntermediateDirectories: true)
    #expect(try run("/bin/tar", ["xf", Fixtures.testImages, "-C", folder.file("set")]).status == 0)
    let path = folder.file("corpus")
    try Corpus.create(at: path)
    do {
        let corpus = try Corpus(at: path, .writing)
        _ = try DatasetImport.run(
            corpus, dataset: "shapes", split: "test", source: folder.file("set"), classNames: nil,
            progress: { _, _ in }, shouldStop: { false })
        _ = try NetworkImport.run(
            corpus, name: "residual", module: Fixtures.network, input: nil, mean: nil, standardDeviation: nil,
            fold: true)
    }
    let set = folder.file("set/circle-checks")
    let files = try FileManager.default.contentsOfDirectory(atPath: set).sorted()
    let original = try Data(contentsOf: URL(fileURLWithPath: "\(set)/\(files[3])"))
    try Data(contentsOf: URL(fileURLWithPath: "\(set)/\(files[4])")).write(
        to: URL(fileURLWithPath: "\(set)/\(files[3])"))
    let changed = #expect(throws: LogitError.self) { try Fixtures.ingest(path, limit: 20) }
    #expect(changed?.code == .stale && changed?.message.contains(files[3]) == true)
    #expect(try Corpus(at: path, .reading).units().isEmpty)
    try original.write(to: URL(fileURLWithPath: "\(set)/\(files[3])"))
    try FileManager.default.moveItem(atPath: "\(set)/\(files[0])", toPath: "\(set)/zzz.png")
    #expect(throws: LogitError.self) { try Fixtures.ingest(path, limit: 20) }
    try FileManager.default.moveItem(atPath: "\(set)/zzz.png", toPath: "\(set)/\(files[0])")
    try Fixtures.ingest(path, limit: 20)
    #expect(try rows(path).count == 40)
}

@Test("a module that changed in the corpus is refused")
func changedModule() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    let module = try #require(
        try FileManager.default.contentsOfDirectory(atPath: "\(path)/networks").first { $0.hasSuffix(".pt") })
    var bytes = try Data(contentsOf: URL(fileURLWithPath: "\(path)/networks/\(module)"))
    bytes[bytes.count / 2] ^= 1
    try bytes.write(to: URL(fileURLWithPath: "\(path)/networks/\(module)"))
    #expect(throws: LogitError.self) { try Fixtures.ingest(path, limit: 20) }
}
