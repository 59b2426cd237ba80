import CTorchAPI
import Logits

/// Shape and training constants of a fully connected network C → D → … → C (or 2, for a detector) with Adam.
package struct DefenderNetOptions: Sendable, Equatable {
    /// C, the inputs.
    package var classCount: Int
    package var outputCount: Int
    /// D, the width of the hidden layers.
    package var hidden = 10_000
    /// 1: one linear map; 2: the paper's.
    package var layers = 2
    /// Probability of dropping a hidden value while training.
    package var dropout = 0.5
    package var learningRate = 5e-5
    /// Coupled: added to the gradient of every parameter.
    package var weightDecay = 1e-4
    package var seed: UInt64 = 0
    package var device = Device.cpu
    /// On the CPU, train by the operators that a GPU runs rather than by our kernels: for tests.
    package var usesOperators = false

    fileprivate var cDevice: Int32 {
        device == .cpu && usesOperators ? Int32(CTORCH_DEVICE_CPU_OPERATORS.rawValue) : device.c
    }

    /// - Parameter outputCount: as many as inputs where left out.
    package init(classCount: Int, outputCount: Int? = nil) {
        self.classCount = classCount
        self.outputCount = outputCount ?? classCount
    }
}

/// A fully connected network over logits, trained by Adam. One thread at a time.
package final class DefenderNet {
    package let options: DefenderNetOptions
    private let library: TorchLibrary
    private let handle: OpaquePointer

    package init(_ options: DefenderNetOptions) throws(LogitError) {
        let library = try TorchLibrary.shared()
        var stored = ctorch_mlp_options(
            classes: Int64(options.classCount), outputs: Int64(options.outputCount), hidden: Int64(options.hidden),
            layers: Int64(options.layers),
            dropout: options.dropout, learning_rate: options.learningRate, weight_decay: options.weightDecay,
            beta1: 0.9, beta2: 0.999, epsilon: 1e-8, seed: options.seed, device: options.cDevice)
        var result: OpaquePointer?
        try library.call {
            library.api.mlp_create(&stored, &result, $0)
        } failing: { reason in
            LogitError(.environment, "the defender cannot be made (\(reason)); take a smaller --hidden")
        }
        self.options = options
        self.library = library
        handle = result!  // set whenever the call succeeds
    }

    deinit { library.api.mlp_free(handle) }

    package var parameterCount: Int { Int(library.api.mlp_parameter_count(handle)) }

    /// One optimiser step.
    /// - Parameters:
    ///   - step: 1 for the first; the dropout mask is a function of (seed, step).
    ///   - logits: count × classCount.
    /// - Returns: the mean cross-entropy before the step.
    package func train(step: Int, logits: [Float], labels: [Int32]) throws(LogitError) -> Double {
        precondition(logits.count == labels.count * options.classCount && step >= 1)
        precondition(labels.allSatisfy { $0 >= 0 && Int($0) < options.outputCount })
        var loss = 0.0
        try library.call {
            library.api.mlp_step(handle, Int64(step), Int64(labels.count), logits, labels, &loss, $0)
        } failing: { reason in
            LogitError(.badInput, "training stopped at step \(step): \(reason); take a smaller --lr")
        }
        return loss
    }

    /// Outputs (a defender's: corrected logits) of `logits` (count × classCount), dropout off.
    package func correct(_ logits: [Float]) throws(LogitError) -> [Float] {
        let count = logits.count / options.classCount
        var corrected = [Float](repeating: 0, count: count * options.outputCount)
        guard count > 0 else { return corrected }
        try library.call {
            library.api.mlp_forward(handle, Int64(count), logits, &corrected, $0)
        } failing: {
            DefenderNet.failure($0)
        }
        return corrected
    }

    /// Corrected logits and vᵀ ∂g(z)/∂z for the cotangent v, dropout off.
    package func gradient(_ logits: [Float], cotangent: [Float]) throws(LogitError) -> (
        corrected: [Float], gradient: [Float]
    ) {
        precondition(logits.count == cotangent.count && options.outputCount == options.classCount)
        var corrected = [Float](repeating: 0, count: logits.count)
        var gradient = corrected
        let count = Int64(logits.count / options.classCount)
        try library.call {
            library.api.mlp_gradient(handle, count, logits, cotangent, &corrected, &gradient, $0)
        } failing: {
            DefenderNet.failure($0)
        }
        return (corrected, gradient)
    }

    /// What the paper's interpretation is made of (section 5.1), for rows z with true class i, dropout off, ReLU′(0) = 0.
    package struct Support: Sendable {
        /// g(z), count × classCount like the others.
        package let corrected: [Float]
        /// S_k = H_ik − H_mean,k, where H_lk = ∂g(z)_l / ∂z_k: one vector-Jacobian product a row.
        package let support: [Float]
        /// H_mean,k = mean over l of H_lk: another one.
        package let mean: [Float]
    }

    /// - Parameters:
    ///   - logits: count × classCount.
    ///   - labels: the true class of each row.
    package func support(_ logits: [Float], labels: [Int32]) throws(LogitError) -> Support {
        precondition(logits.count == labels.count * options.classCount && options.outputCount == options.classCount)
        precondition(labels.allSatisfy { $0 >= 0 && Int($0) < options.classCount })
        var (corrected, support, mean) = (logits, logits, logits)
        try library.call {
            library.api.mlp_support(handle, Int64(labels.count), logits, labels, &corrected, &support, &mean, $0)
        } failing: {
            DefenderNet.failure($0)
        }
        return Support(corrected: corrected, support: support, mean: mean)
    }

    /// Flat values in the order W1 (out × in), b1, W2, b2, …
    package enum Part: Int32, Sendable { case parameters, firstMoments, secondMoments }

    package func values(_ part: Part) throws(LogitError) -> [Float] {
        var values = [Float](repeating: 0, count: parameterCount)
        try library.call {
            library.api.mlp_get(handle, part.rawValue, &values, $0)
        } failing: {
            DefenderNet.failure($0)
        }
        return values
    }

    package func set(_ part: Part, _ values: [Float]) throws(LogitError) {
        precondition(values.count == parameterCount)
        try library.call {
            library.api.mlp_set(handle, part.rawValue, values, $0)
        } failing: {
            DefenderNet.failure($0)
        }
    }

    /// Wall seconds so far: of matrix products, of element-by-element work (on a GPU the mini-batch's copy included), of the optimiser.
    package var seconds: (products: Double, elements: Double, optimiser: Double) {
        var values = [0.0, 0.0, 0.0]
        library.api.mlp_seconds(handle, &values)
        return (values[0], values[1], values[2])
    }

    /// Writes a TorchScript file that maps [n, C] logits to [n, C] corrected logits.
    package func exportTorchScript(to path: String) throws(LogitError) {
        try library.call {
            library.api.mlp_export(handle, path, $0)
        } failing: { reason in
            LogitError(.io, "cannot write \(path) (\(reason)); check the folder and its free space")
        }
    }

    private static func failure(_ reason: String) -> LogitError {
        LogitError(.environment, "the defender cannot be run (\(reason)); check the free memory")
    }
}
