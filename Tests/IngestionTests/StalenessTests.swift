import CorpusStore
import Foundation
import Ingestion
import Logits
import Networks
import Sampling
import Shards
import TestSupport
import Testing

/// Each test is one way in which stored rows come to be of something else than their names say; each must be refused with a
/// sentence that says what differs.

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

/// A corpus over a folder of images and a module that the test may change.
private struct Changeable {
    let folder = TemporaryFolder()
    let path: String
    let module: String
    let images: String

    init() throws {
        module = folder.file("net.pt")
        try FileManager.default.copyItem(atPath: Fixtures.network, toPath: module)
        images = folder.file("set")
        try FileManager.default.createDirectory(atPath: images, withIntermediateDirectories: true)
        #expect(try run("/bin/tar", ["xf", Fixtures.testImages, "-C", images]).status == 0)
        path = try Fixtures.corpus(folder, network: module, testImages: images)
    }

    /// The image at an ordinal: its id and file.
    func image(_ ordinal: Int) throws -> (id: String, file: String) {
        let corpus = try Corpus(at: path, .reading)
        let id = try corpus.images(of: corpus.split(dataset: nil, split: nil))[ordinal].id
        return (id, "\(images)/\(id)")
    }

    var digest: String { get throws { String(try Corpus(at: path, .reading).networks()[0].digest.prefix(12)) } }

    /// Another module that loads and runs.
    func replaceModule() throws -> String {
        let other = "\(Fixtures.folder)/networks/plain.pt"
        try FileManager.default.removeItem(atPath: module)
        try FileManager.default.copyItem(atPath: other, toPath: module)
        return String(Digest.hex([UInt8](try Data(contentsOf: URL(fileURLWithPath: other)))).prefix(12))
    }
}

@Test("a module retrained into the same file is not taken for the one whose rows are stored")
func retrained() throws {
    let corpus = try Changeable()
    try Fixtures.ingest(corpus.path, attacks: "clean", limit: 10)
    let (old, new) = (try corpus.digest, try corpus.replaceModule())
    expectRefusal(old, new, corpus.module) { try Fixtures.ingest(corpus.path, attacks: "clean", limit: 10) }
    expectRefusal(old, new) { try Fixtures.ingest(corpus.path, attacks: "clean,pgd", limit: 20) }
    // The copy that the corpus keeps is whole: without the file its rows go on.
    try FileManager.default.removeItem(atPath: corpus.module)
    #expect(try Fixtures.ingest(corpus.path, attacks: "clean", limit: 20).parts[0].computed == 10)
}

@Test("another module, or another preprocessing, under a known name is refused")
func renamedNetwork() throws {
    let corpus = try Changeable()
    let (old, new) = (try corpus.digest, try corpus.replaceModule())
    func add(_ module: String, mean: [Float]?) throws {
        _ = try NetworkImport.run(
            Corpus(at: corpus.path, .writing), name: "residual", module: module, input: nil, mean: mean,
            standardDeviation: mean, fold: true)
    }
    expectRefusal(old, new, code: .usage) { try add(corpus.module, mean: nil) }
    expectRefusal("mean=0.5,0.5,0.5", code: .usage) { try add(Fixtures.network, mean: [0.5, 0.5, 0.5]) }
}

@Test("a module replaced inside the corpus is refused")
func replacedCopy() throws {
    let corpus = try Changeable()
    let old = try corpus.digest
    let copy = try Corpus(at: corpus.path, .reading).layout.module(
        try Corpus(at: corpus.path, .reading).networks()[0].digest)
    try Data("another".utf8).write(to: URL(fileURLWithPath: copy))
    expectRefusal(old, String(Digest.hex("another").prefix(12))) {
        try Fixtures.ingest(corpus.path, attacks: "clean", limit: 10)
    }
}

@Test("a descriptor that names another module than the stored rows' is refused by ingest, SQL and statistics")
func replacedDescriptor() throws {
    let corpus = try Changeable()
    try Fixtures.ingest(corpus.path, attacks: "clean", limit: 10)
    let (file, old) = (
        "\(corpus.path)/networks/residual.json", try Corpus(at: corpus.path, .reading).networks()[0].digest
    )
    let text = try String(contentsOfFile: file, encoding: .utf8)
    let other = String(repeating: "5", count: 64)
    try text.replacingOccurrences(of: old, with: other).write(toFile: file, atomically: true, encoding: .utf8)
    let mentions = (String(old.prefix(12)), String(other.prefix(12)))
    expectRefusal(mentions.0, mentions.1) { try Fixtures.ingest(corpus.path, attacks: "clean", limit: 20) }
    expectRefusal(mentions.0, mentions.1) {
        let opened = try Corpus(at: corpus.path, .reading)
        _ = try ReadOnlyQuery(opened, at: nil) { false }
    }
    try text.replacingOccurrences(of: "\"height\" : 32", with: "\"height\" : 64").write(
        toFile: file, atomically: true, encoding: .utf8)
    expectRefusal("3x32x32", "3x64x32") { _ = try Corpus(at: corpus.path, .reading).network("residual") }
}

