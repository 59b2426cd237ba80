import CorpusStore
import Foundation
import Ingestion
import Logits
import Platform
import Shards
import TestSupport
import Testing

/// A corpus of two units whose shards were compacted once.
private func compacted(_ folder: TemporaryFolder, _ name: String = "c") throws -> (path: String, former: String) {
    let path = try Fixtures.corpus(folder, name: name)
    try Fixtures.ingest(path, limit: 40)
    let former = try Corpus(at: path, .reading).snapshot(nil).id
    var request = CompactionRequest()
    request.codec = .zstd
    _ = try Compaction.run(Corpus(at: path, .writing), request, progress: { _, _ in }, shouldStop: { false })
    return (path, former)
}

@discardableResult
private func collect(
    _ path: String, dryRun: Bool = false, damaged: Bool = false, age: Double = 0, wait: Double = 0
) throws -> Garbage.Report {
    try Garbage.run(
        Corpus(at: path, dryRun ? .reading : .writing), dryRun: dryRun, damaged: damaged, stagingSeconds: age,
        patience: Patience(seconds: wait))
}

private func delete(_ path: String, _ snapshot: String) throws -> SnapshotDeletion {
    try Corpus(at: path, .writing).deleteSnapshot(snapshot, withTags: false, force: false)
}

@Test("what a snapshot holds stays until it is deleted; then gc removes exactly the replaced files")
func replaced() throws {
    let folder = TemporaryFolder()
    let (path, former) = try compacted(folder)
    let (rows, files) = (try indexedRows(path), try shardFiles(path))
    #expect(files.count == 4)
    #expect(try collect(path).bytes == 0)
    #expect(try shardFiles(path) == files && tables(path, at: former).count == 2)
    let deletion = try delete(path, former)
    let asked = try collect(path, dryRun: true)
    #expect(asked.shards.count == 2 && asked.bytes == deletion.collectableBytes && asked.bytes > 0)
    #expect(try shardFiles(path) == files)
    #expect(try collect(path).shards == asked.shards)
    #expect(try Set(shardFiles(path)) == Set(Corpus(at: path, .reading).units().map(\.path)))
    #expect(try indexedRows(path) == rows)
    #expect(try Verify.run(Corpus(at: path, .reading), quick: false) { _, _ in }.problems == [])
}

@Test("while a process reads the corpus gc removes nothing and says who reads; it waits if asked")
func readers() throws {
    let folder = TemporaryFolder()
    let (path, former) = try compacted(folder)
    _ = try delete(path, former)
    do {
        let reader = try Corpus(at: path, .reading)
        let error = #expect(throws: LogitError.self) { try collect(path) }
        #expect(error?.code == .busy)
        #expect(error?.message.contains("\(ProcessInfo.processInfo.processIdentifier)") == true)
        withExtendedLifetime(reader) {}
    }
    #expect(try shardFiles(path).count == 4)
    // A reader that ends meanwhile is waited for.
    let isReading = BoundedQueue<Bool>(capacity: 1)
    let reader = PlainThread {
        let lock = try? FileLock.attempt("\(path)/readers", .shared)
        isReading.push(lock != nil)
        usleep(400_000)
        withExtendedLifetime(lock) {}
    }
    #expect(isReading.pop() == true)
    defer { reader.join() }
    #expect(try collect(path, wait: 30).shards.count == 2)
}

@Test("a shard that no catalogue shows yet is not garbage, nor is the last file of a unit")
func strays() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, limit: 40)
    let other = try Fixtures.corpus(folder, name: "other")
    for file in try shardFiles(path) {
        try FileManager.default.createDirectory(
            atPath: ("\(other)/\(file)" as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: "\(path)/\(file)", toPath: "\(other)/\(file)")
    }
    let report = try collect(other)
    #expect(report.shards.isEmpty && report.kept.count == 2 && report.kept.allSatisfy { $0.reason.contains("adopts") })
    #expect(try shardFiles(other) == shardFiles(path))
    let (compacted, former) = try compacted(folder, "compacted")
    _ = try delete(compacted, former)
    let shown = try Corpus(at: compacted, .reading).units()[0].path
    try FileManager.default.removeItem(atPath: "\(compacted)/\(shown)")
    let kept = try collect(compacted)
    #expect(kept.shards.count == 1 && kept.kept.count == 1 && kept.kept[0].reason.contains(shown))
}

@Test("gc removes nothing where a manifest cannot be read: what it holds is not known")
func unknownHolder() throws {
    let folder = TemporaryFolder()
    let (path, former) = try compacted(folder)
    let file = URL(fileURLWithPath: "\(path)/snapshots/\(former).json")
    let text = try String(contentsOf: file, encoding: .utf8)
    try text.replacingOccurrences(of: "ingest", with: "INGEST").write(to: file, atomically: true, encoding: .utf8)
    let error = #expect(throws: LogitError.self) { try collect(path) }
    #expect(error?.code == .corrupt && error?.message.contains(former) == true)
    #expect(try shardFiles(path).count == 4)
    // Deleting the damaged snapshot is a way out.
    _ = try delete(path, former)
    #expect(try collect(path).shards.count == 2)
}

@Test("staged work goes when it is old and no plan owns it; damaged shards only when asked")
func unfinished() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    let error = #expect(throws: LogitError.self) {
        try Fixtures.ingest(path, limit: 200, shouldStop: { true })
    }
    #expect(error?.code == .cancelled)
    func staged() throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: "\(path)/staging").filter { $0.hasSuffix(".block") }
    }
    #expect(try staged().isEmpty == false)
    try FileManager.default.createDirectory(atPath: "\(path)/staging/0123", withIntermediateDirectories: true)
    for name in ["staging/0123/0.block", "snapshots/x.json.77.tmp", "catalog.sqlite.repair-wal"] {
        try Data("left".utf8).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
    }
    try FileManager.default.createDirectory(atPath: "\(path)/damaged/shards", withIntermediateDirectories: true)
    try Data("bad".utf8).write(to: URL(fileURLWithPath: "\(path)/damaged/shards/a.h5"))
    let young = try collect(path, age: 3600)
    #expect(young.unfinished.map(\.path) == ["snapshots/x.json.77.tmp", "catalog.sqlite.repair-wal"])
    let report = try collect(path)
    #expect(report.unfinished.map(\.path) == ["staging/0123"] && report.unfinished[0].bytes == 4)
    #expect(FileManager.default.fileExists(atPath: "\(path)/damaged/shards/a.h5"))
    #expect(try collect(path, damaged: true).damaged.map(\.path) == ["damaged/shards/a.h5"])
    #expect(!FileManager.default.fileExists(atPath: "\(path)/damaged/shards"))
    // The plan's own blocks are still there, and the ingest goes on from them.
    let finished = try Fixtures.ingest(path, limit: 200)
    #expect(finished.parts.reduce(0) { $0 + $1.resumed } > 0)
    #expect(try staged().isEmpty && indexedRows(path).count == 400)
}
