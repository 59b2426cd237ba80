import Logits
import Platform
import Shards

/// The lists of rows to make again, which `repair` writes below damaged/ and an ingest clears.
package enum LostShards {
    /// Of the shard at a path.
    static func path(_ relative: String, _ layout: Layout) -> String { "\(layout.damaged)/\(relative).json" }

    /// All lists, by path.
    package static func all(_ layout: Layout) throws(LogitError) -> [LostShard] {
        var found: [LostShard] = []
        for relative in try files(layout, ending: ".h5.json") {
            found.append(try Manifests.readLost("\(layout.damaged)/\(relative)"))
        }
        return found
    }

    /// Files below damaged/, relative to it, sorted.
    static func files(_ layout: Layout, ending: String) throws(LogitError) -> [String] {
        guard Files.isDirectory(layout.damaged) else { return [] }
        var found: [String] = []
        var pending = [""]
        while let folder = pending.popLast() {
            for name in try Files.list("\(layout.damaged)/\(folder)") {
                let relative = folder.isEmpty ? name : "\(folder)/\(name)"
                if Files.isDirectory("\(layout.damaged)/\(relative)") {
                    pending.append(relative)
                } else if name.hasSuffix(ending) {
                    found.append(relative)
                }
            }
        }
        return found.sorted()
    }

    static func write(_ lost: LostShard, _ layout: Layout) throws(LogitError) {
        let path = path(lost.path, layout)
        try Files.makeDirectory(Files.parent(of: path))
        try Files.writeDurably(Manifests.encode(lost), to: path)
    }

    package static func clear(_ lost: LostShard, _ layout: Layout) throws(LogitError) {
        try Files.remove(path(lost.path, layout))
    }
}
