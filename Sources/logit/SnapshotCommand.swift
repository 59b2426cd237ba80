import ArgumentParser
import CorpusStore
import Logits
import Report
import Shards

struct SnapshotCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot", abstract: "Versions of a corpus.",
        subcommands: [Create.self, List.self, Show.self, Diff.self, Tag.self, Delete.self])

    struct Entry: Encodable {
        var id: String
        var tree: String
        var parent: String?
        var message: String
        var created: String
        var shards: Int
        var rows: Int
        var tags: [String]

        init(_ snapshot: SnapshotManifest, tags: [(name: String, snapshot: String)]) {
            id = snapshot.id
            tree = snapshot.tree
            parent = snapshot.parent
            message = snapshot.message
            created = snapshot.created
            shards = snapshot.shards.count
            rows = snapshot.shards.reduce(0) { $0 + $1.key.rowCount }
            self.tags = tags.filter { $0.snapshot == snapshot.id }.map(\.name)
        }
    }

    struct Create: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a snapshot of everything committed.",
            discussion: "Example: logit snapshot create corpus --message \"before the rerun\"")
        @Argument(help: "The corpus folder.") var corpus: String
        @Option(name: .shortAndLong, help: "What the snapshot is.") var message = "snapshot"
        @OptionGroup var waiting: WaitOption
        @OptionGroup var output: OutputOptions

        func run() throws {
            let opened = try Corpus(at: corpus, .writing, patience: try waiting.patience(output))
            let snapshot = try opened.createSnapshot(message: message)
            output.print(
                Entry(snapshot, tags: try opened.tags()),
                text: "snapshot \(snapshot.id.prefix(12)): \(snapshot.message)")
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "All snapshots, oldest first.", discussion: "Example: logit snapshot list corpus")
        @Argument(help: "The corpus folder.") var corpus: String
        @OptionGroup var output: OutputOptions

        func run() throws {
            let opened = try Corpus(at: corpus, .reading)
            let tags = try opened.tags()
            let entries = try opened.snapshots().map { Entry($0, tags: tags) }
            let head = try opened.headSnapshotID()
            var table = TextTable(["snapshot", "created", "rows", "shards", "names", "message"])
            for entry in entries {
                let names = (entry.id == head ? ["head"] : []) + entry.tags
                table.add([
                    String(entry.id.prefix(12)), entry.created, entry.rows.grouped, "\(entry.shards)",
                    names.joined(separator: ","), entry.message,
                ])
            }
            output.print(entries, text: table.text)
        }
    }

    struct Tag: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Name a snapshot.", discussion: "Example: logit snapshot tag corpus paper-v1 --at 3f2a91")
        @Argument(help: "The corpus folder.") var corpus: String
        @Argument(help: "The tag.") var name: String
        @Option(help: "The snapshot: an id, the beginning of one, a tag, or head.") var at: String?
        @Flag(help: "Move a tag that exists.") var force = false
        @OptionGroup var waiting: WaitOption
        @OptionGroup var output: OutputOptions

        func run() throws {
            let opened = try Corpus(at: corpus, .writing, patience: try waiting.patience(output))
            let snapshot = try opened.tag(name, snapshot: at, replacing: force)
            output.print(
                Entry(snapshot, tags: try opened.tags()),
                text: "\(name) names snapshot \(snapshot.id.prefix(12)): \(snapshot.message)")
        }
    }
}

struct Select: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Name a set of images: for each class the first ones that a network gets right, or so many at random.",
        discussion: """
            --random draws from the whole split, or from --among; the images of a smaller number are among those of a larger one of
            the same seed, which is what a learning curve wants.
            Example: logit select corpus paper --correct-by resnet20 --per-class 1 --split test
            Example: logit select corpus tenth --random 1000 --split train
            """)

    @Argument(help: "The corpus folder.") var corpus: String
    @Argument(help: "The selection's name.") var name: String
    @Option(help: "The network that must get the clean image right.") var correctBy: String?
    @Option(help: "Images a class, with --correct-by.") var perClass = 1
    @Option(help: "So many images at random.") var random: Int?
    @Option(help: "Draw from this selection.") var among: String?
    @Option(help: "Seed of the draw.") var seed: UInt64 = 0
    @Option(help: "The dataset; may be left out where there is one.") var dataset: String?
    @Option(help: "The split; test where left out.") var split: String?
    @OptionGroup var waiting: WaitOption
    @OptionGroup var output: OutputOptions

    private struct Result: Encodable {
        var name: String
        var dataset: String
        var split: String
        var images: Int
        var classes: Int
    }

    func run() throws {
        guard perClass >= 1 else {
            throw LogitError(.usage, "--per-class is \(perClass); give a whole number of at least 1")
        }
        guard (correctBy == nil) != (random == nil), among == nil || random != nil else {
            throw LogitError(
                .usage,
                "a selection is either of images that a network gets right (--correct-by, with --per-class) or random (--random, with --among and --seed); give one of the two"
            )
        }
        let opened = try Corpus(at: corpus, .writing, patience: try waiting.patience(output))
        let chosen = try opened.split(dataset: dataset, split: split, usual: "test")
        let found: (ordinals: [Int64], images: [String])
        let provenance: String
        if let random {
            found = try opened.randomImages(
                of: chosen, count: random, seed: seed, among: try among.map { try opened.selection($0) })
            provenance = "\(random) images at random\(among.map { " of selection \($0)" } ?? ""), seed \(seed)"
        } else {
            (found, provenance) = try correct(opened, chosen)
        }
        try opened.addSelection(
            SelectionFile(
                formatVersion: 1, name: name, dataset: chosen.dataset, split: chosen.split,
                datasetDigest: chosen.digest,
                ordinals: found.ordinals, images: found.images, provenance: provenance, created: timestamp()))
        let result = Result(
            name: name, dataset: chosen.dataset, split: chosen.split, images: found.ordinals.count,
            classes: chosen.classNames.count)
        output.print(
            result,
            text:
                "selection \(name): \(result.images.grouped) images of \(chosen.dataset)/\(chosen.split), \(provenance)"
        )
    }

    private func correct(
        _ opened: Corpus, _ chosen: SplitDescriptor
    ) throws -> (found: (ordinals: [Int64], images: [String]), provenance: String) {
        let network = try opened.network(correctBy)
        let found = try opened.correctImages(of: chosen, by: network.name, perClass: perClass)
        guard !found.ordinals.isEmpty else {
            throw LogitError(
                .badInput,
                "network \(network.name) gets no image of \(chosen.dataset)/\(chosen.split) right, so the selection would be empty; choose another network"
            )
        }
        return (
            found,
            "for each class the first \(perClass) images in ordinal order that \(network.name) (module \(network.digest.prefix(12))) gets right"
        )
    }
}
