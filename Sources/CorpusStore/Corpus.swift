import FoundationEssentials
import GRDB
import Glibc
import Logits
import Platform
import Shards

/// A corpus folder, opened. Files are the truth; the catalogue is an index over them.
///
/// One writer at a time (the lock), any number of readers. Every mutation writes and syncs its file first and makes it
/// visible by one SQLite transaction after that.
package final class Corpus: Sendable {
    package enum Mode: Sendable { case reading, writing }

    package let layout: Layout
    package let descriptor: CorpusDescriptor
    let catalog: Catalog
    private let lock: FileLock?
    /// Held by a reader for as long as it lives; nil for a writer, and where no lock can be had.
    private let readersLock: FileLock?

    package var root: String { layout.root }

    /// Makes a new, empty corpus. The folder must be absent, empty, or what an `init` that was cut short left.
    package static func create(at path: String) throws(LogitError) {
        if Files.exists(path) {
            guard Files.isDirectory(path) else {
                throw LogitError(.usage, "\(path) exists and is not a folder; choose another name for the corpus")
            }
            guard try isUnfinished(path) else {
                let what = Files.exists("\(path)/corpus.json") ? "is a corpus already" : "is not empty"
                throw LogitError(.usage, "\(path) \(what); choose another name for the new corpus")
            }
        }
        try Files.makeDirectory(path)
        let layout = Layout(root: Files.absolute(path))
        for folder in layout.folders { try Files.makeDirectory(folder) }
        _ = try Catalog.openForWriting(layout.catalog)
        let descriptor = CorpusDescriptor(
            formatVersion: CorpusDescriptor.currentVersion, id: UUID().uuidString.lowercased(), created: timestamp())
        try Files.write([], to: layout.readers, sync: false)
        try Files.syncFolders(layout.root)
        try Files.writeDurably(JSONFile.encode(descriptor), to: layout.descriptor)
    }

    /// Whether a folder holds nothing but what `create` makes before `corpus.json`, its last file.
    private static func isUnfinished(_ path: String) throws(LogitError) -> Bool {
        let layout = Layout(root: path)
        for name in try Files.list(path) {
            let isTemporary = name.hasPrefix("corpus.json.") && name.hasSuffix(".tmp")
            if name.hasPrefix("catalog.sqlite") || name == "readers" || isTemporary { continue }
            let own = layout.folders.contains { $0 == "\(path)/\(name)" || $0.hasPrefix("\(path)/\(name)/") }
            guard own, try !Files.holdsFiles("\(path)/\(name)") else { return false }
        }
        return true
    }

    /// - Parameter patience: how long a writer waits for another.
    package init(at path: String, _ mode: Mode, patience: Patience = .none) throws(LogitError) {
        (layout, descriptor) = try Corpus.check(path)
        guard Files.exists(layout.catalog) else {
            throw LogitError(
                .notFound, "\(layout.catalog) is missing; run logit repair \(path), which rebuilds it from the shards")
        }
        switch mode {
        case .reading:
            lock = nil
            readersLock = try ReadersLock.share(layout)
            catalog = try Catalog.openForReading(layout.catalog)
        case .writing:
            lock = try WriterLock.take(layout, patience)
            readersLock = nil
            catalog = try Catalog.openForWriting(layout.catalog)
            // What a writer that died had named and not synced must be durable before anything is built on it.
            try Files.syncFolders(layout.root)
            try indexStrayFiles()
        }
    }

    /// For `repair`, which opens a catalogue of its own.
    init(layout: Layout, descriptor: CorpusDescriptor, catalog: Catalog, lock: FileLock) {
        self.layout = layout
        self.descriptor = descriptor
        self.catalog = catalog
        self.lock = lock
        readersLock = nil
    }

    /// The layout and descriptor of an existing corpus of a version that we know.
    static func check(_ path: String) throws(LogitError) -> (Layout, CorpusDescriptor) {
        guard Files.exists(path) else {
            throw LogitError(.notFound, "there is no corpus at \(path); make one with logit init \(path)")
        }
        let layout = Layout(root: Files.absolute(path))
        guard Files.exists(layout.descriptor) else {
            throw LogitError(.notFound, "\(path) is no corpus (it has no corpus.json); make one with logit init")
        }
        let descriptor = try JSONFile.read(CorpusDescriptor.self, from: layout.descriptor)
        return (layout, descriptor)
    }

    func requireWriting() { precondition(lock != nil, "the corpus is open for reading") }
}
