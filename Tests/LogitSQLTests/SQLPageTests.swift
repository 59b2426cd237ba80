import CorpusStore
import Foundation
import TestSupport
import Testing

/// The queries of a page, each between ```sql and ```.
private func queries(_ page: String) throws -> [String] {
    let text = try String(contentsOfFile: "\(projectFolder)/\(page)", encoding: .utf8)
    return text.components(separatedBy: "```sql\n").dropFirst().map { $0.components(separatedBy: "```")[0] }
}

@Suite("docs/sql.md")
struct SQLPageTests {
    /// Two networks; a snapshot `first` before the second one came.
    private func corpus(_ folder: TemporaryFolder) throws -> String {
        let path = try Fixtures.corpus(folder)
        try Fixtures.ingest(path, network: "residual", limit: 60)
        _ = try Corpus(at: path, .writing).tag("first", snapshot: nil, replacing: false)
        try Fixtures.addNetwork("plain", to: path)
        try Fixtures.ingest(path, network: "plain", limit: 60)
        return path
    }

    @Test("every query of the page runs and finds something")
    func page() throws {
        let folder = TemporaryFolder()
        let path = try corpus(folder)
        let queries = try queries("docs/sql.md")
        #expect(queries.count >= 20)
        for query in queries {
            let rows = try ask(path, query)
            #expect(!rows.isEmpty, "\(query)")
            #expect(rows.joined().contains { $0 != .null }, "\(query)")
        }
    }

    @Test("answers that other ways give too")
    func answers() throws {
        let folder = TemporaryFolder()
        let path = try corpus(folder)
        let top5 = try ask(path, "SELECT network, attack, avg(label_rank < 5) FROM rows GROUP BY network, attack")
        let byLogits = try ask(
            path,
            """
            SELECT network, attack, avg((SELECT max(t.class = label) FROM top_k(z, 5) t))
            FROM logits GROUP BY network, attack
            """)
        #expect(top5 == byLogits)
        let accuracy = try ask(path, "SELECT network, attack, correct FROM accuracy ORDER BY network, attack")
        #expect(
            try ask(path, "SELECT network, attack, sum(argmax(z) = label) FROM logits GROUP BY network, attack")
                == accuracy)
        let since = try ask(path, "SELECT count(*) FROM logits('first')") + ask(path, "SELECT count(*) FROM logits")
        #expect(since == [[.integer(120)], [.integer(240)]])
        let reversed = try ask(
            path, "SELECT network, attack FROM logits WHERE length(z) ORDER BY network DESC, attack DESC")
        #expect(reversed == (try ask(path, "SELECT network, attack FROM rows ORDER BY network DESC, attack DESC")))
    }

    @Test("logits_at chooses a snapshot for a connection, and --at for a query")
    func asOf() throws {
        let folder = TemporaryFolder()
        let path = try corpus(folder)
        let queries = [
            "SELECT count(*) FROM logits", "SELECT count(*), sum(rows) FROM shards()", "SELECT count(*) FROM rows",
        ]
        for sql in queries {
            let then = try ask(path, sql, at: "first")
            #expect(then != (try ask(path, sql)) && !then.isEmpty, "\(sql)")
        }
        let image = try ask(path, "SELECT image FROM rows WHERE ordinal = 7 LIMIT 1")
        guard case .text(let name) = image[0][0] else { return }
        #expect(
            try ask(path, "SELECT attack, ordinal FROM logits WHERE image = '\(name)' ORDER BY attack", at: "first")
                == [[.text("clean"), .integer(7)], [.text("pgd"), .integer(7)]])
        #expect(
            try ask(path, "SELECT count(*) FROM rows r JOIN logits l USING (image, network, attack)", at: "first")
                == [[.integer(120)]])
    }
}
