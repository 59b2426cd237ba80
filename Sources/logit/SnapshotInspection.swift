import ArgumentParser
import CorpusStore
import Logits
import Report
import Shards

extension SnapshotCommand {
    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "What a snapshot holds, and who names it.",
            discussion: "Example: logit snapshot show corpus paper-v1 --format json")
        @Argument(help: "The corpus folder.") var corpus: String
        @Argument(help: "The snapshot: an id, the beginning of one, a tag, or head.") var snapshot: String = "head"
        @OptionGroup var output: OutputOptions

        private struct Result: Encodable {
            struct Part: Encodable {
                var dataset: String
                var split: String
                var network: String
                var attack: String
                var view: Int
                var rows: Int
                var shards: Int
                var bytes: Int
            }
            var snapshot: Entry
            var bytes: Int
            var uses: SnapshotUses
            var parts: [Part]
        }

        func run() throws {
            let opened = try Corpus(at: corpus, .reading)
            let manifest = try opened.snapshot(snapshot)
            let result = Result(
                snapshot: Entry(manifest, tags: try opened.tags()),
                bytes: manifest.shards.reduce(0) { $0 + $1.fileBytes }, uses: try opened.uses(of: manifest.id),
                parts: parts(manifest))
            output.print(result, text: text(result))
        }

        private func parts(_ manifest: SnapshotManifest) -> [Result.Part] {
            var parts: [[String]: Result.Part] = [:]
            for shard in manifest.shards {
                let key = shard.key
                let name = [key.dataset, key.split, key.network, key.variant.canonical, "\(key.view)"]
                var part =
                    parts[name]
                    ?? Result.Part(
                        dataset: key.dataset, split: key.split, network: key.network, attack: key.variant.canonical,
                        view: key.view, rows: 0, shards: 0, bytes: 0)
                part.rows += key.rowCount
                part.shards += 1
                part.bytes += shard.fileBytes
                parts[name] = part
            }
            return parts.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map(\.value)
        }

        private func text(_ result: Result) -> String {
            let snapshot = result.snapshot
            var lines = [
                "snapshot \(snapshot.id)", "tree     \(snapshot.tree)", "parent   \(snapshot.parent ?? "none")",
                "created  \(snapshot.created)", "message  \(snapshot.message)",
                "holds    \(snapshot.rows.grouped) rows in \(snapshot.shards.grouped) shards, \(result.bytes.grouped) bytes",
            ]
            let names = (result.uses.isHead ? ["head"] : []) + result.uses.tags
            if !names.isEmpty { lines.append("names    \(names.joined(separator: ", "))") }
            if !result.uses.dependents.isEmpty { lines.append("used by  \(result.uses.dependents)") }
            var table = TextTable(["dataset", "split", "network", "attack", "view", "rows", "shards", "bytes"])
            for part in result.parts {
                table.add([
                    part.dataset, part.split, part.network, part.attack, "\(part.view)", part.rows.grouped,
                    part.shards.grouped, part.bytes.grouped,
                ])
            }
            return lines.joined(separator: "\n") + "\n\n" + table.text
        }
    }

    struct Diff: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "What lies between two snapshots: units added, removed, changed, or rewritten without a change.",
            discussion: """
                A unit is the rows of one shard. Of a changed one the rows are counted that differ, as long as both files are there.
                Example: logit snapshot diff corpus paper-v1 head
                """)
        @Argument(help: "The corpus folder.") var corpus: String
        @Argument(help: "The first snapshot: an id, the beginning of one, a tag, or head.") var before: String
        @Argument(help: "The second.") var after: String = "head"
        @OptionGroup var output: OutputOptions

        func run() throws {
            let opened = try Corpus(at: corpus, .reading)
            let diff = try SnapshotDiff(try opened.snapshot(before), try opened.snapshot(after), in: opened)
            output.print(diff, text: text(diff))
        }

        private func text(_ diff: SnapshotDiff) -> String {
            var table = TextTable([
                "change", "dataset", "split", "network", "attack", "view", "first", "rows", "changed",
            ])
            for unit in diff.units {
                let changed = unit.change == .changed ? unit.changedRows.map(\.grouped) ?? "unknown" : ""
                table.add([
                    unit.change.rawValue, unit.dataset, unit.split, unit.network, unit.attack, "\(unit.view)",
                    unit.firstPosition.grouped, unit.rows.grouped, changed,
                ])
            }
            let counts = [
                ("added", diff.added), ("removed", diff.removed), ("changed", diff.changed),
                ("rewritten with the same rows", diff.rewritten), ("the same", diff.same),
            ].map { "\($0.1.rows.grouped) rows (\($0.1.units.grouped) shards) \($0.0)" }
            let head = "\(diff.before.prefix(12)) to \(diff.after.prefix(12)): \(counts.joined(separator: ", "))"
            return diff.units.isEmpty ? head : table.text + "\n\n" + head
        }
    }

    struct Delete: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete a snapshot; logit gc then wins the bytes that no other holds.",
            discussion: """
                Refused for the head, for a snapshot that is tagged, and where a defender or evaluation was made from it. Rows that
                are in the catalogue stay there.
                Example: logit snapshot delete corpus 3f2a91
                """)
        @Argument(help: "The corpus folder.") var corpus: String
        @Argument(help: "The snapshot: an id, the beginning of one, or a tag.") var snapshot: String
        @Flag(help: "Also delete the tags that name it.") var withTags = false
        @Flag(help: "Also where a defender or evaluation names it and could not be made again.") var force = false
        @OptionGroup var waiting: WaitOption
        @OptionGroup var output: OutputOptions

        func run() throws {
            let opened = try Corpus(at: corpus, .writing, patience: try waiting.patience(output))
            let report = try opened.deleteSnapshot(snapshot, withTags: withTags, force: force)
            var lines = ["deleted snapshot \(report.id.prefix(12))"]
            if !report.tags.isEmpty { lines.append("deleted its tags: \(report.tags.joined(separator: ", "))") }
            let lost =
                report.defenders.map { "defender \($0)" } + report.evaluations.map { "evaluation \($0)" }
                + report.analyses.map { "analysis \($0)" }
            if !lost.isEmpty { lines.append("no longer to be made again: \(lost.joined(separator: ", "))") }
            lines.append("logit gc would remove \(report.collectableBytes.grouped) bytes")
            output.print(report, text: lines.joined(separator: "\n"))
        }
    }
}
