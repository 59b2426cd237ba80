import CorpusStore
import Foundation
import Ingestion
import Logits
import Networks
import TestSupport
import Testing

/// Rows with invalid ones among them come from a network that breaks for some images.
private let moody = "\(projectFolder)/Tests/IngestionTests/Networks/moody.pt"

/// Three networks, a clean and several attacked variants, units of different lists, 8-bit outcomes for some.
private func corpus(_ folder: TemporaryFolder) throws -> String {
    let path = try Fixtures.corpus(folder)
    do {
        let corpus = try Corpus(at: path, .writing)
        for (name, module) in [("plain", "\(Fixtures.folder)/networks/plain.pt"), ("moody", moody)] {
            _ = try NetworkImport.run(
                corpus, name: name, module: module, input: nil, mean: nil, standardDeviation: nil, fold: true)
        }
    }
    for name in ["residual", "plain", "moody"] {
        for (attacks, limit) in [("clean,pgd,fgsm", 40), ("clean,pgd", 72), ("deepfool", 24)] {
            let corpus = try Corpus(at: path, .writing)
            var request = IngestRequest(
                split: try corpus.split(dataset: nil, split: nil), network: try corpus.network(name),
                attacks: try AttackRegistry.choices(attacks), workerCount: 2)
            request.limit = limit
            request.status8bit = attacks == "deepfool"
            _ = try Ingest.run(request, into: corpus, progress: { _ in }, note: { _ in }, shouldStop: { false })
        }
    }
    return path
}

/// What views.py finds to differ, and its last line.
private func compared(_ path: String) throws -> (differences: [String], summary: String)? {
    guard let python else { return nil }
    let ran = try run(python, ["\(projectFolder)/Tests/CorpusStoreTests/views.py", path])
    #expect(ran.status == 0, "\(ran.errors.suffix(2000))")
    let lines = ran.output.split(separator: "\n").map(String.init)
    return (Array(lines.dropLast()), lines.last ?? "")
}

@Suite("views")
struct ViewsTests {
    private let folder = TemporaryFolder()

    @Test("every figure of every view is that of NumPy over the shards, also after repair and compaction")
    func figures() throws {
        let path = try corpus(folder)
        guard let first = try compared(path) else { return }
        #expect(first.differences == [] && !first.summary.hasSuffix(" 0 means"), "\(first.summary)")
        _ = try Repair.run(at: path) { _, _ in }
        let second = try compared(path)
        #expect(second?.differences == [] && second?.summary == first.summary)
        #expect(try Verify.run(Corpus(at: path, .reading), quick: false, deep: true) { _, _ in }.problems == [])
        var request = CompactionRequest()
        request.codec = .zstd
        _ = try Compaction.run(Corpus(at: path, .writing), request, progress: { _, _ in }, shouldStop: { false })
        let orphans = """
            SELECT (SELECT count(*) FROM unit_statistic WHERE unit_id NOT IN (SELECT id FROM unit_index))
                + (SELECT count(*) FROM unit_mean WHERE unit_id NOT IN (SELECT id FROM unit_index))
                + (SELECT count(*) FROM unit_summary) - (SELECT count(*) FROM unit_index)
            """
        #expect(try answers(path, orphans) == ["\([ReadOnlyQuery.Value.integer(0)])"])
        #expect(try Verify.run(Corpus(at: path, .reading), quick: false, deep: true) { _, _ in }.problems == [])
    }

    @Test("the frozen corpus shows the same figures as it lies and migrated; its means come with repair")
    func former() throws {
        let ran = try run(
            "/bin/tar", ["-xf", "\(Fixtures.folder)/corpus-v1.tar", "-C", folder.path, "--no-same-owner"])
        try #require(ran.status == 0, "\(ran.errors)")
        let path = folder.file("corpus")
        func figures() throws -> [String] {
            try [
                "SELECT * FROM accuracy", "SELECT * FROM attack_success", "SELECT * FROM margins",
                "SELECT * FROM votes",
                "SELECT * FROM perturbations", "SELECT * FROM transfer", "SELECT * FROM lineage",
                "SELECT * FROM ancestry",
                "SELECT * FROM images", "SELECT * FROM datasets", "SELECT * FROM networks", "SELECT * FROM attacks",
                "SELECT * FROM defender_lineage", "SELECT * FROM defender_results", "SELECT * FROM agreement",
                """
                SELECT dataset, split, network, attack, view, statistic, rows, round(mean, 9), round(variance, 6),
                    round(minimum, 9), round(maximum, 9), round(sum, 6), round(sum_of_squares, 4) FROM statistics
                """,
            ].flatMap { try answers(path, $0).sorted() }
        }
        let before = try figures()
        #expect(before.count > 100)
        #expect(try answers(path, "SELECT * FROM mean_logits") == [])
        _ = try Corpus(at: path, .writing)
        #expect(try figures() == before)
        #expect(try Verify.run(Corpus(at: path, .reading), quick: false, deep: true) { _, _ in }.problems == [])
        let migrated = try compared(path)
        #expect(migrated == nil || (migrated?.differences == [] && migrated?.summary.hasSuffix(" 0 means") == true))
        _ = try Repair.run(at: path) { _, _ in }
        let repaired = try compared(path)
        #expect(repaired == nil || (repaired?.differences == [] && repaired?.summary.hasSuffix(" 35 means") == true))
        #expect(try answers(path, "SELECT shard FROM lineage WHERE software IS NULL") == [])
    }

    @Test("figures of a snapshot are those of a corpus that never held more")
    func snapshots() throws {
        let path = try Fixtures.corpus(folder)
        let views = [
            "accuracy", "attack_success", "statistics", "margins", "perturbations", "agreement", "votes", "mean_logits",
        ]
        func figures(at snapshot: String?) throws -> [String] {
            try views.flatMap { try answers(path, "SELECT * FROM \($0)", at: snapshot).sorted() }
        }
        try Fixtures.ingest(path, limit: 40)
        let before = try figures(at: nil)
        let head = try Corpus(at: path, .reading).snapshot(nil).id
        try Fixtures.ingest(path, attacks: "clean,pgd,fgsm", limit: 64)
        #expect(
            try figures(at: head) == before && figures(at: nil) != before && figures(at: "head") == figures(at: nil))
    }
}
