import GRDB
import Logits
import Platform
import Shards

/// What must not change under a name, and the sentences that say what did.
extension Corpus {
    /// Refuses a network whose module was replaced outside: the file that it was added from, if it is still there, holds other
    /// bytes now. The corpus keeps a copy of the old one, but whoever names the network may mean the new one.
    package func refuseChangedFile(of network: NetworkDescriptor) throws(LogitError) {
        guard !network.source.isEmpty, Files.exists(network.source), let bytes = try? Files.read(network.source) else {
            return
        }
        let digest = Digest.hex(bytes)
        guard digest == network.digest else {
            throw LogitError(
                .stale,
                "\(network.source) has changed since network \(network.name) was added from it (SHA-256 \(digest.prefix(12)), was \(network.digest.prefix(12))), and all rows here are of the old file; add the changed one under another name, or, to go on with the copy that the corpus keeps, move it away"
            )
        }
    }

    /// Refuses rows of a snapshot that are of other images, another module or other parameters than the names mean now.
    /// - Parameter variants: what the attacks' names mean to this program.
    package func refuseStale(
        _ manifest: SnapshotManifest, _ split: SplitDescriptor, _ network: NetworkDescriptor, _ variants: [Variant]
    ) throws(LogitError) {
        try refuseChangedFile(of: network)
        for entry in manifest.shards {
            let key = entry.key
            guard key.dataset == split.dataset, key.split == split.split, key.network == network.name else { continue }
            let variant = variants.first { $0.canonical == key.variant.canonical }
            guard key.variant.isClean || variant != nil else { continue }
            try Corpus.refuseStale(entry, split, network)
            if let variant, variant.contradicts(key.variant) {
                throw LogitError(
                    .stale,
                    "shard \(entry.path) holds \(variant) with other parameters than this program gives it (\(variant.difference(from: key.variant))); use the program that made it, or ingest the attack again into another corpus"
                )
            }
        }
    }

    /// The same of one shard, for images and module.
    package static func refuseStale(
        _ entry: ShardEntry, _ split: SplitDescriptor, _ network: NetworkDescriptor
    ) throws(LogitError) {
        let key = entry.key
        let pairs: [(what: String, was: String, now: String)] = [
            ("images", String(key.datasetDigest.prefix(12)), String(split.digest.prefix(12))),
            ("module", String(key.networkDigest.prefix(12)), String(network.digest.prefix(12))),
            ("preprocessing", key.preprocessing, network.preprocessing),
            ("class count", "\(entry.classCount)", "\(network.classCount)"),
        ]
        guard let other = pairs.first(where: { $0.was != $0.now }) else { return }
        throw LogitError(
            .stale,
            "shard \(entry.path) was made with another \(other.what) (\(other.was)) than \(network.name) and \(split.dataset)/\(split.split) have now (\(other.now)); choose another snapshot, or put the old descriptor back"
        )
    }

    /// Refuses to answer for names whose descriptors are no longer those that the catalogue was made with.
    func refuseChangedDescriptors() throws(LogitError) {
        for split in try splits() { try refuseChangedDescriptor(split) }
        for network in try networks() { try refuseChangedDescriptor(network) }
    }

    func refuseChangedDescriptor(_ network: NetworkDescriptor) throws(LogitError) {
        let stored = try catalog.read { (db) -> (digest: String, preprocessing: String)? in
            try Row.fetchOne(
                db, sql: "SELECT digest, preprocessing FROM network_index WHERE name = ?", arguments: [network.name]
            ).map { (try $0.value("digest"), try $0.value("preprocessing")) }
        }
        // Not in the catalogue yet: a process was killed between the two, and there is no row of it.
        guard let stored, stored != (network.digest, network.preprocessing) else { return }
        let (what, was, now) =
            stored.digest != network.digest
            ? ("module", String(stored.digest.prefix(12)), String(network.digest.prefix(12)))
            : ("preprocessing", stored.preprocessing, network.preprocessing)
        throw LogitError(
            .stale,
            "\(layout.network(network.name)) names another \(what) (\(now)) than the rows of network \(network.name) were made with (\(was)); put the old descriptor back, and add the other network under a name of its own"
        )
    }

    func refuseChangedDescriptor(_ split: SplitDescriptor) throws(LogitError) {
        let digest = try catalog.read { db in
            try String.fetchOne(
                db,
                sql: """
                    SELECT s.digest FROM split_index s JOIN dataset_index d ON d.id = s.dataset_id
                    WHERE d.name = ? AND s.name = ?
                    """, arguments: [split.dataset, split.split])
        }
        guard let digest, digest != split.digest else { return }
        throw LogitError(
            .stale,
            "\(layout.split(split.dataset, split.split)) names another list of images (digest \(split.digest.prefix(12))) than the rows of \(split.dataset)/\(split.split) were made with (\(digest.prefix(12))); put the old files back, and add the other images as a dataset of their own"
        )
    }

    /// The first thing in which two lists of images differ, as part of a sentence; nil where they are the same.
    package static func firstDifference(_ was: [ListedImage], _ now: [ListedImage]) -> String? {
        for (ordinal, (old, new)) in zip(was, now).enumerated() where old != new {
            if old.id != new.id { return "at ordinal \(ordinal) there was \(old.id), and now is \(new.id)" }
            if old.label != new.label { return "\(old.id) had label \(old.label), and now has \(new.label)" }
            return "\(old.id) has other bytes (SHA-256 \(new.digest.prefix(12)), was \(old.digest.prefix(12)))"
        }
        if was.count < now.count { return "\(now[was.count].id) has been added" }
        return was.count > now.count ? "\(was[now.count].id) is gone" : nil
    }
}

extension Variant {
    /// Whether a stored variant of the same name has another value of a parameter. One that this program knows and the one that
    /// stored it did not is no contradiction.
    func contradicts(_ stored: Variant) -> Bool {
        let now = parameters
        return name != stored.name || stored.parameters.contains { now[$0.key] != $0.value }
    }

    /// The first parameter in which a stored variant of the same name differs: `epsilon was 0.03, is 0.06`.
    package func difference(from stored: Variant) -> String {
        let (was, now) = (stored.parameters, parameters)
        for name in Set(was.keys).union(now.keys).sorted() where was[name] != now[name] {
            return "\(name) was \(was[name] ?? "unknown"), is \(now[name] ?? "gone")"
        }
        return "the attack was \(stored.name), is \(name)"
    }

    private var parameters: [Substring: Substring] {
        let pairs = parametersJSON.dropFirst().dropLast().split(separator: ",").map {
            $0.split(separator: ":", maxSplits: 1)
        }
        return Dictionary(
            pairs.map { ($0[0].filter { $0 != "\"" }[...], $0.count > 1 ? $0[1] : "") },
            uniquingKeysWith: { first, _ in first })
    }
}
