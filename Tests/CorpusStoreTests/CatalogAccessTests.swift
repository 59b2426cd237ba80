import CorpusStore
import Foundation
import Ingestion
import Logits
import Shards
import TestSupport
import Testing

private let count = "SELECT count(*) FROM rows"

private func rows(_ number: Int64) -> [String] { ["\([ReadOnlyQuery.Value.integer(number)])"] }

/// Runs a shell script with a corpus bound read-only over the folder `$1`, in a mount namespace of its own.
/// - Returns: nil where this process may not mount.
private func onReadOnlyMount(_ corpus: String, _ folder: TemporaryFolder, _ script: String) throws -> Ran? {
    let place = folder.file("read-only-\(UUID().uuidString)")
    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
    let mount = "mount --bind '\(corpus)' '\(place)' && mount -o remount,bind,ro '\(place)'"
    let shell = ["-m", "--propagation", "private", "/bin/sh", "-c"]
    guard try run("/usr/bin/unshare", shell + ["\(mount) && ! touch '\(place)/x' 2>/dev/null"]).status == 0 else {
        return nil
    }
    return try run("/usr/bin/unshare", shell + ["\(mount) && set -- '\(place)' && { \(script); }"])
}

private let logit = "'\(productFolder)/logit'"

@Test("a writer leaves its log in place, empty, and readers beside it and after it see every committed row")
func keptLog() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    do {
        let early = try Corpus(at: path, .reading)
        try Fixtures.ingest(path, attacks: "clean", limit: 40)
        #expect(try answers(path, count) == rows(40) && early.units().count == 1)
    }
    let log = try FileManager.default.attributesOfItem(atPath: "\(path)/catalog.sqlite-wal")[.size] as? Int
    #expect(log != nil)
    // The last connection to close empties it.
    do { _ = try Corpus(at: path, .writing) }
    #expect(try FileManager.default.attributesOfItem(atPath: "\(path)/catalog.sqlite-wal")[.size] as? Int == 0)
    #expect(try answers(path, count) == rows(40))
}

@Test("a copy without a log is read as it is, and read again beside a writer that comes to it")
func copyWithoutLog() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, attacks: "clean", limit: 40)
    let copy = folder.file("copy")
    try copyCorpus(path, to: copy, without: ["-wal", "-shm"])
    let reader = try Corpus(at: copy, .reading)
    let query = try ReadOnlyQuery(reader, at: nil) { false }
    #expect(try answers(copy, count) == rows(40) && reader.units().count == 1)
    // Reading made no files.
    #expect(!FileManager.default.fileExists(atPath: "\(copy)/catalog.sqlite-wal"))
    try Fixtures.ingest(copy, attacks: "pgd", limit: 40)
    #expect(try reader.units().count == 2 && answers(copy, count) == rows(80))
    // A query that was open before cannot be begun anew under its reader, and says so.
    let error = #expect(throws: LogitError.self) { try query.run(count) { _, _ in } }
    #expect(error?.code == .busy)
}

@Test(
    "what a killed writer left in the log is read, with and without the shared memory file, by two readers",
    arguments: [[], ["-shm"]])
func leftLog(missing: [String]) throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    let copy = folder.file("copy")
    do {
        // Copied while the writer lives: what a SIGKILL would leave.
        let writer = try Corpus(at: path, .writing)
        let split = try writer.split(dataset: nil, split: nil)
        try writer.addSelection(
            SelectionFile(
                formatVersion: 1, name: "s", dataset: split.dataset, split: split.split, datasetDigest: split.digest,
                ordinals: [0], images: ["a"], provenance: "p", created: timestamp()))
        try copyCorpus(path, to: copy, without: missing)
        withExtendedLifetime(writer) {}
    }
    let question = "SELECT name FROM selection_index"
    let script = "\(logit) sql $1 '\(question)' --format csv & \(logit) sql $1 '\(question)' --format csv; wait"
    if let ran = try onReadOnlyMount(copy, folder, script) {
        #expect(ran.status == 0 && ran.output == "name\ns\nname\ns\n", "\(ran.output) \(ran.errors)")
    }
    let (first, second) = (try Corpus(at: copy, .reading), try Corpus(at: copy, .reading))
    for reader in [first, second] {
        let query = try ReadOnlyQuery(reader, at: nil) { false }
        var found: [String] = []
        _ = try query.run(question) { _, values in found.append("\(values)") }
        #expect(found == ["\([ReadOnlyQuery.Value.text("s")])"])
    }
}

@Test("a corpus on a read-only file system is read, sampled and verified, with a log and without; writing is refused")
func readOnlyMount() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, limit: 40)
    let copy = folder.file("copy")
    try copyCorpus(path, to: copy, without: ["-wal", "-shm"])
    try FileManager.default.removeItem(atPath: "\(copy)/readers")
    for corpus in [path, copy] {
        let reading = """
            \(logit) sql $1 '\(count)' --format csv && \(logit) verify $1 --quiet > /dev/null \
            && \(logit) sample $1 --split test --quiet > /dev/null && \(logit) snapshot show $1 > /dev/null
            """
        guard let ran = try onReadOnlyMount(corpus, folder, reading) else { return }
        #expect(ran.status == 0 && ran.output == "count(*)\n80\n", "\(ran.output) \(ran.errors)")
        let writing = try #require(
            try onReadOnlyMount(corpus, folder, "\(logit) compact $1 --codec zstd; \(logit) gc $1; true"))
        #expect(writing.errors.components(separatedBy: "is read-only, so").count == 3, "\(writing.errors)")
    }
}

@Test("a log that another program's last connection removes is no obstacle")
func removedLog() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, attacks: "clean", limit: 40)
    // The stock shell takes the log with it when it goes.
    let change = "INSERT INTO tag_index VALUES ('a', 'b'); DELETE FROM tag_index;"
    #expect(try run("/usr/bin/sqlite3", ["\(path)/catalog.sqlite", change]).status == 0)
    #expect(!FileManager.default.fileExists(atPath: "\(path)/catalog.sqlite-wal"))
    #expect(try answers(path, count) == rows(40))
    // Again and again while readers open: between its checkpoint and the removal, too.
    let shell = Process()
    shell.executableURL = URL(fileURLWithPath: "/bin/sh")
    shell.arguments = [
        "-c", "for i in $(seq 100); do sqlite3 '\(path)/catalog.sqlite' \"$1\"; done", "sh", change,
    ]
    try shell.run()
    var turns = 0
    while shell.isRunning {
        let corpus = try Corpus(at: path, .reading)
        #expect(try corpus.units().count == 1 && corpus.snapshots().count == 1)
        turns += 1
    }
    #expect(turns > 10)
    try Fixtures.ingest(path, attacks: "pgd", limit: 40)
    #expect(try answers(path, count) == rows(80))
}
