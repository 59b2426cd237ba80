import Foundation
import Logits
import Shards
import TestSupport
import Testing

/// A shard never gives other data than was written, and never crashes its reader, whatever happens to its bytes.
@Suite("damaged shards")
struct ShardDamageTests {
    private let folder = TemporaryFolder()
    private let table = exampleTable(rows: 3, classes: 5, attacked: true, cost: true)

    private func write(_ codec: Codec) throws -> (path: String, bytes: Data) {
        let path = folder.file("a.h5")
        try ShardWriter.write(
            table, header: exampleHeader(table, variant: examplePGD), encoding: ShardEncoding(codec: codec), to: path)
        return (path, try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    @Test("a shard cut to any shorter length, or grown, is an error", arguments: Codec.allCases)
    func everyLength(codec: Codec) throws {
        let (path, whole) = try write(codec)
        for length in 0..<whole.count {
            try whole.prefix(length).write(to: URL(fileURLWithPath: path))
            #expect(throws: LogitError.self, "cut to \(length) bytes") { try ShardReader(path: path).verify() }
        }
        try (whole + [0]).write(to: URL(fileURLWithPath: path))
        let error = #expect(throws: LogitError.self) { try ShardReader(path: path) }
        #expect(error?.message.contains("\(whole.count + 1) bytes") == true)
    }

    /// Each line changes a whole, sound shard into one that HDF5 opens and that is no shard of ours.
    @Test("shards that other programs bent out of shape are refused by name", .enabled(if: python != nil))
    func bent() throws {
        let source = folder.file("whole.h5")
        let whole = exampleTable(rows: 40, classes: 5, attacked: true)
        for codec in Codec.allCases {
            try ShardWriter.write(
                whole, images: exampleImages(rows: 40, .float), header: exampleHeader(whole, variant: examplePGD),
                encoding: ShardEncoding(codec: codec), to: "\(source).\(codec.rawValue)")
        }
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("bend.py").path
        let ran = try run(try #require(python), [script, source, folder.path])
        #expect(ran.status == 0, "\(ran.errors)")
        let bent = ran.output.split(separator: "\n").map { $0.split(separator: "\t").map(String.init) }
        #expect(bent.count == 36)
        for line in bent {
            let path = folder.file(line[0])
            let error = #expect(throws: LogitError.self, "\(line[0]) was read") {
                try ShardReader(path: path).verify()
            }
            let message = error?.message ?? ""
            #expect(message.contains(path) && message.contains(line[1]), "\(line): \(message)")
        }
    }

    @Test("a writer refuses what no reader would take, and leaves nothing behind")
    func refusals() throws {
        let path = folder.file("new.h5")
        var bad: [(RowTable, ShardHeader)] = []
        for image in [String(repeating: "x", count: 5000), "a\0b"] {
            var table = table
            table.image[1] = image
            bad.append((table, exampleHeader(table, variant: examplePGD)))
        }
        for software in [String(repeating: "x", count: 70_000), "a\0b"] {
            var header = exampleHeader(table, variant: examplePGD)
            header.softwareJSON = software
            bad.append((table, header))
        }
        for (table, header) in bad {
            let error = #expect(throws: LogitError.self) {
                try ShardWriter.write(table, header: header, encoding: .raw, to: path)
            }
            #expect(error?.code == .badInput && error?.message.contains(path) == true)
            #expect(!FileManager.default.fileExists(atPath: path))
        }
    }

    @Test("a shard that is there is never written over")
    func existing() throws {
        let (path, whole) = try write(.raw)
        #expect(throws: LogitError.self) {
            try ShardWriter.write(table, header: exampleHeader(table, variant: examplePGD), encoding: .zstd, to: path)
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == whole)
        let nowhere = folder.file("no folder/a.h5")
        let error = #expect(throws: LogitError.self) {
            try ShardWriter.write(table, header: exampleHeader(table, variant: examplePGD), encoding: .raw, to: nowhere)
        }
        #expect(error?.message.contains(nowhere) == true)
    }

    @Test("hundreds of raw shards are open at once without a file descriptor each")
    func manyOpen() throws {
        let (path, _) = try write(.raw)
        let before = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
        let readers = try (0..<300).map { _ in try ShardReader(path: path) }
        #expect(try readers[299].table(0..<3) == table)
        // Tests run beside each other, so a few may come and go.
        #expect(try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count < before + 200)
    }
}
