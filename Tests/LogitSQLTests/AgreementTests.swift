import CorpusStore
import Foundation
import TestSupport
import Testing

/// Whether two numbers are the same in double, whatever the order of the sums.
func agree(_ found: Double, _ expected: Double) -> Bool {
    abs(found - expected) <= max(1e-12 * abs(expected), 1e-15)
}

/// The numbers of a result: each value, or those in a JSON array.
func numbers(_ rows: [[ReadOnlyQuery.Value]]) throws -> [Double] {
    try rows.joined().flatMap { value -> [Double] in
        switch value {
        case .integer(let number): [Double(number)]
        case .real(let number): [number]
        case .text(let text): try JSONDecoder().decode([Double].self, from: Data(text.utf8))
        case .null, .blob: [.nan]
        }
    }
}

@Suite("results equal NumPy's, SciPy's and scikit-learn's")
struct AgreementTests {
    private static let clean = "FROM logits WHERE attack = 'clean' ORDER BY ordinal"
    private static let queries: [(name: String, sql: String)] = [
        ("mean", "SELECT mean(z) \(clean)"), ("l2", "SELECT l2(z) \(clean)"), ("argmax", "SELECT argmax(z) \(clean)"),
        ("logsumexp", "SELECT logsumexp(z) \(clean)"), ("logsumexp 2", "SELECT logsumexp(z, 2) \(clean)"),
        ("entropy", "SELECT entropy(z) \(clean)"), ("entropy 3", "SELECT entropy(z, 3.0) \(clean)"),
        ("margin", "SELECT margin(z) \(clean)"), ("softmax", "SELECT softmax(z, label) \(clean)"),
        ("softmax 0.5", "SELECT softmax(z, 3, 0.5) \(clean)"), ("logit", "SELECT logit(z, 99) \(clean)"),
        ("to_json", "SELECT to_json(z) \(clean) LIMIT 1"),
        (
            "cosine",
            """
            SELECT cosine(c.z, a.z) FROM logits a JOIN logits c ON c.image = a.image AND c.network = a.network
            WHERE a.attack = 'pgd' AND c.attack = 'clean' ORDER BY a.ordinal
            """
        ),
        ("vec_mean", "SELECT vec_mean(z) FROM logits WHERE attack = 'clean'"),
        ("vec_variance", "SELECT vec_variance(z) FROM logits WHERE attack = 'clean'"),
        ("vec_variance 1", "SELECT vec_variance(z, 1) FROM logits WHERE attack = 'clean'"),
        ("vec_min", "SELECT vec_min(z) FROM logits WHERE attack = 'clean'"),
        ("vec_max", "SELECT vec_max(z) FROM logits WHERE attack = 'clean'"),
        ("vec_mean by label", "SELECT vec_mean(z) FROM logits WHERE attack = 'clean' AND label = 3"),
        // Through a sorter, which hands on copies.
        (
            "vec_mean by label",
            "SELECT m FROM (SELECT label, vec_mean(z) m FROM logits WHERE attack = 'clean' GROUP BY label) WHERE label = 3"
        ),
        // Means of means that are themselves JSON.
        ("vec_mean", "SELECT vec_mean(to_json(z)) FROM logits WHERE attack = 'clean'"),
        ("vec_variance", "SELECT vec_variance(to_json(z)) FROM logits WHERE attack = 'clean'"),
        ("vec_max", "SELECT vec_max(to_json(z)) FROM logits WHERE attack = 'clean'"),
        (
            "histogram",
            "SELECT h ->> '$.counts' FROM (SELECT histogram(mean(z), 20, -1, 1) h FROM logits WHERE attack = 'clean')"
        ),
        (
            "edges",
            "SELECT h ->> '$.edges' FROM (SELECT histogram(mean(z), 20, -1, 1) h FROM logits WHERE attack = 'clean')"
        ),
        (
            "histogram",
            "SELECT count FROM histogram_bins((SELECT histogram(mean(z), 20, -1, 1) FROM logits WHERE attack = 'clean'))"
        ),
        (
            "quantile",
            """
            SELECT quantile(m, 0), quantile(m, 0.1), quantile(m, 0.5), quantile(m, 0.77), quantile(m, 1)
            FROM (SELECT mean(z) m FROM logits WHERE attack = 'clean')
            """
        ),
        ("ece", "SELECT ece(z, label), ece(z, label, 10), ece(z, label, 1) FROM logits WHERE attack = 'clean'"),
        ("nll", "SELECT nll(z, label) FROM logits WHERE attack = 'clean'"),
        ("top_k", "SELECT t.class FROM logits l, top_k(l.z, 4) t WHERE l.attack = 'clean' AND l.ordinal = 5"),
    ]

