import CorpusStore
import Foundation
import Logits
import Platform
import TestSupport
import Testing

private func support(_ snapshot: String = "s", counts: [Int] = [2, 1], images: Int = 2) -> String {
    let classes = counts.enumerated().map { place, count in
        """
        {"class": \(place), "name": "class \(place)", "rank": \(place + 1), "count": \(count), "first": 1, "support": 0.5,
        "pull_count": 1, "pull_first": 0, "pull": 0.25, "push_count": 2, "push_first": 2, "push": 0.25}
        """
    }
    return """
        {"format_version": 1, "kind": "support", "defender": "g", "weights_digest": "w", "snapshot": "\(snapshot)",
        "dataset": "shapes", "split": "test", "network": "residual", "attack": "pgd", "images": \(images), "top": 1,
        "corrected_only": false, "classes": [\(classes.joined(separator: ","))], "created": "2026-01-01T00:00:00Z",
        "more": "than we know"}
        """
}

private let detection = """
    {"format_version": 1, "kind": "detection", "defender": "g", "weights_digest": "w", "snapshot": "s", "dataset": "shapes",
    "split": "test", "selection": "one", "network": "residual", "attack": "pgd,mim", "images": 2,
    "created": "2026-01-01T00:00:00Z", "figures": [{"attack": "pgd", "subject": "energy", "measure": "auc", "rows": 4,
    "value": 0.75, "low": 0.5, "high": 1}, {"attack": "mim", "subject": "energy", "measure": "auc", "rows": 0}]}
    """

private let queries = [
    "SELECT analysis, class, name, rank, count, first, pull_count, push, images, attack FROM supporting_classes",
    "SELECT analysis, kind, selection, top, corrected_only, attack FROM analyses",
    "SELECT analysis, kind, selection, attack, subject, measure, rows, count, value, high FROM analysis_figures",
]

private func everything(_ path: String) throws -> [[String]] { try queries.map { try answers(path, $0).sorted() } }

@Test("analyses are indexed, found by SQL, and come back by repair and by the next writer")
func indexed() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    // A corpus of a former version has no folder of them.
    try FileManager.default.removeItem(atPath: "\(path)/analyses")
    #expect(try Corpus(at: path, .reading).analysisIDs().isEmpty)
    let ids = try [support(), detection].map { text in
        try Corpus(at: path, .writing).addAnalysis(json: Array(text.utf8))
    }
    let before = try everything(path)
    #expect(before.map(\.count) == [2, 2, 2] && ids[0] == Digest.hex(support()).prefix(16))
    #expect(before[2].contains { $0.contains("0.75") && $0.contains("energy") && $0.contains("one") })
    #expect(try Corpus(at: path, .reading).analyses(ofKind: Analyses.support).map(\.id) == [ids[0]])
    #expect(try Verify.run(Corpus(at: path, .reading), quick: false) { _, _ in }.problems == [])
    try FileManager.default.removeItem(atPath: "\(path)/catalog.sqlite")
    let report = try Repair.run(at: path) { _, _ in }
    #expect(report.analyses == 2 && report.unreadable.isEmpty)
    #expect(try everything(path) == before)
    // Written and not indexed, as a kill between the two leaves it.
    let third = Array(support(counts: [0, 2]).utf8)
    let name = "\(path)/analyses/\(Digest.hex(third).prefix(16)).json"
    try Data(third).write(to: URL(fileURLWithPath: name))
    #expect(try Verify.run(Corpus(at: path, .reading), quick: true) { _, _ in }.problems.count == 2)
    do { _ = try Corpus(at: path, .writing) }
    #expect(try answers(path, "SELECT * FROM analyses").count == 3)
    #expect(try Verify.run(Corpus(at: path, .reading), quick: true) { _, _ in }.problems == [])
}

@Test("an analysis that was changed, in its file or in the catalogue, is found")
func changed() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    let id = try Corpus(at: path, .writing).addAnalysis(json: Array(support().utf8))
    let file = URL(fileURLWithPath: "\(path)/analyses/\(id).json")
    try support(counts: [1, 1]).write(to: file, atomically: true, encoding: .utf8)
    let problems = try Verify.run(Corpus(at: path, .reading), quick: true) { _, _ in }.problems
    #expect(problems.contains { $0.contains("not what its name says") })
    #expect(problems.contains { $0.contains("supporting classes are not those of the files") })
    let error = #expect(throws: LogitError.self) {
        try Corpus(at: path, .reading).analysis(id, as: AnalysisRecord.self)
    }
    #expect(error?.code == .corrupt)
}

