import Analysis
import CorpusStore
import Defence
import Foundation
import Logits
import TestSupport
import Testing
import Torch

private func request(_ store: Synthetic) -> SupportRequest {
    SupportRequest(manifest: store.manifest, split: store.split, network: store.network, attack: "pgd")
}

private func figure(_ result: AnalysisResult, _ attack: String, _ subject: String, _ measure: String) throws
    -> AnalysisFigure
{
    try #require(result.figures.first { $0.attack == attack && $0.subject == subject && $0.measure == measure })
}

/// Rows that the network gets wrong and the defender right.
private func corrected(_ store: Synthetic, _ net: DefenderNet) throws -> [Int] {
    try (0..<600).filter {
        try ($0 % 11 != 0 && argMax(net.correct(Array(store.attacked.row($0)))) == store.attacked.label[$0])
    }
}

@Test("lowering counts what a plain loop counts, over corrected images alone; the control is drawn for each image")
func lowering() throws {
    let store = try Synthetic()
    try trainWhole(try store.trainer { $0.epochs = 6 })
    let defender = try StoredDefender(store.corpus, "g")
    let net = try defender.net()
    var request = request(store)
    request.top = 2
    let result = try Lowering.run(store.corpus, request, defender: defender, amount: 5, seed: 1)
    let rows = try corrected(store, net)
    let supporting = try Support.run(store.corpus, request, defender: defender).supporting.map(\.class)
    #expect(result.options["supporting"] == supporting.map(String.init).joined(separator: ","))
    var counts: [String: [Int]] = [:]
    for row in rows {
        let z = Array(store.attacked.row(row))
        let own = try net.support(z, labels: [store.attacked.label[row]]).support
        let classes = ["none": [], "supporting": supporting, "own": own.withUnsafeBufferPointer { topClasses($0, 2) }]
        for (subject, lowered) in classes {
            var changed = z
            for one in lowered { changed[one] -= 5 }
            let said = argMax(try net.correct(changed))
            counts[subject, default: [0, 0]][0] += said == store.attacked.label[row] ? 1 : 0
            counts[subject, default: [0, 0]][1] += said == store.attacked.prediction[row] ? 1 : 0
        }
    }
    for (subject, count) in counts {
        #expect(try figure(result, "pgd", subject, "corrected").count == count[0])
        #expect(try figure(result, "pgd", subject, "at_attacked").count == count[1])
    }
    #expect(try figure(result, "pgd", "none", "corrected").value == 1 && result.images == rows.count)
    #expect(try figure(result, "pgd", "own", "corrected").count != rows.count)
    let again = try Lowering.run(store.corpus, request, defender: defender, amount: 5, seed: 1)
    let other = try Lowering.run(store.corpus, request, defender: defender, amount: 5, seed: 2)
    #expect(again.figures == result.figures && other.figures != result.figures)
    let wrong = #expect(throws: LogitError.self) {
        try Lowering.run(store.corpus, request, defender: defender, amount: 0)
    }
    #expect(wrong?.code == .usage)
}

@Test("accuracies at a precision are those of logits rounded one by one")
func precision() throws {
    let store = try Synthetic()
    try trainWhole(try store.trainer { $0.epochs = 6 })
    let defender = try StoredDefender(store.corpus, "g")
    let net = try defender.net()
    let precisions: [Precision] = [.float32, .float16, .keepBits(4), .keepBits(1)]
    let result = try PrecisionAblation.run(
        store.corpus, request(store), attacks: ["clean", "pgd"], precisions: precisions, defender: defender)
    for (attack, table) in [("clean", store.clean), ("pgd", store.attacked)] {
        let rows = (0..<600).filter { !table.isInvalid($0) }
        for precision in precisions {
            var (before, after, same) = (0, 0, 0)
            for row in rows {
                let z = table.row(row).map(precision.rounded)
                let said = argMax(try net.correct(z))
                before += argMax(z) == table.label[row] ? 1 : 0
                after += said == table.label[row] ? 1 : 0
                same += said == argMax(try net.correct(Array(table.row(row)))) ? 1 : 0
            }
            let name = precision.description
            #expect(try figure(result, attack, name, "undefended").count == before)
            #expect(try figure(result, attack, name, "corrected").count == after)
            #expect(try figure(result, attack, name, "same").count == same)
        }
    }
    #expect(try figure(result, "pgd", "float32", "same").value == 1 && result.invalid == 55)
}

