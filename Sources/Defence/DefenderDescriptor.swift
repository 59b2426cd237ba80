import CorpusStore
import FoundationEssentials
import Glibc
import Logits
import Platform
import Sampling
import Torch

/// How a defender is trained; the defaults are the paper's.
package struct DefenderOptions: Codable, Sendable, Equatable {
    /// D, the width of the hidden layer.
    package var hidden = 10_000
    package var layers = 2
    /// Probability of dropping a hidden value.
    package var dropout = 0.5
    package var epochs = 50
    package var batch = 256
    package var learningRate = 5e-5
    package var weightDecay = 1e-4
    /// p: how often an image gives its clean logits.
    package var cleanProbability = 0.3
    package var seed: UInt64 = 0
    package var failedTwins = TwinPolicy.keep
    package var invalidTwins = TwinPolicy.skip

    package init() {}

    package func check() throws(LogitError) {
        let whole: [(String, Int, ClosedRange<Int>)] = [
            ("--hidden", hidden, 1...1_000_000), ("--layers", layers, 1...16), ("--epochs", epochs, 1...1_000_000),
            ("--batch", batch, 1...1 << 20),
        ]
        for (name, value, range) in whole where !range.contains(value) {
            throw LogitError(
                .usage, "\(name) is \(value); give a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        guard dropout >= 0, dropout < 1 else {
            throw LogitError(.usage, "--dropout is \(dropout); give a number from 0 to below 1")
        }
        guard learningRate > 0, learningRate.isFinite else {
            throw LogitError(.usage, "--lr is \(learningRate); give a positive number, for instance 5e-5")
        }
        guard weightDecay >= 0, weightDecay.isFinite else {
            throw LogitError(.usage, "--weight-decay is \(weightDecay); give 0 or a positive number")
        }
        guard cleanProbability >= 0, cleanProbability <= 1 else {
            throw LogitError(.usage, "--p is \(cleanProbability); give a probability from 0 to 1")
        }
    }

    /// What must be the same for a resume, spelled as on the command line. Epochs are missing: more of them is what resuming
    /// is for.
    package var spelled: [(name: String, value: String)] {
        [
            ("--hidden", "\(hidden)"), ("--layers", "\(layers)"), ("--dropout", "\(dropout)"), ("--batch", "\(batch)"),
            ("--lr", "\(learningRate)"), ("--weight-decay", "\(weightDecay)"), ("--p", "\(cleanProbability)"),
            ("--seed", "\(seed)"), ("--failed", failedTwins.rawValue), ("--invalid", invalidTwins.rawValue),
        ]
    }

    func net(classCount: Int, device: Device = .cpu) -> DefenderNetOptions {
        var options = DefenderNetOptions(classCount: classCount)
        (options.hidden, options.layers, options.dropout) = (hidden, layers, dropout)
        (options.learningRate, options.weightDecay, options.seed) = (learningRate, weightDecay, seed)
        options.device = device
        return options
    }
}

/// defenders/NAME/defender.json: what made a defender, and how its training went.
package struct DefenderDescriptor: Codable, Sendable, Descriptor {
    package struct Epoch: Codable, Sendable {
        package var epoch: Int
        /// Mean cross-entropy over the epoch's rows, dropout on.
        package var loss: Double
        /// Corrected accuracy on the validation split's clean and attacked rows, where it has them.
        package var validationClean: Double?
        package var validationAttacked: Double?
        package var seconds: Double
        /// Of these, waiting for data; nil where a former version trained.
        package var waitingSeconds: Double?
    }

    package var formatVersion = 1
    package var name: String
    package var snapshot: String
    package var tree: String
    package var dataset: String
    package var split: String
    package var network: String
    package var networkDigest: String
    /// Canonical names of the attacks in the mix.
    package var attacks: [String]
    package var selection: String?
    package var classCount: Int
    package var options: DefenderOptions
    package var images: Int
    package var epochsDone: Int
    package var history: [Epoch]
    /// SHA-256 of weights.safetensors, after epochsDone epochs.
    package var weightsDigest: String
    package var created: String
    /// JSON: libraries and processor.
    package var software: String

    package var fault: String? {
        guard (try? options.check()) != nil else { return "options that no training takes" }
        guard (2...1 << 24).contains(classCount) else { return "\(classCount) classes" }
        return epochsDone >= 0 && images >= 0 ? nil : "\(epochsDone) epochs of \(images) images"
    }

    /// Intra-op threads, which the last bits of a matrix product depend on.
    package var threads: Int? { recorded?.intraOpThreads }

    /// `cpu`, or `cuda (NVIDIA H100)`.
    var device: String {
        guard let device = recorded?.device else { return Device.cpu.rawValue }
        return "\(device) (\(recorded?.gpu ?? "unknown"))"
    }

    private struct Recorded: Decodable {
        let intraOpThreads: Int
        /// Only of a GPU.
        let device: String?
        let gpu: String?
    }

    private var recorded: Recorded? {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try? decoder.decode(Recorded.self, from: Data(software.utf8))
    }
}

/// A trained defender in a corpus: descriptor and weights.
package struct StoredDefender: Sendable {
    package let descriptor: DefenderDescriptor
    package let folder: String

    package static func folder(_ layout: Layout, _ name: String) -> String { "\(layout.defenders)/\(name)" }

    /// Reads a descriptor. `weights` are read, and checked, when the network is made.
    package init(_ corpus: Corpus, _ name: String) throws(LogitError) {
        let known = try corpus.defenderNames()
        guard known.contains(name) else {
            let choices = known.isEmpty ? "train one with logit train" : "there is \(known.joined(separator: ", "))"
            throw LogitError(.notFound, "there is no defender \(name); \(choices)")
        }
        folder = StoredDefender.folder(corpus.layout, name)
        let path = "\(folder)/defender.json"
        descriptor = try JSONFile.read(DefenderDescriptor.self, from: path)
        guard descriptor.name == name else {
            throw LogitError(.corrupt, "\(path) is of another defender than \(name); put back a copy of it")
        }
    }

    package var weightsPath: String { "\(folder)/weights.safetensors" }

    /// The network with its weights, after checking them against their digest.
    package func net() throws(LogitError) -> DefenderNet {
        guard Digest.hex(try Files.read(weightsPath)) == descriptor.weightsDigest else {
            throw LogitError(
                .corrupt,
                "the weights of defender \(descriptor.name), \(weightsPath), are not those it was saved with; put back a copy, or train it on with --resume"
            )
        }
        let values = try Weights.flat(Safetensors.read(weightsPath).tensors, descriptor, path: weightsPath)
        let net = try DefenderNet(descriptor.options.net(classCount: descriptor.classCount))
        try net.set(.parameters, values)
        return net
    }

    /// Writes the defender for use in PyTorch: weights as `.safetensors`, or a TorchScript module from [n, C] to [n, C] as
    /// `.pt`. The file appears whole or not at all.
    package func export(to path: String) throws(LogitError) {
        if path.hasSuffix(".safetensors") {
            _ = try net()
            try Files.writeDurably(try Files.read(weightsPath), to: path)
        } else if path.hasSuffix(".pt") {
            let net = try net()
            let temporary = "\(path).\(getpid()).tmp"
            do throws(LogitError) {
                try net.exportTorchScript(to: temporary)
                try Files.sync(temporary)
                try Files.renameDurably(temporary, to: path)
            } catch {
                unlink(temporary)
                throw error
            }
        } else {
            throw LogitError(.usage, "\(path) is no kind of file we write; name it .safetensors or .pt")
        }
    }
}

/// The order of a defender's parameters in files: weight0, bias0, weight1, …
enum Weights {
    static func shapes(classCount: Int, _ options: DefenderOptions) -> [(name: String, shape: [Int])] {
        (0..<options.layers).flatMap { layer in
            let inside = layer == 0 ? classCount : options.hidden
            let outside = layer == options.layers - 1 ? classCount : options.hidden
            return [("weight\(layer)", [outside, inside]), ("bias\(layer)", [outside])]
        }
    }

    static func tensors(_ values: [Float], classCount: Int, _ options: DefenderOptions) -> [Safetensors.Tensor] {
        var offset = 0
        return shapes(classCount: classCount, options).map { name, shape in
            let count = shape.reduce(1, *)
            defer { offset += count }
            return Safetensors.Tensor(name: name, shape: shape, values: Array(values[offset..<offset + count]))
        }
    }

    static func flat(
        _ tensors: [String: Safetensors.Tensor], _ descriptor: DefenderDescriptor, path: String
    ) throws(LogitError) -> [Float] {
        var values: [Float] = []
        for (name, shape) in shapes(classCount: descriptor.classCount, descriptor.options) {
            guard let tensor = tensors[name], tensor.shape == shape else {
                throw LogitError(
                    .corrupt,
                    "\(path) holds no tensor \(name) of \(shape), so it is not of defender \(descriptor.name); train again"
                )
            }
            values += tensor.values
        }
        return values
    }
}
