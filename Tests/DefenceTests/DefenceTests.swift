import CorpusStore
import Defence
import Foundation
import Logits
import Shards
import Synchronization
import TestSupport
import Testing
import Torch

private let quick: DefenderOptions = {
    var options = DefenderOptions()
    (options.hidden, options.epochs, options.learningRate, options.batch, options.seed) = (64, 4, 1e-3, 32, 5)
    return options
}()

private func trainer(
    _ path: String, _ name: String = "g", options: DefenderOptions = quick, resume: Bool = false,
    attacks: [String] = ["pgd"]
) throws -> Trainer {
    let corpus = try Corpus(at: path, .reading)
    let split = try corpus.split(dataset: nil, split: nil)
    return try Trainer(
        corpus, name: name, manifest: try corpus.snapshot(nil), split: split, network: try corpus.network(nil),
        attacks: attacks, selection: nil, validation: split, options: options, threads: 1, resume: resume)
}

private func train(_ trainer: Trainer, stopAfter batches: Int = .max) throws {
    var done = 0
    try trainer.run(batchDone: { _, _, _, _ in done += 1 }, epochDone: { _ in }, shouldStop: { done >= batches })
}

private func ingested(_ folder: TemporaryFolder) throws -> String {
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, limit: 300)
    return path
}

@Test(
    "training stopped at any batch and resumed equals training that never stopped, bit for bit",
    arguments: [12, 25, 31])
func resume(batches: Int) throws {
    let folder = TemporaryFolder()
    let path = try ingested(folder)
    let whole = try trainer(path, "whole")
    try train(whole)
    let stopped = try trainer(path, "stopped")
    let error = #expect(throws: LogitError.self) { try train(stopped, stopAfter: batches) }
    #expect(error?.code == .cancelled)
    let resumed = try trainer(path, "stopped", resume: true)
    #expect(resumed.descriptor.epochsDone == (batches - 1) / 10)
    try train(resumed)
    let corpus = try Corpus(at: path, .reading)
    let weights = try ["whole", "stopped"].map {
        try StoredDefender(corpus, $0).net().values(.parameters).map(\.bitPattern)
    }
    #expect(weights[0] == weights[1])
    #expect(resumed.descriptor.history.map(\.loss) == whole.descriptor.history.map(\.loss))
}

@Test("training lowers the loss, and the evaluation's counts are those of a plain recount")
func evaluation() throws {
    let folder = TemporaryFolder()
    let path = try ingested(folder)
    var options = quick
    (options.epochs, options.hidden) = (30, 256)
    let trained = try trainer(path, options: options)
    try train(trained)
    let losses = trained.descriptor.history.map(\.loss)
    #expect(losses[29] < 0.5 * losses[0])
    let corpus = try Corpus(at: path, .writing)
    try corpus.indexDefender("g")
    let stored = try StoredDefender(corpus, "g")
    let split = try corpus.split(dataset: nil, split: nil)
    let result = try Evaluation.run(
        corpus, manifest: try corpus.snapshot(nil), split: split, network: try corpus.network(nil),
        attacks: ["clean", "pgd"], selection: nil, defender: stored)
    let net = try stored.net()
    for figure in result.figures {
        var (before, after, rows) = (0, 0, 0)
        for unit in try corpus.units() where unit.key.variant.canonical == figure.attack {
            let table = try ShardReader(path: corpus.layout.absolute(unit.path)).table(0..<unit.key.rowCount)
            for row in 0..<table.count {
                rows += 1
                before += argMax(table.row(row)) == table.label[row] ? 1 : 0
                after += argMax(try net.correct(Array(table.row(row)))) == table.label[row] ? 1 : 0
            }
        }
        #expect(figure.rows == rows && figure.undefendedCorrect == before && figure.correctedCorrect == after)
    }
    #expect(result.figures[1].correctedCorrect > result.figures[1].undefendedCorrect + 30)
    // The catalogue has both, and gets them back by repair.
    _ = try corpus.addEvaluation(json: JSONFile.encode(result))
}

