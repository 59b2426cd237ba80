import Foundation
import Logits
import Sampling
import Shards
import TestSupport
import Testing

/// A snapshot of clean and attacked rows over several shards, written without a catalogue.
private struct Store {
    let folder = TemporaryFolder()
    let manifest: SnapshotManifest
    let clean: RowTable
    let attacked: RowTable

    init(rows: Int = 1000, attackedRows: Int? = nil, perShard: Int = 300) throws {
        clean = exampleTable(rows: rows, classes: 10, seed: 1)
        var other = exampleTable(rows: attackedRows ?? rows, classes: 10, attacked: true, seed: 2)
        // One image of each eleven is invalid, one failed; the rest fooled.
        let status: [UInt8] = (0..<other.count).map { $0 % 11 == 0 ? 3 : $0 % 11 == 1 ? 1 : 0 }
        other.attack?.status = status
        attacked = other
        var entries: [ShardEntry] = []
        for (variant, table) in [(Variant.clean, clean), (examplePGD, attacked)] {
            for first in stride(from: 0, to: table.count, by: perShard) {
                let part = table.picking(Array(first..<min(first + perShard, table.count)))
                let header = exampleHeader(part, variant: variant, first: first)
                let path = "shards/\(variant)-\(first).h5"
                try FileManager.default.createDirectory(
                    atPath: folder.file("shards"), withIntermediateDirectories: true)
                try ShardWriter.write(part, header: header, encoding: first == 0 ? .raw : .zstd, to: folder.file(path))
                entries.append(
                    ShardEntry(
                        path: path, key: header.key, classCount: 10, contentDigest: header.contentDigest,
                        fileDigest: "",
                        fileBytes: 0))
            }
        }
        manifest = SnapshotManifest(
            formatVersion: 1, id: "0123456789abcdef", tree: "", parent: nil, message: "", created: "", shards: entries)
    }

    func sampler(_ change: (inout SamplerOptions) -> Void = { _ in }) throws(LogitError) -> Sampler {
        var options = SamplerOptions()
        options.batchRowCount = 64
        options.seed = 7
        change(&options)
        return try Sampler(
            corpusRoot: folder.path, manifest: manifest, dataset: "d", split: "train", network: "n", attacks: ["pgd"],
            options: options)
    }
}

private func all(_ sampler: Sampler, epoch: Int = 0, from: Int = 0) throws -> [Batch] {
    let sequence = sampler.batches(epoch: epoch, from: from)
    var batches: [Batch] = []
    while let batch = try sequence.next() { batches.append(batch) }
    return batches
}

private func rows(_ batches: [Batch]) -> [String] {
    batches.flatMap { batch in
        (0..<batch.count).map {
            "\(batch.ordinals[$0]) \(batch.variants[$0]) \(batch.labels[$0]) \(batch.logits[$0 * 10..<($0 + 1) * 10])"
        }
    }
}

@Test("the stream is the same for any number of threads and any prefetch", arguments: [(2, 1), (3, 4), (5, 2)])
func threads(count: Int, prefetch: Int) throws {
    let store = try Store()
    let expected = rows(try all(store.sampler()))
    let other = try store.sampler {
        $0.threadCount = count
        $0.prefetch = prefetch
    }
    #expect(rows(try all(other)) == expected)
}

@Test("every image comes once an epoch, with a row that is stored for it; invalid twins are left out")
func everyImage() throws {
    let store = try Store()
    let sampler = try store.sampler()
    let invalid = (0..<1000).count { $0 % 11 == 0 }
    #expect(sampler.imageCount == 1000 - invalid && sampler.skippedCount == invalid && sampler.unpairedCount == 0)
    var seen: Set<Int64> = []
    for batch in try all(sampler, epoch: 3) {
        for row in 0..<batch.count {
            let ordinal = Int(batch.ordinals[row])
            #expect(seen.insert(batch.ordinals[row]).inserted)
            let source = batch.variants[row] == 0 ? store.clean : store.attacked
            #expect(Array(batch.logits[row * 10..<(row + 1) * 10]) == Array(source.row(ordinal)))
            #expect(batch.labels[row] == store.clean.label[ordinal])
        }
    }
    #expect(seen.count == 1000 - invalid)
}

