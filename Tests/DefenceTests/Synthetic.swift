import CorpusStore
import Defence
import Logits
import Shards
import TestSupport

/// A corpus whose rows are made by hand: sorted by class, clean logits right, attacked ones right about another class, so
/// that a defender can learn to turn them back; one attacked row of each eleven is invalid, and not a number.
struct Synthetic {
    static let classes = 10
    let folder = TemporaryFolder()
    let corpus: Corpus
    let manifest: SnapshotManifest
    let split: SplitDescriptor
    let network: NetworkDescriptor
    let clean: RowTable
    let attacked: RowTable

    init(rows: Int = 600, perShard: Int = 256) throws {
        let path = folder.file("corpus")
        try Corpus.create(at: path)
        corpus = try Corpus(at: path, .reading)
        var tables = [
            exampleTable(rows: rows, classes: Synthetic.classes, seed: 1),
            exampleTable(rows: rows, classes: Synthetic.classes, attacked: true, seed: 2),
        ]
        for variant in 0..<2 {
            for row in 0..<rows {
                let label = row * Synthetic.classes / rows
                let shown = variant == 0 ? label : (label + 3) % Synthetic.classes
                let start = row * Synthetic.classes
                for k in 0..<Synthetic.classes { tables[variant].logits[start + k] /= 10 }
                tables[variant].logits[start + shown] += 4
                tables[variant].label[row] = Int32(label)
                if variant == 1 {
                    tables[1].attack?.status[row] = row % 11 == 0 ? 3 : 0
                    if row % 11 == 0 { tables[1].logits[start] = .nan }
                }
                tables[variant].prediction[row] = argMax(tables[variant].row(row))
            }
        }
        clean = tables[0]
        attacked = tables[1]
        var entries: [ShardEntry] = []
        for (variant, table) in zip([Variant.clean, examplePGD], tables) {
            for first in stride(from: 0, to: rows, by: perShard) {
                let part = table.picking(Array(first..<min(first + perShard, rows)))
                let header = exampleHeader(part, variant: variant, first: first)
                let name = "shards/\(variant)-\(first).h5"
                try ShardWriter.write(part, header: header, encoding: first == 0 ? .raw : .zstd, to: "\(path)/\(name)")
                entries.append(
                    ShardEntry(
                        path: name, key: header.key, classCount: Synthetic.classes,
                        contentDigest: header.contentDigest, fileDigest: "", fileBytes: 0))
            }
        }
        let key = entries[0].key
        manifest = SnapshotManifest(
            formatVersion: 1, id: "0123456789abcdef", tree: "", parent: nil, message: "", created: "", shards: entries)
        split = SplitDescriptor(
            dataset: key.dataset, split: key.split, source: "", kind: "folder",
            classNames: (0..<Synthetic.classes).map { "class \($0)" }, imageCount: rows,
            digest: key.datasetDigest, height: 8, width: 8, created: "")
        network = NetworkDescriptor(
            name: key.network, digest: key.networkDigest, height: 8, width: 8, classCount: Synthetic.classes, mean: nil,
            standardDeviation: nil, blockRows: 64, fold: true, source: "", created: "")
    }

    func trainer(
        _ name: String = "g", resume: Bool = false, threads: Int = 1, network other: NetworkDescriptor? = nil,
        _ change: (inout DefenderOptions) -> Void = { _ in }
    ) throws -> Trainer {
        var options = DefenderOptions()
        (options.hidden, options.epochs, options.learningRate, options.batch, options.seed) = (32, 2, 1e-2, 50, 5)
        change(&options)
        return try Trainer(
            corpus, name: name, manifest: manifest, split: split, network: other ?? network, attacks: ["pgd"],
            selection: nil, validation: split, options: options, threads: threads, resume: resume)
    }

    func checkpoint(_ name: String = "g") -> String { "\(corpus.layout.defenders)/\(name)/checkpoint.safetensors" }

    func selection(_ ordinals: [Int64]) -> SelectionFile {
        SelectionFile(
            formatVersion: 1, name: "some", dataset: split.dataset, split: split.split, datasetDigest: split.digest,
            ordinals: ordinals, images: ordinals.map { "\($0)" }, provenance: "", created: "")
    }
}

func trainWhole(_ trainer: Trainer) throws {
    try trainer.run(batchDone: { _, _, _, _ in }, epochDone: { _ in }, shouldStop: { false })
}
