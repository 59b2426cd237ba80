import CorpusStore
import Foundation
import Images
import Ingestion
import Logits
import Networks
import Shards
import TestSupport
import Testing

private func replay(_ path: String, _ row: String) throws -> (report: Replay.Report, image: [Float]) {
    let (report, image, _) = try Replay.run(try Corpus(at: path, .reading), try RowName(row))
    return (report, image)
}

private func recompute(_ path: String, _ count: Int, seed: UInt64 = 1) throws -> Recompute.Report {
    try Recompute.run(
        try Corpus(at: path, .reading), count: count, seed: seed, progress: { _, _ in }, shouldStop: { false })
}

/// A corpus whose one unit is that of `path`, changed: sound by all its checksums, and not what the network makes.
private func forged(
    _ folder: TemporaryFolder, from path: String, name: String, software: String? = nil,
    change: (inout RowTable, inout UnitKey) -> Void
) throws -> String {
    let original = try Corpus(at: path, .reading)
    let reader = try ShardReader(path: original.layout.absolute(try original.units()[0].path))
    var table = try reader.table(0..<reader.rowCount)
    var key = reader.header.key
    change(&table, &key)
    let other = try Fixtures.corpus(folder, name: name)
    try Corpus(at: other, .writing).commit(
        table, images: nil, key: key, blockRows: reader.header.blockRows,
        softwareJSON: software ?? reader.header.softwareJSON, encoding: .raw)
    return other
}

@Test("a row is named from both ends, since attacks have slashes in their names")
func names() throws {
    let name = try RowName("shapes/test/17/residual/pgd:epsilon=8/255,steps=20/1")
    #expect(name.set.attack == "pgd:epsilon=8/255,steps=20" && name.set.view == 1 && name.ordinal == 17)
    #expect(try RowName("d/s/0/n/pgd:steps=20,epsilon=0.06274509803921569/0").description == "d/s/0/n/pgd:steps=20/0")
    #expect(try RowName("d/s/0/n/clean/0").set.attack == "clean")
    for bad in ["", "d/s/0/n/clean", "d/s/x/n/clean/0", "d/s/-1/n/clean/0", "d/s/0/n/clean/-1", "d/s/0/n/nothing/0"] {
        let error = #expect(throws: LogitError.self, "\(bad)") { try RowName(bad) }
        #expect(error?.code == .usage)
    }
}

@Test("every kind of row is made again bit for bit, in full blocks and in the short last one")
func equal() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, attacks: "clean,pgd:epsilon=8/255,mim", limit: 40, seed: 7) {
        $0.viewCount = 2
        $0.keepImages = .float
        $0.blockRows = 16
    }
    for row in ["3/residual/clean/0", "39/residual/pgd:epsilon=8/255/0", "16/residual/pgd:epsilon=8/255/1"] {
        let (report, image) = try replay(path, "shapes/test/\(row)")
        #expect(report.verdict == .equal && report.problem == nil && report.differentRows.isEmpty, "\(row)")
        #expect(report.softwareDifferences == [] && report.blockRows == (row.hasPrefix("39") ? 8 : 16))
        #expect(report.fields.allSatisfy(\.isEqual) && report.fields.contains { $0.name == "perturbed" })
        #expect(report.fields.contains { $0.name == "status_8bit" } == !row.contains("clean"))
        if row.hasPrefix("3/") { #expect(image == (try Fixtures.images(3..<4))) }
    }
    // Ordinals of a selection are not places in the shard.
    try Fixtures.ingest(path, attacks: "fgsm") { $0.perClass = 1 }
    #expect(try replay(path, "shapes/test/1188/residual/fgsm/0").report.verdict == .equal)
    for missing in [
        "40/residual/mim/0", "0/residual/bim/0", "0/residual/mim/1", "5000/residual/mim/0", "0/nobody/mim/0",
    ] {
        let error = #expect(throws: LogitError.self) { try replay(path, "shapes/test/\(missing)") }
        #expect(error?.code == .notFound)
    }
}

@Test("with the same software one flipped bit is an error, in the row asked for or in its block")
func flipped() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, attacks: "pgd", limit: 40)
    let other = try forged(folder, from: path, name: "other") { table, _ in
        let l2 = table.attack?.perturbationL2[5] ?? 0
        table.attack?.perturbationL2[5] = l2.nextUp
    }
    for row in [5, 6] {
        let report = try replay(other, "shapes/test/\(row)/residual/pgd/0").report
        #expect(report.verdict == .different && report.problem?.contains("perturbation_l2") == true)
        #expect(report.differentRows.map(\.ordinal) == [5])
        #expect(report.fields.first { $0.name == "perturbation_l2" }?.isEqual == (row == 6))
    }
    #expect(try replay(other, "shapes/test/35/residual/pgd/0").report.verdict == .equal)  // another block
    let all = try recompute(other, 40)
    #expect(all.rows.filter(\.hasFailed).map(\.row) == ["shapes/test/5/residual/pgd/0"] && all.problems.count == 1)
}

