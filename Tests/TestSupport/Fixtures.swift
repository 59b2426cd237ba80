import CorpusStore
import Foundation
import Images
import Ingestion
import Logits
import Networks

/// The committed fixtures: images and networks that the project made itself.
package enum Fixtures {
    package static let folder = "\(projectFolder)/fixtures"
    package static let testImages = "\(folder)/test.tar"
    package static let trainImages = "\(folder)/train.tar"
    package static let network = "\(folder)/networks/residual.pt"
    /// One network of each of the paper's families; `network` is the residual one.
    package static let networkNames = ["plain", "residual", "dense"]

    /// A new corpus with the fixture images and network (or others), nothing ingested.
    package static func corpus(
        _ folder: TemporaryFolder, name: String = "corpus", train: Bool = false, network: String = network,
        testImages: String = testImages
    ) throws -> String {
        let path = folder.file(name)
        try Corpus.create(at: path)
        let corpus = try Corpus(at: path, .writing)
        for (split, images) in train ? [("test", testImages), ("train", trainImages)] : [("test", testImages)] {
            _ = try DatasetImport.run(
                corpus, dataset: "shapes", split: split, source: images, classNames: nil, progress: { _, _ in },
                shouldStop: { false })
        }
        _ = try NetworkImport.run(
            corpus, name: "residual", module: network, input: nil, mean: nil, standardDeviation: nil, fold: true)
        return path
    }

    /// Adds another of the fixture networks to a corpus.
    package static func addNetwork(_ name: String, to path: String) throws {
        _ = try NetworkImport.run(
            try Corpus(at: path, .writing), name: name, module: "\(folder)/networks/\(name).pt", input: nil, mean: nil,
            standardDeviation: nil, fold: true)
    }

    /// Runs an ingest in this process.
    @discardableResult
    package static func ingest(
        _ path: String, network: String? = nil, attacks: String = "clean,pgd", limit: Int? = nil,
        split: String = "test",
        seed: UInt64 = 0,
        change: (inout IngestRequest) -> Void = { _ in }, note: (String) -> Void = { _ in },
        shouldStop: @escaping @Sendable () -> Bool = { false }
    ) throws -> IngestReport {
        let corpus = try Corpus(at: path, .writing)
        var request = IngestRequest(
            split: try corpus.split(dataset: nil, split: split), network: try corpus.network(network),
            attacks: try AttackRegistry.choices(attacks), workerCount: 2)
        request.limit = limit
        request.seed = seed
        change(&request)
        return try Ingest.run(request, into: corpus, progress: { _ in }, note: note, shouldStop: shouldStop)
    }

    /// A fixture network.
    package static func classifier(_ name: String = "residual", fold: Bool = true) throws -> TorchScriptClassifier {
        try TorchScriptClassifier(
            path: "\(folder)/networks/\(name).pt", digest: "", shape: ImageShape(height: 32, width: 32),
            classCount: 100, mean: nil,
            standardDeviation: nil, fold: fold)
    }

    /// Some images of the test split, planar in [0,1].
    package static func images(_ ordinals: Range<Int>) throws -> [Float] {
        let set = try ImageSet.open(testImages, classNames: nil)
        var images = [Float](repeating: 0, count: ordinals.count * 3072)
        for (place, ordinal) in ordinals.enumerated() {
            let image = try set.decode(try set.bytes(ordinal), of: ordinal)
            images.withUnsafeMutableBufferPointer {
                image.writePlanar(into: UnsafeMutableBufferPointer(rebasing: $0[place * 3072..<(place + 1) * 3072]))
            }
        }
        return images
    }

    /// Images spread over the test split, planar in [0,1], with labels.
    package static func block(_ count: Int) throws -> AttackBlock {
        let set = try ImageSet.open(testImages, classNames: nil)
        var images = [Float](repeating: 0, count: count * 3072)
        for ordinal in 0..<count {
            let image = try set.decode(try set.bytes(ordinal * 7), of: ordinal * 7)
            images.withUnsafeMutableBufferPointer {
                image.writePlanar(into: UnsafeMutableBufferPointer(rebasing: $0[ordinal * 3072..<(ordinal + 1) * 3072]))
            }
        }
        return AttackBlock(
            images: images, labels: (0..<count).map { set.entries[$0 * 7].label }, count: count,
            randomKeys: (0..<count).map { UInt64($0) &* 0x9E37_79B9_7F4A_7C15 })
    }
}