@Test("epochs and seeds differ, and each is the same again")
func reproducible() throws {
    let store = try Store()
    let sampler = try store.sampler()
    let first = rows(try all(sampler, epoch: 0))
    #expect(rows(try all(sampler, epoch: 0)) == first)
    #expect(rows(try all(sampler, epoch: 1)) != first)
    #expect(rows(try all(store.sampler { $0.seed = 8 })) != first)
}

@Test("ranks share the epoch without overlap or loss", arguments: [2, 3, 7])
func ranks(world: Int) throws {
    let store = try Store()
    let whole = rows(try all(store.sampler()))
    var parts: [String] = []
    for rank in 0..<world {
        let sampler = try store.sampler {
            $0.rank = rank
            $0.worldSize = world
        }
        parts += rows(try all(sampler))
    }
    #expect(parts.sorted() == whole.sorted())
}

@Test("a resumed stream is the rest of the whole one")
func resume() throws {
    let sampler = try Store().sampler()
    let whole = try all(sampler, epoch: 2)
    #expect(rows(try all(sampler, epoch: 2, from: 5)) == rows(Array(whole[5...])))
}

@Test("p is the share of clean rows: none at 0, all at 1, within five sigma at 0.3")
func cleanShare() throws {
    let store = try Store()
    #expect(try all(store.sampler { $0.cleanProbability = 0 }).allSatisfy { $0.cleanCount == 0 })
    #expect(try all(store.sampler { $0.cleanProbability = 1 }).allSatisfy { $0.cleanCount == $0.count })
    let sampler = try store.sampler()
    var clean = 0
    for epoch in 0..<10 { clean += try all(sampler, epoch: epoch).reduce(0) { $0 + $1.cleanCount } }
    let total = Double(sampler.imageCount * 10)
    #expect(abs(Double(clean) - 0.3 * total) < 5 * (total * 0.3 * 0.7).squareRoot())
}

@Test("what becomes of failed and invalid twins is the option's")
func twins() throws {
    let store = try Store()
    let kept = try store.sampler { $0.invalidTwins = .keep }
    #expect(kept.imageCount == 1000)
    let replaced = try store.sampler {
        $0.invalidTwins = .clean
        $0.failedTwins = .clean
        $0.cleanProbability = 0
    }
    for batch in try all(replaced) {
        for row in 0..<batch.count {
            #expect((batch.variants[row] == 0) == (batch.ordinals[row] % 11 <= 1))
        }
    }
    let failed = (0..<1000).count { $0 % 11 == 1 }
    #expect(try store.sampler { $0.failedTwins = .skip }.skippedCount == failed + (0..<1000).count { $0 % 11 == 0 })
}

@Test("images without a twin are counted and left out")
func unpaired() throws {
    let sampler = try Store(attackedRows: 700).sampler()
    #expect(sampler.unpairedCount == 300)
}

@Test("the first place of an epoch is uniform over the images (chi-square at 0.1 %)")
func uniform() throws {
    let store = try Store(rows: 21, perShard: 30)
    var counts = [Int](repeating: 0, count: 21)
    let sampler = try store.sampler {
        $0.invalidTwins = .keep
        $0.batchRowCount = 1
    }
    for epoch in 0..<2100 {
        let sequence = sampler.batches(epoch: epoch)
        if let batch = try sequence.next() { counts[Int(batch.ordinals[0])] += 1 }
    }
    let statistic = counts.reduce(0.0) { $0 + (Double($1) - 100) * (Double($1) - 100) / 100 }
    #expect(statistic < 45.31)  // scipy.stats.chi2.ppf(0.999, 20)
}

