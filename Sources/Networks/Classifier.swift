import Glibc
import Logits
import Torch

/// Channels, height and width of one image.
package struct ImageShape: Sendable, Hashable, CustomStringConvertible {
    package var channels = 3
    package var height: Int
    package var width: Int

    package init(height: Int, width: Int) {
        self.height = height
        self.width = width
    }

    package var valueCount: Int { channels * height * width }
    package var description: String { "\(channels)x\(height)x\(width)" }
}

/// What a gradient is taken of; attackers name a loss and never touch autograd.
package enum Loss: Sendable {
    /// The sum over the batch of the cross-entropies of these labels.
    case crossEntropy(labels: [Int32])
    /// vᵀ z for a cotangent v (count × classCount): one vector-Jacobian product an image.
    case cotangent([Float])

    /// d loss / d logits: for the cross-entropies the softmax less one at the label, in double.
    package func cotangent(logits: [Float], classCount: Int) -> [Float] {
        guard case .crossEntropy(let labels) = self else {
            if case .cotangent(let given) = self { return given }
            return []
        }
        return labels.enumerated().flatMap { row, label in
            let z = logits[row * classCount..<(row + 1) * classCount]
            let top = Double(z.max() ?? 0)
            let powers = z.map { exp(Double($0) - top) }
            let sum = powers.reduce(0, +)
            return powers.enumerated().map { Float($1 / sum - ($0 == Int(label) ? 1 : 0)) }
        }
    }
}

/// What, beside the module itself, the bits of a result depend on.
package struct NetworkIdentity: Sendable, Equatable {
    /// SHA-256 of the module file.
    package let digest: String
    /// JSON: program, LibTorch, BLAS kernel, instruction set, intra-op threads, folding, GPU.
    package let softwareJSON: String

    package init(digest: String, softwareJSON: String) {
        self.digest = digest
        self.softwareJSON = softwareJSON
    }
}

/// A network f from images to logits, with gradients with respect to its input. Calls from several threads are allowed.
package protocol Classifier: Sendable {
    var identity: NetworkIdentity { get }
    var inputShape: ImageShape { get }
    var classCount: Int { get }

    /// - Parameters:
    ///   - images: count × inputShape values in [0,1].
    ///   - logits: room for count × classCount.
    func logits(_ images: [Float], count: Int, into logits: inout [Float]) throws(LogitError)

    /// A forward pass that gradients can be asked of; its logits go to `logits`.
    func pass(_ images: [Float], count: Int, logits: inout [Float]) throws(LogitError) -> any GradientPass
}

/// One forward pass of a classifier, kept for its gradients. One thread at a time.
package protocol GradientPass: AnyObject {
    /// d loss / d images (count × inputShape), at the images of the pass.
    func gradient(of loss: Loss, into gradient: inout [Float]) throws(LogitError)
}

/// A TorchScript module as a classifier.
package final class TorchScriptClassifier: Classifier {
    package let identity: NetworkIdentity
    package let inputShape: ImageShape
    package let classCount: Int
    /// How the network runs: `compiled`, or `libtorch: REASON`.
    package let engine: String
    private let module: TorchModule

    /// One intra-op thread: results do not depend on the machine's cores, and workers scale by blocks.
    /// - Parameters:
    ///   - fold: fold batch norm into convolutions; some gradient signs differ from the unfolded module's.
    ///   - channelsLast: the layout of parameters and images where LibTorch runs them; nil: as `prefersChannelsLast` says.
    ///   - compiled: whether to compile the module where its operators allow; on a GPU LibTorch runs it always.
    package init(
        path: String, digest: String, shape: ImageShape, classCount: Int, mean: [Float]?, standardDeviation: [Float]?,
        fold: Bool, channelsLast: Bool? = nil, compiled: Bool = true, device: Device = .cpu
    ) throws(LogitError) {
        let library = try TorchLibrary.shared()
        try library.configure(intraOpThreads: 1)
        try library.check(device)
        let channelsLast = channelsLast ?? prefersChannelsLast(shape)
        module = try TorchModule(
            path: path,
            options: ModuleOptions(
                device: device, fold: fold, channelsLast: channelsLast,
                normalisation: normalisation(mean, standardDeviation)))
        inputShape = shape
        self.classCount = classCount
        let batch = BatchShape(count: 1, channels: shape.channels, height: shape.height, width: shape.width)
        engine = compiled ? module.compile(batch, classCount: classCount) : "libtorch: not asked to compile"
        let isCompiled = engine == "compiled"
        let software =
            "{\"logitcorpus\":\"\(programVersion)\",\"format\":\"torchscript\",\"engine\":\"\(isCompiled ? "compiled" : "libtorch")\",\"fold\":\(fold),\"channels_last\":\(channelsLast && !isCompiled),\"torch\":\(library.description(on: device))}"
        identity = NetworkIdentity(digest: digest, softwareJSON: software)
    }

    /// Refuses a device that cannot be had here, before any work. The CPU always can.
    package static func check(_ device: Device) throws(LogitError) {
        if device != .cpu { try TorchLibrary.shared().check(device) }
    }

    package func logits(_ images: [Float], count: Int, into logits: inout [Float]) throws(LogitError) {
        precondition(images.count == count * inputShape.valueCount && logits.count == count * classCount)
        try module.logits(images, shape(count), classCount: classCount, into: &logits)
    }

    package func pass(_ images: [Float], count: Int, logits: inout [Float]) throws(LogitError) -> any GradientPass {
        precondition(images.count == count * inputShape.valueCount && logits.count == count * classCount)
        return TorchGradientPass(
            pass: try module.pass(images, shape(count), classCount: classCount, logits: &logits))
    }

    private func shape(_ count: Int) -> BatchShape {
        BatchShape(count: count, channels: inputShape.channels, height: inputShape.height, width: inputShape.width)
    }
}

private final class TorchGradientPass: GradientPass {
    private let pass: TorchPass

    init(pass: TorchPass) { self.pass = pass }

    func gradient(of loss: Loss, into gradient: inout [Float]) throws(LogitError) {
        switch loss {
        case .crossEntropy(let labels): try pass.crossEntropyGradient(labels: labels, into: &gradient)
        case .cotangent(let cotangent): try pass.cotangentGradient(cotangent, into: &gradient)
        }
    }
}

/// Whether channels-last is worth its other last bits: twice as fast at 224×224, where its gradients also equal PyTorch's; a
/// few per cent at 32×32, where the dense layout's gradients equal PyTorch's and its own do not (docs/attacks-agreement.md).
package func prefersChannelsLast(_ shape: ImageShape) -> Bool { shape.height * shape.width > 64 * 64 }

/// The version that shards record.
package let programVersion = "0.1.0"

func normalisation(_ mean: [Float]?, _ deviation: [Float]?) -> ModuleOptions.Normalisation? {
    guard let mean, let deviation else { return nil }
    return .init(mean: mean, deviation: deviation)
}
