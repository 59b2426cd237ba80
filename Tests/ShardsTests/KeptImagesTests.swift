import Foundation
import Logits
import Shards
import TestSupport
import Testing

/// Images and 8-bit outcomes beside the rows.
@Suite("kept images")
struct KeptImagesTests {
    private let folder = TemporaryFolder()

    @Test(
        "images come back as they were, and reading rows does not need them", arguments: Codec.allCases,
        ImagePrecision.allCases)
    func roundTrip(codec: Codec, precision: ImagePrecision) throws {
        let path = folder.file("a.h5")
        for attacked in [true, false] {
            try? FileManager.default.removeItem(atPath: path)
            let table = exampleTable(rows: 30, classes: 5, attacked: attacked, status8bit: attacked)
            let images = exampleImages(rows: 30, precision)
            let header = exampleHeader(table, variant: attacked ? examplePGD : .clean)
            try ShardWriter.write(
                table, images: images, header: header, encoding: ShardEncoding(codec: codec), to: path)
            let reader = try ShardReader(path: path)
            try reader.verify()
            #expect(reader.imageFormat == images.format)
            #expect(try reader.images(0..<30) == images)
            #expect(try reader.images(17..<18).bytes == Array(images.image(17)))
            #expect(try reader.table(0..<30) == table)
        }
    }

    @Test("what a digest covers is the same for the file and the table it was written from", arguments: Codec.allCases)
    func content(codec: Codec) throws {
        let table = exampleTable(rows: 12, classes: 5, attacked: true, status8bit: true)
        let images = exampleImages(rows: 12, .eightBit)
        let header = exampleHeader(table, variant: examplePGD)
        try ShardWriter.write(
            table, images: images, header: header, encoding: ShardEncoding(codec: codec), to: folder.file("a.h5"))
        var (written, read, plain) = (Data(), Data(), Data())
        ContentDigest.visit(header.key, table, images: images, precision: .float32) { written.append(contentsOf: $0) }
        let reader = try ShardReader(path: folder.file("a.h5"))
        try reader.visitContent(try reader.table(0..<12)) { read.append(contentsOf: $0) }
        #expect(written == read)
        // The 8-bit outcomes and the images come last, in that order.
        #expect(written.suffix(12 * 18) == Data(images.bytes))
        #expect(written.dropLast(12 * 18).suffix(12) == Data(table.attack?.status8bit ?? []))
        var bare = table
        bare.attack?.status8bit = nil
        ContentDigest.visit(header.key, bare, images: nil, precision: .float32) { plain.append(contentsOf: $0) }
        #expect(plain.count == written.count - 12 * 19)
    }

