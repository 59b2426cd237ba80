import CTorchAPI
import Logits

/// Options of a loaded module.
package struct ModuleOptions: Sendable, Equatable {
    package var device: Device
    /// Fold batch norm into convolutions: a little faster, equal to float noise (which flips some gradient signs).
    package var fold: Bool
    /// Parameters and input in channels-last layout: faster for large images, equal to float noise.
    package var channelsLast: Bool
    /// Between the attacked image in [0,1] and the module; nil: the module normalises itself.
    package var normalisation: Normalisation?

    package struct Normalisation: Sendable, Equatable {
        package var mean: [Float]
        package var deviation: [Float]

        package init(mean: [Float], deviation: [Float]) {
            self.mean = mean
            self.deviation = deviation
        }
    }

    package init(
        device: Device = .cpu, fold: Bool = true, channelsLast: Bool = true, normalisation: Normalisation? = nil
    ) {
        self.device = device
        self.fold = fold
        self.channelsLast = channelsLast
        self.normalisation = normalisation
    }
}

/// Count, channels, height and width of a batch.
package struct BatchShape: Sendable {
    package var count: Int
    package var channels: Int
    package var height: Int
    package var width: Int

    package init(count: Int, channels: Int, height: Int, width: Int) {
        self.count = count
        self.channels = channels
        self.height = height
        self.width = width
    }

    var c: ctorch_shape {
        ctorch_shape(count: Int64(count), channels: Int64(channels), height: Int64(height), width: Int64(width))
    }

    package var valueCount: Int { count * channels * height * width }
}

/// A TorchScript classifier. Images float32 NCHW in [0,1], logits float32 [count, classes].
///
/// `@unchecked Sendable`: the handle is constant, and LibTorch allows calls of one frozen module from several threads.
package final class TorchModule: @unchecked Sendable {
    package let path: String
    private let library: TorchLibrary
    private let handle: OpaquePointer

    package init(path: String, options: ModuleOptions) throws(LogitError) {
        let library = try TorchLibrary.shared()
        var stored = ctorch_module_options()
        stored.device = options.device.c
        stored.fold = options.fold ? 1 : 0
        stored.channels_last = options.channelsLast ? 1 : 0
        if let normalisation = options.normalisation {
            precondition(normalisation.mean.count == 3 && normalisation.deviation.count == 3)
            stored.normalise = 1
            stored.mean = (normalisation.mean[0], normalisation.mean[1], normalisation.mean[2])
            stored.deviation = (normalisation.deviation[0], normalisation.deviation[1], normalisation.deviation[2])
        }
        var result: OpaquePointer?
        try library.call { error in
            library.api.module_load(path, &stored, &result, error)
        } failing: { reason in
            LogitError(
                .badInput,
                "\(path) is no TorchScript module that can be run (\(reason)); save one with torch.jit.trace or torch.jit.script and .save()"
            )
        }
        self.path = path
        self.library = library
        handle = result!  // set whenever the call succeeds
    }

    deinit { library.api.module_free(handle) }

    /// Compiles the module for images of one size where its operators allow; then it runs faster, and
    /// its results are those of PyTorch's dense layout. On the CPU only. To be called before the module is shared.
    /// - Returns: `compiled`, or `libtorch: REASON`.
    package func compile(_ shape: BatchShape, classCount: Int) -> String {
        library.api.module_compile(handle, shape.c, Int64(classCount)).map { String(cString: $0) }
            ?? "libtorch: unknown"
    }

    /// Runs on one batch of zeros and returns the output's dimensions.
    package func outputDimensions(_ shape: BatchShape) throws(LogitError) -> [Int] {
        var rank: Int64 = 0
        var dimensions = [Int64](repeating: 0, count: 8)
        try library.call {
            library.api.module_probe(handle, shape.c, &rank, &dimensions, $0)
        } failing: {
            self.failure($0)
        }
        return dimensions[..<Int(rank)].map(Int.init)
    }

    package func logits(
        _ images: UnsafePointer<Float>, _ shape: BatchShape, classCount: Int, into logits: UnsafeMutablePointer<Float>
    ) throws(LogitError) {
        try library.call {
            library.api.module_logits(handle, shape.c, images, Int64(classCount), logits, $0)
        } failing: {
            self.failure($0)
        }
    }

    /// A forward pass that gradients can be asked of.
    package func pass(
        _ images: UnsafePointer<Float>, _ shape: BatchShape, classCount: Int, logits: UnsafeMutablePointer<Float>
    ) throws(LogitError) -> TorchPass {
        var result: OpaquePointer?
        try library.call {
            library.api.pass_begin(handle, shape.c, images, Int64(classCount), logits, &result, $0)
        } failing: {
            self.failure($0)
        }
        return TorchPass(handle: result!, module: self, shape: shape, classCount: classCount)
    }

    fileprivate func gradient(
        _ pass: OpaquePointer, _ loss: ctorch_loss, labels: [Int32]?, cotangent: [Float]?,
        into gradient: UnsafeMutablePointer<Float>
    ) throws(LogitError) {
        try library.call {
            library.api.pass_gradient(pass, loss, labels, cotangent, gradient, $0)
        } failing: {
            self.failure($0)
        }
    }

    fileprivate func free(_ pass: OpaquePointer) { library.api.pass_free(pass) }

    fileprivate func failure(_ reason: String) -> LogitError {
        LogitError(
            .badInput, "\(path) cannot be run (\(reason)); check that it takes float32 images [n, 3, height, width]")
    }
}

/// One forward pass of a module, kept for its gradients with respect to the images. One thread at a time.
package final class TorchPass {
    private let handle: OpaquePointer
    private let module: TorchModule
    private let shape: BatchShape
    private let classCount: Int

    fileprivate init(handle: OpaquePointer, module: TorchModule, shape: BatchShape, classCount: Int) {
        self.handle = handle
        self.module = module
        self.shape = shape
        self.classCount = classCount
    }

    deinit { module.free(handle) }

    /// The gradient of the summed cross-entropy of `labels`.
    package func crossEntropyGradient(labels: [Int32], into gradient: inout [Float]) throws(LogitError) {
        precondition(labels.count == shape.count && labels.allSatisfy { $0 >= 0 && Int($0) < classCount })
        precondition(gradient.count == shape.valueCount)
        try module.gradient(handle, CTORCH_LOSS_CROSS_ENTROPY, labels: labels, cotangent: nil, into: &gradient)
    }

    /// vᵀ ∂logits/∂images for the cotangent v (count × classes).
    package func cotangentGradient(_ cotangent: [Float], into gradient: inout [Float]) throws(LogitError) {
        precondition(cotangent.count == shape.count * classCount && gradient.count == shape.valueCount)
        try module.gradient(handle, CTORCH_LOSS_COTANGENT, labels: nil, cotangent: cotangent, into: &gradient)
    }
}
