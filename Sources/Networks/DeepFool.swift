import CAttackKernels
import Logits

/// DeepFool for the L2 norm (Moosavi-Dezfooli et al. 2016), as CleverHans has it: steps to the nearest of the linearised
/// boundaries to the other candidate classes, until the arg max is no longer the clean one.
///
/// At each iterate the candidates are the largest logits (ties: lower index first). With k_0 the largest of them,
/// w_k = ∇z_k − ∇z_0 and p_k = (|z_k − z_0| + 1e-5) / ‖w_k‖; for the smallest p: r += p·w/‖w‖. The test is at clip01(x + r),
/// the result is clip01(x + (1 + overshoot)·r), not tested again. One forward pass and candidates − 1 backward passes an
/// iteration, for the images still running.
struct DeepFool: Attacker {
    let variant: Variant
    let usesRandomness = false
    private let candidates: Int
    private let steps: Int
    private let overshoot: Double

    static let definition = AttackDefinition(
        name: "deepfool", summary: "The smallest L2 step over the nearest linearised class boundary, repeated",
        parameters: [
            .whole(
                "candidates", 10, in: 2...1_000_000, "the classes of largest logit considered, the clean one included"),
            .whole("steps", 100, in: 1...100_000, "most iterations of an image"),
            .number("overshoot", 0.02, in: 0...10, "how much further the found perturbation is carried"),
        ]
    ) { variant, parameters in
        DeepFool(
            variant: variant, candidates: parameters.whole("candidates"), steps: parameters.whole("steps"),
            overshoot: parameters.number("overshoot"))
    }

    /// What an iteration has found for one image: the smallest p, with its ‖w‖ and its w in `directions`.
    private struct Nearest {
        var ratio = Double.infinity
        var norm = 0.0
    }

    func run(_ block: AttackBlock, on classifier: any Classifier) throws(LogitError) -> AttackedBlock {
        let size = classifier.inputShape.valueCount
        let classes = classifier.classCount
        var judge = Judge(block, classes: classes, policy: .prediction)
        var iterations = [Int32](repeating: 0, count: block.count)
        var r = [Double](repeating: 0, count: block.images.count)
        var running = Array(0..<block.count)
        var batch = block.images
        for step in 0..<steps where !running.isEmpty {
            var logits = [Float](repeating: 0, count: running.count * classes)
            let pass = try classifier.pass(batch, count: running.count, logits: &logits)
            if step == 0 { judge.before(logits) }
            // Rows of the pass whose image is still where it was.
            var left: [Int] = []
            for (row, image) in running.enumerated() {
                let z = logits[row * classes..<(row + 1) * classes]
                if !z.allSatisfy(\.isFinite) { judge.invalidate(image) }
                if judge.isValid(image) && argMax(z) == judge.attacked[image] { left.append(row) }
            }
            var directions = [Float](repeating: 0, count: left.isEmpty ? 0 : batch.count)
            let nearest = try nearestBoundaries(pass, logits, left, classes, size, &directions)
            var next: [Int] = []
            for row in left {
                let image = running[row]
                iterations[image] += 1
                guard nearest[row].ratio.isFinite else {
                    judge.invalidate(image)  // no candidate has a gradient of its own
                    continue
                }
                add(nearest[row], directions, row, size, to: &r, image)
                next.append(image)
            }
            running = next
            batch = [Float](repeating: 0, count: running.count * size)
            for (row, image) in running.enumerated() { apply(r, block.images, image, size, factor: 1, to: &batch, row) }
        }
        var images = block.images
        for image in 0..<block.count { apply(r, block.images, image, size, factor: 1 + overshoot, to: &images, image) }
        var logits = [Float](repeating: 0, count: block.count * classes)
        try classifier.logits(images, count: block.count, into: &logits)
        return judge.result(logits: logits, images: images, iterations: iterations)
    }

    /// The nearest boundary of each row in `rows`; its w goes to `directions`.
    private func nearestBoundaries(
        _ pass: any GradientPass, _ logits: [Float], _ rows: [Int], _ classes: Int, _ size: Int,
        _ directions: inout [Float]
    ) throws(LogitError) -> [Nearest] {
        var nearest = [Nearest](repeating: Nearest(), count: logits.count / classes)
        guard !rows.isEmpty else { return nearest }
        let count = min(candidates, classes)
        let ranked = rows.map { largest(logits[$0 * classes..<($0 + 1) * classes], count) }
        var gradient = [Float](repeating: 0, count: directions.count)
        for rank in 1..<count {
            // Rows that are not asked for keep a cotangent of zero, which costs nothing.
            var cotangent = [Float](repeating: 0, count: logits.count)
            for (row, order) in zip(rows, ranked) {
                cotangent[row * classes + order[rank]] = 1
                cotangent[row * classes + order[0]] = -1
            }
            try pass.gradient(of: .cotangent(cotangent), into: &gradient)
            for (row, order) in zip(rows, ranked) {
                let z = row * classes
                let gap = Double((logits[z + order[rank]] - logits[z + order[0]]).magnitude) + 1e-5
                let norm = gradient.withUnsafeBufferPointer {
                    attack_square_norm($0.part(row, size), Int64(size)).squareRoot()
                }
                guard norm > 0, norm.isFinite, gap / norm < nearest[row].ratio else { continue }
                nearest[row] = Nearest(ratio: gap / norm, norm: norm)
                directions.replaceSubrange(row * size..<(row + 1) * size, with: gradient[row * size..<(row + 1) * size])
            }
        }
        return nearest
    }

    /// The places of the `count` largest logits, largest first; ties: lower index first.
    private func largest(_ logits: ArraySlice<Float>, _ count: Int) -> [Int] {
        var best: [Int] = []
        for index in logits.indices where best.count < count || logits[index] > logits[best[best.count - 1]] {
            if best.count == count { best.removeLast() }
            best.insert(index, at: best.firstIndex { logits[$0] < logits[index] } ?? best.count)
        }
        return best.map { $0 - logits.startIndex }
    }

    private func add(
        _ nearest: Nearest, _ directions: [Float], _ row: Int, _ size: Int, to r: inout [Double], _ image: Int
    ) {
        directions.withUnsafeBufferPointer { directions in
            r.withUnsafeMutableBufferPointer { r in
                attack_add_scaled(
                    r.part(image, size), directions.part(row, size), Int64(size), nearest.ratio / nearest.norm)
            }
        }
    }

    /// clip01(x + factor·r) of one image into one row.
    private func apply(
        _ r: [Double], _ clean: [Float], _ image: Int, _ size: Int, factor: Double, to batch: inout [Float], _ row: Int
    ) {
        batch.withUnsafeMutableBufferPointer { batch in
            clean.withUnsafeBufferPointer { clean in
                r.withUnsafeBufferPointer { r in
                    attack_apply(
                        batch.part(row, size), clean.part(image, size), r.part(image, size), Int64(size), factor)
                }
            }
        }
    }
}
