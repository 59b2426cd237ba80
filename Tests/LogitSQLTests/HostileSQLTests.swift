import CorpusStore
import Foundation
import GRDB
import LogitSQL
import Logits
import TestSupport
import Testing

@Suite("hostile SQL ends in a clear error or NULL")
struct HostileSQLTests {
    private func corpus() throws -> String { try LogitsTableTests.shared.get().1 }

    @Test(
        "wrong types, sizes and values are named",
        arguments: [
            ("mean(5)", "mean: the vector is a number"), ("mean(x'00')", "mean: the vector is a blob of 1 bytes"),
            ("mean(x'')", "a blob of 0 bytes"), ("mean('')", "the vector is a text"),
            ("mean('abc')", "the vector is a text"),
            ("mean('[1,')", "the vector is a text"), ("mean('[]')", "the vector is a text"),
            ("mean('[1,\"a\"]')", "the vector is a text"), ("mean('{\"a\":1}')", "the vector is a text"),
            ("mean('[01]')", "the vector is a text"), ("mean('[1] 2')", "the vector is a text"),
            ("mean(replace(hex(zeroblob(50000)), '00', '['))", "the vector is a text"),
            ("logit(x'0000803f', 1)", "there is no class 1"), ("logit(x'0000803f', -1)", "there is no class -1"),
            ("logit(x'0000803f', 'a')", "the class is the text 'a'"),
            ("logit(x'0000803f', 0.5)", "the class is 0.5"),
            ("logit(x'0000803f', 9223372036854775807)", "there is no class"),
            ("softmax(x'0000803f', 0, 0)", "the temperature is 0"), ("softmax(x'0000803f', 0, -1)", "must be above 0"),
            ("softmax(x'0000803f', 0, 1e999)", "must be a finite number"), ("entropy(x'0000803f', 'warm')", "warm"),
            ("cosine(x'0000803f', x'0000803f0000803f')", "1 and 2 values"),
            ("histogram(1, 0, 0, 1)", "the number of bins is 0"), ("histogram(1, 1e9, 0, 1)", "must be 1 to 1000000"),
            ("histogram(1, 5, 2, 1)", "lo must not be above hi"), ("histogram(1, 5, -1e308, 1e308)", "lo must not"),
            ("histogram('x', 5, 0, 1)", "must be a number"), ("histogram(1, NULL, 0, 1)", "the number of bins is NULL"),
            ("quantile(1, 2)", "q is 2"), ("quantile(x'00', 0.5)", "must be a number"),
            ("quantile(1, 'q')", "q is the text"),
            ("ece(x'0000803f', 3)", "the label is 3"), ("ece(x'0000803f', 0, 0)", "the number of bins is 0"),
            ("nll(x'0000803f', -1)", "the label is -1"), ("nll(5, 0)", "the vector is a number"),
            ("auroc('a', 1)", "the score is a text"), ("auroc(1, 'yes')", "the mark of positives is the text 'yes'"),
            ("vec_mean(1)", "the vector is a number"), ("vec_variance(x'0000803f', 2)", "must be 0"),
            ("bhattacharyya('[1]', '[1,2]')", "1 and 2 bins"), ("bhattacharyya('[-1]', '[1]')", "is no histogram"),
            ("bhattacharyya(1, 2)", "is no histogram"), ("hellinger('[null]', '[1]')", "is no histogram"),
            (
                "bhattacharyya('{\"edges\":[0,1],\"counts\":[1]}', '{\"edges\":[0,2],\"counts\":[1]}')",
                "different edges"
            ),
            ("bhattacharyya('{\"edges\":[0],\"counts\":[1]}', '[1]')", "is no histogram"),
            ("bhattacharyya_agg(-1, 1)", "must not be negative"),
            ("logits_at('nonsense')", "there is no snapshot or tag"),
            ("mean()", "wrong number of arguments"), ("(SELECT count(*) FROM top_k(x'00', 1))", "a blob of 1 bytes"),
            ("(SELECT count(*) FROM top_k(x'0000803f', -1))", "from 0 on"),
            ("(SELECT count(*) FROM top_k(x'0000803f'))", "top_k needs its argument"),
            ("(SELECT count(*) FROM histogram_bins('[]'))", "is no histogram"),
            ("(SELECT count(*) FROM logits('nonsense'))", "there is no snapshot or tag"),
            ("(SELECT count(*) FROM logits('../head'))", "there is no snapshot or tag"),
        ])
    func refused(expression: String, words: String) throws {
        let message = complaint(try corpus(), "SELECT \(expression)")
        #expect(message.contains(words), "\(expression): \(message)")
    }

