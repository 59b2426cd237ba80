import CorpusStore
import Foundation
import GRDB
import Logits
import Shards
import TestSupport
import Testing

/// fixtures/corpus-v1.tar, made once by tools/make-sample-corpus: this version and every later one opens it.
@Suite("the frozen corpus of version 1")
struct SampleCorpusTests {
    private let folder = TemporaryFolder()

    /// SHA-256 of each unit's logits as little-endian float32, from Python: hashlib over h5py's `f["logits"][:].astype("<f4")`.
    private static let logits: [String: String] = [:]
    private static let tree = ""

    private func unpacked() throws -> String {
        let ran = try run(
            "/bin/tar", ["-xf", "\(Fixtures.folder)/corpus-v1.tar", "-C", folder.path, "--no-same-owner"])
        try #require(ran.status == 0, "\(ran.errors)")
        return folder.file("corpus")
    }

    private func name(_ key: UnitKey) -> String { "\(key.variant) \(key.view)" }

    @Test("every row and kept image is read, bit for bit as it was written")
    func rows() throws {
        let path = try unpacked()
        let corpus = try Corpus(at: path, .reading)
        var found: [String: String] = [:]
        for unit in try corpus.units() {
            let reader = try ShardReader(path: "\(path)/\(unit.path)", verifyEvery: true)
            let table = try reader.table(0..<reader.rowCount)
            if reader.imageFormat != nil { #expect(try reader.images(0..<reader.rowCount).count == table.count) }
            found[name(unit.key)] = table.logits.withUnsafeBytes { Digest.hex(Array($0)) }
        }
        #expect(found == SampleCorpusTests.logits)
    }

    @Test("verify finds nothing, quick, full and deep")
    func verify() throws {
        let corpus = try Corpus(at: try unpacked(), .reading)
        for (quick, deep) in [(true, false), (false, false), (false, true)] {
            let report = try Verify.run(corpus, quick: quick, deep: deep) { _, _ in }
            #expect(report.problems == [] && report.shards == SampleCorpusTests.logits.count)
        }
    }

    @Test("repair makes the same tree, snapshots, tag, selection, defender and evaluation from the files alone")
    func repair() throws {
        let path = try unpacked()
        let before = try everything(path)
        #expect(try Corpus(at: path, .reading).snapshot(nil).tree == SampleCorpusTests.tree)
        try FileManager.default.removeItem(atPath: "\(path)/catalog.sqlite")
        let report = try Repair.run(at: path) { _, _ in }
        #expect(report.setAside.isEmpty && report.unreadable.isEmpty)
        #expect(report.tags == 1 && report.selections == 1 && report.defenders == 1 && report.evaluations == 1)
        #expect(try everything(path) == before)
        let corpus = try Corpus(at: path, .writing)
        #expect(try corpus.createSnapshot(message: "nothing new").tree == SampleCorpusTests.tree)
        #expect(try corpus.snapshot("v1").id == corpus.snapshots().first { $0.shards.count == 2 }?.id)
    }

    /// What the views say, as text.
    private func everything(_ path: String) throws -> [String] {
        let query = try ReadOnlyQuery(try Corpus(at: path, .reading), at: nil) { false }
        var lines: [String] = []
        for view in ["rows", "accuracy", "snapshots", "defenders", "evaluations", "attacks"] {
            _ = try query.run("SELECT * FROM \(view) ORDER BY 1, 2, 3, 4, 5, 6") { _, values in
                lines.append("\(view) \(values)")
            }
        }
        return lines
    }

    @Test("a copy that another program opens for writing stays as it is")
    func untouched() throws {
        let path = try unpacked()
        let whole = try FileManager.default.subpathsOfDirectory(atPath: "\(path)/shards").sorted()
        _ = try Corpus(at: path, .writing)
        #expect(try FileManager.default.subpathsOfDirectory(atPath: "\(path)/shards").sorted() == whole)
        #expect(try Verify.run(Corpus(at: path, .reading), quick: false) { _, _ in }.problems == [])
    }

    @Test(
        "a corpus, manifest, descriptor or catalogue of a newer version is one sentence",
        arguments: ["corpus.json", "snapshots", "datasets/shapes/test.json", "networks/tiny.json", "catalog.sqlite"])
    func newer(file: String) throws {
        let path = try unpacked()
        if file == "catalog.sqlite" {
            try DatabaseQueue(path: "\(path)/\(file)").write { try $0.execute(sql: "PRAGMA user_version = 99") }
        } else {
            let head = try Corpus(at: path, .reading).snapshot(nil).id
            let url = URL(fileURLWithPath: "\(path)/\(file == "snapshots" ? "snapshots/\(head).json" : file)")
            let text = try String(contentsOf: url, encoding: .utf8)
            let changed = text.replacing(/"format_version" ?: ?1/, with: "\"format_version\": 99, \"more\": []")
            #expect(changed != text)
            try changed.write(to: url, atomically: true, encoding: .utf8)
        }
        let error = #expect(throws: LogitError.self) {
            let corpus = try Corpus(at: path, .reading)
            _ = try corpus.snapshot(nil)
            _ = try corpus.split(dataset: nil, split: nil)
            _ = try corpus.network(nil)
        }
        #expect(error?.code == .environment && error?.message.contains("newer") == true, "\(error?.message ?? "")")
        let ran = try run("\(productFolder)/logit", ["verify", path, "--quiet"])
        #expect(
            ran.status == 1 && ran.output.contains("newer") || ran.errors.contains("newer"),
            "\(ran.errors)\(ran.output)")
    }
}
