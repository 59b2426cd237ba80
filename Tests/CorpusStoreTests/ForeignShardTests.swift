import CorpusStore
import Foundation
import Glibc
import Logits
import Shards
import TestSupport
import Testing

/// Shards that nobody vouches for are read by a child process first.
@Suite("foreign shards")
struct ForeignShardTests {
    private let folder = TemporaryFolder()

    private func shard() throws -> String {
        let path = folder.file("a.h5")
        let table = exampleTable(rows: 5, classes: 4, attacked: true)
        try ShardWriter.write(
            table, images: exampleImages(rows: 5, .float), header: exampleHeader(table, variant: examplePGD),
            encoding: .zstd, to: path)
        return path
    }

    /// A program that dies as a child that HDF5 brings down.
    private func program(_ script: String) throws -> String {
        let path = folder.file("child")
        try "#!/bin/sh\n\(script)\n".write(toFile: path, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        return path
    }

    @Test("a sound shard passes; a damaged one is refused in the child's words")
    func verdicts() throws {
        let path = try shard()
        try ForeignShard.check(path)
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes[bytes.count / 2] ^= 0x10
        try bytes.write(to: URL(fileURLWithPath: path))
        let error = #expect(throws: LogitError.self) { try ForeignShard.check(path) }
        #expect(error?.code == .corrupt && error?.message.contains(path) == true)
        #expect(throws: LogitError.self) { try ForeignShard.check(folder.file("nowhere.h5")) }
        let pipe = folder.file("pipe.h5")
        #expect(mkfifo(pipe, 0o600) == 0)
        let waiting = #expect(throws: LogitError.self) { try ForeignShard.check(pipe) }
        #expect(waiting?.message.contains("no plain file") == true)
    }

    @Test(
        "a child that dies or never ends is one sentence that names the shard",
        arguments: [
            ("kill -SEGV $$", "makes HDF5 crash"), ("kill -KILL $$", "makes HDF5 crash"),
            ("exit 3", "makes HDF5 crash"),
            ("kill -ALRM $$", "keeps HDF5 busy without end"), ("echo nonsense >&2", "makes HDF5 crash"),
        ])
    func deaths(script: String, words: String) throws {
        let path = try shard()
        let child = try program(script)
        var error: LogitError?
        for _ in 0..<50 {
            error = #expect(throws: LogitError.self) { try ForeignShard.check(path, by: child) }
            // A process that another test started at that moment may hold the script open for writing.
            guard error?.code == .environment else { break }
            usleep(20_000)
        }
        #expect(
            error?.code == .corrupt && error?.message.contains("shard \(path) \(words)") == true,
            "\(error?.message ?? "")")
    }

    @Test("the child has bounds on its memory and time, and says nothing on standard output")
    func bounds() throws {
        let path = try shard()
        let ran = try run("\(productFolder)/logit", [ForeignShard.command, path])
        #expect(ran.status == 0 && ran.errors == "fine\n" && ran.output.isEmpty)
        #expect(try run("\(productFolder)/logit", ["--help"]).output.contains(ForeignShard.command) == false)
    }

    @Test("a stray shard that a child refuses is not adopted, and the corpus stays as it was")
    func stray() throws {
        let path = try Fixtures.corpus(folder)
        try Fixtures.ingest(path, attacks: "clean", limit: 20)
        let unit = try Corpus(at: path, .reading).units()[0]
        var bytes = try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(unit.path)"))
        bytes[200] ^= 0xFF
        let stray = (("\(path)/\(unit.path)") as NSString).deletingLastPathComponent + "/ffffffffffff-0-20.h5"
        try bytes.write(to: URL(fileURLWithPath: stray))
        let error = #expect(throws: LogitError.self) { try Corpus(at: path, .writing).adoptStrayShards() }
        #expect(error?.code == .corrupt && error?.message.contains(stray) == true)
        #expect(try Corpus(at: path, .reading).units().count == 1)
    }
}
