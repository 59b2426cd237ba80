import CorpusStore
import Defence
import Foundation
import Logits
import Shards
import TestSupport
import Testing

/// Defenders and the rows they learn from or are judged on: what changed under its name is refused, and the sentence says what.

private let quick: DefenderOptions = {
    var options = DefenderOptions()
    (options.hidden, options.epochs, options.batch) = (16, 1, 32)
    return options
}()

private func trainer(
    _ path: String, _ name: String = "g", options: DefenderOptions = quick, resume: Bool = false
) throws -> Trainer {
    let corpus = try Corpus(at: path, .reading)
    let split = try corpus.split(dataset: nil, split: "test")
    return try Trainer(
        corpus, name: name, manifest: try corpus.snapshot(nil), split: split, network: try corpus.network(nil),
        attacks: ["pgd"], selection: nil, validation: nil, options: options, threads: 1, resume: resume)
}

private func run(_ trainer: Trainer) throws {
    try trainer.run(batchDone: { _, _, _, _ in }, epochDone: { _ in }, shouldStop: { false })
}

private func train(_ path: String) throws {
    try run(try trainer(path))
    try Corpus(at: path, .writing).indexDefender("g")
}

private func evaluate(_ path: String, dataset: String? = nil) throws -> EvaluationResult {
    let corpus = try Corpus(at: path, .reading)
    return try Evaluation.run(
        corpus, manifest: corpus.snapshot(nil), split: corpus.split(dataset: dataset, split: "test"),
        network: corpus.network(nil), attacks: ["clean", "pgd"], selection: nil, defender: StoredDefender(corpus, "g"))
}

private func expectRefusal(
    _ mentions: String..., code: LogitError.Code = .stale, location: SourceLocation = #_sourceLocation,
    _ body: () throws -> Void
) {
    let error = #expect(throws: LogitError.self, sourceLocation: location) { try body() }
    #expect(error?.code == code, sourceLocation: location)
    for text in mentions {
        #expect(error?.message.contains(text) == true, "\(error?.message ?? "") says \(text)", sourceLocation: location)
    }
}

@Test("a defender whose last epochs a killed process did not index is indexed by the next writer")
func epochsNotIndexed() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, limit: 64)
    try train(path)
    var longer = quick
    longer.epochs = 2
    try run(try trainer(path, options: longer, resume: true))
    func problems() throws -> [String] {
        try Verify.run(Corpus(at: path, .reading), quick: false) { _, _ in }.problems
    }
    #expect(try problems().first?.contains("defenders are not those of the files") ?? false)
    do { _ = try Corpus(at: path, .writing) }
    #expect(try problems().isEmpty)
    #expect(try answers(path, "SELECT epochs_done FROM defenders WHERE epochs_done = 2").count == 1)
}

@Test("with a module retrained into the same file, training and evaluation are refused")
func retrainedModule() throws {
    let folder = TemporaryFolder()
    let module = folder.file("net.pt")
    try FileManager.default.copyItem(atPath: Fixtures.network, toPath: module)
    let path = try Fixtures.corpus(folder, network: module)
    try Fixtures.ingest(path, limit: 64)
    try train(path)
    #expect(try evaluate(path).figures.count == 2)
    try FileManager.default.removeItem(atPath: module)
    try FileManager.default.copyItem(atPath: "\(Fixtures.folder)/networks/plain.pt", toPath: module)
    expectRefusal(module, "SHA-256") { _ = try trainer(path, "h") }
    expectRefusal(module, "SHA-256") { _ = try trainer(path, resume: true) }
    expectRefusal(module, "SHA-256") { _ = try evaluate(path) }
}

@Test("a snapshot whose attack had other parameters than its name means now is not trained or evaluated on")
func otherParameters() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, limit: 64)
    try train(path)
    let other = try Fixtures.corpus(folder, name: "other")
    try Fixtures.ingest(other, attacks: "clean", limit: 64)
    do {
        let unit = try #require(try Corpus(at: path, .reading).units().first { !$0.key.variant.isClean })
        let reader = try ShardReader(path: "\(path)/\(unit.path)")
        var key = unit.key
        let parameters = key.variant.parametersJSON.replacing(/"steps":\d+/, with: "\"steps\":7")
        key.variant = Variant(name: "pgd", canonical: "pgd", parametersJSON: parameters)
        let corpus = try Corpus(at: other, .writing)
        _ = try corpus.commit(
            reader.table(0..<reader.rowCount), images: nil, key: key, blockRows: 32, softwareJSON: "{}", encoding: .raw)
        try corpus.createSnapshot(message: "other parameters")
    }
    try FileManager.default.copyItem(atPath: "\(path)/defenders/g", toPath: "\(other)/defenders/g")
    expectRefusal("pgd", "steps was 7") { _ = try trainer(other, "h") }
    expectRefusal("pgd", "steps was 7") { _ = try evaluate(other) }
}

@Test("a defender is not judged on another module that took its network's name")
func otherModule() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, limit: 64)
    try train(path)
    let file = "\(path)/defenders/g/defender.json"
    let text = try String(contentsOfFile: file, encoding: .utf8)
    let digest = try Corpus(at: path, .reading).network(nil).digest
    try text.replacingOccurrences(of: digest, with: String(repeating: "6", count: 64)).write(
        toFile: file, atomically: true, encoding: .utf8)
    expectRefusal("666666666666", String(digest.prefix(12))) { _ = try evaluate(path) }
}

@Test("a defender is not judged on a dataset whose classes are others under the same numbers")
func otherClasses() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, limit: 64)
    try train(path)
    // The same images under other names of their classes.
    let file = "\(path)/datasets/shapes/test.json"
    let text = try String(contentsOfFile: file, encoding: .utf8)
    let corpus = try Corpus(at: path, .reading)
    let split = try corpus.split(dataset: nil, split: nil)
    let copy = "\(path)/datasets/signs"
    try FileManager.default.copyItem(atPath: "\(path)/datasets/shapes", toPath: copy)
    try text.replacingOccurrences(of: "\"shapes\"", with: "\"signs\"")
        .replacingOccurrences(of: "\"\(split.classNames[0])\"", with: "\"stop\"")
        .write(toFile: "\(copy)/test.json", atomically: true, encoding: .utf8)
    expectRefusal("signs", code: .badInput) { _ = try evaluate(path, dataset: "signs") }
}
