import CorpusStore
import Foundation
import Ingestion
import Logits
import Shards
import TestSupport
import Testing

@discardableResult
private func compact(
    _ path: String, _ codec: Codec? = nil, _ precision: Precision? = nil, chunkRows: Int? = nil,
    attacks: [String]? = nil,
    stopAfter: Int = .max
) throws -> Compaction.Report {
    var request = CompactionRequest()
    (request.codec, request.precision, request.chunkRows, request.attacks) = (codec, precision, chunkRows, attacks)
    request.workerCount = 2
    let stops = stopAfter < .max
    return try Compaction.run(
        Corpus(at: path, .writing), request, progress: { _, _ in }, shouldStop: { stops })
}

/// Three units: clean and pgd over 60 images, with images kept, then bim over 30.
private func corpus(_ folder: TemporaryFolder, _ name: String = "c", _ codec: Codec = .raw) throws -> String {
    let path = try Fixtures.corpus(folder, name: name)
    try Fixtures.ingest(path, limit: 60) {
        $0.encoding.codec = codec
        $0.keepImages = .eightBit
    }
    try Fixtures.ingest(path, attacks: "bim", limit: 30) { $0.encoding.codec = codec }
    return path
}

private func problems(_ path: String) throws -> [String] {
    try Verify.run(Corpus(at: path, .reading), quick: false) { _, _ in }.problems
}

@Test("another codec keeps every row, image, digest and tree, and the snapshots of before", arguments: Codec.allCases)
func lossless(codec: Codec) throws {
    let folder = TemporaryFolder()
    let path = try corpus(folder, "c", codec)
    let other: Codec = codec == .raw ? .zstd : .raw
    let (rows, stored, before) = (try indexedRows(path), try tables(path), try Corpus(at: path, .reading).units())
    let old = try Corpus(at: path, .reading).snapshot(nil)
    let report = try compact(path, other)
    #expect(
        report.rewritten == 3 && report.present == 0 && report.rows == 150 && report.heldBytes == report.bytesBefore)
    let opened = try Corpus(at: path, .reading)
    let (after, head) = (try opened.units(), try opened.snapshot(nil))
    #expect(after.map(\.contentDigest).sorted() == before.map(\.contentDigest).sorted())
    #expect(Set(after.map(\.path)).isDisjoint(with: before.map(\.path)))
    #expect(head.id == report.snapshot && head.parent == old.id && head.tree == old.tree)
    #expect(try indexedRows(path) == rows && indexedRows(path, at: old.id) == rows)
    #expect(try tables(path) == stored && tables(path, at: old.id) == stored)
    for (entry, new) in zip(
        old.shards.sorted { $0.key.canonicalText < $1.key.canonicalText },
        head.shards.sorted { $0.key.canonicalText < $1.key.canonicalText })
    {
        let readers = try [entry, new].map { try ShardReader(path: "\(path)/\($0.path)") }
        #expect(readers[0].header == readers[1].header && readers[1].codec == other)
        #expect(readers[0].imageFormat == readers[1].imageFormat)
        guard readers[0].imageFormat != nil else { continue }
        #expect(try readers[0].images(0..<60) == readers[1].images(0..<60))
    }
    #expect(try problems(path) == [])
    // Nothing is left to do, so nothing changes.
    let again = try compact(path, other)
    #expect(again.rewritten == 0 && again.present == 3 && again.snapshot == report.snapshot)
    // And back: the files of before, byte for byte but for their names.
    try compact(path, codec)
    let back = try Corpus(at: path, .reading).snapshot(nil)
    if codec == .raw { #expect(Set(back.shards.map(\.fileDigest)) == Set(old.shards.map(\.fileDigest))) }
    #expect(try tables(path) == stored && problems(path) == [])
}

