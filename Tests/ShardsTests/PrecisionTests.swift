import Foundation
import Logits
import Shards
import TestSupport
import Testing

private let lossy: [Precision] = [.float16, .bfloat16, .keepBits(3), .keepBits(16)]

/// Rows with logits of many sizes, values that are not finite, and rows whose two largest logits are close.
private func oddTable(rows: Int = 61, classes: Int = 7) -> RowTable {
    var table = exampleTable(rows: rows, classes: classes, attacked: true, cost: true)
    for place in 0..<table.logits.count where place % 5 == 0 { table.logits[place] *= 0x1p-20 }
    for row in stride(from: 0, to: rows, by: 3) {
        table.logits[row * classes + 2] = 30
        table.logits[row * classes + 4] = row % 2 == 0 ? 30.001 : 29.999
    }
    table.logits[3] = .infinity
    table.logits[classes] = -.infinity
    table.logits[2 * classes + 1] = Float(bitPattern: 0x7FC0_1234)
    table.logits[2 * classes + 5] = .leastNonzeroMagnitude
    for row in 0..<rows { table.prediction[row] = argMax(table.row(row)) }
    return table
}

private func write(_ computed: RowTable, _ encoding: ShardEncoding, to path: String) throws -> (RowTable, Rounding?) {
    let (table, rounding) = try computed.rounded(to: encoding.precision)
    let header = exampleHeader(table, variant: examplePGD)
    try ShardWriter.write(table, header: header, encoding: encoding, rounding: rounding, to: path)
    return (table, rounding)
}

@Test("rounded logits are read as they were stored, with what rounding did", arguments: Codec.allCases, lossy)
func roundedRoundTrip(codec: Codec, precision: Precision) throws {
    let folder = TemporaryFolder()
    let encoding = ShardEncoding(codec: codec, precision: precision, chunkRows: codec == .zstd ? 5 : nil)
    let (table, rounding) = try write(oddTable(), encoding, to: folder.file("a.h5"))
    let reader = try ShardReader(path: folder.file("a.h5"), verifyEvery: true)
    #expect(reader.encoding == encoding && reader.rounding == rounding && rounding != nil)
    let read = try reader.table(0..<table.count)
    #expect(zip(read.logits, table.logits).allSatisfy { $0.bitPattern == $1.bitPattern || $0.isNaN && $1.isNaN })
    #expect(read.prediction == table.prediction && read.attack == table.attack)
    #expect(try reader.table(17..<19).logits.map(\.bitPattern) == table.logits[17 * 7..<19 * 7].map(\.bitPattern))
    try reader.verify()
    var (written, found) = (Data(), Data())
    let key = reader.header.key
    ContentDigest.visit(key, table, images: nil, precision: precision) { written.append(contentsOf: $0) }
    try reader.visitContent(read) { found.append(contentsOf: $0) }
    #expect(written == found)
}

@Test(
    "h5py reads NumPy's rounding, within the bound that the shard states, and counts what the shard counts",
    .enabled(if: python != nil), arguments: Codec.allCases, lossy)
