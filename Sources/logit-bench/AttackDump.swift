import ArgumentParser
import Foundation
import Logits
import Networks

/// Writes attacked images as raw float32, for tools/crosscheck to compare with other libraries.
struct AttackDump: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attack",
        abstract: "Attack the first images and write them as raw float32 (image i has the random key i).")
    @OptionGroup var subject: Subject
    @Option(help: "File for the attacked images, count × 3 × height × width.") var out: String
    @Option(help: "File for the clean logits, count × classes.") var logits: String

    func run() throws {
        let (classifier, all) = try subject.open()
        guard let attacker = try AttackRegistry.choice(subject.attack).attacker else {
            throw LogitError(.usage, "clean is no attack; name one of logit attack list")
        }
        let size = classifier.inputShape.valueCount
        let rows = recommendedBlockRows(for: classifier.inputShape)
        var images: [Float] = []
        var clean: [Float] = []
        for start in stride(from: 0, to: all.count, by: rows) {
            let end = min(start + rows, all.count)
            let block = AttackBlock(
                images: Array(all.images[start * size..<end * size]), labels: Array(all.labels[start..<end]),
                count: end - start, randomKeys: Array(all.randomKeys[start..<end]))
            images += try attacker.run(block, on: classifier).images
            var values = [Float](repeating: 0, count: block.count * classifier.classCount)
            try classifier.logits(block.images, count: block.count, into: &values)
            clean += values
        }
        try images.withUnsafeBytes { Data($0) }.write(to: URL(fileURLWithPath: out))
        try clean.withUnsafeBytes { Data($0) }.write(to: URL(fileURLWithPath: logits))
    }
}
