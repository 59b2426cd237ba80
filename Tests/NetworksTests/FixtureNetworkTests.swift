import Logits
import Networks
import TestSupport
import Testing

/// The arg max of each image's logits.
private func predictions(_ logits: [Float]) -> [Int32] {
    (0..<logits.count / 100).map { image in
        let row = logits[image * 100..<(image + 1) * 100]
        return Int32(row.indices.max { row[$0] < row[$1] } ?? row.startIndex) - Int32(image * 100)
    }
}

@Test(
    "a fixture network names the class of nine images in ten, and PGD takes that away", arguments: Fixtures.networkNames
)
func fixtureAccuracy(name: String) throws {
    let block = try Fixtures.block(160)
    let classifier = try Fixtures.classifier(name)
    var logits = [Float](repeating: 0, count: 16_000)
    try classifier.logits(block.images, count: 160, into: &logits)
    #expect(zip(predictions(logits), block.labels).count { $0 == $1 } >= 144)
    let few = try Fixtures.block(32)
    let attack = try #require(try AttackRegistry.choice("pgd").attacker)
    #expect(zip(try attack.run(few, on: classifier).prediction, few.labels).count { $0 == $1 } <= 3)
}

@Test(
    "a fixture network is saved in eval mode: an image's logits do not depend on its neighbours",
    arguments: Fixtures.networkNames)
func fixtureEvalMode(name: String) throws {
    let block = try Fixtures.block(8)
    let classifier = try Fixtures.classifier(name, fold: false)
    var together = [Float](repeating: 0, count: 800)
    try classifier.logits(block.images, count: 8, into: &together)
    var alone = [Float](repeating: 0, count: 100)
    try classifier.logits(Array(block.images[..<3072]), count: 1, into: &alone)
    let scale = together.map(\.magnitude).max() ?? 1
    for (one, other) in zip(alone, together) { #expect((one - other).magnitude <= 1e-5 * scale) }
}
