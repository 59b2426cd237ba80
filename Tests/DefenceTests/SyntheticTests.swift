import Analysis
import CorpusStore
import Defence
import Foundation
import Logits
import Shards
import TestSupport
import Testing
import Torch

/// Replaces bytes of a file by as many others.
private func replace(_ old: String, by new: String, in path: String) throws {
    var data = try Data(contentsOf: URL(fileURLWithPath: path))
    precondition(old.utf8.count == new.utf8.count)
    data.replaceSubrange(try #require(data.range(of: Data(old.utf8))), with: Data(new.utf8))
    try data.write(to: URL(fileURLWithPath: path))
}

/// Writes a checkpoint with another descriptor, and the digest that goes with it.
private func rewriteDescriptor(_ path: String, _ change: (String) -> String) throws {
    let (tensors, notes) = try Safetensors.read(path)
    let (text, step) = (change(try #require(notes["descriptor"])), try #require(notes["step"]))
    let parts = try ["parameters", "first_moments", "second_moments"].map { try #require(tensors[$0]) }
    var digest = Digest()
    digest.add("\(step)\n\(text)")
    for part in parts { part.values.withUnsafeBytes { digest.add($0) } }
    let bytes = Safetensors.encode(parts, metadata: ["descriptor": text, "step": step, "digest": digest.hex()])
    try Data(bytes).write(to: URL(fileURLWithPath: path))
}

@Test("a defender turns attacked rows back; invalid rows are left out and counted; a selection restricts")
func recovers() throws {
    let store = try Synthetic()
    let trainer = try store.trainer { $0.epochs = 12 }
    #expect(trainer.imageCounts.skipped == store.attacked.attack?.status.count { $0 == 3 })
    try trainWhole(trainer)
    let defender = try StoredDefender(store.corpus, "g")
    let net = try defender.net()
    let chosen = (0..<600).filter { $0 % 3 == 1 }.map(Int64.init)
    for selection in [nil, store.selection(chosen)] {
        let result = try Evaluation.run(
            store.corpus, manifest: store.manifest, split: store.split, network: store.network,
            attacks: ["clean", "pgd"], selection: selection, defender: defender)
        let rows = selection?.ordinals.map(Int.init) ?? Array(0..<600)
        let valid = rows.filter { $0 % 11 != 0 }
        let corrected = try valid.map { argMax(try net.correct(Array(store.attacked.row($0)))) }
        let right = zip(valid, corrected).count { store.attacked.label[$0] == $1 }
        let figure = result.figures[1]
        #expect(figure.rows == valid.count && figure.invalid == rows.count - valid.count)
        #expect(figure.undefendedCorrect == 0 && figure.correctedCorrect == right && right * 10 > valid.count * 9)
        #expect(figure.corrected == Proportion(right, of: valid.count))
        #expect(result.figures[0].rows == rows.count && result.figures[0].invalid == 0)
        #expect(result.figures[0].undefendedCorrect == rows.count)
    }
}

@Test("the rows that an epoch's validation looks at are spread over images sorted by class", arguments: [10, 37, 599])
func spread(limit: Int) throws {
    let store = try Synthetic()
    var rows = VariantRows(store.corpus, store.manifest, store.split, store.network, selection: nil)
    rows.limit = limit
    var counts = [Int](repeating: 0, count: Synthetic.classes)
    try rows.visit("clean", batchRows: 64) { table in for label in table.label { counts[Int(label)] += 1 } }
    #expect(counts.reduce(0, +) == limit)
    #expect((counts.max() ?? 0) - (counts.min() ?? 0) <= 1)
}

@Test("a resume names what differs from the checkpoint")
func differences() throws {
    let store = try Synthetic()
    try trainWhole(try store.trainer())
    let changes: [(String, (inout DefenderOptions) -> Void)] = [
        ("--hidden 32, not 33", { $0.hidden = 33 }), ("--layers 2, not 3", { $0.layers = 3 }),
        ("--dropout 0.5, not 0.4", { $0.dropout = 0.4 }), ("--batch 50, not 51", { $0.batch = 51 }),
        ("--lr 0.01, not 0.02", { $0.learningRate = 0.02 }), ("--seed 5, not 6", { $0.seed = 6 }),
        ("--weight-decay 0.0001, not 0.0", { $0.weightDecay = 0 }), ("--p 0.3, not 0.4", { $0.cleanProbability = 0.4 }),
        ("--failed keep, not skip", { $0.failedTwins = .skip }),
    ]
    for (text, change) in changes {
        let error = #expect(throws: LogitError.self) { try store.trainer(resume: true, change) }
        #expect(error?.code == .stale && error?.message.contains(text) == true, "\(error?.message ?? "")")
    }
    let fewer = #expect(throws: LogitError.self) { try store.trainer(resume: true) { $0.epochs = 1 } }
    #expect(fewer?.code == .usage && fewer?.message.contains("2 epochs already") == true)
    #expect(throws: LogitError.self) { try store.trainer("none", threads: 0) }
    let more = try store.trainer(resume: true) { $0.epochs = 3 }
    try trainWhole(more)
    #expect(more.descriptor.epochsDone == 3 && more.descriptor.history.map(\.epoch) == [1, 2, 3])
}

@Test("a resume on another device than the checkpoint's is refused by name")
func otherDevice() throws {
    let store = try Synthetic()
    try trainWhole(try store.trainer())
    let software = try store.trainer(resume: true).descriptor.software
    try rewriteDescriptor(store.checkpoint()) {
        $0.replacingOccurrences(of: #"{\"libtorch\""#, with: #"{\"device\":\"cuda\",\"gpu\":\"NVIDIA X\",\"libtorch\""#)
    }
    let error = #expect(throws: LogitError.self) { try store.trainer(resume: true) }
    #expect(error?.code == .stale && error?.message.contains("--device cuda (NVIDIA X), not cpu") == true)
    #expect(!software.contains("device"))
}

@Test("a checkpoint with another step or another history is not taken up", arguments: ["step", "epochs"])
func altered(what: String) throws {
    let store = try Synthetic()
    try trainWhole(try store.trainer())
    let (old, new) =
        what == "step" ? (#""step":"22""#, #""step":"11""#) : (#"\"epochs_done\" : 2"#, #"\"epochs_done\" : 1"#)
    try replace(old, by: new, in: store.checkpoint())
    let error = #expect(throws: LogitError.self) { try store.trainer(resume: true) }
    #expect(error?.code == .corrupt && error?.message.contains("checkpoint.safetensors") == true)
}

@Test("weights newer than their descriptor, as a kill between the two leaves them, are put right by a resume")
func killedWhileSaving() throws {
    let store = try Synthetic()
    try trainWhole(try store.trainer { $0.epochs = 1 })
    let descriptor = "\(store.corpus.layout.defenders)/g/defender.json"
    let old = try Data(contentsOf: URL(fileURLWithPath: descriptor))
    try trainWhole(try store.trainer(resume: true))
    let weights = try StoredDefender(store.corpus, "g").net().values(.parameters)
    try old.write(to: URL(fileURLWithPath: descriptor))
    let error = #expect(throws: LogitError.self) { try StoredDefender(store.corpus, "g").net() }
    #expect(error?.message.contains("--resume") == true)
    try trainWhole(try store.trainer(resume: true))
    #expect(try StoredDefender(store.corpus, "g").net().values(.parameters) == weights)
}

@Test("one defender is trained by one process at a time, and never overwritten")
func concurrent() throws {
    let store = try Synthetic()
    let (first, second) = (try store.trainer(), try store.trainer())
    var refusals: [LogitError] = []
    try first.run(
        batchDone: { _, _, _, _ in
            do { try trainWhole(second) } catch let error as LogitError { refusals.append(error) } catch {}
        }, epochDone: { _ in }, shouldStop: { false })
    #expect(refusals.count == 22 && refusals.allSatisfy { $0.code == .busy })
    let late = #expect(throws: LogitError.self) { try trainWhole(second) }
    #expect(late?.message.contains("exists already") == true)
}

@Test("a diverging training says so and leaves nothing behind")
func diverges() throws {
    let store = try Synthetic()
    let error = #expect(throws: LogitError.self) { try trainWhole(try store.trainer { $0.learningRate = 1e30 }) }
    #expect(error?.message.contains("--lr") == true)
    let poisoned = #expect(throws: LogitError.self) { try trainWhole(try store.trainer { $0.invalidTwins = .keep }) }
    #expect(poisoned != nil)
    #expect(try FileManager.default.contentsOfDirectory(atPath: store.corpus.layout.defenders).isEmpty)
}

@Test("rows of another module than the network has now are not trained on")
func staleNetwork() throws {
    let store = try Synthetic()
    var other = store.network
    other.digest = String(repeating: "d", count: 64)
    let error = #expect(throws: LogitError.self) { try store.trainer(network: other) }
    #expect(error?.code == .stale)
    var wider = store.network
    wider.classCount = 11
    #expect(throws: LogitError.self) { try store.trainer(network: wider) }
}

@Test("a descriptor with impossible values is one sentence, not a crash")
func impossible() throws {
    let store = try Synthetic()
    try trainWhole(try store.trainer())
    let path = "\(store.corpus.layout.defenders)/g/defender.json"
    let good = try Data(contentsOf: URL(fileURLWithPath: path))
    for (old, new) in [
        ("\"layers\" : 2", "\"layers\" : 0"), ("\"layers\" : 2", "\"layers\" :-1"),
        ("\"class_count\" : 10", "\"class_count\" : -1"), ("\"hidden\" : 32", "\"hidden\" : -9"),
    ] {
        try good.write(to: URL(fileURLWithPath: path))
        try replace(old, by: new, in: path)
        let error = #expect(throws: LogitError.self) { try StoredDefender(store.corpus, "g").net() }
        #expect(error?.code == .corrupt && error?.message.contains("defender.json") == true)
    }
}

@Test("an export appears whole or not at all")
func export() throws {
    let store = try Synthetic()
    try trainWhole(try store.trainer())
    let defender = try StoredDefender(store.corpus, "g")
    for name in ["g.pt", "g.safetensors"] {
        try defender.export(to: store.folder.file(name))
        #expect(throws: LogitError.self) { try defender.export(to: store.folder.file("no such folder/\(name)")) }
    }
    #expect(throws: LogitError.self) { try defender.export(to: store.folder.file("g.onnx")) }
    let left = try FileManager.default.contentsOfDirectory(atPath: store.folder.path).sorted()
    #expect(left == ["corpus", "g.pt", "g.safetensors"])
    #expect(throws: Never.self) {
        try TorchModule(path: store.folder.file("g.pt"), options: ModuleOptions(fold: false))
    }
    let weights = try Safetensors.read(store.folder.file("g.safetensors")).tensors
    #expect(weights["weight0"]?.shape == [32, 10] && weights["bias1"]?.shape == [10])
}
