import CorpusStore
import Foundation
import Logits
import Shards
import TestSupport
import Testing

private func problems(_ path: String, quick: Bool = false, deep: Bool = false) throws -> [String] {
    try Verify.run(Corpus(at: path, .reading), quick: quick, deep: deep) { _, _ in }.problems
}

private func sqlite(_ path: String, _ sql: String) throws {
    #expect(try run("/usr/bin/sqlite3", ["\(path)/catalog.sqlite", sql]).status == 0)
}

@Test("a whole corpus has no problem at any depth", arguments: [ShardEncoding.raw, .zstd])
func whole(encoding: ShardEncoding) throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, limit: 70) { $0.encoding = encoding }
    #expect(try problems(path, quick: true) == [])
    #expect(try problems(path) == [])
    #expect(try problems(path, deep: true) == [])
}

@Test(
    "any changed byte of a shard is found, and the rows it struck are all named", arguments: [ShardEncoding.raw, .zstd])
func changedBytes(encoding: ShardEncoding) throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, attacks: "clean", limit: 60) { $0.encoding = encoding }
    let unit = try #require(try Corpus(at: path, .reading).units().first)
    let file = URL(fileURLWithPath: "\(path)/\(unit.path)")
    let bytes = try Data(contentsOf: file)
    for place in stride(from: 5, to: bytes.count, by: bytes.count / 40) {
        var changed = bytes
        changed[place] ^= 1
        try changed.write(to: file)
        let found = try problems(path)
        #expect(found.count == 1 && found[0].contains(unit.path), "byte \(place)")
    }
    guard encoding == .raw else { return }
    try bytes.write(to: file)
    let reader = try ShardReader(path: file.path)
    var changed = bytes
    for row in [3, 4, 5, 50] {
        let logits = try reader.table(row..<row + 1).logits.withUnsafeBytes { Data($0) }
        changed[try #require(bytes.range(of: logits)).lowerBound + 9] ^= 4
    }
    try changed.write(to: file)
    for isDeep in [false, true] {
        let found = try problems(path, deep: isDeep)
        #expect(found.count == 1 && found[0].contains("rows 3 to 5, 50"), "\(found)")
    }
    #expect(try problems(path, quick: true) == [])
}

@Test(
    "a changed line of any table of the catalogue is found, quick too",
    arguments: [
        "UPDATE row_index SET mean = mean + 1e-9 WHERE shard_row = 3",
        "UPDATE row_index SET l2 = 'x' WHERE shard_row = 3",
        "UPDATE row_index SET status = NULL WHERE shard_row = 3 AND status IS NOT NULL",
        "UPDATE row_index SET prediction = prediction + 1 WHERE shard_row = 0",
        "DELETE FROM row_index WHERE shard_row = 2", "UPDATE unit_index SET correct_count = correct_count + 1",
        "UPDATE unit_index SET content_digest = 'x' || content_digest", "UPDATE unit_index SET seed = 7",
        "UPDATE image_index SET label = label + 1 WHERE ordinal = 9",
        "UPDATE image_index SET image = 'x' WHERE ordinal = 9",
        "UPDATE image_index SET digest = 'x' WHERE ordinal = 9", "DELETE FROM image_index WHERE ordinal = 1199",
        "UPDATE network_index SET digest = 'x'", "UPDATE split_index SET digest = 'x'",
        "UPDATE attack_index SET parameters = '{}' WHERE name = 'pgd'", "DELETE FROM snapshot_unit",
        "DELETE FROM snapshot_index",
        "UPDATE tag_index SET snapshot = 'x'", "DELETE FROM tag_index", "UPDATE snapshot_index SET message = 'x'",
        "UPDATE unit_index SET kept_images = 'float'", "UPDATE unit_index SET block_rows = 1",
        "UPDATE class_index SET name = 'x' WHERE label = 3", "UPDATE unit_summary SET fooled = fooled + 1",
        "DELETE FROM unit_summary",
        "UPDATE unit_statistic SET sum = sum * (1 + 1e-15) WHERE statistic = 'l2'",
        "DELETE FROM unit_statistic WHERE statistic = 'mean'", "UPDATE unit_statistic SET view = 1",
        "UPDATE unit_mean SET mean = replace(mean, '1', '2')", "UPDATE unit_mean SET row_count = 19, checksum = ''",
    ])