@Test("rounding gives the rows that an ingest of that precision stores, and does not come back")
func lossy() throws {
    let folder = TemporaryFolder()
    let path = try corpus(folder)
    let exact = try tables(path)
    let old = try Corpus(at: path, .reading).snapshot(nil)
    let report = try compact(path, .zstd, .float16)
    #expect(report.rewritten == 3 && report.largestError > 0)
    let rounded = try tables(path)
    for (key, table) in exact { #expect(try table.rounded(to: .float16).table == rounded[key]) }
    let ingested = try Fixtures.corpus(folder, name: "ingested")
    try Fixtures.ingest(ingested, limit: 60) {
        $0.encoding = ShardEncoding(codec: .raw, precision: .float16)
        $0.keepImages = .eightBit
    }
    try Fixtures.ingest(ingested, attacks: "bim", limit: 30) {
        $0.encoding = ShardEncoding(codec: .raw, precision: .float16)
    }
    #expect(try Corpus(at: path, .reading).snapshot(nil).tree == Corpus(at: ingested, .reading).snapshot(nil).tree)
    #expect(try indexedRows(path) == indexedRows(ingested) && problems(path) == [])
    // The snapshot of before is as it was; the catalogue indexes the present values, and says so.
    #expect(try tables(path, at: old.id) == exact)
    let error = #expect(throws: LogitError.self) { try indexedRows(path, at: old.id) }
    #expect(error?.code == .stale && error?.message.contains("rounded") == true)
    #expect(try indexedRows(path, at: "head").count == 150)
    let files = try shardFiles(path)
    for precision in [Precision.float32, .bfloat16, .keepBits(12), .keepBits(3)] {
        let error = #expect(throws: LogitError.self) { try compact(path, .raw, precision) }
        #expect(error?.code == .usage && error?.message.contains("float16") == true)
    }
    #expect(try shardFiles(path) == files)
    // The codec of rounded shards may change.
    #expect(try compact(path, .raw).rewritten == 3 && tables(path) == rounded)
}

@Test("stopped, a compaction has done some units whole, and the same command does the rest")
func stopped() throws {
    let folder = TemporaryFolder()
    let whole = try corpus(folder, "whole")
    let path = folder.file("stopped")
    try copyCorpus(whole, to: path)
    try compact(whole, .zstd)
    let rows = try indexedRows(path)
    let error = #expect(throws: LogitError.self) { try compact(path, .zstd, stopAfter: 1) }
    #expect(error?.code == .cancelled)
    let codecs = try Corpus(at: path, .reading).units().map { try ShardReader(path: "\(path)/\($0.path)").codec }
    #expect(codecs.count { $0 == .zstd } == 1 && codecs.count { $0 == .raw } == 2)
    #expect(try indexedRows(path) == rows && problems(path) == [])
    // An ingest between the two neither takes it back nor stumbles over the files.
    #expect(try Fixtures.ingest(path, attacks: "bim", limit: 30).adoptedShards == 0)
    let report = try compact(path, .zstd)
    #expect(report.rewritten == 2 && report.present == 1)
    #expect(try shardFiles(path) == shardFiles(whole) && indexedRows(path) == rows && problems(path) == [])
}

@Test("files that a killed compaction renamed into place are no rows, are used by the next, and kept by nobody")
func leftover() throws {
    let folder = TemporaryFolder()
    let path = try corpus(folder)
    let done = folder.file("done")
    try copyCorpus(path, to: done)
    try compact(done, .zstd)
    let before = try shardFiles(path)
    for file in try shardFiles(done) where !before.contains(file) {
        try FileManager.default.copyItem(atPath: "\(done)/\(file)", toPath: "\(path)/\(file)")
    }
    let rows = try indexedRows(path)
    #expect(try rows.count == 150 && problems(path) == [])
    #expect(try Fixtures.ingest(path, limit: 60).adoptedShards == 0)
    #expect(try indexedRows(path) == rows)
    let kept = folder.file("kept")
    try copyCorpus(path, to: kept)
    #expect(try compact(path, .zstd).rewritten == 3 && shardFiles(path) == shardFiles(done))
    // Where it is not run again, gc removes them.
    let report = try Garbage.run(
        Corpus(at: kept, .writing), dryRun: false, damaged: false, stagingSeconds: 0)
    #expect(report.shards.count == 3)
    #expect(try shardFiles(kept) == before && problems(kept) == [])
}

@Test("of a unit's two files an ingest takes the other only where the one in the catalogue is gone")
func adoptsOther() throws {
    let folder = TemporaryFolder()
    let path = try corpus(folder)
    let (rows, old) = (try indexedRows(path), try Corpus(at: path, .reading).units())
    try compact(path, .zstd)
    let new = try Corpus(at: path, .reading).units()
    try FileManager.default.removeItem(atPath: "\(path)/\(new[0].path)")
    #expect(try Fixtures.ingest(path, limit: 60).adoptedShards == 1)
    let now = try Corpus(at: path, .reading).units().map(\.path)
    #expect(Set(now) == Set(new.dropFirst().map(\.path) + [old[0].path]))
    #expect(try indexedRows(path) == rows)
}

@Test("only what is named is rewritten: attacks, rows a chunk")
func named() throws {
    let folder = TemporaryFolder()
    let path = try corpus(folder, "c", .zstd)
    let report = try compact(path, .raw, attacks: ["pgd"])
    #expect(report.shards == 1 && report.rewritten == 1)
    #expect(try compact(path, .raw, attacks: ["pgd"]).present == 1)
    #expect(try compact(path, chunkRows: 7, attacks: ["clean"]).rewritten == 1)
    let units = try Corpus(at: path, .reading).units()
    let clean = try #require(units.first { $0.key.variant.isClean })
    #expect(try ShardReader(path: "\(path)/\(clean.path)").encoding == ShardEncoding(codec: .zstd, chunkRows: 7))
    #expect(throws: LogitError.self) { try compact(path) }
    let error = #expect(throws: LogitError.self) { try compact(path, .raw, attacks: ["mim"]) }
    #expect(error?.code == .notFound)
    let chunked = #expect(throws: LogitError.self) { try compact(path, .raw, chunkRows: 4) }
    #expect(chunked?.code == .usage)
}

@Test("a damaged shard stays as it is and is named in an error; the others are rewritten")
func damagedCompaction() throws {
    let folder = TemporaryFolder()
    let path = try corpus(folder)
    let units = try Corpus(at: path, .reading).units()
    let file = URL(fileURLWithPath: "\(path)/\(units[1].path)")
    var bytes = try Data(contentsOf: file)
    let row = try ShardReader(path: file.path).table(7..<8).logits.withUnsafeBytes { Data($0) }
    bytes[try #require(bytes.range(of: row)).lowerBound + 9] ^= 4
    try bytes.write(to: file)
    let error = #expect(throws: LogitError.self) { try compact(path, .zstd) }
    #expect(error?.code == .corrupt && error?.message.contains(units[1].path) == true)
    let codecs = try Corpus(at: path, .reading).units().map { try ShardReader(path: "\(path)/\($0.path)").codec }
    #expect(codecs.count { $0 == .zstd } == 2)
    #expect(try Corpus(at: path, .reading).units().contains { $0.path == units[1].path })
}
