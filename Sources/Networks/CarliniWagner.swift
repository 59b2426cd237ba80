import CAttackKernels
import Logits

/// Carlini & Wagner's L2 attack (2017), as CleverHans has it, but for stopping: here an image aborts by itself, whatever its
/// neighbours do.
///
/// With w = atanh((2x − 1)·0.999999) and x' = (tanh(w + δ) + 1)/2, Adam minimises
/// ‖x' − x₀‖² + c·max(0, z_y − max over j ≠ y of z_j + κ) over δ, where x₀ is the tanh round trip of x. A binary search over
/// c starts δ and Adam anew each time. The best x' so far is judged on the image whose logits were just computed. An image
/// stops a search step where its loss, checked each ⌊steps/10⌋ iterations and before that iterate is recorded, is above
/// 0.9999 times the one checked before.
struct CarliniWagner: Attacker {
    package enum Abort: String, CaseIterable { case image, none }

    let variant: Variant
    let usesRandomness = false
    private let confidence: Float
    private let learningRate: Double
    private let steps: Int
    private let searchSteps: Int
    private let initialCost: Double
    private let abort: Abort
    private let label: LabelPolicy

    static let definition = AttackDefinition(
        name: "cw", summary: "Carlini & Wagner: the smallest L2 change by Adam, with a binary search over its cost",
        parameters: [
            .number("confidence", 0, in: 0...1000, "κ: the gap of logits by which the label must lose"),
            .number("learning-rate", 0.01, in: 1e-9...100, "Adam's"),
            .whole("steps", 25, in: 1...100_000, "Adam steps of each search step"),
            .whole("search-steps", 4, in: 1...100, "binary search steps over the cost c"),
            .number("initial-cost", 10, in: 1e-9...1e9, "the first c, the weight of the logits against the distance"),
            .word(
                "abort", Abort.allCases.map(\.rawValue),
                "image: an image stops where its loss no longer falls; none: never"),
            .label,
        ]
    ) { variant, parameters in
        CarliniWagner(
            variant: variant, confidence: Float(parameters.number("confidence")),
            learningRate: parameters.number("learning-rate"), steps: parameters.whole("steps"),
            searchSteps: parameters.whole("search-steps"), initialCost: parameters.number("initial-cost"),
            abort: Abort(rawValue: parameters.word("abort")) ?? .image, label: parameters.label)
    }

    func run(_ block: AttackBlock, on classifier: any Classifier) throws(LogitError) -> AttackedBlock {
        let classes = classifier.classCount
        var logits = [Float](repeating: 0, count: block.count * classes)
        try classifier.logits(block.images, count: block.count, into: &logits)
        var judge = Judge(block, classes: classes, policy: label)
        judge.before(logits)
        var state = CarliniWagnerState(block, size: classifier.inputShape.valueCount, initialCost: initialCost)
        // An image that is wrong already is done: hinge and distance have no gradient there.
        let attacked = (0..<block.count).filter { judge.isValid($0) && !judge.isTrivial($0) }
        for search in 0..<searchSteps {
            if search > 0 {
                // As CleverHans does: the last of many search steps tries the smallest cost that is known to succeed.
                let isLast = searchSteps >= 10 && search == searchSteps - 1
                for image in attacked { state.search[image].advance(toUpper: isLast) }
            }
            state.restart()
            try minimise(&state, attacked.filter(judge.isValid), &judge, classifier)
        }
        try classifier.logits(state.best, count: block.count, into: &logits)
        return judge.result(
            logits: logits, images: state.best, iterations: state.iterations,
            cost: state.search.map { Float($0.cost) })
    }

    /// One search step: Adam from δ = 0 for each image until it stops.
    private func minimise(
        _ state: inout CarliniWagnerState, _ images: [Int], _ judge: inout Judge, _ classifier: any Classifier
    ) throws(LogitError) {
        let classes = classifier.classCount
        let interval = max(1, steps / 10)
        var checked = [Double](repeating: 1e6, count: state.count)
        var running = images
        for step in 1...steps where !running.isEmpty {
            let distances = state.makeBatch(running)
            var logits = [Float](repeating: 0, count: running.count * classes)
            let pass = try classifier.pass(state.batch, count: running.count, logits: &logits)
            var cotangent = [Float](repeating: 0, count: logits.count)
            var left: [Int] = []
            for (row, image) in running.enumerated() {
                let z = logits[row * classes..<(row + 1) * classes]
                state.iterations[image] += 1
                guard z.allSatisfy(\.isFinite) else {
                    judge.invalidate(image)
                    continue
                }
                let label = Int(judge.attacked[image])
                let (gap, rival) = gapToRival(z, label)
                let hinge = max(0, gap + confidence)
                let loss = distances[row] + state.search[image].cost * Double(hinge)
                if abort == .image && (step - 1) % interval == 0 {
                    if loss > 0.9999 * checked[image] { continue }
                    checked[image] = loss
                }
                if isFooled(gap, label, rival) { state.keep(row, image, distances[row]) }
                left.append(row)
                guard hinge > 0 else { continue }  // a cotangent of zero costs nothing
                let cost = Float(state.search[image].cost)
                cotangent[row * classes + label] = cost
                cotangent[row * classes + rival] = -cost
            }
            guard step < steps, !left.isEmpty else { break }
            try state.descend(pass, cotangent, classes, rows: left, of: running, step, learningRate, &judge)
            running = left.map { running[$0] }.filter(judge.isValid)
        }
    }

    /// z_y − max over j ≠ y of z_j, and the j of that maximum (ties: lower index).
    private func gapToRival(_ z: ArraySlice<Float>, _ label: Int) -> (gap: Float, rival: Int) {
        var rival = label == 0 ? 1 : 0
        for index in 0..<z.count where index != label && z[z.startIndex + index] > z[z.startIndex + rival] {
            rival = index
        }
        return (z[z.startIndex + label] - z[z.startIndex + rival], rival)
    }

    /// Whether the arg max of z + κ·e_y is not y (ties: lower index).
    private func isFooled(_ gap: Float, _ label: Int, _ rival: Int) -> Bool {
        gap + confidence < 0 || (gap + confidence == 0 && rival < label)
    }
}
