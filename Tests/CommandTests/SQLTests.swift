import Foundation
import TestSupport
import Testing

@Suite("logit sql")
struct SQLTests {
    private let folder = TemporaryFolder()

    private func corpus() throws -> String {
        let path = try Fixtures.corpus(folder)
        try Fixtures.ingest(path, limit: 40)
        return path
    }

    private func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

    private static let values = """
        SELECT NULL AS n, 7 AS i, 0.1 AS r, 1e300 * 1e300 AS infinite, 'a "b", c' || char(10, 27, 92) || 'é' AS t,
            x'00ff10' AS b
        """

    @Test("values come out in each format as it has them")
    func formats() throws {
        let path = try corpus()
        let csv = try logit("sql", path, SQLTests.values, "--format", "csv")
        #expect(csv.output == "n,i,r,infinite,t,b\n,7,0.1,inf,\"a \"\"b\"\", c\n\u{1B}\\é\",00ff10\n", "\(csv.output)")
        let rows = try #require(try json(logit("sql", path, SQLTests.values, "--format", "json")) as? [[String: Any]])
        let row = try #require(rows.first)
        #expect(rows.count == 1 && row["n"] is NSNull && row["i"] as? Int == 7 && row["r"] as? Double == 0.1)
        #expect(row["infinite"] is NSNull && row["t"] as? String == "a \"b\", c\n\u{1B}\\é")
        #expect(row["b"] as? String == "00ff10")
        // One line a row, and nothing that a terminal would obey.
        let table = try logit("sql", path, SQLTests.values).output
        #expect(table.split(separator: "\n").count == 3 && !table.contains("\u{1B}") && table.contains("<3 bytes>"))
        for (format, empty) in [("csv", "label\n"), ("json", "[]\n"), ("table", "label\n-----\n")] {
            #expect(try logit("sql", path, "SELECT label FROM rows WHERE 0", "--format", format).output == empty)
        }
        expectSentence(
            try logit("sql", path, "SELECT 1 AS a, 2 AS a", "--format", "json"), status: 64, mentions: "named a")
    }

    @Test("the logits and the functions of a vector are there, and follow --at")
    func logits() throws {
        let path = try corpus()
        #expect(try logit("snapshot", "tag", path, "small").status == 0)
        try Fixtures.ingest(path, limit: 64)
        func answer(_ query: String, _ more: String...) throws -> String {
            let ran = try run(logit, ["sql", path, query, "--format", "csv"] + more)
            #expect(ran.status == 0, "\(ran.errors)")
            return ran.output.split(separator: "\n").dropFirst().joined(separator: " ")
        }
        for table in ["logits", "rows"] {
            #expect(try answer("SELECT count(*) FROM \(table)") == "128")
            #expect(try answer("SELECT count(*) FROM \(table)", "--at", "small") == "80")
        }
        let differing = """
            SELECT count(*) FROM rows r JOIN logits l ON l.image = r.image AND l.attack = r.attack
            WHERE abs(mean(l.z) - r.mean) > 1e-9 OR argmax(l.z) <> r.prediction OR json_array_length(to_json(l.z)) <> 100
            """
        #expect(try answer(differing) == "0" && answer(differing, "--at", "small") == "0")
        let hex = try answer("SELECT z FROM logits LIMIT 1")
        #expect(hex.count == 800 && hex.allSatisfy(\.isHexDigit))
    }

