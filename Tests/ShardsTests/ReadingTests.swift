import Dispatch
import Foundation
import Logits
import Shards
import TestSupport
import Testing

@Test("a shard written before chunks had planes of their own and a precision is read")
func former() throws {
    let reader = try ShardReader(path: "\(projectFolder)/Tests/ShardsTests/Former/zstd.h5")
    #expect(reader.encoding == .zstd && reader.rounding == nil && reader.rowCount == 5 && reader.classCount == 100)
    try reader.verify()
    // As h5py and hdf5plugin give them.
    let row = try reader.table(3..<4)
    #expect(row.logits[0] == -10.893035 && row.logits[60] == 13.716248 && row.prediction == [60])
}

/// The rows of several shards: other codecs, precisions, chunks.
private struct Shelf {
    let folder = TemporaryFolder()
    var readers: [ShardReader] = []
    var tables: [RowTable] = []

    init(rows: Int = 50, classes: Int = 19, verifyEvery: Bool = false) throws {
        let encodings: [ShardEncoding] = [
            .raw, ShardEncoding(codec: .zstd, chunkRows: 1), ShardEncoding(codec: .zstd, chunkRows: 7), .zstd,
            ShardEncoding(codec: .raw, precision: .float16),
            ShardEncoding(codec: .zstd, precision: .float16, chunkRows: 3),
            ShardEncoding(codec: .zstd, precision: .bfloat16, chunkRows: 2),
        ]
        for (number, encoding) in encodings.enumerated() {
            let computed = exampleTable(rows: rows, classes: classes, seed: UInt64(number))
            let (table, rounding) = try computed.rounded(to: encoding.precision)
            let path = folder.file("\(number).h5")
            try ShardWriter.write(
                table, header: exampleHeader(table), encoding: encoding, rounding: rounding, to: path)
            readers.append(try ShardReader(path: path, verifyEvery: verifyEvery))
            tables.append(table)
        }
    }

    /// Places at random, some of them twice.
    func places(_ count: Int, seed: UInt64) -> [RowPlace] {
        let random = Philox(key: seed)
        return (0..<count).map {
            let bits = random.bits(UInt64($0))
            return RowPlace(shard: Int(bits % UInt64(readers.count)), row: Int(bits >> 32) % tables[0].count)
        }
    }

    func gather(_ places: [RowPlace], _ scratch: RowScratch = RowScratch()) throws -> [Float] {
        var output = [Float](repeating: .nan, count: places.count * tables[0].classCount)
        try output.withUnsafeMutableBufferPointer { (buffer) throws(LogitError) in
            try RowGather(readers).copy(places, into: buffer, scratch: scratch)
        }
        return output
    }

    func expected(_ places: [RowPlace]) -> [Float] { places.flatMap { tables[Int($0.shard)].row(Int($0.row)) } }
}

@Test("rows gathered from many shards are the rows, in the order asked for", arguments: [false, true])
func gathered(verifyEvery: Bool) throws {
    let shelf = try Shelf(verifyEvery: verifyEvery)
    let scratch = RowScratch()
    for (count, seed) in [(0, 1), (1, 2), (3, 3), (256, 4), (1000, 5)] as [(Int, UInt64)] {
        let places = shelf.places(count, seed: seed)
        #expect(try shelf.gather(places, scratch) == shelf.expected(places))
    }
}

@Test("threads gather from the same shards at once")
func gatheredByThreads() throws {
    let shelf = try Shelf()
    DispatchQueue.concurrentPerform(iterations: 60) { number in
        let places = shelf.places(100, seed: UInt64(number))
        #expect((try? shelf.gather(places)) == shelf.expected(places))
    }
}