func changedTables(statement: String) throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, limit: 20)
    do { _ = try Corpus(at: path, .writing).tag("v1", snapshot: nil, replacing: false) }
    #expect(try problems(path, quick: true) == [])
    try sqlite(path, statement)
    #expect(try problems(path, quick: true).isEmpty == false)
    #expect(try problems(path).isEmpty == false)
    _ = try Repair.run(at: path) { _, _ in }
    #expect(try problems(path) == [])
}

@Test("an index of the catalogue that does not fit its table is found, and repaired")
func changedIndex() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, limit: 20)
    // A row that goes while the index is hidden from SQLite stays in the index.
    try sqlite(
        path,
        """
        CREATE TABLE hidden AS SELECT * FROM sqlite_schema WHERE name = 'image_by_name';
        PRAGMA writable_schema = ON;
        DELETE FROM sqlite_schema WHERE name = 'image_by_name';
        """)
    try sqlite(path, "UPDATE image_index SET image = image || 'x' WHERE ordinal = 7")
    try sqlite(
        path,
        "UPDATE image_index SET image = rtrim(image, 'x') WHERE ordinal = 7; DELETE FROM image_index WHERE ordinal = 8")
    try sqlite(
        path,
        """
        PRAGMA writable_schema = ON; INSERT INTO sqlite_schema SELECT * FROM hidden; PRAGMA writable_schema = RESET;
        DROP TABLE hidden;
        """)
    #expect(try problems(path).contains { $0.contains("damaged") })
    _ = try Repair.run(at: path) { _, _ in }
    #expect(try problems(path) == [])
}

@Test("units that a former version indexed are checked the long way, and repair records what is missing")
func formerVersion() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, attacks: "clean", limit: 40)
    try sqlite(
        path,
        "UPDATE unit_index SET codec = NULL, precision = NULL, file_checksum = NULL, row_digest = NULL, block_rows = NULL, status_8bit = NULL, ordinals = NULL"
    )
    #expect(try problems(path) == [])
    try sqlite(path, "UPDATE row_index SET mean = mean + 1 WHERE shard_row IN (3, 7)")
    #expect(try problems(path).contains { $0.contains("rows 3, 7") })
    _ = try Repair.run(at: path) { _, _ in }
    #expect(try problems(path) == [])
    #expect(
        try Corpus(at: path, .reading).units().allSatisfy {
            $0.details.fileChecksum?.count == 32 && $0.details.ordinals == "0-39" && $0.details.blockRows == 32
        })
}

@Test("the recorded checksum is what xxhsum prints, where it is installed")
func xxhsum() throws {
    let folder = TemporaryFolder()
    let path = folder.file("bytes")
    let bytes = (0..<1_000_003).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 7) }
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    let (checksum, count) = try Checksum128.file(path)
    #expect(count == bytes.count && checksum == bytes.withUnsafeBytes(Checksum128.hex))
    // Of the XXH3 reference: the empty input.
    #expect([UInt8]().withUnsafeBytes(Checksum128.hex) == "99aa06d3014798d86001c324468d497f")
    let program = "/usr/bin/xxhsum"
    guard FileManager.default.fileExists(atPath: program) else { return }
    #expect(try run(program, ["-H2", path]).output.hasPrefix(checksum))
}

@Test("a selection or an evaluation that was changed is found")
func changedRecords() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    do {
        let corpus = try Corpus(at: path, .writing)
        let split = try corpus.split(dataset: nil, split: nil)
        let images = try corpus.images(of: split)
        try corpus.addSelection(
            SelectionFile(
                formatVersion: 1, name: "s", dataset: split.dataset, split: split.split, datasetDigest: split.digest,
                ordinals: [4, 2], images: [images[4].id, images[2].id], provenance: "p", created: timestamp()))
    }
    #expect(try problems(path, quick: true) == [])
    let file = URL(fileURLWithPath: "\(path)/selections/s.json")
    let text = try String(contentsOf: file, encoding: .utf8)
    // Two images in each other's places.
    try text.replacingOccurrences(of: "4,\n    2", with: "2,\n    4").write(to: file, atomically: true, encoding: .utf8)
    #expect(try String(contentsOf: file, encoding: .utf8) != text)
    let found = try problems(path, quick: true)
    #expect(found.count == 1 && found[0].contains("selection s"))
}