    @Test(
        "whatever would change anything is refused, and changes nothing",
        arguments: [
            "DELETE FROM row_index", "INSERT INTO tag_index VALUES ('a', 'b')", "UPDATE unit_index SET seed = 1",
            "DROP TABLE row_index", "CREATE TABLE t (a)", "CREATE TEMP TABLE t (a)", "CREATE VIEW v AS SELECT 1",
            "CREATE VIRTUAL TABLE t USING fts5(a)", "CREATE VIRTUAL TABLE t USING rtree(a, b, c)",
            "CREATE VIRTUAL TABLE temp.t USING fts5vocab(a, 'row')",
            "CREATE TRIGGER t AFTER INSERT ON tag_index BEGIN SELECT 1; END",
            "ATTACH '/tmp/other.sqlite' AS other", "DETACH main", "VACUUM", "VACUUM INTO '/tmp/other.sqlite'",
            "REINDEX",
            "ANALYZE", "BEGIN", "SAVEPOINT s", "PRAGMA user_version = 9", "PRAGMA journal_mode = DELETE",
            "PRAGMA writable_schema = ON", "PRAGMA trusted_schema = ON", "PRAGMA wal_checkpoint",
            "PRAGMA temp_store_directory = '/tmp'",
            "SELECT load_extension('/tmp/x.so')", "SELECT * FROM pragma_journal_mode('delete')",
            "WITH a AS (SELECT 1) DELETE FROM row_index", "INSERT INTO logits (image) VALUES ('a')",
        ])
    func refused(statement: String) throws {
        let path = try corpus()
        let before = try bytes("\(path)/catalog.sqlite")
        let ran = try logit("sql", path, statement)
        #expect(ran.status == 64 && ran.output == "", "\(ran.output) \(ran.errors)")
        #expect(ran.errors.hasPrefix("logit: ") && ran.errors.split(separator: "\n").count == 1, "\(ran.errors)")
        #expect(try bytes("\(path)/catalog.sqlite") == before)
    }

    private static let endless =
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"

    @Test("an endless query ends at its time limit, and at Ctrl-C")
    func limits() throws {
        let path = try corpus()
        expectSentence(try logit("sql", path, SQLTests.endless, "--timeout", "0.3"), mentions: "0.3 s", "--timeout")
        for limit in ["0", "-1", "nan"] {
            expectSentence(
                try run(logit, ["sql", path, "SELECT 1", "--timeout=\(limit)"]), status: 64, mentions: "--timeout")
        }
        let process = Process()
        let errors = Pipe()
        process.executableURL = URL(fileURLWithPath: logit)
        process.arguments = ["sql", path, SQLTests.endless]
        process.standardError = errors
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        usleep(700_000)
        process.interrupt()
        process.waitUntilExit()
        let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        #expect(process.terminationStatus == 1 && process.terminationReason == .exit)
        #expect(said == "logit: the query was stopped before it ended\n", "\(said)")
    }

    private static func many(_ rows: Int) -> String {
        """
        WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT \(rows))
        SELECT x, 'a text of some length, again and again' AS text FROM n
        """
    }

    @Test(
        "a reader that goes away ends the query without a word; a full disk is one sentence",
        arguments: ["table", "csv", "json"])
    func readers(format: String) throws {
        let path = try corpus()
        let command = "'\(logit)' sql '\(path)' \"\(SQLTests.many(100_000))\" --format \(format)"
        let cut = try run("/bin/sh", ["-c", "\(command) | head -n 2"])
        #expect(cut.status == 0 && cut.errors == "" && cut.output.split(separator: "\n").count == 2, "\(cut.errors)")
        guard FileManager.default.fileExists(atPath: "/dev/full") else { return }
        let full = try run("/bin/sh", ["-c", "\(command) > /dev/full"])
        expectSentence(full, mentions: "standard output", "space")
    }

    @Test("half a million rows take no more memory than a thousand", arguments: ["table", "csv", "json"])
    func memory(format: String) throws {
        guard let python else { return }
        let path = try corpus()
        func kilobytes(_ rows: Int) throws -> Int {
            let measure = """
                import resource, subprocess, sys
                subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
                print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
                """
            let ran = try run(
                python, ["-c", measure, logit, "sql", path, SQLTests.many(rows), "--format", format])
            return try #require(Int(ran.output.trimmingCharacters(in: .newlines)), "\(ran.errors)")
        }
        let (few, many) = (try kilobytes(1000), try kilobytes(500_000))
        #expect(many < few + 20_000, "\(few) kB for few rows, \(many) kB for many")
    }
}
