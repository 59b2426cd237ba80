import CorpusStore
import Foundation
import GRDB
import Ingestion
import Logits
import TestSupport
import Testing

/// A catalogue that others made: views and triggers of its own, values of other types, paths that lead elsewhere.
@Suite("hostile catalogues")
struct HostileCatalogTests {
    private let folder = TemporaryFolder()

    private func changed(_ sql: String) throws -> String {
        let path = try Fixtures.corpus(folder)
        try Fixtures.ingest(path, attacks: "clean", limit: 5)
        let queue = try DatabaseQueue(path: "\(path)/catalog.sqlite")
        try queue.writeWithoutTransaction { db in
            // As somebody with an editor for such files could: no rule of SQLite's holds.
            try db.execute(sql: "PRAGMA writable_schema = ON; PRAGMA ignore_check_constraints = ON;" + sql)
        }
        return path
    }

    @Test(
        "other tables, views, triggers or indices than ours are refused, before any of them is used",
        arguments: [
            """
            DROP VIEW accuracy; CREATE VIEW accuracy AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)
            SELECT x AS dataset FROM n
            """,
            "CREATE TRIGGER t AFTER INSERT ON unit_index BEGIN DELETE FROM row_index; END",
            "CREATE TRIGGER more AFTER DELETE ON tag_index BEGIN SELECT 1; END", "CREATE VIEW unit AS SELECT 1",
            "ALTER TABLE unit_index ADD COLUMN more TEXT",
            "CREATE INDEX i ON row_index (mean)", "DROP TABLE tag_index",
            "UPDATE sqlite_schema SET sql = replace(sql, 'TEXT NOT NULL UNIQUE', 'TEXT') WHERE name = 'unit_index'",
        ])
    func schema(sql: String) throws {
        let path = try changed(sql)
        for mode in [Corpus.Mode.reading, .writing] {
            let error = #expect(throws: LogitError.self) { try Corpus(at: path, mode) }
            #expect(
                error?.code == .corrupt && error?.message.contains("logit repair") == true, "\(error?.message ?? "")")
        }
        _ = try Repair.run(at: path) { _, _ in }
        #expect(try Corpus(at: path, .reading).units().count == 1)
    }

    @Test(
        "a value of another type, or a path that leads elsewhere, is an error and no crash",
        arguments: [
            "UPDATE unit_index SET row_count = 'many'", "UPDATE unit_index SET file_bytes = x'00'",
            "UPDATE unit_index SET seed = 'one'", "UPDATE network_index SET class_count = 'ten'",
            "UPDATE unit_index SET path = '../../outside.h5'", "UPDATE unit_index SET path = 'shards/../../x.h5'",
            "UPDATE unit_index SET first_position = zeroblob(1000)", "UPDATE unit_index SET view = 9e99",
            "UPDATE unit_index SET row_count = -1", "UPDATE unit_index SET row_count = 1 << 62",
            "UPDATE network_index SET class_count = 0", "UPDATE network_index SET class_count = 1 << 40",
            "UPDATE unit_index SET row_count = 1 << 26; UPDATE network_index SET class_count = 1000000",
            "UPDATE unit_index SET file_bytes = 9223372036854775807", "UPDATE unit_index SET view = -1",
        ])
    func values(sql: String) throws {
        let path = try changed(sql)
        let error = #expect(throws: LogitError.self) { try Corpus(at: path, .reading).units() }
        #expect(error?.code == .corrupt, "\(error?.message ?? "")")
    }

    @Test("counts that no unit has are found by verify", arguments: ["correct_count = -1", "invalid_count = 1 << 62"])
    func counts(change: String) throws {
        let path = try changed("UPDATE unit_index SET \(change)")
        let corpus = try Corpus(at: path, .reading)
        for deep in [false, true] {
            #expect(try !Verify.run(corpus, quick: false, deep: deep) { _, _ in }.problems.isEmpty)
        }
    }

    @Test("rows with values of other types are errors where they are read, and verify finds them")
    func rows() throws {
        let path = try changed(
            "UPDATE row_index SET mean = 'high'; UPDATE image_index SET ordinal = 'first' WHERE ordinal = 0")
        let corpus = try Corpus(at: path, .reading)
        let split = try corpus.split(dataset: nil, split: nil)
        #expect(throws: LogitError.self) {
            try corpus.statistic(
                "mean", split: split, network: "residual", attack: "clean", selection: nil, at: nil)
        }
        #expect(throws: LogitError.self) { try corpus.correctImages(of: split, by: "residual", perClass: 1) }
        for deep in [false, true] {
            #expect(try !Verify.run(corpus, quick: false, deep: deep) { _, _ in }.problems.isEmpty)
        }
        #expect(
            try !Scrub.run(corpus, limit: nil, seconds: nil, progress: { _, _ in }, shouldStop: { false }).problems
                .isEmpty)
    }

    @Test("bytes that are no database, or a part of one, are an error")
    func noDatabase() throws {
        let path = try Fixtures.corpus(folder)
        try Fixtures.ingest(path, attacks: "clean", limit: 5)
        let file = URL(fileURLWithPath: "\(path)/catalog.sqlite")
        for suffix in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: file.path + suffix) }
        let whole = try Data(contentsOf: file)
        for bytes in [
            Data(), Data("no database".utf8), whole.prefix(100), whole.prefix(whole.count / 2), Data(count: 8192),
        ] {
            try bytes.write(to: file)
            #expect(throws: LogitError.self) { try Corpus(at: path, .reading).units() }
        }
        let random = Philox(key: 3)
        for round in 0..<200 {
            var damaged = whole
            for place in 0..<8 {
                let draw = UInt64(round * 16 + place * 2)
                damaged[Int(random.uniform(draw) * Double(whole.count))] = UInt8(random.uniform(draw + 1) * 256)
            }
            try damaged.write(to: file)
            guard let corpus = try? Corpus(at: path, .reading) else { continue }
            _ = try? corpus.units()
            let query = try? ReadOnlyQuery(corpus, at: nil) { false }
            _ = try? query?.run("SELECT * FROM rows") { _, _ in }
        }
    }
}
