import Foundation
import Logits
import Shards
import TestSupport
import Testing

/// Raw logits and images beyond what HDF5 gathers before it writes: they are taken from the table, not copied.
@Suite("laid out shards")
struct ShardImageTests {
    private let folder = TemporaryFolder()

    private func image(_ table: RowTable, _ images: KeptImages?, _ encoding: ShardEncoding) throws -> ShardImage {
        try ShardWriter.layOut(
            table, images: images, header: exampleHeader(table, variant: examplePGD), encoding: encoding, rounding: nil,
            checksums: RowChecksums(table, images: images, precision: encoding.precision), for: folder.file("a.h5"))
    }

    @Test("large raw logits and images are handed out between what HDF5 laid out, and read back as they were")
    func largeRuns() throws {
        let table = exampleTable(rows: 4200, classes: 10, attacked: true, cost: true, status8bit: true)
        let images = exampleImages(rows: 4200, .eightBit)
        let image = try image(table, images, .raw)
        var pieces: [Int] = []
        var bytes: [UInt8] = []
        image.visit {
            pieces.append($0.count)
            bytes += $0
        }
        #expect(pieces.count == 5 && pieces[1] == 4200 * 10 * 4 && pieces[3] == 4200 * 18)
        #expect(image.byteCount == bytes.count)
        try image.write(to: folder.file("a.h5"))
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder.file("a.h5"))) == Data(bytes))
        let reader = try ShardReader(path: folder.file("a.h5"))
        try reader.verify()
        #expect(try reader.table(0..<4200) == table)
        #expect(try reader.images(0..<4200) == images)
    }

    @Test("h5py reads large raw logits and the columns behind them", .enabled(if: python != nil))
    func standardTools() throws {
        let table = exampleTable(rows: 4200, classes: 10, attacked: true)
        try image(table, nil, .raw).write(to: folder.file("a.h5"))
        try Data(table.logits.withUnsafeBytes(Array.init)).write(to: URL(fileURLWithPath: folder.file("logits")))
        let script = """
            import h5py, numpy, sys
            file = h5py.File(sys.argv[1])
            logits = numpy.fromfile(sys.argv[2], "<f4").reshape(4200, 10)
            print(numpy.array_equal(file["logits"][:].view("i4"), logits.view("i4")))
            print((file["ordinal"][:] == numpy.arange(4200)).all(), (file["iterations"][:] == 10 + numpy.arange(4200)).all())
            """
        let ran = try run(try #require(python), ["-c", script, folder.file("a.h5"), folder.file("logits")])
        #expect(ran.output == "True\nTrue True\n", "\(ran.errors)")
    }

    @Test("a shard that is there already is left as it is")
    func existing() throws {
        let path = folder.file("a.h5")
        try Data("precious".utf8).write(to: URL(fileURLWithPath: path))
        let image = try image(exampleTable(rows: 10, classes: 5, attacked: true), nil, .zstd)
        #expect(throws: LogitError.self) { try image.write(to: path) }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "precious")
    }

    @Test("chunks are the same whatever thread encoded them")
    func chunks() throws {
        let table = exampleTable(rows: 999, classes: 10, attacked: true)
        let encoding = ShardEncoding(codec: .zstd, chunkRows: 7)
        var bytes: [[UInt8]] = []
        for _ in 0..<4 {
            var one: [UInt8] = []
            try image(table, nil, encoding).visit { one += $0 }
            bytes.append(one)
        }
        #expect(Set(bytes).count == 1)
    }
}
