import CorpusStore
import Foundation
import Images
import Ingestion
import Logits
import Networks
import Shards
import TestSupport
import Testing

/// A corpus with some fixture images, flat and of several sizes, labelled by a file, and no network.
private func corpus(_ folder: TemporaryFolder) throws -> String {
    let images = try ImageSet.open(Fixtures.testImages, classNames: nil)
    try FileManager.default.createDirectory(atPath: folder.file("set"), withIntermediateDirectories: true)
    var lines = ""
    for ordinal in stride(from: 0, to: 1200, by: 60) {
        let name = "image\(String(format: "%04d", ordinal)).png"
        try Data(try images.bytes(ordinal)).write(to: URL(fileURLWithPath: folder.file("set/\(name)")))
        lines += "\(name) \(images.classNames[Int(images.entries[ordinal].label)])\n"
    }
    for (name, label) in [("waves.png", 3), ("column.png", 5), ("grey16.png", 7)] {
        try FileManager.default.copyItem(
            atPath: "\(projectFolder)/Tests/ImagesTests/Pictures/\(name)", toPath: folder.file("set/\(name)"))
        lines += "\(name) \(images.classNames[label])\n"
    }
    try lines.write(toFile: folder.file("labels.txt"), atomically: true, encoding: .utf8)
    let path = folder.file("corpus")
    try Corpus.create(at: path)
    _ = try DatasetImport.run(
        try Corpus(at: path, .writing), dataset: "flat", split: "test", source: folder.file("set"),
        classNames: images.classNames, labels: folder.file("labels.txt"), progress: { _, _ in },
        shouldStop: { false })
    return path
}

private func add(
    _ path: String, _ name: String, input: String? = nil, resize: String? = nil, crop: String? = nil
) throws -> NetworkDescriptor {
    try NetworkImport.run(
        try Corpus(at: path, .writing), name: name, module: Fixtures.network, input: input, resize: resize, crop: crop,
        mean: nil, standardDeviation: nil, fold: true)
}

@Test("rows of a resized network are the network's logits of the framed images, and their key says so")
func framedRows() throws {
    let folder = TemporaryFolder()
    let path = try corpus(folder)
    let network = try add(path, "residual", resize: "40", crop: "32")
    #expect(network.preprocessing == "3x32x32;resize=40;crop=32")
    // What the label file said is kept: it may go.
    try FileManager.default.removeItem(atPath: folder.file("labels.txt"))
    try Fixtures.ingest(path, attacks: "clean")
    let reader = try Corpus(at: path, .reading)
    let unit = try #require(try reader.units().first)
    #expect(unit.key.preprocessing == network.preprocessing)
    let shard = try ShardReader(path: "\(path)/\(unit.path)")
    let rows = try shard.table(0..<unit.key.rowCount)
    let set = try ImageSet.open(
        folder.file("set"), classNames: nil, labelling: { ids in (["a", "b"], ids.map { _ in 0 }) })
    let framing = try Framing(resize: "40", crop: "32")
    let classifier = try Fixtures.classifier()
    for (row, name) in rows.image.enumerated() {
        let ordinal = try #require(set.entries.firstIndex { $0.id == name })
        let image = framing.apply(to: try set.decode(try set.bytes(ordinal), of: ordinal))
        var planes = [Float](repeating: 0, count: 3072)
        planes.withUnsafeMutableBufferPointer { image.writePlanar(into: $0) }
        var logits = [Float](repeating: 0, count: 100)
        try classifier.logits(planes, count: 1, into: &logits)
        #expect(zip(logits, rows.row(row)).allSatisfy { abs($0 - $1) < 1e-3 }, "\(name)")
    }
    #expect(rows.count == 23 && rows.label[rows.image.firstIndex(of: "waves.png") ?? 0] == 3)
}

@Test("a labelled set that lost or gained a file since it was added is refused")
func changedSet() throws {
    let folder = TemporaryFolder()
    let path = try corpus(folder)
    _ = try add(path, "residual", resize: "32x32")
    try FileManager.default.copyItem(atPath: folder.file("set/waves.png"), toPath: folder.file("set/more.png"))
    let more = #expect(throws: LogitError.self) { try Fixtures.ingest(path, attacks: "clean") }
    #expect(more?.code == .stale && more?.message.contains("no longer holds") == true)
    try FileManager.default.removeItem(atPath: folder.file("set/more.png"))
    try FileManager.default.removeItem(atPath: folder.file("set/image0000.png"))
    let less = #expect(throws: LogitError.self) { try Fixtures.ingest(path, attacks: "clean") }
    #expect(less?.code == .stale)
}

@Test("images of another size than the network's are refused with the way out, before and after a resize")
func otherSizes() throws {
    let folder = TemporaryFolder()
    let path = try corpus(folder)
    _ = try add(path, "plain", input: "3x32x32")
    let plain = #expect(throws: LogitError.self) { try Fixtures.ingest(path, attacks: "clean") }
    #expect(plain?.message.contains("--resize and --crop") == true, "\(plain?.message ?? "")")
    let another = TemporaryFolder()
    let second = try corpus(another)
    _ = try add(second, "resized", input: "3x32x32", resize: "32")
    let resized = #expect(throws: LogitError.self) { try Fixtures.ingest(second, attacks: "clean") }
    #expect(resized?.message.contains("after --resize 32") == true, "\(resized?.message ?? "")")
}

@Test("resize and crop must give the input size, and give it where --input is left out")
func inputSizes() throws {
    let folder = TemporaryFolder()
    let path = try corpus(folder)
    let cases: [(String?, String?, String?, String)] = [
        ("3x32x32", "64", "48", "--crop"), ("3x32x32", "48x32", nil, "--resize"), ("3x32x32", "48", nil, "--resize 48"),
        (nil, "32", nil, "--crop 32"), (nil, "nonsense", nil, "--resize"), (nil, nil, "0", "--crop"),
    ]
    for (input, resize, crop, word) in cases {
        let error = #expect(throws: LogitError.self) { try add(path, "n", input: input, resize: resize, crop: crop) }
        #expect(error?.code == .usage && error?.message.contains(word) == true, "\(error?.message ?? "")")
    }
    #expect(try add(path, "crop", crop: "32").preprocessing == "3x32x32;crop=32")
    #expect(try add(path, "both", resize: "32x32").preprocessing == "3x32x32;resize=32x32")
    #expect(try add(path, "none", input: "3x32x32").preprocessing == "3x32x32")
    #expect(
        try add(path, "all", input: "3x32x32", resize: "36", crop: "32").preprocessing == "3x32x32;resize=36;crop=32")
    let again = #expect(throws: LogitError.self) { try add(path, "all", resize: "40", crop: "32") }
    #expect(again?.message.contains("another preprocessing") == true)
}

@Test("images of one size that a resize brings to the network's size need no crop")
func oneSize() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    #expect(try add(path, "half", resize: "16").preprocessing == "3x16x16;resize=16")
    let error = #expect(throws: LogitError.self) { try add(path, "n", input: "3x16x16") }
    #expect(error?.message.contains("--resize 16x16") == true, "\(error?.message ?? "")")
}
