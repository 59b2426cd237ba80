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
