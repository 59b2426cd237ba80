import CorpusStore
import Foundation
import Ingestion
import Logits
import Networks
import Shards
import Synchronization
import TestSupport
import Testing

private func tree(_ path: String) throws -> String { try Corpus(at: path, .reading).snapshot(nil).tree }

/// 40 images in blocks of 16, the last one short.
@discardableResult
private func ingest(
    _ path: String, _ attack: String, change: (inout IngestRequest) -> Void = { _ in },
    shouldStop: @escaping @Sendable () -> Bool = { false }
) throws -> IngestReport {
    try Fixtures.ingest(
        path, attacks: attack, limit: 40,
        change: {
            $0.blockRows = 16
            $0.workerCount = 1
            change(&$0)
        }, shouldStop: shouldStop)
}

@Test(
    "every attack makes the same rows, bit for bit, for any workers, prefetch and codec, and after any stop",
    arguments: AttackRegistry.all.map(\.name))
func determinism(attack: String) throws {
    let folder = TemporaryFolder()
    let usual = try Fixtures.corpus(folder, name: "usual")
    try ingest(usual, attack)
    let expected = try tree(usual)
    for (workers, prefetch, codec) in [(2, 1, Codec.zstd), (3, 9, .raw)] {
        let other = try Fixtures.corpus(folder, name: "workers\(workers)")
        try ingest(other, attack) { ($0.workerCount, $0.prefetch, $0.encoding.codec) = (workers, prefetch, codec) }
        #expect(try tree(other) == expected, "\(workers) workers")
    }
    let stopped = try Fixtures.corpus(folder, name: "stopped")
    let error = #expect(throws: LogitError.self) { try ingest(stopped, attack, shouldStop: { true }) }
    #expect(error?.code == .cancelled)
    // As after a kill: one block was never finished, one is torn.
    let staging = try #require(FileManager.default.enumerator(atPath: "\(stopped)/staging"))
    let blocks = staging.compactMap { $0 as? String }.filter { $0.hasSuffix(".block") }
    try #require(blocks.contains { $0.hasSuffix("/0.block") })
    for block in blocks where block.hasSuffix("/16.block") {
        try FileManager.default.removeItem(atPath: "\(stopped)/staging/\(block)")
    }
    for block in blocks where block.hasSuffix("/32.block") {
        let file = URL(fileURLWithPath: "\(stopped)/staging/\(block)")
        try Data(contentsOf: file).dropLast(9).write(to: file)
    }
    let report = try ingest(stopped, attack) { $0.workerCount = 2 }
    #expect(report.parts.map(\.resumed) == [16] && report.parts.map(\.computed) == [24])
    #expect(try tree(stopped) == expected)
}

@Test("views are restarts of their own: other starts, resumable, and equal when made again")
func restarts() throws {
    let folder = TemporaryFolder()
    let whole = try Fixtures.corpus(folder, name: "whole")
    try ingest(whole, "pgd:epsilon=2/255") { $0.viewCount = 3 }
    let corpus = try Corpus(at: whole, .reading)
    let tables = try corpus.units().map {
        try ShardReader(path: corpus.layout.absolute($0.path)).table(0..<$0.key.rowCount)
    }
    #expect(try corpus.units().map(\.key.view) == [0, 1, 2] && tables.allSatisfy { $0.ordinal == tables[0].ordinal })
    for row in 0..<40 { #expect(Set(tables.map { Array($0.row(row)) }).count == 3, "row \(row)") }
    let stopped = try Fixtures.corpus(folder, name: "stopped")
    for stop in 2..<20 {
        let asked = Mutex(0)
        do {
            try ingest(stopped, "pgd:epsilon=2/255", change: { $0.viewCount = 3 }) {
                asked.withLock {
                    $0 += 1
                    return $0 == stop
                }
            }
            break
        } catch let error as LogitError { #expect(error.code == .cancelled) }
    }
    #expect(try tree(stopped) == tree(whole))
    // A view more is added to those that are there.
    let report = try Fixtures.ingest(whole, attacks: "pgd:epsilon=2/255", limit: 40, change: { $0.viewCount = 4 })
    #expect(report.parts.map(\.computed) == [0, 0, 0, 40])
}

@Test("an attack without random numbers gets one view, and the reason is said")
func oneView() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    var notes: [String] = []
    let report = try Fixtures.ingest(
        path, attacks: "clean,bim", limit: 16, change: { $0.viewCount = 2 }, note: { notes.append($0) })
    #expect(report.parts.map(\.view) == [0, 0] && report.parts.map(\.attack) == ["clean", "bim"])
    #expect(notes.count == 1 && notes[0].contains("bim") && notes[0].contains("random"))
}