    @Test("a damaged image is named by its row, and the rows are still read", arguments: ImagePrecision.allCases)
    func damage(precision: ImagePrecision) throws {
        let path = folder.file("a.h5")
        let table = exampleTable(rows: 20, classes: 5, attacked: true)
        let images = exampleImages(rows: 20, precision)
        try ShardWriter.write(
            table, images: images, header: exampleHeader(table, variant: examplePGD), encoding: .raw, to: path)
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes[try #require(bytes.range(of: Data(images.image(11)))).lowerBound + 5] ^= 1
        try bytes.write(to: URL(fileURLWithPath: path))
        let reader = try ShardReader(path: path)
        #expect(try reader.table(0..<20) == table && reader.images(0..<11).count == 11)
        for failing in [{ _ = try reader.images(11..<12) }, { try reader.verify() }] {
            let error = #expect(throws: LogitError.self) { try failing() }
            #expect(error?.code == .corrupt && error?.message.contains("image of row 11") == true)
        }
    }

    @Test(
        "the row checksum covers the 8-bit outcome and the image's checksum, at their places before the logits",
        arguments: [true, false])
    func checksum(attacked: Bool) throws {
        // Python's xxhash 4.1.0: i = xxh3_64_intdigest(bytes(range(12))), then, as in the example of the written format,
        // xxh3_64_intdigest(pack("<qq", 7, 8) + id + pack("<ii", 2, 1) [+ pack("<iBifffB", 2, 0, 20, 0.5, 0.0625, 30, 1)]
        // + pack("<Q", i) + pack("<3f", -1.5, 4, 0.25)).
        let table = RowTable(
            classCount: 3, logits: [-1.5, 4, 0.25], ordinal: [7], image: ["a/ü.png"], label: [2], prediction: [1],
            attack: attacked
                ? AttackColumns(
                    cleanPrediction: [2], status: [0], iterations: [20], perturbationL2: [0.5],
                    perturbationLinf: [0.0625], cost: [30], status8bit: [1]) : nil)
        let images = KeptImages(
            format: ImageFormat(precision: .eightBit, height: 2, width: 2), bytes: Array(0..<12))
        let header = exampleHeader(table, variant: attacked ? examplePGD : .clean)
        try ShardWriter.write(table, images: images, header: header, encoding: .raw, to: folder.file("a.h5"))
        let bytes = try Data(contentsOf: URL(fileURLWithPath: folder.file("a.h5")))
        for expected in [0x5ACE_6A51_1C10_894B, attacked ? 0xD6C6_672B_D526_DEED : 0xAF51_D2DE_E0EA_C465] as [UInt64] {
            #expect(bytes.range(of: withUnsafeBytes(of: expected.littleEndian) { Data($0) }) != nil)
        }
    }

    @Test("h5py with hdf5plugin reads the images", .enabled(if: python != nil), arguments: Codec.allCases)
    func h5py(codec: Codec) throws {
        let table = exampleTable(rows: 7, classes: 5, attacked: true, status8bit: true)
        for precision in ImagePrecision.allCases {
            let path = folder.file("\(precision).h5")
            let images = exampleImages(rows: 7, precision)
            try ShardWriter.write(
                table, images: images, header: exampleHeader(table, variant: examplePGD),
                encoding: ShardEncoding(codec: codec), to: path)
            try Data(images.bytes).write(to: URL(fileURLWithPath: folder.file("images.raw")))
            let script = """
                import h5py, hdf5plugin, numpy, sys
                f = h5py.File(sys.argv[1])
                x = f["perturbed"]
                assert x.dtype == sys.argv[3] and x.shape == (7, 3, 2, 3), x
                assert x[:].tobytes() == open(sys.argv[2], "rb").read()
                assert f["status_8bit"].dtype == "u1" and "1 failed" in f["status_8bit"].attrs["values"].decode()
                assert f["perturbed_checksum"].dtype == "<u8" and f["perturbed_checksum"].shape == (7,)
                """
            let type = precision == .float ? "<f4" : "|u1"
            let ran = try run(try #require(python), ["-c", script, path, folder.file("images.raw"), type])
            #expect(ran.status == 0, "\(ran.errors)")
        }
    }

    @Test("8-bit outcomes that contradict the outcome are found by verify")
    func contradiction() throws {
        var table = exampleTable(rows: 6, classes: 5, attacked: true, status8bit: true)
        table.attack?.status8bit?[2] = 0  // trivial before, so it must be trivial here
        let path = folder.file("a.h5")
        try ShardWriter.write(table, header: exampleHeader(table, variant: examplePGD), encoding: .raw, to: path)
        let error = #expect(throws: LogitError.self) { try ShardReader(path: path).verify() }
        #expect(error?.message.contains("row 2") == true)
    }

    @Test("a writer refuses images that no reader would take")
    func refusal() throws {
        let table = exampleTable(rows: 1, classes: 5)
        let images = KeptImages(
            format: ImageFormat(precision: .eightBit, height: 1, width: 5000),
            bytes: [UInt8](repeating: 0, count: 15000))
        let error = #expect(throws: LogitError.self) {
            try ShardWriter.write(
                table, images: images, header: exampleHeader(table), encoding: .raw, to: folder.file("a.h5"))
        }
        #expect(error?.code == .badInput && error?.message.contains("5000") == true)
    }
}
