import CorpusStore
import Foundation
import Ingestion
import Logits
import Shards
import TestSupport
import Testing

private func problems(_ path: String) throws -> [String] {
    try Verify.run(Corpus(at: path, .reading), quick: false, deep: true) { _, _ in }.problems
}

private func removeCatalogue(_ path: String) {
    for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        try? FileManager.default.removeItem(atPath: "\(path)/\(name)")
    }
}

private func contents(_ path: String) throws -> [String: String] {
    Dictionary(
        try Corpus(at: path, .reading).units().map { (Layout.shard($0.key), $0.contentDigest) },
        uniquingKeysWith: { first, _ in first })
}

@discardableResult
private func makeAgain(_ path: String) throws -> RepairIngest.Report {
    try RepairIngest.run(
        Corpus(at: path, .writing), RepairIngest.Options(workerCount: 2), progress: { _, _ in }, shouldStop: { false })
}

/// What can happen to a shard.
enum Blow: String, CaseIterable, Sendable {
    case flippedBit, cutShort, beginningGone, missing

    func strike(_ path: String) throws {
        let file = URL(fileURLWithPath: path)
        guard self != .missing else { return try FileManager.default.removeItem(at: file) }
        var bytes = try Data(contentsOf: file)
        switch self {
        case .flippedBit: bytes[bytes.count - 300] ^= 1
        case .cutShort: bytes.removeLast(bytes.count / 3)
        case .beginningGone: bytes.replaceSubrange(..<4096, with: Data(count: 4096))
        case .missing: break
        }
        try bytes.write(to: file)
    }
}

@Test(
    "a shard lost in any way is listed, and made again bit for bit, with catalogue or without; snapshots are whole again",
    arguments: Blow.allCases, [false, true])
func lost(blow: Blow, withoutCatalogue: Bool) throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, limit: 70)
    try Fixtures.ingest(path, attacks: "clean,pgd", limit: 100) {
        $0.encoding = ShardEncoding(codec: .zstd, precision: .float16)
        $0.keepImages = .eightBit
        $0.blockRows = 16
    }
    let before = try contents(path)
    let trees = try Corpus(at: path, .reading).snapshots().map(\.tree)
    let unit = try #require(
        try Corpus(at: path, .reading).units().last { !$0.key.variant.isClean && $0.key.rowCount == 30 })
    try blow.strike("\(path)/\(unit.path)")
    if withoutCatalogue { removeCatalogue(path) }

    let report = try Repair.run(at: path) { _, _ in }
    #expect(report.lost.map(\.path) == [unit.path] && report.lost[0].isKnown && report.lost[0].rows == 30)
    #expect(report.setAside.count == (blow == .missing ? 0 : 1))
    #expect(report.incomplete.count == 1 && report.incomplete[0].contains(unit.path))
    let list = try #require(try LostShards.all(Corpus(at: path, .reading).layout).first)
    #expect(list.ordinals == (70..<100).map(Int64.init) && list.images?.count == 30)
    #expect(list.shard?.details.blockRows == 16 && list.shard?.details.keptImages == .eightBit)
    #expect(list.shard?.details.precision == "float16" && list.snapshots.count == 1)
    #expect(try problems(path).contains { $0.contains("snapshot") && $0.contains(unit.path) })
    // Again, as after a kill: nothing of the list is lost, though nothing else knows of the shard now.
    _ = try Repair.run(at: path) { _, _ in }
    #expect(try LostShards.all(Corpus(at: path, .reading).layout).first?.ordinals == list.ordinals)

    let made = try makeAgain(path)
    #expect(made.parts.map(\.isEqual) == [true] && made.problems.isEmpty)
    #expect(try contents(path) == before)
    #expect(try LostShards.all(Corpus(at: path, .reading).layout).isEmpty)
    #expect(try Corpus(at: path, .reading).snapshots().map(\.tree) == trees)
    #expect(try problems(path) == [])
}

@Test("an ordinary ingest over lost rows makes them again as they were, not in blocks of its own")
func ordinaryIngest() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, limit: 70)
    try Fixtures.ingest(path, limit: 100)
    let before = try contents(path)
    let unit = try #require(try Corpus(at: path, .reading).units().first { $0.key.rowCount == 70 })
    try Blow.flippedBit.strike("\(path)/\(unit.path)")
    _ = try Repair.run(at: path) { _, _ in }
    let report = try Fixtures.ingest(path, limit: 120)
    #expect(report.madeAgain == 1 && report.parts.map(\.computed).reduce(0, +) == 70 + 40)
    #expect(try contents(path).filter { before[$0.key] != nil } == before)
    #expect(try problems(path) == [])
}

