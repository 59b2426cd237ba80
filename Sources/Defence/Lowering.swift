import Analysis
import CorpusStore
import Logits
import Torch

/// What becomes of corrected images when some of their logits are lowered before the defender (paper, section 5.2): those of the
/// supporting classes of the attack, of each image's own largest S_k, and, as a control, of as many random classes.
package enum Lowering {
    /// Figures `corrected` (the defender still right) and `at_attacked` (it says what the network said of the attacked image) for
    /// the subjects `none`, `supporting`, `own` and `random`, over the images that the network gets wrong and the defender right.
    /// - Parameters:
    ///   - request: its `top` is how many classes are lowered; `correctedOnly` is implied.
    ///   - amount: what is taken from each logit.
    ///   - seed: of the random classes, which are drawn for each image anew.
    package static func run(
        _ corpus: Corpus, _ request: SupportRequest, defender: StoredDefender, amount: Float = 20, seed: UInt64 = 0,
        shouldStop: () -> Bool = { false }
    ) throws(LogitError) -> AnalysisResult {
        guard amount.isFinite, amount > 0 else {
            throw LogitError(.usage, "--by is \(amount); give a positive number, for instance 20")
        }
        // The attack's supporting classes are those of all its images.
        var all = request
        all.correctedOnly = false
        let supporting = try Support.run(corpus, all, defender: defender, shouldStop: shouldStop)
        let common = supporting.supporting.map(\.class)
        let (net, rows) = try Support.subject(corpus, request, defender)
        var counts: [String: Counts] = [:]
        var images = 0
        let random = Philox(key: seed)
        try rows.visit(request.attack, batchRows: Evaluation.batchRows) { (table) throws(LogitError) in
            if shouldStop() { throw LogitError(.cancelled, "stopped; nothing is kept, run the same command again") }
            let first = try net.support(table.logits, labels: table.label)
            let chosen = (0..<table.count).filter { row in
                !table.isInvalid(row) && table.prediction[row] != table.label[row]
                    && argMax(first.corrected[row * table.classCount..<(row + 1) * table.classCount])
                        == table.label[row]
            }
            guard !chosen.isEmpty else { return }
            images += chosen.count
            let part = table.picking(chosen)
            let own = chosen.map { row in
                first.support.withUnsafeBufferPointer {
                    let range = row * table.classCount..<(row + 1) * table.classCount
                    return topClasses(UnsafeBufferPointer(rebasing: $0[range]), request.top)
                }
            }
            let classes: [(String, (Int) -> [Int])] = [
                ("none", { _ in [] }), ("supporting", { _ in common }), ("own", { own[$0] }),
                (
                    "random",
                    { draw(request.top, of: table.classCount, random, stream: UInt64(bitPattern: part.ordinal[$0])) }
                ),
            ]
            for (subject, of) in classes {
                counts[subject, default: Counts()].add(
                    part, try net.correct(part.lowered(by: amount, of)))
            }
        }
        guard images > 0 else {
            throw LogitError(
                .badInput,
                "defender \(defender.descriptor.name) corrects no image of \(request.split.dataset)/\(request.split.split) under \(request.attack), so there is nothing to lower; train it longer, or choose other rows"
            )
        }
        let figures = ["none", "supporting", "own", "random"].flatMap { subject in
            let one = counts[subject] ?? Counts()
            return [
                AnalysisFigure(request.attack, subject, "corrected", Proportion(one.right, of: images)),
                AnalysisFigure(request.attack, subject, "at_attacked", Proportion(one.attacked, of: images)),
            ]
        }
        var options = asked(request, amount: amount, seed: seed)
        options["supporting"] = common.map(String.init).joined(separator: ",")
        return request.result(
            Analyses.lowering, defender.descriptor, attacks: [request.attack], images: images,
            invalid: supporting.invalid, options: options, figures: figures)
    }

    /// The options of a result, as it tells them.
    package static func asked(_ request: SupportRequest, amount: Float = 20, seed: UInt64 = 0) -> [String: String] {
        ["by": "\(amount)", "top": "\(request.top)", "seed": "\(seed)"]
    }

    private struct Counts {
        var right = 0
        var attacked = 0

        mutating func add(_ table: RowTable, _ corrected: [Float]) {
            for row in 0..<table.count {
                let said = argMax(corrected[row * table.classCount..<(row + 1) * table.classCount])
                if said == table.label[row] { right += 1 }
                if said == table.prediction[row] { attacked += 1 }
            }
        }
    }

    /// Some classes, each set as likely as any other: the beginning of a shuffle.
    static func draw(_ count: Int, of classes: Int, _ random: Philox, stream: UInt64) -> [Int] {
        var order = Array(0..<classes)
        for place in 0..<min(count, classes) {
            let (high, _) = random.bits(UInt64(place), stream: stream).multipliedFullWidth(by: UInt64(classes - place))
            order.swapAt(place, place + Int(high))
        }
        return Array(order.prefix(count))
    }
}

extension RowTable {
    /// The logits with those of some classes of each row lowered.
    fileprivate func lowered(by amount: Float, _ classes: (Int) -> [Int]) -> [Float] {
        var changed = logits
        for row in 0..<count {
            for one in classes(row) { changed[row * classCount + one] -= amount }
        }
        return changed
    }
}