@Test("a gather of a damaged row is an error that names shard and row", arguments: [1, 7])
func gatheredDamage(chunkRows: Int) throws {
    let folder = TemporaryFolder()
    let table = exampleTable(rows: 40, classes: 300)
    let path = folder.file("a.h5")
    let encoding = ShardEncoding(codec: .zstd, chunkRows: chunkRows)
    try ShardWriter.write(table, header: exampleHeader(table), encoding: encoding, to: path)
    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    // The lowest bytes of a row's logits are stored as they are.
    let plane = Data((0..<300).map { UInt8(truncatingIfNeeded: table.row(21)[21 * 300 + $0].bitPattern) })
    let place = try #require(bytes.range(of: plane)).lowerBound
    bytes[place + 5] ^= 0x40
    try bytes.write(to: URL(fileURLWithPath: path))
    let reader = try ShardReader(path: path)
    let output = UnsafeMutableBufferPointer<Float>.allocate(capacity: 900)
    defer { output.deallocate() }
    let places = { (rows: [Int]) in rows.map { RowPlace(shard: 0, row: $0) } }
    try RowGather([reader]).copy(places([0, 39, 20]), into: output, scratch: RowScratch())
    for _ in 0..<2 {
        let error = #expect(throws: LogitError.self) {
            try RowGather([reader]).copy(places([20, 21, 22]), into: output, scratch: RowScratch())
        }
        #expect(error?.code == .corrupt && error?.message.contains("row 21 of shard \(path)") == true)
    }
}

/// 2,500 chunks: an index of three pages.
@Suite("the index of chunks")
struct ChunkIndexTests {
    private let folder = TemporaryFolder()
    private let table = exampleTable(rows: 2500, classes: 3)

    private func write() throws -> (path: String, bytes: Data) {
        let path = folder.file("a.h5")
        let encoding = ShardEncoding(codec: .zstd, chunkRows: 1)
        try ShardWriter.write(table, header: exampleHeader(table), encoding: encoding, to: path)
        return (path, try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    /// An address, the size in two bytes (three from chunks of 256 bytes on), a mask.
    private let entryBytes = 14

    @Test("is read page by page, and costs 14 bytes a small chunk", arguments: [1, 1023, 1024, 1025, 2048, 2500])
    func pages(rows: Int) throws {
        let part = table.picking(Array(0..<rows))
        var sizes: [Int] = []
        for (name, chunkRows) in [("many", 1), ("one", rows)] {
            let path = folder.file("\(name).h5")
            let encoding = ShardEncoding(codec: .zstd, chunkRows: chunkRows)
            try ShardWriter.write(part, header: exampleHeader(part), encoding: encoding, to: path)
            #expect(try ShardReader(path: path).table(0..<rows).logits == part.logits)
            sizes.append(try Data(contentsOf: URL(fileURLWithPath: path)).count)
        }
        // A chunk of 12 bytes is a frame of at most 35, and the pages have checksums.
        if rows > 1 { #expect(sizes[0] < sizes[1] + rows * (entryBytes + 35) + 200) }
    }

    @Test("every byte of the index belongs to a check")
    func everyByte() throws {
        let (path, whole) = try write()
        let start = try #require(whole.range(of: Data("FAHD".utf8))).lowerBound
        let data = try #require(whole.range(of: Data("FADB".utf8))).lowerBound
        // The header whole; of the pages a byte in 41, which meets every place of an entry.
        let places = Array(start..<start + 28) + Array(stride(from: data, to: data + 2500 * entryBytes, by: 41))
        let silent = try places.filter { place in
            var damaged = whole
            damaged[place] ^= 0x08
            try damaged.write(to: URL(fileURLWithPath: path))
            return (try? ShardReader(path: path)) != nil
        }
        #expect(silent.isEmpty, "flips that nothing noticed: \(silent.count) of \(places.count)")
    }

    @Test("h5py reads the same chunks", .enabled(if: python != nil))
    func h5py() throws {
        let (path, _) = try write()
        try table.logits.withUnsafeBytes { Data($0) }.write(to: URL(fileURLWithPath: folder.file("logits.raw")))
        let script = """
            import h5py, hdf5plugin, numpy, sys
            f = h5py.File(sys.argv[1])
            assert f["logits"].chunks == (1, 3) and f.attrs["chunk_rows"] == 1
            assert numpy.array_equal(f["logits"][:], numpy.fromfile(sys.argv[2], "<f4").reshape(2500, 3))
            """
        let ran = try run(try #require(python), ["-c", script, path, folder.file("logits.raw")])
        #expect(ran.status == 0, "\(ran.errors)")
    }
}
