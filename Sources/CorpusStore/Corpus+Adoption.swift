import Logits
import Platform
import Shards

extension Corpus {
    /// Shards that were renamed into place but not committed (the process died in between), or brought by other means, are
    /// checked whole and committed by their unit key.
    ///
    /// A unit can have several files: `compact` writes another and leaves the former one to the snapshots that hold it. The one
    /// in the catalogue stays, as long as it is there: it was committed. Of several that are not, one of the head snapshot is
    /// taken, else the last by name.
    /// - Returns: how many were adopted.
    package func adoptStrayShards() throws(LogitError) -> Int {
        requireWriting()
        let units = try units()
        let known = Set(units.map(\.path))
        var shown = Dictionary(units.map { (Layout.shard($0.key), $0) }, uniquingKeysWith: { first, _ in first })
        let head = try headShardPaths()
        let strays = try shardFiles().filter { !known.contains($0) }
        var adopted = 0
        for relative in strays.filter(head.contains) + strays.filter({ !head.contains($0) }).reversed() {
            let place = Layout.unitPath(relative)
            if let present = shown[place] {
                guard !Files.exists(layout.absolute(present.path)) else { continue }
                let (unit, table, created) = try readStray(relative)
                try replace(present, with: unit, table, created: created)
                shown[place] = unit
            } else {
                let (unit, table, created) = try readStray(relative)
                try index([(unit, table, created)])
                shown[place] = unit
            }
            adopted += 1
        }
        if adopted > 0 { try indexStrayFiles() }
        return adopted
    }

    /// Reads and checks a shard, and makes it durable: it may have been copied here a moment ago.
    private func readStray(_ relative: String) throws(LogitError) -> (StoredUnit, RowTable, String) {
        let found = try readUnit(relative)
        try Files.sync(layout.absolute(relative))
        return found
    }

    /// Paths of the shards that the head snapshot names; none where it cannot be read, which `verify` says.
    private func headShardPaths() throws(LogitError) -> Set<String> {
        guard let head = try headSnapshotID(), let snapshot = try? manifest(head) else { return [] }
        return Set(snapshot.shards.map(\.path))
    }
}
