import CorpusStore
import Foundation
import Ingestion
import Logits
import Shards
import TestSupport
import Testing

private func ingested(_ folder: TemporaryFolder) throws -> String {
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, limit: 100)
    return path
}

private func ask(_ path: String, _ sql: String, at snapshot: String? = nil) throws -> [[ReadOnlyQuery.Value]] {
    let corpus = try Corpus(at: path, .reading)
    let query = try ReadOnlyQuery(corpus, at: try snapshot.map { try corpus.snapshot($0) }) { false }
    var rows: [[ReadOnlyQuery.Value]] = []
    _ = try query.run(sql) { _, values in rows.append(values) }
    return rows
}

/// Everything that the views say, as text.
private func contents(_ path: String) throws -> [String] {
    try ["rows", "accuracy", "snapshots", "defenders", "evaluations"].flatMap { view in
        try ask(path, "SELECT * FROM \(view) ORDER BY 1, 2, 3, 4, 5, 6, 7").map { "\(view) \($0)" }
    } + ask(path, "SELECT * FROM selection_index ORDER BY 1").map { "\($0)" }
}

@Test("without its catalogue a corpus is repaired to the same rows, snapshots, tags and selections")
func repair() throws {
    let folder = TemporaryFolder()
    let path = try ingested(folder)
    do {
        let corpus = try Corpus(at: path, .writing)
        _ = try corpus.tag("v1", snapshot: nil, replacing: false)
        let split = try corpus.split(dataset: nil, split: nil)
        let found = try corpus.correctImages(of: split, by: "residual", perClass: 1)
        try corpus.addSelection(
            SelectionFile(
                formatVersion: 1, name: "s", dataset: split.dataset, split: split.split, datasetDigest: split.digest,
                ordinals: found.ordinals, images: found.images, provenance: "p", created: timestamp()))
    }
    try Fixtures.ingest(path, attacks: "mim", limit: 50)
    let before = try contents(path)
    #expect(before.count > 250)
    for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        try? FileManager.default.removeItem(atPath: "\(path)/\(name)")
    }
    let error = #expect(throws: LogitError.self) { try Corpus(at: path, .reading) }
    #expect(error?.message.contains("repair") == true)
    let report = try Repair.run(at: path) { _, _ in }
    #expect(report.setAside.isEmpty && report.unreadable.isEmpty && report.rows == 250 && report.tags == 1)
    #expect(try contents(path) == before)
    #expect(try Verify.run(Corpus(at: path, .reading), quick: false) { _, _ in }.problems == [])
}