@Test("a defender that exists, or was made from something else, is not gone over")
func refusals() throws {
    let folder = TemporaryFolder()
    let path = try ingested(folder)
    try train(try trainer(path))
    #expect(throws: LogitError.self) { try trainer(path) }
    #expect(throws: LogitError.self) { try trainer(path, "other", resume: true) }
    var changed = quick
    changed.hidden = 65
    let options = #expect(throws: LogitError.self) { try trainer(path, options: changed, resume: true) }
    #expect(options?.code == .stale && options?.message.contains("options") == true)
    try Fixtures.ingest(path, attacks: "clean,pgd,bim", limit: 310)
    let snapshot = #expect(throws: LogitError.self) { try trainer(path, resume: true) }
    #expect(snapshot?.message.contains("snapshot") == true)
    for change: (inout DefenderOptions) -> Void in [
        { $0.hidden = 0 }, { $0.learningRate = -1 }, { $0.dropout = 1 }, { $0.cleanProbability = 1.5 },
        { $0.weightDecay = .nan }, { $0.epochs = 0 }, { $0.layers = 0 }, { $0.batch = 0 },
    ] {
        var options = quick
        change(&options)
        let error = #expect(throws: LogitError.self) { try trainer(path, "bad", options: options) }
        #expect(error?.code == .usage)
    }
    #expect(!FileManager.default.fileExists(atPath: "\(path)/defenders/bad"))
}

@Test("changed weights are noticed before they are used")
func damaged() throws {
    let folder = TemporaryFolder()
    let path = try ingested(folder)
    try train(try trainer(path))
    let corpus = try Corpus(at: path, .reading)
    let stored = try StoredDefender(corpus, "g")
    var bytes = try Data(contentsOf: URL(fileURLWithPath: stored.weightsPath))
    bytes[bytes.count - 5] ^= 1
    try bytes.write(to: URL(fileURLWithPath: stored.weightsPath))
    #expect(throws: LogitError.self) { try stored.net() }
    #expect(try Verify.run(corpus, quick: false) { _, _ in }.problems.contains { $0.contains("weights") })
}

@Test("safetensors come back as they were; damaged ones are refused", .enabled(if: python != nil))
func safetensors() throws {
    let folder = TemporaryFolder()
    let path = folder.file("a.safetensors")
    let tensors = [
        Safetensors.Tensor(name: "weight0", shape: [2, 3], values: [1, -0.0, 3, 4, 5, .infinity]),
        Safetensors.Tensor(name: "bias0", shape: [1], values: [0.1]),
    ]
    let bytes = Safetensors.encode(tensors, metadata: ["a": "b \"c\""])
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    let read = try Safetensors.read(path)
    #expect(
        read.tensors["weight0"] == tensors[0] && read.tensors["bias0"] == tensors[1] && read.metadata["a"] == "b \"c\"")
    let script = """
        import sys, numpy as np
        from safetensors.numpy import load_file
        t = load_file(sys.argv[1])
        assert t["weight0"].shape == (2, 3) and t["weight0"][1, 1] == 5 and t["bias0"][0] == np.float32(0.1)
        """
    let ran = try run(try #require(python), ["-c", script, path])
    #expect(ran.status == 0, "\(ran.errors)")
    for length in stride(from: 0, to: bytes.count, by: 3) {
        try Data(bytes[..<length]).write(to: URL(fileURLWithPath: path))
        #expect(throws: LogitError.self) { try Safetensors.read(path) }
    }
    for place in 0..<bytes.count - 28 {
        var damaged = bytes
        damaged[place] ^= 0x15
        try Data(damaged).write(to: URL(fileURLWithPath: path))
        _ = try? Safetensors.read(path)  // an error or other names; never a crash
    }
}
