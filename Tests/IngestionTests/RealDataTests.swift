import CorpusStore
import Foundation
import Ingestion
import Logits
import Networks
import TestSupport
import Testing

/// A folder of real networks and images (networks/, cifar10/); the tests skip where the variable is not set.
private let real = ProcessInfo.processInfo.environment["LOGITCORPUS_REAL"]

@Test(
    "real networks reach the accuracy that PyTorch gives them on the lossless test images",
    .enabled(if: real != nil, "set LOGITCORPUS_REAL to a folder of real networks and images"),
    arguments: [("resnet20", 0.915), ("resnet32", 0.928), ("resnet56", 0.926)])
func accuracy(network: String, expected: Double) throws {
    let folder = TemporaryFolder()
    let path = folder.file("corpus")
    let data = try #require(real)
    try Corpus.create(at: path)
    do {
        let corpus = try Corpus(at: path, .writing)
        _ = try DatasetImport.run(
            corpus, dataset: "cifar10", split: "test", source: "\(data)/cifar10/test-lossless-1000.bin",
            classNames: nil,
            progress: { _, _ in }, shouldStop: { false })
        _ = try NetworkImport.run(
            corpus, name: network, module: "\(data)/networks/cifar10_\(network).ts.pt", input: nil, mean: nil,
            standardDeviation: nil, fold: true)
    }
    try Fixtures.ingest(path, attacks: "clean")
    let corpus = try Corpus(at: path, .reading)
    let query = try ReadOnlyQuery(corpus, at: nil) { false }
    var found = 0.0
    _ = try query.run("SELECT accuracy FROM accuracy") { _, values in
        if case .real(let value) = values[0] { found = value }
    }
    #expect(abs(found - expected) < 0.0015, "\(found)")
}