    @Test(
        "NULL gives NULL, and so does what is no number",
        arguments: [
            "mean(NULL)", "logit(NULL, 0)", "logit(x'0000803f', NULL)", "softmax(x'0000803f', 0, NULL)",
            "cosine(NULL, x'0000803f')", "cosine(x'00000000', x'00000000')", "to_json(NULL)", "mean(x'0000c07f')",
            "argmax(x'0000c07f')", "margin(x'0000803f')", "logsumexp(x'0000807f')", "entropy('[null]')",
            "bhattacharyya('[0]', '[1]')", "bhattacharyya(NULL, '[1]')", "vec_mean(NULL)",
            "vec_variance(x'0000803f', 1)",
            "quantile(NULL, 0.5)", "ece(NULL, 1)", "nll(x'0000803f', NULL)", "auroc(1, 1)", "auroc(NULL, 0)",
            "(SELECT vec_max(z) FROM logits WHERE attack = 'none')", "(SELECT class FROM top_k(NULL, 3))",
            "(SELECT histogram(1, 2, 3, 4) WHERE 0)", "(SELECT count FROM histogram_bins(NULL))",
        ])
    func nulls(expression: String) throws {
        #expect(try ask(try corpus(), "SELECT \(expression)") == [[.null]])
    }

    @Test(
        "large and endless queries end in time",
        arguments: [
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT quantile(x, 0.5) FROM c",
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT vec_mean(x'0000803f') FROM c",
            "WITH RECURSIVE c(z) AS (SELECT zeroblob(4000) UNION ALL SELECT z FROM c) SELECT vec_variance(z) FROM c",
            "SELECT count(*) FROM logits a, logits b, logits c, logits d WHERE a.z < b.z AND c.z < d.z",
            "SELECT vec_mean(z) FROM logits, (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c)",
            "WITH RECURSIVE c(j) AS (SELECT '[1]' UNION ALL SELECT to_json(vec) FROM (SELECT j vec FROM c)) SELECT count(*) FROM c",
        ])
    func endless(sql: String) throws {
        let corpus = try Corpus(at: try corpus(), .reading)
        let begun = Date()
        let query = try ReadOnlyQuery(corpus, at: nil, loading: SQLExtension.entryPoint) {
            Date().timeIntervalSince(begun) > 0.3
        }
        #expect(throws: LogitError.self) { _ = try query.run(sql) { _, _ in } }
        #expect(Date().timeIntervalSince(begun) < 20, "\(sql)")
    }

    @Test("vectors as large as SQLite allows are taken")
    func huge() throws {
        let rows = try ask(
            try corpus(),
            "SELECT mean(z), argmax(z), l2(z), margin(z), round(logsumexp(z), 9), round(entropy(z), 9) FROM (SELECT zeroblob(200000000) z)"
        )
        let n = 50_000_000.0
        #expect(
            rows == [
                [
                    .real(0), .integer(0), .real(0), .real(0), .real((log(n) * 1e9).rounded() / 1e9),
                    .real((log(n) * 1e9).rounded() / 1e9),
                ]
            ])
    }

    @Test("a vector stays what it was for as long as a statement holds it")
    func lifetimes() throws {
        let path = try corpus()
        let byOrdinal = try ask(path, "SELECT ordinal, hex(z) FROM logits WHERE attack = 'clean' ORDER BY ordinal")
        #expect(try ask(path, "SELECT max(ordinal), hex(z) FROM logits WHERE attack = 'clean'") == [byOrdinal.last!])
        #expect(try ask(path, "SELECT min(ordinal), hex(z) FROM logits WHERE attack = 'clean'") == [byOrdinal.first!])
        let lagged = try ask(
            path,
            "SELECT ordinal - 1, hex(lag(z) OVER (ORDER BY ordinal)) FROM logits WHERE attack = 'clean' ORDER BY 1")
        #expect(Array(lagged.dropFirst()) == Array(byOrdinal.dropLast()))
        let first = try ask(
            path, "SELECT DISTINCT hex(first_value(z) OVER (ORDER BY ordinal)) FROM logits WHERE attack = 'clean'")
        #expect(first == [[byOrdinal[0][1]]])
    }

    @Test(
        "a catalogue that tells of impossible shards gives an error, by scan and by ordinal, and no data from elsewhere",
        arguments: [
            "UPDATE unit_index SET row_count = -1", "UPDATE unit_index SET row_count = 9e12",
            "UPDATE unit_index SET row_count = 1 << 62", "UPDATE network_index SET class_count = 1",
            "UPDATE network_index SET class_count = 1000000; UPDATE unit_index SET row_count = 1 << 26",
            "UPDATE unit_index SET path = '../outside.h5'", "UPDATE unit_index SET path = 'shards/../../outside.h5'",
        ])
    func catalogue(change: String) throws {
        let folder = TemporaryFolder()
        let path = try Fixtures.corpus(folder)
        try Fixtures.ingest(path, attacks: "clean", limit: 5)
        let unit = try #require(try Corpus(at: path, .reading).units().first)
        try FileManager.default.copyItem(atPath: "\(path)/\(unit.path)", toPath: folder.file("outside.h5"))
        let queue = try DatabaseQueue(path: "\(path)/catalog.sqlite")
        try queue.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA ignore_check_constraints = ON;" + change)
        }
        for query in [
            "SELECT mean(z) FROM logits", "SELECT mean(z) FROM logits WHERE ordinal < 5",
            "SELECT mean(z) FROM logits WHERE ordinal = 2",
        ] {
            let message = complaint(path, query)
            #expect(message.contains("logit repair"), "\(query): \(message)")
        }
    }
}
