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
    private static let logits: [String: String] = [
        "clean 0": "dab126e6e6880eb8e2561d38fd5f16ed3013d5ae4869239f296816d8c93289b5",
        "cw:steps=20 0": "63b55c4e34d7ddbee3d42f02dc942c908cc1418a901141dc0c8e3b06d5776256",
        "fgsm 0": "d9d6526b80c865aaf14a935828f51a8250600bc7fd7756cf931e428469d29905",
        "mim:steps=3 0": "17aa2801a11996858a06758835154287e590c7ba4b7f32a5e64f41159a4949ec",
        "pgd 0": "3f3911ff854841745b124f338f887abbd7db443d353cfe8700aa35cd25d466d5",
        "pgd:epsilon=8/255 0": "28efba512a5d314d66b630a2a598d4b0418d8d5e7320e9af5db48fc96f132aaf",
        "pgd:epsilon=8/255 1": "5a8f5c8becffa063cb75e35bd18c367550c432e3a14f61d1cb3ba6f32ab8364e",
    ]
    private static let tree = "89c6eca50c4212917ed0324efb816be56fa7dedacc60a6312b3c7c5c65ee966e"

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
            _ = try query.run("SELECT * FROM \(view)") { _, values in
                lines.append("\(view) \(values)")
            }
        }
        return lines.sorted()
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
