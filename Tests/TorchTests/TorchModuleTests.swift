import Glibc
import Logits
import Platform
import TestSupport
import Testing
import Torch

private let module = "\(projectFolder)/fixtures/networks/residual.pt"
private let classes = 100

/// A batch of noise, and what the module makes of it.
private struct Batch: Sendable {
    let images: [Float]
    let labels: [Int32]
    var shape: BatchShape { BatchShape(count: labels.count, channels: 3, height: 32, width: 32) }

    init(count: Int, seed: UInt64) {
        images = [Float](unsafeUninitializedCapacity: count * 3072) { buffer, filled in
            Philox(key: seed).fillUniform(buffer)
            filled = count * 3072
        }
        labels = (0..<count).map { Int32(($0 * 7 + Int(seed)) % classes) }
    }

    /// Logits of a forward pass, logits of a gradient pass, gradient: all bits.
    func bits(_ module: TorchModule) throws -> [UInt32] {
        var forward = [Float](repeating: 0, count: labels.count * classes)
        var logits = forward
        var gradient = [Float](repeating: 0, count: images.count)
        try module.logits(images, shape, classCount: classes, into: &forward)
        try module.pass(images, shape, classCount: classes, logits: &logits)
            .crossEntropyGradient(labels: labels, into: &gradient)
        return (forward + logits + gradient).map(\.bitPattern)
    }
}

private func load(_ options: ModuleOptions) throws -> TorchModule {
    try TorchLibrary.shared().configure(intraOpThreads: 1)
    return try TorchModule(path: module, options: options)
}

@Test(
    "first call, later calls, another copy of the module and two threads at once give the same bits",
    arguments: [true, false], [true, false])
func sameBits(fold: Bool, channelsLast: Bool) throws {
    let options = ModuleOptions(fold: fold, channelsLast: channelsLast)
    let batches = [Batch(count: 8, seed: 1), Batch(count: 5, seed: 2)]
    let shared = try load(options)
    // Each batch first on a module of its own, so that both are a first call.
    let expected = try batches.map { try $0.bits(try load(options)) }
    let differing = BoundedQueue<String>(capacity: 1000)
    inParallel(4) { thread in
        for turn in 0..<12 {
            let which = (thread + turn / 3) % 2
            let same = (try? batches[which].bits(shared)) == expected[which]
            if !same { differing.push("thread \(thread), call \(turn)") }
        }
    }
    differing.close()
    #expect(differing.pop() == nil)
}

@Test("a gradient is that of finite differences of the loss", arguments: [true, false])
func finiteDifferences(channelsLast: Bool) throws {
    let module = try load(ModuleOptions(fold: false, channelsLast: channelsLast))
    let batch = Batch(count: 2, seed: 3)
    var logits = [Float](repeating: 0, count: 2 * classes)
    var gradient = [Float](repeating: 0, count: batch.images.count)
    try module.pass(batch.images, batch.shape, classCount: classes, logits: &logits)
        .crossEntropyGradient(labels: batch.labels, into: &gradient)
    func loss(_ images: [Float]) throws -> Double {
        try module.logits(images, batch.shape, classCount: classes, into: &logits)
        return (0..<2).reduce(0.0) { sum, image in
            let row = logits[image * classes..<(image + 1) * classes].map(Double.init)
            let top = row.max() ?? 0
            return sum + top + log(row.reduce(0) { $0 + exp($1 - top) }) - row[Int(batch.labels[image])]
        }
    }
    // Along the gradient itself, so that the change stands out from the rounding of float32.
    let norm = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    let step = 2e-3
    func moved(_ sign: Double) -> [Float] {
        zip(batch.images, gradient).map { Float(Double($0) + sign * step * Double($1) / norm) }
    }
    let slope = (try loss(moved(1)) - loss(moved(-1))) / (2 * step)
    #expect((slope - norm).magnitude < 0.02 * norm, "\(slope) and \(norm)")
}

@Test("normalisation between image and module is that of the images normalised beforehand")
func normalisation() throws {
    let batch = Batch(count: 3, seed: 4)
    let (mean, deviation): ([Float], [Float]) = ([0.25, 0.5, 0.125], [0.5, 0.25, 2])
    let plain = try load(ModuleOptions(fold: false))
    let normalising = try load(
        ModuleOptions(fold: false, normalisation: .init(mean: mean, deviation: deviation)))
    // Powers of two: both ways round alike.
    let beforehand = batch.images.enumerated().map { index, value in
        let channel = index / 1024 % 3
        return (value - mean[channel]) / deviation[channel]
    }
    var (first, second) = ([Float](repeating: 0, count: 3 * classes), [Float](repeating: 1, count: 3 * classes))
    try normalising.logits(batch.images, batch.shape, classCount: classes, into: &first)
    try plain.logits(beforehand, batch.shape, classCount: classes, into: &second)
    #expect(first == second)
}

@Test("another class count than the module's is refused in one sentence that names the module")
func wrongClassCount() throws {
    let module = try load(ModuleOptions())
    let batch = Batch(count: 2, seed: 5)
    var logits = [Float](repeating: 0, count: 2 * 10)
    let error = #expect(throws: LogitError.self) {
        try module.logits(batch.images, batch.shape, classCount: 10, into: &logits)
    }
    #expect(error?.message.contains("residual.pt") == true && error?.message.contains("[2, 100]") == true)
}
