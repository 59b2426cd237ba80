import Foundation
import Logits
import Shards
import TestSupport
import Testing

/// The example of schema/shard-format.md. Its checksums come from the Python package xxhash 4.1.0 over bytes packed with
/// `struct`: xxh3_64_intdigest(pack("<qq", 7, 8) + "a/ü.png" + pack("<ii", 2, 1) + … + pack("<3f", -1.5, 4, 0.25)), for the
/// attacked row with pack("<iBifff", 2, 0, 20, 0.5, 0.0625, 30) before the logits.
@Suite("the written format")
struct ShardFormatTests {
    private let folder = TemporaryFolder()

    private func example(attacked: Bool) -> RowTable {
        RowTable(
            classCount: 3, logits: [-1.5, 4, 0.25], ordinal: [7], image: ["a/ü.png"], label: [2], prediction: [1],
            attack: attacked
                ? AttackColumns(
                    cleanPrediction: [2], status: [0], iterations: [20], perturbationL2: [0.5],
                    perturbationLinf: [0.0625], cost: [30]) : nil)
    }

    @Test(
        "row checksums are XXH3-64 over the documented bytes",
        arguments: [(false, 0x98A6_5105_E09D_7281), (true, 0x83F4_D7CA_21CC_9FA0)] as [(Bool, UInt64)])
    func checksum(attacked: Bool, expected: UInt64) throws {
        let table = example(attacked: attacked)
        let header = exampleHeader(table, variant: attacked ? examplePGD : .clean)
        try ShardWriter.write(table, header: header, encoding: .raw, to: folder.file("a.h5"))
        let bytes = try Data(contentsOf: URL(fileURLWithPath: folder.file("a.h5")))
        let stored = withUnsafeBytes(of: expected.littleEndian) { Data($0) }
        #expect(bytes.range(of: stored) != nil)
        try ShardReader(path: folder.file("a.h5")).verify()
    }

    @Test("the content digest covers the key, then every dataset in the order of the format")
    func contentDigest() {
        let table = example(attacked: true)
        let key = exampleKey(table, variant: examplePGD)
        var covered = Data()
        ContentDigest.visit(key, table, images: nil, precision: .float32) { covered.append(contentsOf: $0) }
        func packed<Value>(_ values: Value...) -> Data {
            values.reduce(into: Data()) { all, value in withUnsafeBytes(of: value) { all.append(contentsOf: $0) } }
        }
        let names = Data("\(key.canonicalText)\u{1F}3\n".utf8)
        let columns =
            packed(Float(-1.5), 4, 0.25) + packed(Int64(7)) + Data("a/ü.png\0".utf8) + packed(Int32(2))
            + packed(Int32(1)) + packed(0x83F4_D7CA_21CC_9FA0 as UInt64) + packed(Int32(2)) + packed(UInt8(0))
            + packed(Int32(20)) + packed(Float(0.5)) + packed(Float(0.0625)) + packed(Float(30))
        #expect(covered == names + columns)
    }

    @Test("large raw logits begin on a page; zstd chunks are not padded to pages")
    func layout() throws {
        let table = exampleTable(rows: 64, classes: 1000)
        for codec in Codec.allCases {
            try ShardWriter.write(
                table, header: exampleHeader(table), encoding: ShardEncoding(codec: codec),
                to: folder.file(codec.rawValue))
        }
        let raw = try Data(contentsOf: URL(fileURLWithPath: folder.file("raw")))
        let first = table.row(0).withUnsafeBytes { Data($0) }
        #expect(try #require(raw.range(of: first)).lowerBound % 4096 == 0)
        let zstd = try Data(contentsOf: URL(fileURLWithPath: folder.file("zstd")))
        #expect(zstd.count < 64 * 4000 * 87 / 100)
    }

    @Test("a row read alone, in a range and by verify is the same row", arguments: Codec.allCases)
    func ranges(codec: Codec) throws {
        // 700 rows of 10 classes: two chunks of 409 rows, the last one part empty.
        let table = exampleTable(rows: 700, classes: 10, attacked: true)
        let path = folder.file(codec.rawValue)
        try ShardWriter.write(
            table, header: exampleHeader(table, variant: examplePGD), encoding: ShardEncoding(codec: codec), to: path)
        let reader = try ShardReader(path: path, verifyEvery: true)
        for rows in [0..<1, 408..<410, 5..<699, 699..<700, 300..<300, 0..<700] {
            let read = try reader.table(rows)
            #expect(read.logits == Array(table.logits[rows.lowerBound * 10..<rows.upperBound * 10]))
            #expect(read.ordinal == Array(table.ordinal[rows]) && read.image == Array(table.image[rows]))
        }
        var row = [Float](repeating: 0, count: 10)
        for index in [0, 409, 699, 13] {
            try row.withUnsafeMutableBufferPointer { (buffer) throws(LogitError) in
                try reader.copyLogits(row: index, into: buffer, scratch: RowScratch())
            }
            #expect(row == Array(table.row(index)))
        }
        try reader.verify()
    }
}
