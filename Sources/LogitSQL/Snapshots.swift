import CLogitSQL
import Logits
import Platform
import Shards

/// What refs/ and snapshots/ of a corpus say, read without its catalogue.
enum Snapshots {
    /// The id that a tag, an id or the beginning of one names; `head` names the newest.
    static func id(_ reference: String, _ root: String) throws(LogitError) -> String {
        if reference == "head" {
            guard let head = try head(root) else {
                throw LogitError(.notFound, "the corpus \(root) has no snapshot yet; run logit ingest, which makes one")
            }
            return head
        }
        let tags = try tags(root)
        if let tag = tags[reference] { return tag }
        let ids = try Files.list("\(root)/snapshots").filter { $0.hasSuffix(".json") }.map { String($0.dropLast(5)) }
        let matches = reference.utf8.count >= 4 ? ids.filter { $0.hasPrefix(reference) } : []
        guard matches.count == 1 else {
            let known = ["head"] + tags.keys.sorted() + ids.sorted().prefix(10).map { String($0.prefix(12)) }
            let what = matches.isEmpty ? "there is no snapshot or tag" : "several snapshots begin with"
            throw LogitError(
                .notFound, "\(what) “\(reference.prefix(100))”; there is \(known.joined(separator: ", "))")
        }
        return matches[0]
    }

    static func head(_ root: String) throws(LogitError) -> String? {
        Files.exists("\(root)/refs/head") ? try line("\(root)/refs/head") : nil
    }

    static func tags(_ root: String) throws(LogitError) -> [String: String] {
        var found: [String: String] = [:]
        for name in try Files.list("\(root)/refs/tags") where !name.hasSuffix(".tmp") {
            found[name] = try line("\(root)/refs/tags/\(name)")
        }
        return found
    }

    private static func line(_ path: String) throws(LogitError) -> String {
        String(try Files.readText(path, limit: 4096).prefix { $0 != "\n" })
    }

    static func manifest(_ id: String, _ root: String) throws(LogitError) -> SnapshotManifest {
        let path = "\(root)/snapshots/\(id).json"
        let manifest = try Manifests.readSnapshot(path)
        guard manifest.id == id else {
            throw LogitError(
                .corrupt, "the manifest \(path) is damaged (it is of another snapshot); put back a copy of it")
        }
        return manifest
    }
}

/// `SELECT logits_at('TAG')`: from then on `logits` and `shards()` show that snapshot on this connection; NULL ends it. The
/// result is the snapshot's id.
enum SnapshotChoice {
    static func definition(_ session: Session) -> FunctionDefinition {
        let definition = FunctionDefinition("logits_at", 1...1) { [unowned session] (call) throws(LogitError) in
            guard !call.isNull(0) else {
                session.snapshot = nil
                return call.null()
            }
            let root = try session.root()
            let id = try Snapshots.id(call.text(0), root)
            _ = try session.manifest(id, root)
            session.snapshot = id
            call.result(id)
        }
        definition.isPure = false
        return definition
    }
}
