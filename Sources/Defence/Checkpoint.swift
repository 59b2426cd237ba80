import CorpusStore
import FoundationEssentials
import Glibc
import Logits
import Platform
import Torch

/// checkpoint.safetensors: everything that the next epoch depends on, so that a resumed training ends bit for bit like one
/// that was never stopped. The descriptor as of this epoch travels in its metadata, with a digest over all of it.
package enum Checkpoint {
    static func path(_ folder: String) -> String { "\(folder)/checkpoint.safetensors" }

    /// Writes checkpoint, weights and descriptor, each durably, in this order: the checkpoint alone can make the others.
    static func save(_ net: DefenderNet, step: Int, _ descriptor: inout DefenderDescriptor, in folder: String)
        throws(LogitError)
    {
        try Files.makeDirectory(folder)
        let parameters = try net.values(.parameters)
        let weights = Safetensors.encode(
            Weights.tensors(parameters, classCount: descriptor.classCount, descriptor.options),
            metadata: ["defender": descriptor.name, "snapshot": descriptor.snapshot])
        descriptor.weightsDigest = Digest.hex(weights)
        let flat = [
            ("parameters", parameters), ("first_moments", try net.values(.firstMoments)),
            ("second_moments", try net.values(.secondMoments)),
        ].map { Safetensors.Tensor(name: $0.0, shape: [$0.1.count], values: $0.1) }
        let text = String(decoding: JSONFile.encode(descriptor), as: UTF8.self)
        let notes = ["descriptor": text, "step": String(step), "digest": digest(flat, step, text)]
        try Files.writeDurably(Safetensors.encode(flat, metadata: notes), to: path(folder))
        try Files.writeDurably(weights, to: "\(folder)/weights.safetensors")
        try Files.writeDurably(JSONFile.encode(descriptor), to: "\(folder)/defender.json")
    }

    package static func read(_ folder: String) throws(LogitError) -> (
        descriptor: DefenderDescriptor, step: Int, parts: [[Float]]
    ) {
        let path = path(folder)
        let (tensors, notes) = try Safetensors.read(path)
        let parts = ["parameters", "first_moments", "second_moments"].compactMap { tensors[$0] }
        guard parts.count == 3, let step = notes["step"].flatMap({ Int($0) }), let text = notes["descriptor"],
            digest(parts, step, text) == notes["digest"], let descriptor = try? decode(text),
            parts.allSatisfy({ $0.values.count == parts[0].values.count })
        else {
            throw LogitError(.corrupt, "the checkpoint \(path) is damaged; train again under another name")
        }
        return (descriptor, step, parts.map(\.values))
    }

    private static func decode(_ text: String) throws -> DefenderDescriptor {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(DefenderDescriptor.self, from: Data(text.utf8))
    }

    private static func digest(_ tensors: [Safetensors.Tensor], _ step: Int, _ text: String) -> String {
        var digest = Digest()
        digest.add("\(step)\n\(text)")
        for tensor in tensors { tensor.values.withUnsafeBytes { digest.add($0) } }
        return digest.hex()
    }
}

extension StoredDefender {
    /// What is there of a defender, finished or not; nil where there is nothing.
    package static func begun(_ name: String, in corpus: Corpus) throws(LogitError) -> DefenderDescriptor? {
        let folder = folder(corpus.layout, name)
        if try corpus.defenderNames().contains(name) {
            let descriptor = try StoredDefender(corpus, name).descriptor
            if descriptor.epochsDone >= descriptor.options.epochs { return descriptor }
        }
        // A process killed while it saved may have left a newer checkpoint than descriptor.
        return Files.exists(Checkpoint.path(folder)) ? try Checkpoint.read(folder).descriptor : nil
    }

    /// Checkpoints that do not hold what their digests say, one sentence each.
    package static func checkpointProblems(_ corpus: Corpus) throws(LogitError) -> [String] {
        var problems: [String] = []
        for name in try corpus.defenderNames() {
            let folder = folder(corpus.layout, name)
            guard Files.exists(Checkpoint.path(folder)) else { continue }
            do throws(LogitError) { _ = try Checkpoint.read(folder) } catch { problems.append(error.message) }
        }
        return problems
    }
}

/// One trainer a defender: an exclusive `flock` on its folder. The kernel drops it when the process ends, however it ends.
final class TrainingLock {
    private let descriptor: Int32
    private let folder: String

    init(_ folder: String, defender: String) throws(LogitError) {
        try Files.makeDirectory(folder)
        let opened = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard opened >= 0 else { throw Files.failure("open", folder, errno: errno) }
        guard flock(opened, LOCK_EX | LOCK_NB) == 0 else {
            close(opened)
            throw LogitError(
                .busy,
                "defender \(defender) is being trained by another process; wait until it has finished, or choose another name"
            )
        }
        descriptor = opened
        self.folder = folder
    }

    deinit {
        rmdir(folder)  // goes only where nothing was saved
        close(descriptor)
    }
}
