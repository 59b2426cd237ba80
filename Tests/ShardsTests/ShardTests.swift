import Foundation
import Logits
import Shards
import TestSupport
import Testing

/// Every kind of table a shard holds.
private let tables: [(name: String, table: RowTable, variant: Variant)] = {
    var odd = exampleTable(rows: 9, classes: 5, attacked: true, cost: true)
    odd.logits[0] = -0.0
    odd.logits[1] = .leastNonzeroMagnitude
    odd.logits[2] = -.infinity
    odd.logits[3] = Float(bitPattern: 0x7FC0_1234)
    odd.prediction[0] = argMax(odd.row(0))
    odd.image[3] = ""
    return [
        ("clean", exampleTable(rows: 11, classes: 7), .clean),
        ("attacked", exampleTable(rows: 130, classes: 10, attacked: true), examplePGD),
        ("odd values", odd, examplePGD),
        ("one row", exampleTable(rows: 1, classes: 2), .clean),
    ]
}()

@Test("what is written is read, bit for bit", arguments: Codec.allCases, 0..<4)
func roundTrip(codec: Codec, which: Int) throws {
    let folder = TemporaryFolder()
    let (_, table, variant) = tables[which]
    let header = exampleHeader(table, variant: variant)
    try ShardWriter.write(table, header: header, encoding: ShardEncoding(codec: codec), to: folder.file("a.h5"))
    let reader = try ShardReader(path: folder.file("a.h5"))
    #expect(reader.header == header)
    #expect(reader.codec == codec)
    let read = try reader.table(0..<table.count)
    #expect(read.logits.map(\.bitPattern) == table.logits.map(\.bitPattern))
    var columns = read
    columns.logits = table.logits
    #expect(columns.image == table.image && columns.attack == table.attack && columns.label == table.label)
    #expect(columns.ordinal == table.ordinal && columns.prediction == table.prediction)
    try reader.verify()
}

@Test("equal rows make equal files", arguments: Codec.allCases)
func equalBytes(codec: Codec) throws {
    let folder = TemporaryFolder()
    let table = exampleTable(rows: 50, classes: 10, attacked: true)
    for name in ["a.h5", "b.h5"] {
        try ShardWriter.write(
            table, header: exampleHeader(table, variant: examplePGD), encoding: ShardEncoding(codec: codec),
            to: folder.file(name))
    }
    #expect(
        try Data(contentsOf: URL(fileURLWithPath: folder.file("a.h5")))
            == Data(contentsOf: URL(fileURLWithPath: folder.file("b.h5"))))
}

@Test("damage names the shard and the row", arguments: Codec.allCases)
func damagedRow(codec: Codec) throws {
    let folder = TemporaryFolder()
    let table = exampleTable(rows: 20, classes: 400)
    let path = folder.file("a.h5")
    try ShardWriter.write(table, header: exampleHeader(table), encoding: ShardEncoding(codec: codec), to: path)
    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    let row = table.row(13).withUnsafeBytes { Data($0) }
    let place = codec == .raw ? bytes.range(of: row)!.lowerBound : bytes.count / 2
    bytes[place + 100] ^= 1
    try bytes.write(to: URL(fileURLWithPath: path))
    let error = #expect(throws: LogitError.self) { try ShardReader(path: path).verify() }
    #expect(error?.code == .corrupt && error?.message.contains(path) == true)
    if codec == .raw {
        #expect(error?.message.contains("row 13") == true)
        // Rows that are whole are still read.
        let reader = try ShardReader(path: path)
        #expect(try reader.table(0..<13).logits == Array(table.logits[..<(13 * 400)]))
        #expect(throws: LogitError.self) { try reader.table(13..<14) }
    }
}

@Test("rows read from several threads are the rows", arguments: Codec.allCases)
func threads(codec: Codec) throws {
    let folder = TemporaryFolder()
    let table = exampleTable(rows: 300, classes: 50)
    try ShardWriter.write(
        table, header: exampleHeader(table), encoding: ShardEncoding(codec: codec), to: folder.file("a.h5"))
    let reader = try ShardReader(path: folder.file("a.h5"))
    DispatchQueue.concurrentPerform(iterations: 1200) { index in
        let row = index * 7 % 300
        let read = try? reader.table(row..<row + 1)
        #expect(read?.logits == Array(table.row(row)))
    }
}

@Test("files that are no shards are refused")
func noShards() throws {
    let folder = TemporaryFolder()
    try Data("not HDF5 at all".utf8).write(to: URL(fileURLWithPath: folder.file("a.h5")))
    #expect(throws: LogitError.self) { try ShardReader(path: folder.file("a.h5")) }
    #expect(throws: LogitError.self) { try ShardReader(path: folder.file("missing.h5")) }
    #expect(throws: LogitError.self) { try ShardReader(path: folder.path) }
}

@Test("h5py with hdf5plugin reads the same values and names", .enabled(if: python != nil), arguments: Codec.allCases)
func h5py(codec: Codec) throws {
    let folder = TemporaryFolder()
    let table = exampleTable(rows: 130, classes: 10, attacked: true, cost: true)
    let path = folder.file("a.h5")
    try ShardWriter.write(
        table, header: exampleHeader(table, variant: examplePGD), encoding: ShardEncoding(codec: codec), to: path)
    try table.logits.withUnsafeBytes { Data($0) }.write(to: URL(fileURLWithPath: folder.file("logits.raw")))
    let script = """
        import h5py, hdf5plugin, numpy, sys
        f = h5py.File(sys.argv[1])
        z = numpy.fromfile(sys.argv[2], "<f4").reshape(130, 10)
        assert f["logits"].dtype == "<f4" and numpy.array_equal(f["logits"][:], z)
        assert f["image"].asstr()[5] == "class 5/bild-é5.png", f["image"].asstr()[5]
        assert f["ordinal"].dtype == "<i8" and f["ordinal"][129] == 129
        assert f["status"].dtype == "u1" and "0 fooled" in f["status"].attrs["values"].decode()
        assert f["cost"][3] == 30 and f["iterations"][4] == 14 and f["checksum"].dtype == "<u8"
        assert f["prediction"][7] == z[7].argmax() and f["perturbation_linf"].dtype == "<f4"
        assert f.attrs["format_version"] == 1 and f.attrs["attack"] == b"pgd" and f.attrs["kind"] == b"logit"
        assert f.attrs["first_ordinal"] == 0 and f.attrs["block_rows"] == 64 and f.attrs["classes"] == 10
        """
    let ran = try run(try #require(python), ["-c", script, path, folder.file("logits.raw")])
    #expect(ran.status == 0, "\(ran.errors)")
}
