import CorpusStore
import Foundation
import Logits
import TestSupport
import Testing

private func scrub(
    _ path: String, limit: Int? = nil, seconds: Double? = nil, shouldStop: () -> Bool = { false }
) throws -> Scrub.Report {
    try Scrub.run(
        Corpus(at: path, .reading), limit: limit, seconds: seconds, threads: 2, progress: { _, _ in },
        shouldStop: shouldStop)
}

/// A corpus of four shards.
private func corpus(_ folder: TemporaryFolder) throws -> String {
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, limit: 30)
    try Fixtures.ingest(path, limit: 50)
    return path
}

@Test("a scrub goes on where it stopped, and begins another round when all shards are checked")
func rounds() throws {
    let folder = TemporaryFolder()
    let path = try corpus(folder)
    var report = try scrub(path, limit: 1)
    #expect(report.round == 1 && report.checked == 1 && report.left == 3)
    let first = try #require(report.shards.first { $0.checked != nil && $0.path.hasSuffix(".h5") }).path
    report = try scrub(path, limit: 0)
    #expect(report.checked == 0 && report.left == 3 && report.shards.count { $0.checked == nil } == 3)
    report = try scrub(path, limit: 2)
    #expect(report.checked == 2 && report.left == 1)
    // A shard that comes meanwhile belongs to the round.
    try Fixtures.ingest(path, attacks: "clean", limit: 60)
    report = try scrub(path)
    #expect(report.round == 1 && report.checked == 2 && report.left == 0 && report.problems.isEmpty)
    #expect(report.shards.allSatisfy { $0.checked != nil })
    report = try scrub(path, limit: 1)
    #expect(report.round == 2 && report.left == 4)
    // The one that was checked first in the former round comes first.
    let state = try String(contentsOfFile: "\(path)/scrub.json", encoding: .utf8)
    #expect(state.contains(first))
}

@Test("budgets of time and Ctrl-C end a scrub between shards and keep its position")
func budgets() throws {
    let folder = TemporaryFolder()
    let path = try corpus(folder)
    let stopped = try scrub(path, shouldStop: { true })
    #expect(stopped.checked >= 1 && stopped.left == 4 - stopped.checked)
    let timed = try scrub(path, seconds: 1e-9)
    #expect(timed.checked >= 1 && timed.left == 4 - stopped.checked - timed.checked)
}

@Test("what a scrub finds is told until the shard is checked again or gone")
func found() throws {
    let folder = TemporaryFolder()
    let path = try corpus(folder)
    let unit = try Corpus(at: path, .reading).units()[2]
    let file = URL(fileURLWithPath: "\(path)/\(unit.path)")
    let bytes = try Data(contentsOf: file)
    var changed = bytes
    changed[bytes.count - 200] ^= 8
    try changed.write(to: file)
    #expect(try scrub(path).problems.contains { $0.contains(unit.path) })
    try bytes.write(to: file)
    #expect(try scrub(path, limit: 0).problems.contains { $0.contains(unit.path) })
    #expect(try scrub(path).problems == [])
}

@Test("a position that cannot be read is begun anew")
func damagedPosition() throws {
    let folder = TemporaryFolder()
    let path = try corpus(folder)
    _ = try scrub(path, limit: 2)
    try "nonsense".write(toFile: "\(path)/scrub.json", atomically: true, encoding: .utf8)
    let report = try scrub(path)
    #expect(report.round == 1 && report.checked == 4 && report.problems == [])
}