@Test("an image whose bytes changed is named, with both digests")
func changedImage() throws {
    let corpus = try Changeable()
    let (image, other) = (try corpus.image(3), try corpus.image(4))
    let (old, new) = try digests(image.file, other.file)
    try Data(contentsOf: URL(fileURLWithPath: other.file)).write(to: URL(fileURLWithPath: image.file))
    expectRefusal(image.id, old, new) { try Fixtures.ingest(corpus.path, attacks: "clean", limit: 10) }
    #expect(try Corpus(at: corpus.path, .reading).units().isEmpty)
}

private func digests(_ first: String, _ second: String) throws -> (String, String) {
    func digest(_ path: String) throws -> String {
        String(Digest.hex([UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))).prefix(12))
    }
    return (try digest(first), try digest(second))
}

@Test("images in another order, of another class, added or gone: the first difference is named")
func changedFolder() throws {
    let corpus = try Changeable()
    try Fixtures.ingest(corpus.path, attacks: "clean", limit: 10)
    let image = try corpus.image(2)
    let files = FileManager.default
    let renamed = image.file.replacingOccurrences(of: ".png", with: "x.png")
    try files.moveItem(atPath: image.file, toPath: renamed)
    expectRefusal("at ordinal 2 there was \(image.id)") {
        try Fixtures.ingest(corpus.path, attacks: "clean", limit: 20)
    }
    try files.removeItem(atPath: renamed)
    expectRefusal(image.id) { try Fixtures.ingest(corpus.path, attacks: "clean", limit: 20) }
}

@Test("the same name for other images is refused, and the first that differs is named")
func readded() throws {
    let corpus = try Changeable()
    let (image, other) = (try corpus.image(5), try corpus.image(6))
    func add() throws {
        _ = try DatasetImport.run(
            Corpus(at: corpus.path, .writing), dataset: "shapes", split: "test", source: corpus.images, classNames: nil,
            progress: { _, _ in }, shouldStop: { false })
    }
    expectRefusal("with the same images", code: .usage) { try add() }
    try Data(contentsOf: URL(fileURLWithPath: other.file)).write(to: URL(fileURLWithPath: image.file))
    expectRefusal(image.id, "other bytes", code: .usage) { try add() }
}

@Test("an image list that changed inside the corpus is refused with both digests")
func changedList() throws {
    let corpus = try Changeable()
    let opened = try Corpus(at: corpus.path, .reading)
    let split = try opened.split(dataset: nil, split: nil)
    let list = URL(fileURLWithPath: opened.layout.imageList(split.dataset, split.split))
    var lines = try String(contentsOf: list, encoding: .utf8).split(separator: "\n").map(String.init)
    lines.swapAt(0, 1)
    try (lines.joined(separator: "\n") + "\n").write(to: list, atomically: true, encoding: .utf8)
    expectRefusal(String(split.digest.prefix(12)), code: .corrupt) {
        try Fixtures.ingest(corpus.path, attacks: "clean", limit: 10)
    }
}

/// Stores a unit's rows under a key of the test's making.
private func store(
    _ path: String, like attack: String, _ change: (inout UnitKey, inout RowTable) -> Void
) throws -> (key: UnitKey, table: RowTable, header: ShardHeader) {
    let corpus = try Corpus(at: path, .reading)
    let unit = try #require(try corpus.units().first { $0.key.variant.canonical == attack })
    let reader = try ShardReader(path: corpus.layout.absolute(unit.path))
    var (key, table) = (unit.key, try reader.table(0..<reader.rowCount))
    change(&key, &table)
    var header = reader.header
    header.key = key
    return (key, table, header)
}

@Test("rows under an attack's name with other parameters are refused by ingest and replay, and the parameter is named")
func otherParameters() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, attacks: "pgd", limit: 10)
    let (key, table, header) = try store(path, like: "pgd") { key, _ in
        let parameters = key.variant.parametersJSON.replacing(/"steps":\d+/, with: "\"steps\":7")
        key.variant = Variant(name: "pgd", canonical: "pgd", parametersJSON: parameters)
    }
    let other = try Fixtures.corpus(folder, name: "other")
    _ = try Corpus(at: other, .writing).commit(
        table, images: nil, key: key, blockRows: header.blockRows, softwareJSON: "{}", encoding: .raw)
    expectRefusal("steps was 7") { try Fixtures.ingest(other, attacks: "pgd", limit: 20) }
    let name = try RowName("shapes/test/3/residual/pgd/0")
    expectRefusal("steps was 7") { _ = try Replay.run(Corpus(at: other, .reading), name) }
    // A shard of the present parameters beside the old ones is refused too.
    let second = try store(path, like: "pgd") { key, table in
        key.firstPosition = 10
        table.ordinal = table.ordinal.map { $0 + 10 }
        table.image = table.ordinal.map { ordinal in (try? listed(path, Int(ordinal))) ?? "" }
    }
    expectRefusal("steps was 7") {
        _ = try Corpus(at: other, .writing).commit(
            second.table, images: nil, key: second.key, blockRows: 32, softwareJSON: "{}", encoding: .raw)
    }
}

