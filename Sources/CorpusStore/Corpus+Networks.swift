import GRDB
import Logits
import Platform

extension Corpus {
    /// Adds a network: a copy of its module file and the descriptor.
    package func addNetwork(_ network: NetworkDescriptor, module: [UInt8]) throws(LogitError) {
        requireWriting()
        try Layout.check(name: network.name, of: "network")
        if let known = try networks().first(where: { $0.name == network.name }) {
            let same = known.digest == network.digest && known.preprocessing == network.preprocessing
            throw LogitError(
                .usage,
                same
                    ? "network \(network.name) is in the corpus already, with the same module and preprocessing"
                    : "network \(network.name) is in the corpus already with another \(known.digest == network.digest ? "preprocessing (\(known.preprocessing), not \(network.preprocessing))" : "module (digest \(known.digest.prefix(12)), not \(network.digest.prefix(12)))"); give the new one another name, since stored rows refer to this one"
            )
        }
        let path = layout.module(network.digest)
        if !Files.exists(path) { try Files.writeDurably(module, to: path) }
        try Files.writeDurably(JSONFile.encode(network), to: layout.network(network.name))
        try catalog.write { db in try Corpus.index(network, in: db) }
    }

    static func index(_ network: NetworkDescriptor, in db: Database) throws {
        try db.execute(
            sql: """
                INSERT INTO network_index (name, digest, preprocessing, class_count, block_rows) VALUES (?, ?, ?, ?, ?)
                """,
            arguments: [network.name, network.digest, network.preprocessing, network.classCount, network.blockRows])
    }

    package func networks() throws(LogitError) -> [NetworkDescriptor] {
        var found: [NetworkDescriptor] = []
        for file in try Files.list(layout.networks) where file.hasSuffix(".json") {
            let path = "\(layout.networks)/\(file)"
            let network = try JSONFile.read(NetworkDescriptor.self, from: path)
            guard file == "\(network.name).json" else {
                throw LogitError(.corrupt, "\(path) describes network \(network.name); give the file its name back")
            }
            found.append(network)
        }
        return found
    }

    /// The network asked for; where the name is left out, the only one there is.
    package func network(_ name: String?) throws(LogitError) -> NetworkDescriptor {
        let all = try networks()
        guard !all.isEmpty else {
            throw LogitError(.notFound, "the corpus \(root) has no network; add one with logit network add")
        }
        let names = all.map(\.name).joined(separator: ", ")
        guard let name else {
            guard all.count == 1 else {
                throw LogitError(.usage, "the corpus has several networks; choose one with --network: \(names)")
            }
            try refuseChangedDescriptor(all[0])
            return all[0]
        }
        guard let match = all.first(where: { $0.name == name }) else {
            throw LogitError(.notFound, "there is no network \(name); there is \(names)")
        }
        try refuseChangedDescriptor(match)
        return match
    }

    /// The path of a network's module, after checking that its bytes are those that it was added with.
    package func checkedModule(of network: NetworkDescriptor) throws(LogitError) -> String {
        let path = layout.module(network.digest)
        let digest = Digest.hex(try Files.read(path))
        guard digest == network.digest else {
            throw LogitError(
                .stale,
                "the module of network \(network.name), \(path), is not the file it was added with (digest \(digest.prefix(12)), was \(network.digest.prefix(12))); put back a copy of it, or add the changed one under another name"
            )
        }
        return path
    }
}
