import Foundation
import Logits
import Networks
import TestSupport
import Testing

/// DeepFool and C&W of the first test images, one at a time by plain PyTorch: frozen by Tests/NetworksTests/make_reference.py
/// after it has held them against foolbox and ART.
private struct Reference: Decodable {
    struct Attack: Decodable {
        let iterations: [Int32]
        let l2: [Float]
        let logits: [Float]
        /// Of the first two.
        let images: [Float]
        let cost: [Float]?
    }

    let count: Int
    let deepfool: Attack
    let cw: Attack
    let cwWhole: Attack

    static func load() throws -> Reference {
        let path = "\(projectFolder)/Tests/NetworksTests/reference.json"
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(Reference.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
    }
}

@Test(
    "DeepFool and C&W find what one image at a time in PyTorch finds: norms within 1e-3, as many iterations, the same c",
    arguments: ["deepfool", "cw", "cw:abort=none"])
func distances(name: String) throws {
    let reference = try Reference.load()
    let expected = ["deepfool": reference.deepfool, "cw": reference.cw][name] ?? reference.cwWhole
    let block = try Fixtures.block(reference.count)
    let attacker = try #require(try AttackRegistry.choice(name).attacker)
    let result = try attacker.run(block, on: try Fixtures.classifier(fold: false))
    #expect(result.columns.iterations == expected.iterations)
    #expect(result.columns.cost == expected.cost)
    for image in 0..<reference.count {
        let (ours, theirs) = (result.columns.perturbationL2[image], expected.l2[image])
        #expect((ours - theirs).magnitude <= 1e-3 * theirs, "image \(image): L2 \(ours), not \(theirs)")
        let row = image * 100..<(image + 1) * 100
        #expect(argMax(result.logits[row]) == argMax(expected.logits[row]))
        for (our, their) in zip(result.logits[row], expected.logits[row]) { #expect((our - their).magnitude <= 1e-2) }
    }
    for (our, their) in zip(result.images, expected.images) { #expect((our - their).magnitude <= 1e-3) }
}

@Test("the frozen images are attacked in earnest: none was wrong before, all are fooled")
func earnest() throws {
    let reference = try Reference.load()
    let block = try Fixtures.block(reference.count)
    for expected in [reference.deepfool, reference.cw, reference.cwWhole] {
        for image in 0..<reference.count {
            #expect(argMax(expected.logits[image * 100..<(image + 1) * 100]) != block.labels[image])
            #expect(expected.iterations[image] > 0 && expected.l2[image] > 0.01)
        }
    }
    #expect(reference.cw.iterations.allSatisfy { $0 < 50 } && reference.cwWhole.iterations.allSatisfy { $0 == 100 })
}