@Test("a list whose rows were known to nobody says so, and stays")
func unknown() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, attacks: "clean", limit: 20)
    let unit = try #require(try Corpus(at: path, .reading).units().first)
    removeCatalogue(path)
    for name in try FileManager.default.contentsOfDirectory(atPath: "\(path)/snapshots") {
        try FileManager.default.removeItem(atPath: "\(path)/snapshots/\(name)")
    }
    try FileManager.default.removeItem(atPath: "\(path)/refs/head")
    try Blow.beginningGone.strike("\(path)/\(unit.path)")
    let report = try Repair.run(at: path) { _, _ in }
    #expect(report.lost.count == 1 && !report.lost[0].isKnown && report.lost[0].rows == nil)
    let made = try makeAgain(path)
    #expect(made.parts.isEmpty && made.problems.count == 1 && made.problems[0].contains(unit.path))
    #expect(try LostShards.all(Corpus(at: path, .reading).layout).count == 1)
}

@Test(
    "rows of a module that was replaced are set aside and not made again by another; put back, they return as they are")
func replacedModule() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, attacks: "clean", limit: 20)
    let before = try contents(path)
    let descriptor = "\(path)/networks/residual.json"
    let text = try String(contentsOfFile: descriptor, encoding: .utf8)
    let digest = try Corpus(at: path, .reading).network(nil).digest
    try text.replacingOccurrences(of: digest, with: String(repeating: "0", count: 64)).write(
        toFile: descriptor, atomically: true, encoding: .utf8)
    let report = try Repair.run(at: path) { _, _ in }
    #expect(report.setAside.count == 1 && report.lost.map(\.isKnown) == [true])
    let made = try makeAgain(path)
    #expect(made.parts.isEmpty && made.problems.count == 1)
    try text.write(toFile: descriptor, atomically: true, encoding: .utf8)
    let again = try Repair.run(at: path) { _, _ in }
    #expect(again.putBack.count == 1 && again.lost.isEmpty && again.setAside.isEmpty)
    #expect(try contents(path) == before)
    #expect(try LostShards.all(Corpus(at: path, .reading).layout).isEmpty)
    #expect(try problems(path) == [])
}

@Test("of two files of one unit repair takes the head snapshot's, and never both")
func twins() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, attacks: "clean", limit: 40)
    var request = CompactionRequest()
    request.codec = .zstd
    _ = try Compaction.run(Corpus(at: path, .writing), request, progress: { _, _ in }, shouldStop: { false })
    let unit = try #require(try Corpus(at: path, .reading).units().first)
    let former = Layout.shard(unit.key)
    #expect(unit.path != former && FileManager.default.fileExists(atPath: "\(path)/\(former)"))
    removeCatalogue(path)
    #expect(try Repair.run(at: path) { _, _ in }.shards == 1)
    #expect(try Corpus(at: path, .reading).units().map(\.path) == [unit.path])
    #expect(try problems(path) == [])

    // The head's file damaged: the former one has the same rows, so nothing is lost.
    try Blow.flippedBit.strike("\(path)/\(unit.path)")
    let report = try Repair.run(at: path) { _, _ in }
    #expect(report.lost.isEmpty && report.setAside.map(\.path) == [unit.path] && report.incomplete.isEmpty)
    #expect(try Corpus(at: path, .reading).units().map(\.path) == [former])
    #expect(try problems(path) == [])
}

@Test(
    "a damaged file that only an old snapshot holds is set aside, and the snapshot turns to the file with the same rows"
)
func formerFile() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, attacks: "clean", limit: 40)
    var request = CompactionRequest()
    request.codec = .zstd
    _ = try Compaction.run(Corpus(at: path, .writing), request, progress: { _, _ in }, shouldStop: { false })
    let unit = try #require(try Corpus(at: path, .reading).units().first)
    try Blow.flippedBit.strike("\(path)/\(Layout.shard(unit.key))")
    #expect(try problems(path).count == 1)
    let report = try Repair.run(at: path) { _, _ in }
    #expect(report.setAside.map(\.path) == [Layout.shard(unit.key)] && report.lost.isEmpty)
    #expect(try Corpus(at: path, .reading).snapshots().allSatisfy { $0.shards.map(\.path) == [unit.path] })
    #expect(try problems(path) == [])
}

@Test("SQL and statistics refuse a snapshot of which rows are lost")
func incompleteSnapshot() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, limit: 20)
    let unit = try #require(try Corpus(at: path, .reading).units().first)
    try Blow.missing.strike("\(path)/\(unit.path)")
    _ = try Repair.run(at: path) { _, _ in }
    let corpus = try Corpus(at: path, .reading)
    let head = try corpus.snapshot(nil)
    let query = #expect(throws: LogitError.self) { try ReadOnlyQuery(corpus, at: head) { false } }
    #expect(query?.code == .corrupt && query?.message.contains("--repair") == true)
    #expect(throws: LogitError.self) {
        try corpus.statistic(
            "mean", split: corpus.split(dataset: nil, split: nil), network: "residual", attack: "pgd", selection: nil,
            at: head)
    }
}