@Test(
    "an analysis with impossible values is refused",
    arguments: [
        support(counts: [3, 1]), support(counts: [2]), support(images: -1),
        support().replacing("\"rank\": 2", with: "\"rank\": 3"),
        support().replacing("\"class\": 1,", with: "\"class\": 0,"),
        support().replacing("\"class\": 1,", with: "\"class\": 2,"),
        support().replacing("\"classes\"", with: "\"others\""), support().replacing("0.5", with: "1e999"),
        detection.replacing("\"mim\", \"subject\"", with: "\"pgd\", \"subject\""),
        detection.replacing("\"rows\": 4", with: "\"rows\": 4, \"count\": 5"),
        detection.replacing("\"kind\": \"detection\"", with: "\"kind\": \"\""),
    ])
func impossible(text: String) throws {
    let folder = TemporaryFolder()
    let path = folder.file("a.json")
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    let error = #expect(throws: LogitError.self) { try JSONFile.read(AnalysisRecord.self, from: path) }
    #expect(error?.code == .corrupt && error?.message.contains("a.json") == true)
}

@Test("a selection whose file was copied or changed is refused by its name, and none is drawn from it")
func changedSelections() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    let split = try Corpus(at: path, .reading).split(dataset: nil, split: nil)
    var selection = try Corpus(at: path, .reading).selectionAtRandom("one", split, count: 10, seed: 1)
    do { try Corpus(at: path, .writing).addSelection(selection) }
    try FileManager.default.copyItem(atPath: "\(path)/selections/one.json", toPath: "\(path)/selections/two.json")
    let corpus = try Corpus(at: path, .reading)
    let error = #expect(throws: LogitError.self) { try corpus.selection("two") }
    #expect(error?.code == .corrupt && error?.message.contains("two.json") == true)
    #expect(throws: LogitError.self) { try corpus.selections() }
    #expect(try Verify.run(corpus, quick: true) { _, _ in }.problems.contains { $0.contains("two.json") })
    selection.ordinals[9] = 1 << 40
    for ordinals in [[], selection.ordinals] {
        selection.ordinals = ordinals
        selection.images = Array(selection.images.prefix(ordinals.count))
        #expect(throws: LogitError.self) {
            try corpus.selectionAtRandom("r", split, count: 1, seed: 0, among: selection)
        }
    }
}

@Test("random images: a function of the seed, smaller draws within larger ones, each image as often as any other")
func randomImages() throws {
    let folder = TemporaryFolder()
    let corpus = try Corpus(at: try Fixtures.corpus(folder), .reading)
    let split = try corpus.split(dataset: nil, split: nil)
    let hundred = try corpus.selectionAtRandom("r", split, count: 100, seed: 3)
    let ten = try corpus.selectionAtRandom("r", split, count: 10, seed: 3)
    #expect(Set(ten.ordinals).isSubset(of: hundred.ordinals) && hundred.ordinals == hundred.ordinals.sorted())
    #expect(try corpus.images(of: split)[Int(ten.ordinals[4])].id == ten.images[4])
    #expect(try corpus.selectionAtRandom("r", split, count: 100, seed: 4).ordinals != hundred.ordinals)
    #expect(try corpus.selectionAtRandom("r", split, count: 1200, seed: 3).ordinals == (0..<1200).map(Int64.init))
    var counts = [Int](repeating: 0, count: 1200)
    for seed in 0..<200 as Range<UInt64> {
        for ordinal in try corpus.selectionAtRandom("r", split, count: 600, seed: seed).ordinals {
            counts[Int(ordinal)] += 1
        }
    }
    // Binomial: 100 of 200, standard deviation 7.
    #expect(counts.allSatisfy { (60...140).contains($0) })
    for count in [0, -1, 1201] {
        let error = #expect(throws: LogitError.self) { try corpus.selectionAtRandom("r", split, count: count, seed: 0) }
        #expect(error?.code == .usage && error?.message.contains("1 to 1200") == true)
    }
}

@Test("a snapshot that an analysis was made from is kept, unless --force; what a killed process left is collected")
func uses() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, attacks: "clean", limit: 10)
    let first = try Corpus(at: path, .reading).snapshot(nil).id
    try Fixtures.ingest(path, attacks: "clean", limit: 20)
    do {
        let corpus = try Corpus(at: path, .writing)
        _ = try corpus.addAnalysis(json: Array(support(first).utf8))
        let error = #expect(throws: LogitError.self) { try corpus.deleteSnapshot(first, withTags: false, force: false) }
        #expect(error?.message.contains("support of g") == true && error?.message.contains("--force") == true)
        #expect(try corpus.deleteSnapshot(first, withTags: false, force: true).analyses.count == 1)
        try Data("x".utf8).write(to: URL(fileURLWithPath: "\(path)/analyses/0123.json.77.tmp"))
        let report = try Garbage.run(corpus, dryRun: false, damaged: false, stagingSeconds: 0)
        #expect(report.unfinished.map(\.path) == ["analyses/0123.json.77.tmp"])
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: "\(path)/analyses").count == 1)
}