@Test("a flipped byte in a shard is found, set aside by repair, and ingested again to the same rows")
func damagedShard() throws {
    let folder = TemporaryFolder()
    let path = try ingested(folder)
    let before = try contents(path).filter { $0.hasPrefix("rows") }
    let unit = try Corpus(at: path, .reading).units()[1]
    let file = URL(fileURLWithPath: "\(path)/\(unit.path)")
    var bytes = try Data(contentsOf: file)
    let row = try ShardReader(path: file.path).table(7..<8).logits.withUnsafeBytes { Data($0) }
    bytes[try #require(bytes.range(of: row)).lowerBound + 9] ^= 4
    try bytes.write(to: file)
    let problems = try Verify.run(Corpus(at: path, .reading), quick: false) { _, _ in }.problems
    #expect(problems.count == 1 && problems[0].contains(unit.path))
    let report = try Repair.run(at: path) { _, _ in }
    #expect(report.setAside.map(\.path) == [unit.path])
    #expect(FileManager.default.fileExists(atPath: "\(path)/damaged/\(unit.path)"))
    try Fixtures.ingest(path, limit: 100)
    #expect(try contents(path).filter { $0.hasPrefix("rows") } == before)
}

@Test("a missing shard is found by verify, quick or not", arguments: [true, false])
func missingShard(quick: Bool) throws {
    let folder = TemporaryFolder()
    let path = try ingested(folder)
    let unit = try Corpus(at: path, .reading).units()[0]
    try FileManager.default.removeItem(atPath: "\(path)/\(unit.path)")
    let problems = try Verify.run(Corpus(at: path, .reading), quick: quick) { _, _ in }.problems
    #expect(problems.contains { $0.contains(unit.path) && $0.contains("missing") })
}

@Test("a catalogue row that differs from its shard is found")
func tamperedCatalogue() throws {
    let folder = TemporaryFolder()
    let path = try ingested(folder)
    let sqlite = "/usr/bin/sqlite3"
    try #require(FileManager.default.fileExists(atPath: sqlite))
    let statement = "UPDATE row_index SET mean = mean + 1e-9 WHERE shard_row = 3"
    #expect(try run(sqlite, ["\(path)/catalog.sqlite", statement]).status == 0)
    #expect(try Verify.run(Corpus(at: path, .reading), quick: false) { _, _ in }.problems.isEmpty == false)
}

@Test("files that a killed process wrote and did not index are indexed by the next writer")
func strayFiles() throws {
    let folder = TemporaryFolder()
    let path = try ingested(folder)
    do { _ = try Corpus(at: path, .writing).tag("v1", snapshot: nil, replacing: false) }
    let before = try contents(path)
    let sql = """
        DELETE FROM snapshot_unit; DELETE FROM snapshot_index; DELETE FROM tag_index;
        DELETE FROM row_index; DELETE FROM unit_index; DELETE FROM image_index; DELETE FROM split_index;
        DELETE FROM network_index;
        """
    #expect(try run("/usr/bin/sqlite3", ["\(path)/catalog.sqlite", sql]).status == 0)
    #expect(try contents(path) != before)
    // Shards first: a snapshot is indexed by the units it holds.
    try Fixtures.ingest(path, limit: 100)
    #expect(try contents(path) == before)
}

@Test("a shard that was renamed into place but not committed is adopted by the next ingest")
func adoption() throws {
    let folder = TemporaryFolder()
    let path = try ingested(folder)
    let other = try Fixtures.corpus(folder, name: "other")
    for unit in try Corpus(at: path, .reading).units() {
        let target = "\(other)/\(unit.path)"
        try FileManager.default.createDirectory(
            atPath: (target as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: "\(path)/\(unit.path)", toPath: target)
    }
    let report = try Fixtures.ingest(other, limit: 100)
    #expect(report.adoptedShards == 2 && report.parts.allSatisfy { $0.computed == 0 })
    #expect(try contents(other).filter { $0.hasPrefix("rows") } == contents(path).filter { $0.hasPrefix("rows") })
}

@Test("rows of a snapshot are the rows of then")
func timeTravel() throws {
    let folder = TemporaryFolder()
    let path = try ingested(folder)
    do { _ = try Corpus(at: path, .writing).tag("before", snapshot: nil, replacing: false) }
    try Fixtures.ingest(path, attacks: "clean,pgd,bim", limit: 150)
    let count = "SELECT count(*) FROM rows"
    #expect(try ask(path, count) == [[.integer(450)]] && ask(path, count, at: "before") == [[.integer(200)]])
    #expect(try ask(path, "SELECT sum(rows) FROM accuracy", at: "before") == [[.integer(200)]])
    let error = #expect(throws: LogitError.self) { try ask(path, count, at: "nonsense") }
    #expect(error?.code == .notFound && error?.message.contains("before") == true)
}

@Test(
    "SQL from outside can read and nothing else",
    arguments: [
        "DELETE FROM row_index", "DROP TABLE row_index", "INSERT INTO tag_index VALUES ('a','b')", "CREATE TABLE x (y)",
        "ATTACH 'other.sqlite' AS other", "PRAGMA journal_mode = DELETE", "PRAGMA writable_schema = 1", "VACUUM",
        "SELECT load_extension('x')", "CREATE TEMP TABLE x (y)", "UPDATE row_index SET mean = 0", "BEGIN",
        "SELECT 1; DROP TABLE row_index", "", "nonsense", "SELECT * FROM nowhere", "VACUUM INTO 'x'",
    ])
func hostile(sql: String) throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    let error = #expect(throws: LogitError.self, "\(sql)") { try ask(path, sql) }
    #expect(error?.code == .usage)
    #expect(try ask(path, "SELECT count(*) FROM image_index") == [[.integer(1200)]])
}

@Test("an endless query is stopped when asked")
func endless() throws {
    let folder = TemporaryFolder()
    let corpus = try Corpus(at: try Fixtures.corpus(folder), .reading)
    let query = try ReadOnlyQuery(corpus, at: nil) { true }
    let error = #expect(throws: LogitError.self) {
        try query.run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n") {
            _, _ in
        }
    }
    #expect(error?.code == .cancelled)
}

@Test("one writer at a time, and the second is told who it is; readers go on")
func writers() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    let first = try Corpus(at: path, .writing)
    let error = #expect(throws: LogitError.self) { try Corpus(at: path, .writing) }
    #expect(error?.code == .busy && error?.message.contains("\(ProcessInfo.processInfo.processIdentifier)") == true)
    #expect(try Corpus(at: path, .reading).units().isEmpty)
    withExtendedLifetime(first) {}
}

@Test("folders that are no corpus, and corpora of the future, are refused")
func noCorpus() throws {
    let folder = TemporaryFolder()
    #expect(throws: LogitError.self) { try Corpus(at: folder.file("nowhere"), .reading) }
    #expect(throws: LogitError.self) { try Corpus(at: folder.path, .reading) }
    let path = try Fixtures.corpus(folder)
    #expect(throws: LogitError.self) { try Corpus.create(at: path) }
    let descriptor = URL(fileURLWithPath: "\(path)/corpus.json")
    let text = try String(contentsOf: descriptor, encoding: .utf8)
    try text.replacingOccurrences(of: "\"format_version\" : 1", with: "\"format_version\" : 99")
        .write(to: descriptor, atomically: true, encoding: .utf8)
    let error = #expect(throws: LogitError.self) { try Corpus(at: path, .reading) }
    #expect(error?.message.contains("newer") == true)
}

@Test("a changed snapshot manifest is damage, not data")
func tamperedManifest() throws {
    let folder = TemporaryFolder()
    let path = try ingested(folder)
    let id = try Corpus(at: path, .reading).snapshot(nil).id
    let file = URL(fileURLWithPath: "\(path)/snapshots/\(id).json")
    let text = try String(contentsOf: file, encoding: .utf8)
    try text.replacingOccurrences(of: "ingest", with: "INGEST").write(to: file, atomically: true, encoding: .utf8)
    let error = #expect(throws: LogitError.self) { try Corpus(at: path, .reading).snapshot(nil) }
    #expect(error?.code == .corrupt)
}

@Test("names that could leave the corpus folder are refused", arguments: ["../x", "a/b", "", ".x", "-x", "a b", "é"])
func names(name: String) {
    #expect(throws: LogitError.self) { try Layout.check(name: name, of: "dataset") }
}