    @Test("on the rows of a corpus, raw and compressed", .enabled(if: python != nil))
    func corpus() throws {
        let path = try LogitsTableTests.shared.get().1
        let reference = try run(python!, ["\(projectFolder)/Tests/LogitSQLTests/reference.py", path])
        #expect(reference.status == 0, "\(reference.errors)")
        let expected = try JSONDecoder().decode([String: [Double]].self, from: Data(reference.output.utf8))
        for (name, sql) in AgreementTests.queries {
            let wanted = try #require(expected[name])
            let found = try numbers(try ask(path, sql))
            #expect(found.count == wanted.count, "\(sql)")
            for (place, (a, b)) in zip(found, wanted).enumerated() where !agree(a, b) {
                Issue.record("\(sql): value \(place) is \(a), not \(b)")
                break
            }
        }
    }

    private struct Reference: Decodable {
        struct Scalars: Decodable {
            let z, rolled: String
            let k, argmax: Int
            let mean, l2, logit, margin, logsumexp, logsumexp_t, entropy, entropy_t, softmax, softmax_t, cosine: Double
            let top: [Int]
        }
        struct Area: Decodable {
            let score: [Double]
            let positive: [Int]
            let auroc: Double
        }
        struct Loss: Decodable {
            let z: [String]
            let label: [Int]
            let nll: Double
        }
        struct Pair: Decodable {
            let a, b: [Int]
            let hellinger, coefficient: Double
        }
        let scalars: [Scalars]
        let areas: [Area]
        let losses: [Loss]
        let pairs: [Pair]
    }

    @Test("on vectors, scores and counts whose answers SciPy and scikit-learn gave")
    func frozen() throws {
        let path = try LogitsTableTests.shared.get().1
        let file = URL(fileURLWithPath: "\(projectFolder)/Tests/LogitSQLTests/reference.json")
        let reference = try JSONDecoder().decode(Reference.self, from: Data(contentsOf: file))
        func expect(_ sql: String, _ expected: [Double]) throws {
            let found = try numbers(try ask(path, sql))
            #expect(found.count == expected.count && zip(found, expected).allSatisfy(agree), "\(sql): \(found)")
        }
        for v in reference.scalars {
            for z in ["x'\(v.z)'", "to_json(x'\(v.z)')"] {
                try expect(
                    """
                    SELECT mean(z), l2(z), argmax(z), logit(z, \(v.k)), margin(z), logsumexp(z), logsumexp(z, 2.5), entropy(z),
                        entropy(z, 2.5), softmax(z, \(v.k)), softmax(z, \(v.k), 2.5), cosine(z, x'\(v.rolled)')
                    FROM (SELECT \(z) z)
                    """,
                    [
                        v.mean, v.l2, Double(v.argmax), v.logit, v.margin, v.logsumexp, v.logsumexp_t, v.entropy,
                        v.entropy_t, v.softmax, v.softmax_t, v.cosine,
                    ])
                try expect("SELECT class FROM top_k(\(z), 3)", v.top.map(Double.init))
            }
        }
        for area in reference.areas {
            let rows = zip(area.score, area.positive).map { "(\($0), \($1))" }.joined(separator: ",")
            try expect("SELECT auroc(column1, column2) FROM (VALUES \(rows))", [area.auroc])
        }
        for loss in reference.losses {
            let rows = zip(loss.z, loss.label).map { "(x'\($0)', \($1))" }.joined(separator: ",")
            try expect("SELECT nll(column1, column2) FROM (VALUES \(rows))", [loss.nll])
        }
        for pair in reference.pairs {
            let rows = zip(pair.a, pair.b).map { "(\($0), \($1))" }.joined(separator: ",")
            let names = ["bhattacharyya", "bhattacharyya_distance", "hellinger"]
            let expected = [pair.coefficient, -log(pair.coefficient), pair.hellinger]
            for (name, value) in zip(names, expected) {
                for sql in [
                    "SELECT \(name)('\(pair.a)', '\(pair.b)')",
                    "SELECT \(name)(json_group_array(column1), json_group_array(column2)) FROM (VALUES \(rows))",
                    "SELECT \(name)_agg(column1, column2) FROM (VALUES \(rows))",
                ] {
                    let found = try numbers(try ask(path, sql))
                    #expect(found.count == 1 && abs(found[0] - value) < 1e-14, "\(sql): \(found), not \(value)")
                }
            }
        }
    }
}