@Test("with other software small differences pass and large ones do not, and the other software is named")
func otherSoftware() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, attacks: "clean", limit: 32)
    let corpus = try Corpus(at: path, .reading)
    let software = try ShardReader(path: corpus.layout.absolute(try corpus.units()[0].path)).header.softwareJSON
        .replacingOccurrences(of: "\"intra_op_threads\":1", with: "\"intra_op_threads\":4")
    for (name, size) in [("near", Float(1e-5)), ("far", 0.1)] {
        let other = try forged(folder, from: path, name: name, software: software) { table, _ in
            for row in 0..<32 {
                // Not the largest logit, which would change the prediction.
                let values = table.row(row)
                if let lowest = values.indices.min(by: { values[$0] < values[$1] }) { table.logits[lowest] -= size }
            }
        }
        let report = try replay(other, "shapes/test/9/residual/clean/0").report
        #expect(report.verdict == (name == "near" ? .withinGates : .different))
        #expect(report.softwareDifferences == ["torch.intra_op_threads: 4 then, 1 now"])
        #expect(report.differentRows.count == 32)
        let all = try recompute(other, 32)
        #expect(all.rows.allSatisfy { !$0.isSameSoftware && $0.hasFailed == (name == "far") })
    }
}

@Test("with other software one attacked image that went elsewhere proves nothing, several in a block do")
func elsewhere() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, attacks: "pgd", limit: 32)
    for count in [1, 3] {
        let other = try forged(folder, from: path, name: "\(count)", software: "{\"logitcorpus\":\"9\"}") { table, _ in
            for row in 0..<count {
                for index in row * 100..<(row + 1) * 100 { table.logits[index].negate() }
                table.prediction[row] = argMax(table.row(row))
            }
        }
        let verdict = try replay(other, "shapes/test/20/residual/pgd/0").report.verdict
        #expect(verdict == (count == 1 ? .withinGates : .different))
        let failed = try recompute(other, 32).rows.filter(\.hasFailed)
        #expect(failed.map(\.comparison.ordinal) == (count == 1 ? [] : [0, 1, 2]))
    }
}

@Test("rows of an attack that now has other parameters are not made again, and that is said")
func staleAttack() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, attacks: "pgd", limit: 32)
    let other = try forged(folder, from: path, name: "other") { _, key in
        key.variant = Variant(
            name: "pgd", canonical: "pgd",
            parametersJSON: key.variant.parametersJSON.replacingOccurrences(of: "\"steps\":10", with: "\"steps\":9"))
    }
    let error = #expect(throws: LogitError.self) { try replay(other, "shapes/test/0/residual/pgd/0") }
    #expect(error?.code == .stale && error?.message.contains("steps was 9, is 10") == true)
}

@Test("recomputed rows are random, distinct, the same for the same seed, and as stored")
func recomputed() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, attacks: "clean,pgd,mim", limit: 33)  // the last block is one row
    let some = try recompute(path, 12)
    #expect(some.problems == [] && some.rows.count == 12 && some.rows.allSatisfy { $0.isSameSoftware && !$0.hasFailed })
    #expect(try recompute(path, 12).rows.map(\.row) == some.rows.map(\.row))
    #expect(try recompute(path, 12, seed: 2).rows.map(\.row) != some.rows.map(\.row))
    let all = try recompute(path, 1000)
    #expect(Set(all.rows.map(\.row)).count == 99 && all.problems == [])
    // A compiled network computes an image the same in any block, but for its last matrix product.
    #expect(all.rows.allSatisfy { ($0.blockNoise ?? 0) < 1e-3 })
    #expect(all.rows.allSatisfy { ($0.blockNoise ?? 1e9) < 1e9 })
}

@Test("images that moved are one clear sentence, whatever the number of rows")
func moved() throws {
    let folder = TemporaryFolder()
    let images = folder.file("images.tar")
    try FileManager.default.copyItem(atPath: Fixtures.testImages, toPath: images)
    let path = try Fixtures.corpus(folder, testImages: images)
    try Fixtures.ingest(path, attacks: "clean,pgd", limit: 40)
    try FileManager.default.removeItem(atPath: images)
    let report = try recompute(path, 30)
    #expect(report.rows.isEmpty && report.problems.count == 1 && report.problems[0].contains(images))
    let error = #expect(throws: LogitError.self) { try replay(path, "shapes/test/0/residual/pgd/0") }
    #expect(error?.message.contains(images) == true)
}

@Test("a saved image is the attacked image: exact as .npy, rounded as .png")
func saved() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, attacks: "pgd", limit: 32) { $0.keepImages = .float }
    let (_, image, shape) = try Replay.run(
        try Corpus(at: path, .reading), try RowName("shapes/test/8/residual/pgd/0"))
    let corpus = try Corpus(at: path, .reading)
    let stored = try ShardReader(path: corpus.layout.absolute(try corpus.units()[0].path)).images(8..<9)
    #expect(image.withUnsafeBytes { Array($0) } == stored.bytes)
    let (npy, png) = (folder.file("a.npy"), folder.file("a.PNG"))
    try ImageFile(npy).write(image, shape)
    try ImageFile(png).write(image, shape)
    let bytes = try Data(contentsOf: URL(fileURLWithPath: npy))
    #expect(bytes.suffix(stored.bytes.count) == Data(stored.bytes) && (bytes.count - stored.bytes.count) % 64 == 0)
    let decoded = try RGBImage.decode([UInt8](Data(contentsOf: URL(fileURLWithPath: png))), name: png)
    #expect(decoded == RGBImage(planar: image.map(EightBit.level), height: 32, width: 32))
    let error = #expect(throws: LogitError.self) { try ImageFile(folder.file("a.jpg")) }
    #expect(error?.code == .usage)
    guard let python else { return }
    let script = """
        import numpy, sys
        a = numpy.load(sys.argv[1])
        assert a.shape == (3, 32, 32) and a.dtype == numpy.float32 and 0 <= a.min() and a.max() <= 1
        """
    #expect(try run(python, ["-c", script, npy]).status == 0)
}
