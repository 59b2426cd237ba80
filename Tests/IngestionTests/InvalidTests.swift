import CorpusStore
import Foundation
import Ingestion
import Logits
import Networks
import Sampling
import Shards
import TestSupport
import Testing

/// Made by make_networks.py: NaN logits below 0.25 of the first red value, no dependence on the image from 0.75 on.
private let moody = "\(projectFolder)/Tests/IngestionTests/Networks/moody.pt"

private enum Mood { case broken, good, flat, between }

/// From kept 8-bit clean images; between: an attack may push the image over a threshold.
private func moods(_ images: KeptImages) -> [Mood] {
    (0..<images.count).map { image in
        switch images.image(image).first ?? 0 {
        case ..<38: .broken
        case 102..<153: .good
        case 217...: .flat
        default: .between
        }
    }
}

private func reader(_ path: String, _ attack: String) throws -> ShardReader {
    let corpus = try Corpus(at: path, .reading)
    let unit = try #require(try corpus.units().first { $0.key.variant.canonical == attack })
    return try ShardReader(path: corpus.layout.absolute(unit.path))
}

private func ask(_ path: String, _ sql: String) throws -> [[ReadOnlyQuery.Value]] {
    var rows: [[ReadOnlyQuery.Value]] = []
    let query = try ReadOnlyQuery(try Corpus(at: path, .reading), at: nil) { false }
    _ = try query.run(sql) { _, values in rows.append(values) }
    return rows
}

@Test("a network that breaks for some images leaves those rows invalid, and the ingest goes on, under every attack")
func broken() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder, network: moody)
    let attacks = ["clean"] + AttackRegistry.all.map(\.name)
    var notes: [String] = []
    let report = try Fixtures.ingest(
        path, attacks: attacks.joined(separator: ","), limit: 64, change: { $0.keepImages = .eightBit },
        note: { notes.append($0) })
    #expect(report.parts.allSatisfy { $0.computed == 64 && $0.invalid > 0 && $0.invalid < 64 })
    #expect(notes.count == attacks.count && notes.allSatisfy { $0.contains("invalid") })
    let clean = try reader(path, "clean")
    let before = moods(try clean.images(0..<64))
    #expect(Set(before.map { "\($0)" }).count == 4)
    for row in 0..<64 where before[row] != .between {
        let isBroken = before[row] == .broken
        #expect(clean.columns.isInvalid(row) == isBroken && (clean.columns.prediction[row] == -1) == isBroken)
    }
    for attack in attacks.dropFirst() {
        let attacked = try reader(path, attack)
        let columns = try #require(attacked.columns.attack)
        let after = moods(try attacked.images(0..<64))
        for row in 0..<64 {
            let outcome = Outcome(rawValue: columns.status[row])
            switch before[row] {
            case .broken: #expect(outcome == .invalid, "\(attack) row \(row)")
            // An attack that stops at an image that is wrong already never sees its gradient.
            case .flat: #expect(outcome == .invalid || outcome == .trivial, "\(attack) row \(row)")
            // DeepFool has no bound, and may move an image to where the network breaks.
            case .good where after[row] == .good: #expect(outcome != .invalid, "\(attack) row \(row)")
            case .good, .between: break
            }
            if outcome == .invalid { #expect(columns.status8bit?[row] == Outcome.invalid.rawValue) }
        }
    }
    #expect(try Verify.run(Corpus(at: path, .reading), quick: false) { _, _ in }.problems == [])
    let again = try Recompute.run(
        Corpus(at: path, .reading), count: 20, seed: 1, progress: { _, _ in }, shouldStop: { false })
    #expect(again.problems == [] && again.rows.count == 20)
    let invalid = (0..<64).count { clean.columns.isInvalid($0) }
    #expect(
        try ask(path, "SELECT rows, invalid FROM accuracy WHERE attack = 'clean'") == [
            [.integer(Int64(64 - invalid)), .integer(Int64(invalid))]
        ])
    #expect(
        try ask(path, "SELECT count(*) FROM rows WHERE attack = 'clean' AND outcome = 'invalid'") == [
            [.integer(Int64(invalid))]
        ])
}

@Test("the sampler leaves out images whose clean row is invalid, unless asked to keep them")
func sampled() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder, network: moody)
    try Fixtures.ingest(path, attacks: "clean,fgsm", limit: 64)
    let clean = try reader(path, "clean").columns
    let attacked = try reader(path, "fgsm").columns
    let corpus = try Corpus(at: path, .reading)
    func images(_ policy: TwinPolicy) throws -> Int {
        var options = SamplerOptions()
        options.invalidTwins = policy
        return try Sampler(
            corpusRoot: path, manifest: try corpus.snapshot(nil), dataset: "shapes", split: "test",
            network: "residual", attacks: ["fgsm"], selection: nil, options: options
        ).imageCount
    }
    #expect(try images(.keep) == 64)
    #expect(try images(.clean) == (0..<64).count { !clean.isInvalid($0) })
    #expect(try images(.skip) == (0..<64).count { !clean.isInvalid($0) && !attacked.isInvalid($0) })
}
