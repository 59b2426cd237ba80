import CorpusStore
import Foundation
import Glibc
import Ingestion
import Logits
import Platform
import TestSupport
import Testing

/// Files of a corpus that claim what none of ours claims, or are no files at all: a sentence, at once.
@Suite("hostile files")
struct HostileFilesTests {
    private let folder = TemporaryFolder()

    private static let digest = String(repeating: "a", count: 64)
    private static let split = """
        {"format_version":1,"dataset":"d","split":"s","source":"/d","kind":"tar","class_names":["a","b"],"image_count":2,
        "digest":"\(digest)","height":2,"width":3,"created":"2026"}
        """
    private static let network = """
        {"format_version":1,"name":"n","digest":"\(digest)","format":"torchscript","channels":3,"height":32,"width":32,
        "class_count":10,"block_rows":64,"fold":true,"source":"/n","created":"2026"}
        """
    private static let plan = """
        {"format_version":1,"dataset":"d","split":"s","dataset_digest":"x","network":"n","network_digest":"y",
        "preprocessing":"p","attack_name":"pgd","attack":"pgd","attack_parameters":"{}","view":0,"seed":0,"block_rows":2,
        "unit_rows":4,"ordinals":[0,1,2,7]}
        """

    private func read<Value: Descriptor>(_ type: Value.Type, _ text: String) throws -> Value {
        try text.write(toFile: folder.file("a.json"), atomically: false, encoding: .utf8)
        return try JSONFile.read(type, from: folder.file("a.json"))
    }

    private func expectRefusal<Value: Descriptor>(_ type: Value.Type, _ whole: String, _ change: (String, String))
        throws
    {
        #expect(try read(type, whole).fault == nil)
        let changed = whole.replacingOccurrences(of: change.0, with: change.1)
        #expect(changed != whole, "\(change) changes nothing")
        let error = #expect(throws: LogitError.self, "\(change)") { try read(type, changed) }
        #expect(error?.code == .corrupt && error?.message.contains("a.json") == true, "\(change)")
    }

    @Test(
        "a split with numbers or names that none has is refused",
        arguments: [
            ("\"image_count\":2", "\"image_count\":-1"), ("\"image_count\":2", "\"image_count\":1152921504606846976"),
            ("\"image_count\":2", "\"image_count\":1e300"), ("[\"a\",\"b\"]", "[\"a\"]"), ("\"d\"", "\"../../etc\""),
            ("\"height\":2", "\"height\":0"), ("\"width\":3", "\"width\":9223372036854775807"),
            ("\"aaaa", "\"../../"), ("\"format_version\":1", "\"format_version\":0"),
        ])
    func splits(change: (String, String)) throws {
        try expectRefusal(SplitDescriptor.self, HostileFilesTests.split, change)
    }

    @Test(
        "a network with numbers or names that none has is refused",
        arguments: [
            ("\"block_rows\":64", "\"block_rows\":0"), ("\"block_rows\":64", "\"block_rows\":4611686018427387904"),
            ("\"class_count\":10", "\"class_count\":0"), ("\"channels\":3", "\"channels\":4"),
            ("\"height\":32", "\"height\":-5"), ("\"n\"", "\"a/b\""), ("\"fold\"", "\"mean\":[1,2],\"fold\""),
            ("\"aaaa", "\"/etc"),
        ])
    func networks(change: (String, String)) throws {
        try expectRefusal(NetworkDescriptor.self, HostileFilesTests.network, change)
    }

    @Test(
        "a plan that would never end, or names no images, is refused",
        arguments: [
            ("\"unit_rows\":4", "\"unit_rows\":0"), ("\"block_rows\":2", "\"block_rows\":0"),
            ("\"unit_rows\":4", "\"unit_rows\":3"), ("\"unit_rows\":4", "\"unit_rows\":-4"), ("[0,1,2,7]", "[]"),
            ("[0,1,2,7]", "[0,1,1]"), ("[0,1,2,7]", "[0,-1]"), ("\"view\":0", "\"view\":-1"),
        ])
    func plans(change: (String, String)) throws {
        try expectRefusal(IngestPlan.self, HostileFilesTests.plan, change)
    }

    @Test("a newer version of any descriptor is one sentence, whatever else it holds")
    func newer() throws {
        func expectNewer<Value: Descriptor>(_ type: Value.Type) throws {
            let error = #expect(throws: LogitError.self) { try read(type, "{\"format_version\": 7, \"new\": [1, {}]}") }
            #expect(error?.code == .environment && error?.message.contains("use the newer program") == true, "\(type)")
        }
        try expectNewer(CorpusDescriptor.self)
        try expectNewer(SplitDescriptor.self)
        try expectNewer(NetworkDescriptor.self)
        try expectNewer(DefenderRecord.self)
        try expectNewer(EvaluationRecord.self)
        try expectNewer(IngestPlan.self)
    }

    @Test("a descriptor under another's name is refused")
    func renamed() throws {
        let path = try Fixtures.corpus(folder)
        let (split, network) = ("\(path)/datasets/shapes/test.json", "\(path)/networks/residual.json")
        try FileManager.default.copyItem(atPath: split, toPath: "\(path)/datasets/shapes/train.json")
        try FileManager.default.copyItem(atPath: network, toPath: "\(path)/networks/other.json")
        let corpus = try Corpus(at: path, .reading)
        for failing in [{ _ = try corpus.splits() }, { _ = try corpus.networks() }] {
            let error = #expect(throws: LogitError.self) { try failing() }
            #expect(error?.message.contains("give the file its name back") == true)
        }
    }

    @Test(
        "an image list with a line that is no image is refused",
        arguments: [
            "0\tx\ta.png", "-1\t\(digest)\ta.png", "2\t\(digest)\ta.png", "0\t\(digest)", "9999999999\t\(digest)\ta",
        ])
    func imageLists(line: String) throws {
        let whole = "1\t\(HostileFilesTests.digest)\ta b\tü.png\n"
        #expect(try Corpus.parseImageList(Array(whole.utf8), classCount: 2, path: "list")[0].id == "a b\tü.png")
        let error = #expect(throws: LogitError.self) {
            try Corpus.parseImageList(Array((whole + line + "\n").utf8), classCount: 2, path: "list")
        }
        #expect(error?.message.contains("line 2 of list") == true)
    }

    @Test("a pipe, a folder or a file larger than memory where a file should be is refused at once")
    func noFiles() throws {
        let begun = Date()
        #expect(mkfifo(folder.file("pipe"), 0o600) == 0)
        #expect(FileManager.default.createFile(atPath: folder.file("huge"), contents: nil))
        #expect(truncate(folder.file("huge"), 1 << 43) == 0)
        for name in ["pipe", "huge", "."] {
            let error = #expect(throws: LogitError.self) { try Files.read(folder.file(name)) }
            #expect(error?.code == .badInput && error?.message.contains(folder.path) == true)
        }
        for name in ["pipe", "."] {
            #expect(throws: LogitError.self) { try MappedFile(folder.file(name)) }
        }
        #expect(Date().timeIntervalSince(begun) < 5)
    }
}