@Test("a damaged row stops the stream with the shard's name")
func damage() throws {
    let store = try Store()
    let path = store.folder.file("shards/clean-0.h5")
    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    let row = store.clean.row(5).withUnsafeBytes { Data($0) }
    bytes[try #require(bytes.range(of: row)).lowerBound] ^= 1
    try bytes.write(to: URL(fileURLWithPath: path))
    let sampler = try store.sampler { $0.cleanProbability = 1 }
    let error = #expect(throws: LogitError.self) { try all(sampler) }
    #expect(error?.code == .corrupt && error?.message.contains("clean-0.h5") == true)
}

@Test("options out of range and absent rows are refused")
func refusals() throws {
    let store = try Store(rows: 30)
    #expect(throws: LogitError.self) { try store.sampler { $0.cleanProbability = 1.5 } }
    #expect(throws: LogitError.self) { try store.sampler { $0.cleanProbability = .nan } }
    #expect(throws: LogitError.self) { try store.sampler { $0.batchRowCount = 0 } }
    #expect(throws: LogitError.self) { try store.sampler { $0.rank = 2 } }
    let error = #expect(throws: LogitError.self) {
        try Sampler(
            corpusRoot: store.folder.path, manifest: store.manifest, dataset: "d", split: "train", network: "n",
            attacks: ["mim"], options: SamplerOptions())
    }
    #expect(error?.message.contains("clean, pgd") == true)
}

@Test("a label changed within the classes is noticed, whichever row of the image is read")
func changedLabel() throws {
    let store = try Store()
    let path = store.folder.file("shards/clean-0.h5")
    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    let labels = store.clean.label[..<300].withUnsafeBytes { Data($0) }
    let place = try #require(bytes.range(of: labels)).lowerBound
    bytes[place + 4 * 5] = 9
    try bytes.write(to: URL(fileURLWithPath: path))
    let sampler = try store.sampler { $0.cleanProbability = 0 }
    for batch in try all(sampler) {
        for row in 0..<batch.count where batch.ordinals[row] == 5 {
            #expect(batch.labels[row] == store.clean.label[5])
        }
    }
}

/// Changes one byte of a shard, within the stored column that holds these values.
private func flip<T>(_ store: Store, _ shard: String, _ column: ArraySlice<T>, at offset: Int, to value: UInt8) throws {
    let url = URL(fileURLWithPath: store.folder.file(shard))
    var bytes = try Data(contentsOf: url)
    let stored = column.withUnsafeBytes { Data($0) }
    bytes[try #require(bytes.range(of: stored)).lowerBound + offset] = value
    try bytes.write(to: url)
}

@Test("a status that was changed to invalid does not leave the image out in silence")
func changedStatus() throws {
    let store = try Store()
    let status = try #require(store.attacked.attack?.status)
    try flip(store, "shards/pgd-0.h5", status[..<300], at: 5, to: 3)
    let error = #expect(throws: LogitError.self) { try store.sampler() }
    #expect(error?.code == .corrupt && error?.message.contains("pgd-0.h5") == true)
}

@Test("an ordinal that was changed does not leave its image out in silence", arguments: ["clean", "pgd"])
func changedOrdinal(variant: String) throws {
    let store = try Store()
    try flip(store, "shards/\(variant)-0.h5", store.clean.ordinal[..<300], at: 8 * 299 + 3, to: 1)
    let error = #expect(throws: LogitError.self) { try store.sampler() }
    #expect(error?.message.contains("\(variant)-0.h5") == true)
}

@Test("after an error the stream stays ended, whatever other threads have read", arguments: [1, 3])
func errorStays(threads: Int) throws {
    let store = try Store()
    try flip(store, "shards/clean-0.h5", store.clean.row(5)[...], at: 0, to: 0x55)
    let sequence = try store.sampler {
        $0.cleanProbability = 1
        $0.threadCount = threads
        $0.batchRowCount = 8
    }.batches(epoch: 0)
    let first = #expect(throws: LogitError.self) { while try sequence.next() != nil {} }
    let second = #expect(throws: LogitError.self) { try sequence.next() }
    #expect(first?.message == second?.message)
}
