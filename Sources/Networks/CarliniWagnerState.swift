import CAttackKernels
import Glibc
import Logits

/// The binary search over the cost c of one image.
struct CostSearch {
    private var lower = 0.0
    private var upper = 1e10
    private(set) var cost: Double
    /// Whether an iterate of the present search step fooled the network.
    var hasFooled = false

    init(initialCost: Double) { cost = initialCost }

    /// Takes the next cost after a search step.
    /// - Parameter toUpper: the smallest cost that succeeded, instead of the middle.
    mutating func advance(toUpper: Bool) {
        if hasFooled { upper = min(upper, cost) } else { lower = max(lower, cost) }
        cost = upper < 1e9 ? (lower + upper) / 2 : cost * 10
        if toUpper { cost = upper }
        hasFooled = false
    }
}

/// Values of some images, one row an image, for the kernels.
private final class ImageRows {
    let size: Int
    let values: UnsafeMutableBufferPointer<Float>

    init(count: Int, size: Int) {
        self.size = size
        values = .allocate(capacity: count * size)
        clear()
    }

    deinit { values.deallocate() }

    func clear() { values.initialize(repeating: 0) }
    func row(_ index: Int) -> UnsafeMutablePointer<Float> { values.part(index, size) }
}

/// What Carlini & Wagner's attack keeps of each image of a block, and the batch of those that run.
struct CarliniWagnerState {
    let count: Int
    private let size: Int
    /// w, and x₀: the image after its way through tanh.
    private let w: ImageRows
    private let origin: ImageRows
    private let delta: ImageRows
    private let firstMoment: ImageRows
    private let secondMoment: ImageRows
    private var gradient: [Float] = []
    /// The x' of the running images, in the order of the last `makeBatch`.
    private(set) var batch: [Float] = []
    /// The nearest x' that fooled the network, else the image itself.
    private(set) var best: [Float]
    private var bestDistance: [Double]
    var iterations: [Int32]
    var search: [CostSearch]

    init(_ block: AttackBlock, size: Int, initialCost: Double) {
        count = block.count
        self.size = size
        w = ImageRows(count: count, size: size)
        origin = ImageRows(count: count, size: size)
        delta = ImageRows(count: count, size: size)
        firstMoment = ImageRows(count: count, size: size)
        secondMoment = ImageRows(count: count, size: size)
        best = block.images
        bestDistance = [Double](repeating: .infinity, count: count)
        iterations = [Int32](repeating: 0, count: count)
        search = [CostSearch](repeating: CostSearch(initialCost: initialCost), count: count)
        let all = Int64(count * size)
        attack_cw_start(w.values.baseAddress, block.images, all)
        _ = attack_cw_image(origin.values.baseAddress, w.values.baseAddress, delta.values.baseAddress, best, all)
    }

    /// Begins a search step: δ and Adam's moments are zero.
    func restart() {
        delta.clear()
        firstMoment.clear()
        secondMoment.clear()
    }

    /// Fills `batch` with the x' of some images.
    /// - Returns: ‖x' − x₀‖² of each.
    mutating func makeBatch(_ images: [Int]) -> [Double] {
        batch = [Float](repeating: 0, count: images.count * size)
        return batch.withUnsafeMutableBufferPointer { batch in
            images.enumerated().map { row, image in
                attack_cw_image(
                    batch.part(row, size), w.row(image), delta.row(image), origin.row(image), Int64(size))
            }
        }
    }

    /// Notes that row `row` of the batch fooled the network.
    mutating func keep(_ row: Int, _ image: Int, _ distance: Double) {
        search[image].hasFooled = true
        guard distance < bestDistance[image] else { return }
        bestDistance[image] = distance
        best.replaceSubrange(image * size..<(image + 1) * size, with: batch[row * size..<(row + 1) * size])
    }

    /// One Adam step of some rows of the batch; an image whose network has no usable gradient becomes invalid.
    /// - Parameter step: 1 for the first of a search step.
    mutating func descend(
        _ pass: any GradientPass, _ cotangent: [Float], _ classes: Int, rows: [Int], of running: [Int], _ step: Int,
        _ learningRate: Double, _ judge: inout Judge
    ) throws(LogitError) {
        let asked = rows.map { row in cotangent[row * classes..<(row + 1) * classes].contains { $0 != 0 } }
        if gradient.count != batch.count { gradient = [Float](repeating: 0, count: batch.count) }
        if asked.contains(true) { try pass.gradient(of: .cotangent(cotangent), into: &gradient) }
        let adam = attack_adam(
            rate: Float(learningRate / (1 - pow(0.9, Double(step)))),
            correction: Float((1 - pow(0.999, Double(step))).squareRoot()))
        gradient.withUnsafeBufferPointer { gradient in
            batch.withUnsafeBufferPointer { batch in
                for (row, isAsked) in zip(rows, asked) {
                    let image = running[row]
                    let slope = isAsked ? gradient.part(row, size) : nil
                    guard slope == nil || attack_usable(slope, Int64(size)) == 2 else {
                        judge.invalidate(image)
                        continue
                    }
                    attack_cw_step(
                        delta.row(image), firstMoment.row(image), secondMoment.row(image), batch.part(row, size),
                        origin.row(image), slope, Int64(size), adam)
                }
            }
        }
    }
}
