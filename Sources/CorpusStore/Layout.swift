import Logits

/// Where things lie in a corpus folder (design: files are the truth, SQLite is the index).
package struct Layout: Sendable {
    package let root: String

    package var descriptor: String { "\(root)/corpus.json" }
    package var catalog: String { "\(root)/catalog.sqlite" }
    package var lock: String { "\(root)/lock" }
    /// Locked by those who read files of the corpus, and exclusively by `gc`.
    package var readers: String { "\(root)/readers" }
    package var shards: String { "\(root)/shards" }
    package var staging: String { "\(root)/staging" }
    package var snapshots: String { "\(root)/snapshots" }
    package var head: String { "\(root)/refs/head" }
    package var tags: String { "\(root)/refs/tags" }
    package var datasets: String { "\(root)/datasets" }
    package var networks: String { "\(root)/networks" }
    package var selections: String { "\(root)/selections" }
    package var defenders: String { "\(root)/defenders" }
    package var evaluations: String { "\(root)/evaluations" }
    package var analyses: String { "\(root)/analyses" }
    /// Shards that failed their checks, set aside by `repair`.
    package var damaged: String { "\(root)/damaged" }

    var folders: [String] {
        [shards, staging, snapshots, tags, datasets, networks, selections, defenders, evaluations, analyses]
    }

    /// How far `scrub` has come.
    package var scrub: String { "\(root)/scrub.json" }

    /// The list of images of an unfinished ingest; its staged blocks lie in staging/NAME.
    package func plan(_ name: String) -> String { "\(staging)/plans/\(name).json" }
    package func snapshot(_ id: String) -> String { "\(snapshots)/\(id).json" }
    package func selection(_ name: String) -> String { "\(selections)/\(name).json" }
    package func split(_ dataset: String, _ split: String) -> String { "\(datasets)/\(dataset)/\(split).json" }
    package func imageList(_ dataset: String, _ split: String) -> String {
        "\(datasets)/\(dataset)/\(split).images.tsv"
    }
    package func network(_ name: String) -> String { "\(networks)/\(name).json" }
    package func evaluation(_ id: String) -> String { "\(evaluations)/\(id).json" }
    package func analysis(_ id: String) -> String { "\(analyses)/\(id).json" }
    package func module(_ digest: String) -> String { "\(networks)/\(digest).pt" }
    package func absolute(_ relative: String) -> String { "\(root)/\(relative)" }

    /// The shard file of a unit, relative to the corpus: readable folders, a name that only this unit has.
    package static func shard(_ key: UnitKey) -> String {
        let attack =
            key.variant.isClean ? "clean" : "\(key.variant.name)-\(Digest.hex(key.variant.canonical).prefix(8))"
        let unit = "\(key.listDigest.prefix(12))-\(key.firstPosition)-\(key.rowCount).h5"
        return "shards/\(key.dataset)/\(key.split)/\(key.network)/\(attack)/view\(key.view)/\(unit)"
    }

    /// The shard file of a unit that `compact` wrote: the same name with the beginning of the file's digest.
    static func shard(_ key: UnitKey, fileDigest: String) -> String {
        "\(shard(key).dropLast(3)).\(fileDigest.prefix(12)).h5"
    }

    /// The path that all files of one unit share: without the part that `compact` puts in.
    static func unitPath(_ relative: String) -> String {
        let name = relative.split(separator: "/").last ?? ""
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[2] == "h5", parts[1].utf8.count == 12 else { return relative }
        return "\(relative.dropLast(name.count))\(parts[0]).h5"
    }

    /// Names become file and folder names, so they are limited to letters, digits, `-`, `_`, `.`.
    package static func check(name: String, of thing: String) throws(LogitError) {
        let allowed = name.utf8.allSatisfy {
            ($0 >= 0x61 && $0 <= 0x7A) || ($0 >= 0x41 && $0 <= 0x5A) || ($0 >= 0x30 && $0 <= 0x39) || $0 == 0x2D
                || $0 == 0x5F || $0 == 0x2E
        }
        guard allowed, !name.isEmpty, name.utf8.count <= 100, !name.hasPrefix("."), !name.hasPrefix("-") else {
            throw LogitError(
                .usage,
                "\(thing) name \(name.debugDescription) cannot be used; take 1 to 100 letters, digits, '-', '_' or '.', starting with a letter or digit"
            )
        }
    }
}
