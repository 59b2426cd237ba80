import ArgumentParser
import CorpusStore
import Foundation
import Logits
import Report

struct Init: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a new, empty corpus.", discussion: "Example: logit init corpus")

    @Argument(help: "The folder to make.") var corpus: String

    func run() throws {
        try Corpus.create(at: corpus)
        print("made an empty corpus in \(corpus); next: logit dataset add, logit network add, logit ingest")
    }
}

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "What a corpus holds.", discussion: "Example: logit status corpus --format json")

    @Argument(help: "The corpus folder.") var corpus: String
    @OptionGroup var output: OutputOptions

    private struct Result: Encodable {
        struct Part: Encodable {
            var dataset: String
            var split: String
            var network: String
            var attack: String
            var view: Int
            var rows: Int
            var images: Int
            var shards: Int
            var bytes: Int
        }
        var id: String
        var head: String?
        var datasets: [SplitDescriptor]
        var networks: [NetworkDescriptor]
        var defenders: [String]
        var parts: [Part]
    }

    func run() throws {
        let corpus = try Corpus(at: corpus, .reading)
        let splits = try corpus.splits()
        var parts: [String: Result.Part] = [:]
        for unit in try corpus.units() {
            let key = unit.key
            let name = "\(key.dataset)\u{1F}\(key.split)\u{1F}\(key.network)\u{1F}\(key.variant)\u{1F}\(key.view)"
            let images = splits.first { $0.dataset == key.dataset && $0.split == key.split }?.imageCount ?? 0
            var part =
                parts[name]
                ?? Result.Part(
                    dataset: key.dataset, split: key.split, network: key.network, attack: key.variant.canonical,
                    view: key.view, rows: 0, images: images, shards: 0, bytes: 0)
            part.rows += key.rowCount
            part.shards += 1
            part.bytes += unit.fileBytes
            parts[name] = part
        }
        let sorted = parts.sorted { $0.key < $1.key }.map(\.value)
        let result = Result(
            id: corpus.descriptor.id, head: try corpus.headSnapshotID(), datasets: splits,
            networks: try corpus.networks(),
            defenders: try corpus.defenderNames(), parts: sorted)
        output.print(result, text: text(result))
    }

    private func text(_ result: Result) -> String {
        var table = TextTable(["dataset", "split", "network", "attack", "view", "rows", "of images", "shards", "bytes"])
        for part in result.parts {
            table.add([
                part.dataset, part.split, part.network, part.attack, "\(part.view)", part.rows.grouped,
                part.images.grouped,
                "\(part.shards)", part.bytes.grouped,
            ])
        }
        var lines = result.datasets.map {
            "dataset \($0.dataset)/\($0.split): \($0.imageCount.grouped) images, \($0.classNames.count) classes"
        }
        lines += result.networks.map {
            "network \($0.name): \($0.preprocessing), \($0.classCount) classes, blocks of \($0.blockRows)"
        }
        lines += result.defenders.map { "defender \($0)" }
        lines.append(result.head.map { "head: snapshot \($0.prefix(12))" } ?? "no snapshot yet")
        return lines.joined(separator: "\n") + (result.parts.isEmpty ? "" : "\n\n" + table.text)
    }
}
