import CorpusStore
import Foundation
import Ingestion
import Logits
import Shards
import TestSupport
import Testing

@Test(
    "an ingest in another precision stores the rounded logits of the same rows, and verify and replay agree with it",
    arguments: [Precision.float16, .bfloat16], Codec.allCases)
func roundedIngest(precision: Precision, codec: Codec) throws {
    let folder = TemporaryFolder()
    let exact = try Fixtures.corpus(folder, name: "exact")
    try Fixtures.ingest(exact, attacks: "clean,pgd", limit: 40)
    let path = try Fixtures.corpus(folder, name: "rounded")
    let report = try Fixtures.ingest(path, attacks: "clean,pgd", limit: 40) {
        $0.encoding = ShardEncoding(codec: codec, precision: precision)
    }
    let corpora = try [exact, path].map { try Corpus(at: $0, .reading) }
    var changed = 0
    for unit in try corpora[0].units() {
        let readers = try corpora.map { try ShardReader(path: $0.layout.absolute(unit.path)) }
        let tables = try readers.map { try $0.table(0..<$0.rowCount) }
        #expect(try tables[0].rounded(to: precision).table == tables[1])
        #expect(readers[1].precision == precision && readers[1].header.key == readers[0].header.key)
        changed += (0..<40).count { argMax(tables[1].row($0)) != tables[1].prediction[$0] }
    }
    #expect(report.parts.reduce(0) { $0 + ($1.changedArgMax ?? -1) } == changed)
    #expect(report.parts.allSatisfy { $0.precision == precision.description })
    #expect(try corpora[1].snapshot(nil).tree != corpora[0].snapshot(nil).tree)
    #expect(try Verify.run(corpora[1], quick: false) { _, _ in }.problems == [])
    let (replayed, _, _) = try Replay.run(corpora[1], try RowName("shapes/test/3/residual/pgd/0"))
    #expect(replayed.verdict == .equal)
    let recomputed = try Recompute.run(corpora[1], count: 3, seed: 1, progress: { _, _ in }, shouldStop: { false })
    #expect(recomputed.problems == [])
}