@Test("detection: scores as defined over paired rows; what is learnt comes from other images")
func detection() throws {
    let store = try Synthetic()
    try trainWhole(try store.trainer { $0.epochs = 6 })
    let defender = try StoredDefender(store.corpus, "g")
    let net = try defender.net()
    var rows = request(store)
    rows.selection = store.selection((300..<600).map(Int64.init))
    let plain = try Detection.run(
        store.corpus, DetectionRequest(rows: rows, attacks: ["pgd"], learning: nil), defender: defender)
    let judged = (300..<600).filter { $0 % 11 != 0 }
    #expect(plain.images == judged.count && plain.figures.map(\.subject) == ["changed", "mean", "energy"])
    func roc(_ score: (ArraySlice<Float>) throws -> Double) throws -> ROC {
        let scored = try [store.attacked, store.clean].map { table in
            try judged.map { ROC.Row(image: Int64($0), score: try score(table.row($0))) }
        }
        return try #require(ROC(positives: scored[0], negatives: scored[1]))
    }
    let expected = [
        "changed": try roc { argMax(try net.correct(Array($0))) == argMax($0) ? 0 : 1 },
        "mean": try roc { $0.reduce(0.0) { $0 + Double($1) } / 10 },
        "energy": try roc { -log($0.reduce(0.0) { $0 + exp(Double($1)) }) },
    ]
    for (subject, roc) in expected {
        let found = try figure(plain, "pgd", subject, "auc")
        #expect(abs((found.value ?? -1) - roc.area) < 1e-9 && abs((found.low ?? -1) - roc.low) < 1e-9)
        #expect(found.rows == 2 * judged.count)
    }
    var learning = DetectionRequest(
        rows: rows, attacks: ["pgd"], learning: (store.split, store.selection((0..<300).map(Int64.init))))
    learning.seed = 3
    let learnt = try Detection.run(store.corpus, learning, defender: defender)
    #expect(learnt.figures.map(\.subject) == ["changed", "mean", "energy", "classifier"])
    #expect(learnt.options["learnt_from"] == "d/train:some" && learnt.options["direction.pgd.mean"] != nil)
    for selection in [nil, store.selection([299, 300])] {
        learning.learning = (store.split, selection)
        let error = #expect(throws: LogitError.self) { try Detection.run(store.corpus, learning, defender: defender) }
        #expect(error?.code == .usage && error?.message.contains("learnt from") == true)
    }
}

@Test("the classifier finds a difference in shape that no class shows, and is a function of its seed")
func classifier() throws {
    let random = Philox(key: 4)
    func rows(_ count: Int, sharp: Bool, _ stream: UInt64) -> [Float] {
        (0..<count).flatMap { row in
            let peak = Int(random.bits(UInt64(row), stream: stream) % 10)
            return (0..<10).map { k in
                Float(random.uniform(UInt64(row * 10 + k), stream: stream + 1)) + (k == peak ? (sharp ? 3 : 2) : 0)
            }
        }
    }
    let make = { (seed: UInt64) in
        try LogitClassifier(
            clean: rows(300, sharp: false, 10), attacked: rows(300, sharp: true, 20), classCount: 10, seed: seed)
    }
    let classifier = try make(1)
    let (clean, attacked) = (rows(200, sharp: false, 30), rows(200, sharp: true, 40))
    let scored = try [attacked, clean].map { try classifier.scores($0).map { ROC.Row(image: 0, score: $0) } }
    #expect(try #require(ROC(positives: scored[0], negatives: scored[1])).area > 0.9)
    #expect(try make(1).scores(clean) == classifier.scores(clean) && make(2).scores(clean) != classifier.scores(clean))
    #expect(throws: LogitError.self) { try LogitClassifier(clean: [], attacked: clean, classCount: 10, seed: 0) }
}
