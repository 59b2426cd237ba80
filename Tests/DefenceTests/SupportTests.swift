import Analysis
import CorpusStore
import Defence
import Foundation
import Logits
import Shards
import TestSupport
import Testing

/// H of the two-layer network at z, by its closed form W2 · diag(W1 z + b1 > 0) · W1, in double.
private func jacobian(_ parameters: [Float], hidden: Int, classes: Int, at z: ArraySlice<Float>) -> [[Double]] {
    let weight1 = parameters[..<(hidden * classes)]
    let bias1 = Array(parameters[(hidden * classes)...].prefix(hidden))
    let weight2 = Array(parameters[(hidden * classes + hidden)...].prefix(hidden * classes))
    let inputs = z.map(Double.init)
    let active = (0..<hidden).map { d in
        (0..<classes).reduce(Double(bias1[d])) { $0 + Double(weight1[d * classes + $1]) * inputs[$1] } > 0
    }
    return (0..<classes).map { out in
        (0..<classes).map { k in
            (0..<hidden).reduce(0.0) { sum, d in
                active[d] ? sum + Double(weight2[out * hidden + d]) * Double(weight1[d * classes + k]) : sum
            }
        }
    }
}

/// Counts made the long way, from the whole Jacobian of each row.
private struct Recount {
    var images = 0
    var counts = [Int](repeating: 0, count: Synthetic.classes)
    var pushFirst = [Int](repeating: 0, count: Synthetic.classes)
    var sums = [Double](repeating: 0, count: Synthetic.classes)
    var pulls = [Double](repeating: 0, count: Synthetic.classes)
    var ownFirst = 0

    init(_ store: Synthetic, _ parameters: [Float], rows: [Int], top: Int) {
        for row in rows {
            let H = jacobian(parameters, hidden: 32, classes: Synthetic.classes, at: store.attacked.row(row))
            let mean = (0..<Synthetic.classes).map { k in H.reduce(0.0) { $0 + $1[k] } / Double(Synthetic.classes) }
            let label = Int(store.attacked.label[row])
            let S = (0..<Synthetic.classes).map { H[label][$0] - mean[$0] }
            let order = S.indices.sorted { (S[$1], $0) < (S[$0], $1) }
            for k in order.prefix(top) { counts[k] += 1 }
            if order[0] == label { ownFirst += 1 }
            pushFirst[mean.indices.min { (mean[$0], $0) < (mean[$1], $1) } ?? 0] += 1
            for k in 0..<Synthetic.classes {
                sums[k] += S[k]
                pulls[k] += H[label][k]
            }
            images += 1
        }
    }
}

private func request(_ store: Synthetic) -> SupportRequest {
    SupportRequest(manifest: store.manifest, split: store.split, network: store.network, attack: "pgd")
}

@Test(
    "supporting classes are those of the whole Jacobian of every valid row; a selection and --corrected-only restrict")
func supportingClasses() throws {
    let store = try Synthetic()
    try trainWhole(try store.trainer { $0.epochs = 6 })
    let defender = try StoredDefender(store.corpus, "g")
    let net = try defender.net()
    let parameters = try net.values(.parameters)
    let valid = (0..<600).filter { $0 % 11 != 0 }
    let corrected = try valid.filter {
        argMax(try net.correct(Array(store.attacked.row($0)))) == store.attacked.label[$0]
    }
    #expect(corrected.count > 100 && corrected.count < valid.count)
    let some = (0..<600).filter { $0 % 3 == 1 }
    for (rows, chosen, only) in [
        (valid, nil, false), (some.filter { $0 % 11 != 0 }, store.selection(some.map(Int64.init)), false),
        (corrected, nil, true),
    ] as [([Int], SelectionFile?, Bool)] {
        var request = request(store)
        (request.selection, request.correctedOnly, request.top) = (chosen, only, 3)
        let result = try Support.run(store.corpus, request, defender: defender)
        let recount = Recount(store, parameters, rows: rows, top: 3)
        #expect(result.images == recount.images && result.ownFirst == Proportion(recount.ownFirst, of: rows.count))
        #expect(result.invalid == (chosen == nil ? 55 : 18) && result.classes.map(\.rank) == Array(1...10))
        for one in result.classes {
            #expect(one.count == recount.counts[one.class] && one.pushFirst == recount.pushFirst[one.class])
            #expect(abs(one.support - recount.sums[one.class] / Double(rows.count)) < 1e-5)
            #expect(abs(one.pull - recount.pulls[one.class] / Double(rows.count)) < 1e-5)
            #expect(abs(one.support - one.pull - one.push) < 1e-6 && one.name == "class \(one.class)")
        }
        #expect(result.classes.map(\.count) == recount.counts.sorted(by: >))
        if only { #expect(result.corrected == result.images) }
    }
}

@Test(
    "one image's supporting classes are its largest S, by id or ordinal; an invalid row and an unknown image are refused"
)
func instance() throws {
    let store = try Synthetic()
    try trainWhole(try store.trainer())
    let defender = try StoredDefender(store.corpus, "g")
    // The corpus knows no images: one list is made for the split's name.
    let images = (0..<600).map {
        ListedImage(id: store.attacked.image[$0], label: store.attacked.label[$0], digest: Digest.hex("\($0)"))
    }
    var split = store.split
    split.digest = Digest.hex(Corpus.imageListBytes(images))
    let folder = "\(store.corpus.layout.datasets)/\(split.dataset)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try Data(Corpus.imageListBytes(images)).write(to: URL(fileURLWithPath: "\(folder)/\(split.split).images.tsv"))
    // Rows of other images than the list's are refused, here as everywhere.
    var stale = request(store)
    stale.split = split
    let refused = #expect(throws: LogitError.self) {
        try Support.instance(store.corpus, stale, defender: defender, image: "7")
    }
    #expect(refused?.code == .stale)
    let unknown = #expect(throws: LogitError.self) {
        try Support.instance(store.corpus, stale, defender: defender, image: "600")
    }
    #expect(unknown?.code == .notFound && unknown?.message.contains("0 to 599") == true)
}

@Test("nothing to count, a --top beyond the classes and a defender of other classes are one sentence")
func nothing() throws {
    let store = try Synthetic()
    try trainWhole(try store.trainer())
    let defender = try StoredDefender(store.corpus, "g")
    for top in [0, 11, -1] {
        var request = request(store)
        request.top = top
        let error = #expect(throws: LogitError.self) {
            try Support.run(store.corpus, request, defender: defender)
        }
        #expect(error?.code == .usage && error?.message.contains("--top is \(top)") == true)
    }
    var clean = request(store)
    (clean.attack, clean.correctedOnly) = ("clean", true)
    let none = #expect(throws: LogitError.self) { try Support.run(store.corpus, clean, defender: defender) }
    #expect(none?.message.contains("--corrected-only") == true)
    var fewer = request(store)
    fewer.split.classNames = ["a", "b"]
    #expect(throws: LogitError.self) { try Support.run(store.corpus, fewer, defender: defender) }
}