private func listed(_ path: String, _ ordinal: Int) throws -> String {
    let corpus = try Corpus(at: path, .reading)
    return try corpus.images(of: corpus.split(dataset: nil, split: nil))[ordinal].id
}

@Test("rows that slipped by one image are not adopted")
func slipped() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, attacks: "clean", limit: 10)
    let unit = try store(path, like: "clean") { _, table in table.ordinal = table.ordinal.map { $0 + 1 } }
    let other = try Fixtures.corpus(folder, name: "other")
    expectRefusal("row 0", "ordinal 1") {
        _ = try Corpus(at: other, .writing).commit(
            unit.table, images: nil, key: unit.key, blockRows: 32, softwareJSON: "{}", encoding: .raw)
    }
    #expect(try Corpus(at: other, .reading).units().isEmpty)
}

@Test("shards in each other's places are refused by a sampler and found by verify")
func swapped() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, attacks: "clean,pgd,bim", limit: 20)
    let opened = try Corpus(at: path, .reading)
    let files = try opened.units().filter { !$0.key.variant.isClean }.map { opened.layout.absolute($0.path) }
    let manager = FileManager.default
    try manager.moveItem(atPath: files[0], toPath: "\(files[0]).away")
    try manager.moveItem(atPath: files[1], toPath: files[0])
    try manager.moveItem(atPath: "\(files[0]).away", toPath: files[1])
    expectRefusal(files[1]) {
        _ = try Sampler(
            corpusRoot: path, manifest: opened.snapshot(nil), dataset: "shapes", split: "test", network: "residual",
            attacks: ["pgd"], options: SamplerOptions())
    }
    #expect(try Verify.run(opened, quick: false) { _, _ in }.problems.count >= 2)
}

@Test("an interrupted ingest run again with another block size or codec keeps its own blocks: bits do not change")
func otherBlocksOnResume() throws {
    let folder = TemporaryFolder()
    let whole = try Fixtures.corpus(folder, name: "whole")
    try Fixtures.ingest(whole, limit: 100)
    let stopped = try Fixtures.corpus(folder, name: "stopped")
    #expect(throws: LogitError.self) { try Fixtures.ingest(stopped, limit: 100, shouldStop: { true }) }
    try Fixtures.ingest(stopped, limit: 100) { $0.blockRows = 7 }
    #expect(try tree(stopped, "clean") == tree(whole, "clean"))
}

private func tree(_ path: String, _ attack: String) throws -> [String] {
    try Corpus(at: path, .reading).units().filter { $0.key.variant.canonical == attack }.map(\.contentDigest)
}

@Test("whatever the order and the threads, a batch's logits and labels are those of the image at its ordinal")
func alignment() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, limit: 60)
    try Fixtures.ingest(path, limit: 100)
    let corpus = try Corpus(at: path, .reading)
    let images = try corpus.images(of: corpus.split(dataset: nil, split: nil))
    var stored: [String: [Float]] = [:]
    for unit in try corpus.units() {
        let table = try ShardReader(path: corpus.layout.absolute(unit.path)).table(0..<unit.key.rowCount)
        for row in 0..<table.count {
            stored["\(unit.key.variant.isClean ? 0 : 1) \(table.ordinal[row])"] = Array(table.row(row))
        }
    }
    var options = SamplerOptions()
    (options.batchRowCount, options.threadCount, options.seed) = (16, 3, 5)
    let sampler = try Sampler(
        corpusRoot: path, manifest: corpus.snapshot(nil), dataset: "shapes", split: "test", network: "residual",
        attacks: ["pgd"], options: options)
    for epoch in 0..<3 {
        var seen: Set<Int64> = []
        let batches = sampler.batches(epoch: epoch)
        while let batch = try batches.next() {
            for row in 0..<batch.count {
                let ordinal = batch.ordinals[row]
                #expect(batch.labels[row] == images[Int(ordinal)].label)
                let logits = Array(batch.logits[row * batch.classCount..<(row + 1) * batch.classCount])
                #expect(stored["\(batch.variants[row]) \(ordinal)"] == logits)
                seen.insert(ordinal)
            }
        }
        #expect(seen.count == 100)
    }
}

@Test("a selection of another list of images under the same name is refused with both digests")
func otherSelection() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, limit: 10)
    let corpus = try Corpus(at: path, .reading)
    let split = try corpus.split(dataset: nil, split: nil)
    let selection = SelectionFile(
        formatVersion: 1, name: "s", dataset: split.dataset, split: split.split,
        datasetDigest: String(repeating: "7", count: 64), ordinals: [0], images: ["x"], provenance: "p",
        created: timestamp())
    expectRefusal("777777777777", String(split.digest.prefix(12)), code: .usage) { try corpus.check(selection, split) }
    expectRefusal("777777777777", String(split.digest.prefix(12)), code: .usage) {
        _ = try Sampler(
            corpusRoot: path, manifest: corpus.snapshot(nil), dataset: "shapes", split: "test", network: "residual",
            attacks: ["pgd"], selection: selection, options: SamplerOptions())
    }
}
