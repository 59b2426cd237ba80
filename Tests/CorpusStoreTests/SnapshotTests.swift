import CorpusStore
import Foundation
import Ingestion
import Logits
import Shards
import TestSupport
import Testing

/// Two snapshots: clean and pgd over 40 images, then bim over 20 as well.
private func grown(_ folder: TemporaryFolder) throws -> (path: String, first: String, second: String) {
    let path = try Fixtures.corpus(folder)
    let first = try Fixtures.ingest(path, limit: 40).snapshot
    return (path, first, try Fixtures.ingest(path, attacks: "bim", limit: 20).snapshot)
}

private func diff(_ path: String, _ before: String, _ after: String) throws -> SnapshotDiff {
    let corpus = try Corpus(at: path, .reading)
    return try SnapshotDiff(try corpus.snapshot(before), try corpus.snapshot(after), in: corpus)
}

private func delete(
    _ path: String, _ snapshot: String, withTags: Bool = false, force: Bool = false
) throws -> SnapshotDeletion {
    try Corpus(at: path, .writing).deleteSnapshot(snapshot, withTags: withTags, force: force)
}

@Test("a difference names units and counts rows: added, removed, rewritten, changed")
func differences() throws {
    let folder = TemporaryFolder()
    let (path, first, second) = try grown(folder)
    let forward = try diff(path, first, second)
    #expect(
        forward.added == SnapshotDiff.Count(units: 1, rows: 20)
            && forward.same == SnapshotDiff.Count(units: 2, rows: 80))
    #expect(forward.units.map(\.attack) == ["bim"] && forward.units[0].change == .added)
    let backward = try diff(path, String(second.prefix(12)), first)
    #expect(backward.removed == SnapshotDiff.Count(units: 1, rows: 20) && backward.units[0].after == nil)
    #expect(try diff(path, "head", "head").units.isEmpty)
    var request = CompactionRequest()
    request.codec = .zstd
    let zstd = try Compaction.run(
        Corpus(at: path, .writing), request, progress: { _, _ in }, shouldStop: { false }
    ).snapshot
    let rewritten = try diff(path, second, zstd)
    #expect(rewritten.rewritten == SnapshotDiff.Count(units: 3, rows: 100) && rewritten.changed.units == 0)
    request.precision = .keepBits(2)
    request.attacks = ["pgd"]
    let rounded = try Compaction.run(
        Corpus(at: path, .writing), request, progress: { _, _ in }, shouldStop: { false }
    ).snapshot
    let changed = try diff(path, zstd, rounded)
    #expect(changed.changed == SnapshotDiff.Count(units: 1, rows: 40) && changed.units[0].changedRows == 40)
    #expect(changed.same == SnapshotDiff.Count(units: 2, rows: 60))
}

@Test("a snapshot is deleted with its index; the head, a tagged one and one that a result was made from are refused")
func deletion() throws {
    let folder = TemporaryFolder()
    let (path, first, second) = try grown(folder)
    let head = #expect(throws: LogitError.self) { try delete(path, "head") }
    #expect(head?.code == .usage && head?.message.contains(second.prefix(12)) == true)
    do { _ = try Corpus(at: path, .writing).tag("v1", snapshot: first, replacing: false) }
    let tagged = #expect(throws: LogitError.self) { try delete(path, first) }
    #expect(tagged?.code == .usage && tagged?.message.contains("v1") == true)
    let evaluation = """
        {"defender": "g", "snapshot": "\(first)", "dataset": "shapes", "split": "test", "network": "residual",
         "figures": [], "created": "2026-01-01T00:00:00Z"}
        """
    do { _ = try Corpus(at: path, .writing).addEvaluation(json: Array(evaluation.utf8)) }
    let used = #expect(throws: LogitError.self) { try delete(path, "v1", withTags: true) }
    #expect(used?.code == .usage && used?.message.contains("of g") == true && used?.message.contains("--force") == true)
    #expect(try answers(path, "SELECT count(*) FROM snapshots") == ["\([ReadOnlyQuery.Value.integer(2)])"])
    let rows = try indexedRows(path)
    let report = try delete(path, "v1", withTags: true, force: true)
    #expect(report.id == first && report.tags == ["v1"] && report.evaluations.count == 1)
    #expect(try Corpus(at: path, .reading).snapshotIDs() == [second] && Corpus(at: path, .reading).tags().isEmpty)
    #expect(try answers(path, "SELECT snapshot FROM snapshots").count == 1)
    #expect(try answers(path, "SELECT * FROM tag_index").isEmpty && indexedRows(path) == rows)
    #expect(throws: LogitError.self) { try delete(path, first) }
    #expect(try Verify.run(Corpus(at: path, .reading), quick: false) { _, _ in }.problems == [])
}

@Test("a deletion that was killed after the manifest went is finished by the next writer")
func killedDeletion() throws {
    let folder = TemporaryFolder()
    let (path, first, second) = try grown(folder)
    do { _ = try Corpus(at: path, .writing).tag("v1", snapshot: first, replacing: false) }
    for file in ["refs/tags/v1", "snapshots/\(first).json"] {
        try FileManager.default.removeItem(atPath: "\(path)/\(file)")
    }
    #expect(try answers(path, "SELECT snapshot FROM snapshots").count == 2)
    do { _ = try Corpus(at: path, .writing) }
    #expect(try answers(path, "SELECT snapshot FROM snapshots").count == 1)
    #expect(try answers(path, "SELECT * FROM tag_index").isEmpty)
    #expect(try Corpus(at: path, .reading).snapshot(nil).id == second)
}

@Test("a snapshot to which a killed process did not move the head is taken up, not made twice")
func unheaded() throws {
    let folder = TemporaryFolder()
    let (path, first, second) = try grown(folder)
    try Data("\(first)\n".utf8).write(to: URL(fileURLWithPath: "\(path)/refs/head"))
    let made = try Corpus(at: path, .writing).createSnapshot(message: "again")
    #expect(made.id == second)
    #expect(try Corpus(at: path, .reading).snapshotIDs().count == 2)
    #expect(try Corpus(at: path, .reading).snapshot("head").id == second)
}