func roundedInPython(codec: Codec, precision: Precision) throws {
    let folder = TemporaryFolder()
    let computed = oddTable()
    _ = try write(computed, ShardEncoding(codec: codec, precision: precision), to: folder.file("a.h5"))
    try computed.logits.withUnsafeBytes { Data($0) }.write(to: URL(fileURLWithPath: folder.file("logits.raw")))
    let script = """
        import h5py, hdf5plugin, numpy as np, sys
        f = h5py.File(sys.argv[1])
        z = np.fromfile(sys.argv[2], "<f4").reshape(61, 7)
        bits, is_half = int(sys.argv[3]), sys.argv[4] == "float16"
        s, a = f["logits"][:], f.attrs
        assert a["precision"].decode() == sys.argv[4] and s.dtype == ("<f2" if is_half else "<f4"), s.dtype
        finite = np.isfinite(z)
        m, e = np.frexp(z.astype("f8"))
        kept = np.ldexp(np.rint(np.ldexp(m, bits + 1)), e - bits - 1).astype("f4")
        reference = z.astype("f2") if is_half else np.where(np.abs(z) < 2.0**-126, s, kept)
        assert np.array_equal(s[finite], reference[finite])
        assert np.array_equal(s[~finite].astype("f4"), z[~finite], equal_nan=True)
        s, z = s.astype("f8"), z.astype("f8")
        error, size = np.abs(s - z)[finite], np.abs(z)[finite]
        assert (error <= np.maximum(a["error_bound"] * size, a["error_bound_absolute"])).all()
        assert a["error_bound"] == 2.0**-(bits + 1) and a["largest_error"] == error.max()
        large = a["error_bound"] * size >= a["error_bound_absolute"]
        assert a["largest_relative_error"] == (error[large] / size[large]).max()
        low = lambda x: np.where(np.isnan(x), -np.inf, x)
        before, after = low(z), low(s)
        ties = lambda x: (x == x.max(1, keepdims=True)).sum(1) > 1
        assert a["changed_arg_max"] == (before.argmax(1) != after.argmax(1)).sum()
        assert a["newly_tied"] == (ties(after) & ~ties(before)).sum()
        assert a["distinct_maxima_before"] == len(set(before.max(1))), a["distinct_maxima_before"]
        assert a["distinct_maxima_after"] == len(set(after.max(1)))
        assert np.array_equal(f["prediction"][:], before.argmax(1))
        if bits < 12: assert a["newly_tied"] > 5 and a["changed_arg_max"] > 2
        """
    let ran = try run(
        try #require(python),
        [
            "-c", script, folder.file("a.h5"), folder.file("logits.raw"), "\(precision.mantissaBits)",
            precision.description,
        ])
    #expect(ran.status == 0, "\(ran.errors)")
}

@Test(
    "every byte of a small rounded shard belongs to a check", arguments: Codec.allCases, [Precision.float16, .bfloat16])
func everyByteOfRounded(codec: Codec, precision: Precision) throws {
    let folder = TemporaryFolder()
    let path = folder.file("a.h5")
    let encoding = ShardEncoding(codec: codec, precision: precision)
    _ = try write(exampleTable(rows: 3, classes: 5, attacked: true), encoding, to: path)
    let whole = try Data(contentsOf: URL(fileURLWithPath: path))
    var silent: [Int] = []
    for place in whole.indices {
        var damaged = whole
        damaged[place] ^= 0x01
        try damaged.write(to: URL(fileURLWithPath: path))
        if (try? ShardReader(path: path).verify()) != nil { silent.append(place) }
    }
    #expect(silent.isEmpty, "flips that nothing noticed: \(silent.count) of \(whole.count)")
}

@Test("the rows of a chunk are those asked for, and what no shard can be is refused")
func chunkRows() throws {
    let folder = TemporaryFolder()
    let table = exampleTable(rows: 30, classes: 6)
    let asked = [1, 7, 30, 1000]
    for rows in asked {
        let path = folder.file("\(rows).h5")
        let encoding = ShardEncoding(codec: .zstd, chunkRows: rows)
        try ShardWriter.write(table, header: exampleHeader(table), encoding: encoding, to: path)
        let reader = try ShardReader(path: path)
        #expect(reader.encoding.chunkRows == min(rows, 30))
        #expect(try reader.table(3..<30).logits == Array(table.logits[18...]))
    }
    for encoding in [
        ShardEncoding(codec: .raw, chunkRows: 4), ShardEncoding(codec: .zstd, chunkRows: 0),
        ShardEncoding(codec: .zstd, chunkRows: -1), ShardEncoding(codec: .zstd, chunkRows: .max),
    ] {
        let error = #expect(throws: LogitError.self) { try encoding.check(classCount: 6) }
        #expect(error?.code == .usage && error?.message.contains("--chunk-rows") == true)
    }
}
