import Foundation
import Logits
import Networks
import TestSupport
import Testing

/// Logits and sign attacks of the first test images by PyTorch, frozen by Tests/NetworksTests/make_reference.py.
private struct Reference: Decodable {
    let count: Int
    let logits: [Float]
    let fgsm: [Float]
    let bim: [Float]
    let mim: [Float]
    let pgd: [Float]

    static func load() throws -> Reference {
        let path = "\(projectFolder)/Tests/NetworksTests/reference.json"
        return try JSONDecoder().decode(Reference.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
    }
}

private func attacker(_ text: String) throws -> any Attacker { try #require(try AttackRegistry.choice(text).attacker) }

@Test("clean logits equal PyTorch's to 1e-4 relative, folded or not", arguments: [true, false])
func logits(fold: Bool) throws {
    let reference = try Reference.load()
    let block = try Fixtures.block(reference.count)
    let classifier = try Fixtures.classifier(fold: fold)
    var logits = [Float](repeating: 0, count: reference.count * 100)
    try classifier.logits(block.images, count: reference.count, into: &logits)
    let scale = reference.logits.map(\.magnitude).max() ?? 1
    for (ours, theirs) in zip(logits, reference.logits) { #expect((ours - theirs).magnitude <= 1e-4 * scale) }
}

/// The gates: the share of values of the attacked images that agree to 1e-6.
@Test(
    "attacked images agree with PyTorch's, value by value",
    arguments: [
        ("fgsm", true, 0.995), ("fgsm", false, 0.9999), ("bim", true, 0.99), ("mim", true, 0.99), ("pgd", true, 0.99),
    ])
func attacks(name: String, fold: Bool, gate: Double) throws {
    let reference = try Reference.load()
    let block = try Fixtures.block(reference.count)
    let result = try attacker(name).run(block, on: try Fixtures.classifier(fold: fold))
    let expected =
        ["fgsm": reference.fgsm, "bim": reference.bim, "mim": reference.mim, "pgd": reference.pgd][name] ?? []
    // The reference keeps the first two images, which is 6,144 values.
    let same = zip(result.images, expected).count { ($0 - $1).magnitude <= 1e-6 }
    #expect(expected.count == 2 * 3072)
    #expect(Double(same) >= gate * Double(expected.count), "\(same) of \(expected.count)")
}

@Test("what a record says of an attack is so", arguments: ["pgd", "bim", "mim", "fgsm", "pgd:label=prediction"])
func records(name: String) throws {
    let block = try Fixtures.block(16)
    let classifier = try Fixtures.classifier()
    var clean = [Float](repeating: 0, count: 1600)
    try classifier.logits(block.images, count: 16, into: &clean)
    let result = try attacker(name).run(block, on: classifier)
    for image in 0..<16 {
        let range = image * 3072..<(image + 1) * 3072
        let changes = zip(result.images[range], block.images[range]).map { Double($0) - Double($1) }
        let l2 = changes.reduce(0) { $0 + $1 * $1 }.squareRoot()
        let linf = changes.map(\.magnitude).max() ?? 0
        #expect(linf <= 16.0 / 255 + 1e-6 && result.images[range].allSatisfy { $0 >= 0 && $0 <= 1 })
        #expect((Double(result.columns.perturbationL2[image]) - l2).magnitude < 1e-5)
        #expect((Double(result.columns.perturbationLinf[image]) - linf).magnitude < 1e-7)
        let before = argMax(clean[image * 100..<(image + 1) * 100])
        let after = argMax(result.logits[image * 100..<(image + 1) * 100])
        #expect(result.columns.cleanPrediction[image] == before && result.prediction[image] == after)
        let attacked = name.contains("prediction") ? before : block.labels[image]
        let expected: Outcome =
            !name.contains("prediction") && before != attacked ? .trivial : after != attacked ? .fooled : .failed
        #expect(result.columns.status[image] == expected.rawValue)
        #expect(result.columns.iterations[image] == (name == "fgsm" ? 1 : 10))
    }
}

/// Results must not depend on how often a module ran before, on the thread, or on what runs beside it.
@Test("the same block gives the same bits in the first call, later calls and on several threads")
func determinism() throws {
    let blocks = try (0..<4).map { index in
        let whole = try Fixtures.block(32)
        return AttackBlock(
            images: Array(whole.images[index * 8 * 3072..<(index + 1) * 8 * 3072]),
            labels: Array(whole.labels[index * 8..<(index + 1) * 8]), count: 8,
            randomKeys: Array(whole.randomKeys[index * 8..<(index + 1) * 8]))
    }
    let pgd = try attacker("pgd")
    let first = try blocks.map { try pgd.run($0, on: try Fixtures.classifier()).logits }
    let shared = try Fixtures.classifier()
    DispatchQueue.concurrentPerform(iterations: 24) { turn in
        let again = try? pgd.run(blocks[turn % 4], on: shared).logits
        #expect(again?.map(\.bitPattern) == first[turn % 4].map(\.bitPattern))
    }
}

@Test("an image's start depends on its key, not on its place in the block")
func keys() throws {
    var block = try Fixtures.block(4)
    let pgd = try attacker("pgd:steps=1,step-size=0")
    let classifier = try Fixtures.classifier()
    let before = try pgd.run(block, on: classifier).images
    block.images = Array(block.images[3072...] + block.images[..<3072])
    block.labels = Array(block.labels[1...] + block.labels[..<1])
    block.randomKeys = Array(block.randomKeys[1...] + block.randomKeys[..<1])
    let after = try pgd.run(block, on: classifier).images
    #expect(Array(before[3072..<6144]) == Array(after[..<3072]))
}

/// A classifier whose gradients are what the test wants.
private struct Scripted: Classifier {
    let identity = NetworkIdentity(digest: "", softwareJSON: "{}")
    let inputShape = ImageShape(height: 1, width: 1)
    let classCount = 2
    let slope: [Float]

    func logits(_ images: [Float], count: Int, into logits: inout [Float]) throws(LogitError) {
        for image in 0..<count {
            logits[2 * image] = images[3 * image]
            logits[2 * image + 1] = slope[image].isNaN ? .nan : 0.5
        }
    }

    func pass(_ images: [Float], count: Int, logits: inout [Float]) throws(LogitError) -> any GradientPass {
        try self.logits(images, count: count, into: &logits)
        return ScriptedPass(slope: slope)
    }
}

private final class ScriptedPass: GradientPass {
    private let slope: [Float]

    init(slope: [Float]) { self.slope = slope }

    func gradient(of loss: Loss, into gradient: inout [Float]) throws(LogitError) {
        for index in gradient.indices { gradient[index] = slope[index / 3] }
    }
}

@Test("an image with NaN logits or no gradient is invalid, and its neighbours are not")
func invalid() throws {
    let block = AttackBlock(
        images: [Float](repeating: 0.9, count: 12), labels: [0, 0, 0, 1], count: 4, randomKeys: [1, 2, 3, 4])
    let result = try attacker("bim:epsilon=1,step-size=0.1").run(block, on: Scripted(slope: [-1, 0, .nan, -1]))
    #expect(result.columns.status.map { Outcome(rawValue: $0) } == [.fooled, .invalid, .invalid, .trivial])
    #expect(result.images[3..<9].allSatisfy { $0 == 0.9 })
}

@Test("two spellings of the same parameters are one attack; what differs from the preset is its name")
func canonical() throws {
    let spellings = ["pgd:epsilon=8/255,steps=20", "pgd:steps=20,epsilon=0.03137254901960784"]
    let variants = try spellings.map { try AttackRegistry.choice($0).variant }
    #expect(variants[0] == variants[1] && variants[0].canonical == "pgd:epsilon=8/255,steps=20")
    #expect(try AttackRegistry.choice("pgd:epsilon=16/255,label=truth").variant.canonical == "pgd")
    #expect(try AttackRegistry.choice("pgd", label: .prediction).variant.canonical == "pgd:label=prediction")
    let list = try AttackRegistry.choices("clean,pgd:epsilon=8/255,steps=20,mim").map(\.variant.canonical)
    #expect(list == ["clean", "pgd:epsilon=8/255,steps=20", "mim"])
    #expect(try AttackRegistry.choice("pgd").variant.parametersJSON.contains("\"epsilon\":0.06274509803921569"))
}

@Test(
    "attacks that make no sense are refused, with the nearest known name",
    arguments: [
        ("pdg", "pgd"), ("pgd:epsilom=1", "epsilon"), ("pgd:epsilon=-0.1", "outside"), ("pgd:steps=0", "outside"),
        ("pgd:steps=1.5", "whole"), ("pgd:epsilon=abc", "number"), ("pgd:epsilon", "parameter=value"),
        ("clean:steps=1", "clean"), ("pgd:label=guess", "truth"), ("", "no attack"), ("pgd:steps=1,steps=2", "twice"),
        ("pgd:epsilon=1/0", "number"), ("pgd:epsilon=nan", "number"),
    ])
func refused(text: String, word: String) {
    let error = #expect(throws: LogitError.self) { try AttackRegistry.choices(text) }
    #expect(error?.code == .usage && error?.message.contains(word) == true, "\(error?.message ?? "")")
}

@Test("a file that is no module, or a module that is no classifier, is explained")
func probes() throws {
    let folder = TemporaryFolder()
    try Data("not a module".utf8).write(to: URL(fileURLWithPath: folder.file("a.pt")))
    let whole = try Data(contentsOf: URL(fileURLWithPath: Fixtures.network))
    try whole.prefix(whole.count / 2).write(to: URL(fileURLWithPath: folder.file("cut.pt")))
    for name in ["a.pt", "cut.pt", "missing.pt"] {
        let error = #expect(throws: LogitError.self) {
            try NetworkProbe.inspect(
                path: folder.file(name), candidates: [ImageShape(height: 32, width: 32)], mean: nil,
                standardDeviation: nil, fold: true)
        }
        #expect(error?.message.contains(name) == true && error?.message.contains("\n") == false)
    }
    let found = try NetworkProbe.inspect(
        path: Fixtures.network, candidates: [ImageShape(height: 32, width: 32)], mean: nil, standardDeviation: nil,
        fold: true)
    #expect(found.classCount == 100)
}
