import CorpusStore
import Foundation
import LogitSQL
import Logits
import Shards
import TestSupport
import Testing

/// Rows of a query on a connection that has the extension linked in.
func ask(_ path: String, _ sql: String, at snapshot: String? = nil) throws -> [[ReadOnlyQuery.Value]] {
    let corpus = try Corpus(at: path, .reading)
    let query = try ReadOnlyQuery(
        corpus, at: try snapshot.map { try corpus.snapshot($0) }, loading: SQLExtension.entryPoint
    ) { false }
    var rows: [[ReadOnlyQuery.Value]] = []
    _ = try query.run(sql) { _, values in rows.append(values) }
    return rows
}

/// What a query that must fail says.
func complaint(_ path: String, _ sql: String) -> String {
    do {
        return "no error, but \(try ask(path, sql))"
    } catch { return "\(error)" }
}

@Suite("the table logits")
struct LogitsTableTests {
    static let shared: Result<(TemporaryFolder, String), any Error> = Result {
        let folder = TemporaryFolder()
        let path = try Fixtures.corpus(folder)
        try Fixtures.ingest(path, attacks: "clean,pgd", limit: 40)
        try Fixtures.ingest(path, attacks: "clean", limit: 90) { $0.encoding.codec = .zstd }
        return (folder, path)
    }

    private func corpus() throws -> String { try LogitsTableTests.shared.get().1 }

    @Test("shows what the view rows shows, whether logits are asked for or not")
    func columns() throws {
        let path = try corpus()
        let columns = "dataset, split, ordinal, image, label, network, attack, view, prediction, status"
        let sort = "ORDER BY attack, ordinal"
        let rows = try ask(path, "SELECT \(columns) FROM rows \(sort)")
        #expect(rows.count == 130)
        #expect(try ask(path, "SELECT \(columns) FROM logits \(sort)") == rows)
        #expect(try ask(path, "SELECT \(columns) FROM logits WHERE length(z) = 400 \(sort)") == rows)
        #expect(try ask(path, "SELECT \(columns) FROM logits('head') \(sort)") == rows)
    }

    @Test("z is the stored vector, through scans and through single rows")
    func vectors() throws {
        let path = try corpus()
        var expected: [String: [UInt8]] = [:]
        for table in try tables(path).values {
            for row in 0..<table.count {
                let attack = table.attack == nil ? "clean" : "pgd"
                expected["\(attack) \(table.ordinal[row])"] = table.row(row).withUnsafeBytes { Array($0) }
            }
        }
        #expect(expected.count == 130)
        for sql in [
            "SELECT attack, ordinal, z FROM logits",
            "SELECT l.attack, l.ordinal, l.z FROM rows r JOIN logits l ON l.image = r.image AND l.attack = r.attack",
            "SELECT l.attack, l.ordinal, l.z FROM rows r JOIN logits l ON l.ordinal = r.ordinal AND l.attack = r.attack",
        ] {
            var found: [String: [UInt8]] = [:]
            for row in try ask(path, sql) {
                guard case .text(let attack) = row[0], case .integer(let ordinal) = row[1], case .blob(let z) = row[2]
                else {
                    Issue.record("\(row)")
                    return
                }
                found["\(attack) \(ordinal)"] = z
            }
            #expect(found == expected, "\(sql)")
        }
    }

    @Test("constraints leave what SQLite's own comparison leaves")
    func constraints() throws {
        let path = try corpus()
        for condition in [
            "ordinal < 10", "ordinal <= '10'", "ordinal > 37.5", "ordinal >= 89", "ordinal BETWEEN 5 AND 7",
            "ordinal = 12.0", "ordinal = 12.5", "ordinal = 'x'", "ordinal < 'x'", "ordinal > NULL", "ordinal < -1",
            "ordinal > 9223372036854775807", "ordinal < 1e300", "attack = 'pgd'", "attack IN ('pgd', 'clean')",
            "attack = 'PGD' COLLATE NOCASE", "network = 5", "view = 0", "view = '0'", "view = 1", "split = NULL",
            "attack = x'706764'", "ordinal IN (1, 3, 3, 500) AND attack = 'clean'", "NOT ordinal < 85",
        ] {
            let expected = try ask(
                path, "SELECT attack, ordinal FROM rows WHERE \(condition) ORDER BY attack, ordinal")
            for table in ["logits", "logits('head')"] {
                for more in ["", " AND length(z) > 0"] {
                    let found = try ask(
                        path, "SELECT attack, ordinal FROM \(table) WHERE \(condition)\(more) ORDER BY attack, ordinal")
                    #expect(found == expected, "\(table) \(condition)\(more)")
                }
            }
        }
    }

    @Test("a damaged row is an error that names its shard, and never data")
    func damage() throws {
        let folder = TemporaryFolder()
        let path = try Fixtures.corpus(folder)
        try Fixtures.ingest(path, attacks: "clean", limit: 40)
        let shard = try #require(shardFiles(path).first)
        var bytes = try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(shard)"))
        let values = try #require(tables(path).values.first)
        let place = try #require(bytes.range(of: values.row(17).withUnsafeBytes { Data($0) }))
        bytes[place.lowerBound + 5] ^= 4
        try bytes.write(to: URL(fileURLWithPath: "\(path)/\(shard)"))
        for sql in [
            "SELECT vec_mean(z) FROM logits", "SELECT z FROM logits WHERE ordinal = 17",
            "SELECT count(*) FROM logits('head')",
        ] {
            let message = complaint(path, sql)
            #expect(message.contains(shard) && message.contains("row 17") && message.contains("checksum"), "\(message)")
        }
        #expect(try ask(path, "SELECT count(z) FROM logits WHERE ordinal < 17") == [[.integer(17)]])
    }
}
