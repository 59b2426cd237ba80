import CorpusStore
import Foundation
import Ingestion
import Logits
import Shards
import TestSupport
import Testing

private func ask(_ path: String, _ sql: String) throws -> [String] {
    let query = try ReadOnlyQuery(try Corpus(at: path, .reading), at: nil) { false }
    var rows: [String] = []
    _ = try query.run(sql) { _, values in rows.append("\(values)") }
    return rows
}

private func sqlite(_ path: String, _ sql: String) throws {
    let ran = try run("/usr/bin/sqlite3", ["-bail", path, "\n" + sql])  // a text that begins with -- would be an option
    try #require(ran.status == 0, "\(ran.errors)")
}

@Test("a shard without images or 8-bit outcomes has no trace of them: its bytes are frozen")
func plainBytes() throws {
    let folder = TemporaryFolder()
    // Frozen when shards got the attribute `precision`: only raw, since compressed bytes depend on the zstd library.
    let frozen = [
        (false, "002a2fcaec5e2a8398c736e7bed2b3d106655c0f1ccd9913e881b68239bd32bd"),
        (true, "6684b1f4d85e0ed9aea17040d4b6bd1aa8ee41b507aa977aafe26c5883731d7e"),
    ]
    for (attacked, expected) in frozen {
        let table = exampleTable(rows: 50, classes: 10, attacked: attacked, cost: attacked)
        let path = folder.file("\(attacked).h5")
        try ShardWriter.write(
            table, header: exampleHeader(table, variant: attacked ? examplePGD : .clean), encoding: .raw, to: path)
        let digest = Digest.hex([UInt8](try Data(contentsOf: URL(fileURLWithPath: path))))
        #expect(digest == expected)
    }
}

@Test("repair and adoption bring kept images and 8-bit outcomes back", arguments: Codec.allCases)
func rebuilt(codec: Codec) throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, attacks: "clean,bim:epsilon=1/255", limit: 60) {
        $0.keepImages = .eightBit
        $0.encoding.codec = codec
    }
    try Fixtures.ingest(path, attacks: "fgsm", limit: 60)
    let question = "SELECT * FROM rows ORDER BY attack, ordinal"
    let before = try ask(path, question)
    #expect(before.count == 180)
    #expect(try ask(path, "SELECT kept_images FROM unit_index ORDER BY path").count { $0.contains("8bit") } == 2)
    #expect(
        try ask(path, "SELECT attack, count(status_8bit) FROM rows GROUP BY 1 ORDER BY 1").map { $0.contains("60") }
            == [true, false, false])
    for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        try? FileManager.default.removeItem(atPath: "\(path)/\(name)")
    }
    #expect(try Repair.run(at: path) { _, _ in }.setAside.isEmpty)
    #expect(try ask(path, question) == before)
    try sqlite("\(path)/catalog.sqlite", "DELETE FROM snapshot_unit; DELETE FROM row_index; DELETE FROM unit_index")
    #expect(try Fixtures.ingest(path, attacks: "fgsm", limit: 60).adoptedShards == 3)
    #expect(try ask(path, question) == before)
    #expect(try ask(path, "SELECT kept_images FROM unit_index ORDER BY path").count { $0.contains("8bit") } == 2)
    #expect(try Verify.run(Corpus(at: path, .reading), quick: false) { _, _ in }.problems == [])
    // The catalogue's word about them is compared too.
    for statement in [
        "UPDATE row_index SET status_8bit = 2 WHERE status_8bit = 0", "UPDATE unit_index SET kept_images = 'float'",
    ] {
        try sqlite("\(path)/catalog.sqlite", statement)
        #expect(try Verify.run(Corpus(at: path, .reading), quick: false) { _, _ in }.problems.count >= 1)
        _ = try Repair.run(at: path) { _, _ in }
    }
}

@Test("a damaged image is found by verify and its shard set aside by repair")
func damaged() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, attacks: "clean", limit: 40) { $0.keepImages = .float }
    let unit = try Corpus(at: path, .reading).units()[0]
    let file = URL(fileURLWithPath: "\(path)/\(unit.path)")
    var bytes = try Data(contentsOf: file)
    let image = Data(try ShardReader(path: file.path).images(9..<10).bytes)
    bytes[try #require(bytes.range(of: image)).lowerBound + 100] ^= 1
    try bytes.write(to: file)
    let problems = try Verify.run(Corpus(at: path, .reading), quick: false) { _, _ in }.problems
    #expect(problems.count == 1 && problems[0].contains("image of row 9"))
    #expect(try Repair.run(at: path) { _, _ in }.setAside.map(\.path) == [unit.path])
}

@Test("a catalogue of version 1 is read as it is, and the next writer makes it the present version")
func migration() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, attacks: "clean,pgd", limit: 50)
    do { _ = try Corpus(at: path, .writing).tag("v1", snapshot: nil, replacing: false) }
    let question = "SELECT * FROM rows ORDER BY attack, ordinal"
    let before = try ask(path, question)
    // The same rows in tables as version 1 made them.
    let (old, schema) = (folder.file("old.sqlite"), "\(projectFolder)/schema/catalog/catalog-v1.sql")
    try sqlite(old, try String(contentsOfFile: schema, encoding: .utf8))
    let tables = [
        "dataset_index", "split_index", "image_index", "network_index", "attack_index", "unit_index", "row_index",
        "snapshot_index", "snapshot_unit", "tag_index",
    ]
    var copy = "ATTACH '\(path)/catalog.sqlite' AS new;"
    for table in tables {
        let listed = try run(
            "/usr/bin/sqlite3", [old, "SELECT group_concat(name, ', ') FROM pragma_table_info('\(table)')"])
        let columns = listed.output.trimmingCharacters(in: .newlines)
        copy += "INSERT INTO \(table) (\(columns)) SELECT \(columns) FROM new.\(table);"
    }
    try sqlite(old, copy + "PRAGMA user_version = 1;")
    for suffix in ["", "-wal", "-shm"] {
        try? FileManager.default.removeItem(atPath: "\(path)/catalog.sqlite\(suffix)")
    }
    try FileManager.default.copyItem(atPath: old, toPath: "\(path)/catalog.sqlite")

    #expect(try ask(path, "PRAGMA user_version") == ["[CorpusStore.ReadOnlyQuery.Value.integer(1)]"])
    #expect(try ask(path, question) == before)
    #expect(try Verify.run(Corpus(at: path, .reading), quick: false) { _, _ in }.problems == [])
    do {
        let corpus = try Corpus(at: path, .reading)
        let query = try ReadOnlyQuery(corpus, at: try corpus.snapshot("v1")) { false }
        var count = 0
        _ = try query.run("SELECT status_8bit FROM rows WHERE correct IN (0, 1)") { _, _ in count += 1 }
        #expect(count == 100)
    }
    let report = try Fixtures.ingest(path, attacks: "clean,pgd", limit: 50)
    #expect(report.parts.map(\.computed) == [0, 0])
    #expect(try ask(path, "PRAGMA user_version") == ["[CorpusStore.ReadOnlyQuery.Value.integer(5)]"])
    #expect(try ask(path, question) == before)
    try Fixtures.ingest(path, attacks: "fgsm", limit: 50) { $0.status8bit = true }
    #expect(try ask(path, "SELECT count(status_8bit) FROM rows") == ["[CorpusStore.ReadOnlyQuery.Value.integer(50)]"])
    #expect(try Verify.run(Corpus(at: path, .reading), quick: false) { _, _ in }.problems == [])
}
