import Logits
import Torch

/// Runs an unknown module to find its input size and class count, or to say what is wrong with it.
package enum NetworkProbe {
    /// - Parameter candidates: input shapes to try, in order.
    /// - Throws: `badInput` with the reason: no TorchScript, no candidate fits, no [n, C] output, NaN, random output.
    package static func inspect(
        path: String, candidates: [ImageShape], mean: [Float]?, standardDeviation: [Float]?, fold: Bool
    ) throws(LogitError) -> (shape: ImageShape, classCount: Int) {
        try TorchLibrary.shared().configure(intraOpThreads: 1)
        let module = try TorchModule(
            path: path, options: ModuleOptions(fold: fold, normalisation: normalisation(mean, standardDeviation)))
        var reasons: [(shape: ImageShape, error: LogitError)] = []
        for shape in candidates {
            let batch = BatchShape(count: 2, channels: shape.channels, height: shape.height, width: shape.width)
            let dimensions: [Int]
            do throws(LogitError) {
                dimensions = try module.outputDimensions(batch)
            } catch {
                reasons.append((shape, error))
                continue
            }
            guard dimensions.count == 2, dimensions[0] == 2, dimensions[1] >= 2 else {
                throw LogitError(
                    .badInput,
                    "\(path) returns a tensor of \(dimensions) for 2 images of \(shape), not [2, classes]; a classifier must return one logit a class"
                )
            }
            try check(module, batch, classCount: dimensions[1])
            return (shape, dimensions[1])
        }
        // The same reason whatever the size is not about the size.
        if let first = reasons.first, reasons.allSatisfy({ $0.error.message == first.error.message }) {
            throw first.error
        }
        let tried = candidates.map(\.description).joined(separator: " and ")
        throw LogitError(
            .badInput,
            "\(path) takes no images of \(tried) (\(reasons[0].error.message)); say its size with --input, for instance --input 3x32x32"
        )
    }

    /// Finite logits, the same at a second run.
    private static func check(_ module: TorchModule, _ batch: BatchShape, classCount: Int) throws(LogitError) {
        let random = Philox(key: 0x6c6f_6769_7473)
        let images = [Float](unsafeUninitializedCapacity: batch.valueCount) { buffer, filled in
            random.fillUniform(buffer)
            filled = batch.valueCount
        }
        var first = [Float](repeating: 0, count: batch.count * classCount)
        var second = first
        try module.logits(images, batch, classCount: classCount, into: &first)
        try module.logits(images, batch, classCount: classCount, into: &second)
        guard first.allSatisfy(\.isFinite) else {
            throw LogitError(
                .badInput, "\(module.path) gives NaN or infinite logits; check its weights and normalisation")
        }
        guard first == second else {
            throw LogitError(
                .badInput,
                "\(module.path) gives other logits at each run, so it holds randomness; export it in eval mode")
        }
    }
}

/// Rows that a network computes at once: a fixed size stored with the network, since it decides the last bits of a result.
/// docs/measurements.md has the timings behind it.
package func recommendedBlockRows(for shape: ImageShape) -> Int {
    switch shape.height * shape.width {
    case ...4096: 32
    case ...16384: 16
    default: 8
    }
}
