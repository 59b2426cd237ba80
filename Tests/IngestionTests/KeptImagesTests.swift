import CorpusStore
import Ingestion
import Logits
import Networks
import Shards
import Synchronization
import TestSupport
import Testing

private func readers(_ path: String) throws -> [ShardReader] {
    let corpus = try Corpus(at: path, .reading)
    return try corpus.units().map { try ShardReader(path: corpus.layout.absolute($0.path)) }
}

@Test("kept images give the stored logits again, and levels are the rounded floats")
func kept() throws {
    let folder = TemporaryFolder()
    var images: [ImagePrecision: [KeptImages]] = [:]
    for precision in ImagePrecision.allCases {
        let path = try Fixtures.corpus(folder, name: precision.rawValue)
        try Fixtures.ingest(path, attacks: "clean,pgd", limit: 40) { $0.keepImages = precision }
        images[precision] = try readers(path).map { try $0.images(0..<40) }
    }
    let floats = try #require(images[.float]).map { kept in
        kept.bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }
    #expect(try #require(images[.eightBit]).map(\.bytes) == floats.map { $0.map(EightBit.level) })
    // Clean: the image as it is in the archive. Attacked: what the logits were computed from, in the same blocks.
    #expect(floats[0][..<(32 * 3072)].elementsEqual(try Fixtures.images(0..<32)))
    let classifier = try Fixtures.classifier()
    for (reader, images) in zip(try readers(folder.file("float")), floats) {
        var logits = [Float](repeating: 0, count: 3200)
        try classifier.logits(Array(images[..<(32 * 3072)]), count: 32, into: &logits)
        #expect(logits.map(\.bitPattern) == (try reader.table(0..<32)).logits.map(\.bitPattern))
    }
}

@Test("the 8-bit outcome is that of the saved image: a change too small for 8 bits fools no more")
func rounded() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    // 0.45/255 is below half a level, so rounding gives the clean image back; 1.4/255 is rounded to something else.
    try Fixtures.ingest(path, attacks: "bim:epsilon=0.45/255,bim:epsilon=1.4/255", limit: 200) {
        $0.keepImages = .eightBit
    }
    var changed = 0
    for reader in try readers(path) {
        let columns = try #require(reader.columns.attack)
        let isTiny = reader.header.key.variant.parametersJSON.contains("\"epsilon\":0.0017")
        #expect(zip(columns.status, columns.status8bit ?? []).allSatisfy { $0 < 2 || $0 == $1 })
        if isTiny {
            #expect(columns.status.contains(Outcome.fooled.rawValue))
            #expect(columns.status8bit?.contains(Outcome.fooled.rawValue) == false)
        }
        changed += zip(columns.status, columns.status8bit ?? []).count { $0 != $1 }
        // Judged again here, from the stored levels.
        let levels = try reader.images(0..<32).bytes.map { Float($0) / 255 }
        var logits = [Float](repeating: 0, count: 3200)
        try Fixtures.classifier().logits(levels, count: 32, into: &logits)
        for row in 0..<32 where columns.status[row] < 2 {
            let isFooled = argMax(logits[row * 100..<(row + 1) * 100]) != reader.columns.label[row]
            #expect(columns.status8bit?[row] == (isFooled ? Outcome.fooled : .failed).rawValue)
        }
    }
    #expect(changed > 0)
}

@Test("the 8-bit outcome can be had without images, and the rows beside it do not change")
func outcomeAlone() throws {
    let folder = TemporaryFolder()
    let (plain, with) = (try Fixtures.corpus(folder, name: "plain"), try Fixtures.corpus(folder, name: "with"))
    try Fixtures.ingest(plain, attacks: "clean,pgd", limit: 40)
    try Fixtures.ingest(with, attacks: "clean,pgd", limit: 40) { $0.status8bit = true }
    let (before, after) = (try readers(plain), try readers(with))
    #expect(after.allSatisfy { $0.imageFormat == nil } && after[1].columns.attack?.status8bit != nil)
    #expect(before[0].header.contentDigest == after[0].header.contentDigest)  // clean: nothing to round
    for (one, other) in zip(before, after) {
        #expect(try one.table(0..<40).logits == other.table(0..<40).logits)
    }
    #expect(before[1].columns.attack?.status8bit == nil)
}

@Test("an ingest that keeps images and is stopped ends in the same shards")
func resumed() throws {
    let folder = TemporaryFolder()
    let whole = try Fixtures.corpus(folder, name: "whole")
    let keep = { (request: inout IngestRequest) in request.keepImages = .float }
    try Fixtures.ingest(whole, limit: 80, change: keep)
    let stopped = try Fixtures.corpus(folder, name: "stopped")
    #expect(throws: LogitError.self) { try Fixtures.ingest(stopped, limit: 80, change: keep, shouldStop: { true }) }
    // What was begun with images is not ended without.
    let error = #expect(throws: LogitError.self) { try Fixtures.ingest(stopped, limit: 80) }
    #expect(error?.code == .usage && error?.message.contains("float images") == true)
    let report = try Fixtures.ingest(stopped, limit: 80, change: keep)
    #expect(report.parts[0].resumed + report.parts[0].present >= 32)
    let trees = try [whole, stopped].map { try Corpus(at: $0, .reading).snapshot(nil).tree }
    #expect(trees[0] == trees[1])
}

@Test("rows that are there already without images stay so, and that is said; where nothing is left to do it is refused")
func without() throws {
    let folder = TemporaryFolder()
    let path = try Fixtures.corpus(folder)
    try Fixtures.ingest(path, attacks: "pgd", limit: 32)
    let error = #expect(throws: LogitError.self) {
        try Fixtures.ingest(path, attacks: "pgd", limit: 32, change: { $0.keepImages = .eightBit })
    }
    #expect(error?.code == .usage && error?.message.contains("8bit images") == true)
    var notes: [String] = []
    let report = try Fixtures.ingest(
        path, attacks: "pgd", limit: 48,
        change: {
            $0.keepImages = .eightBit
            $0.viewCount = 2
        }, note: { notes.append($0) })
    #expect(report.parts.map(\.unkept) == [32, 0] && report.parts.map(\.computed) == [16, 48])
    #expect(notes.count == 1 && notes[0].contains("32 rows of pgd (view 0)"))
    #expect(try readers(path).map { $0.imageFormat?.precision }.filter { $0 == nil }.count == 1)
    // With them there, the same command is done.
    let again = try Fixtures.ingest(path, attacks: "pgd", limit: 48) { $0.viewCount = 2 }
    #expect(again.parts.map(\.computed) == [0, 0])
    #expect(try Verify.run(Corpus(at: path, .reading), quick: false) { _, _ in }.problems == [])
}

@Test("units hold fewer rows where images are kept, so that memory stays bounded")
func units() {
    // 64 MiB hold 111 rows of a float image of 224 × 224 and 1,000 logits.
    #expect(Ingest.unitRows(blockRows: 8, classCount: 1000, imageBytes: 3 * 224 * 224 * 4) == 104)
    #expect(Ingest.unitRows(blockRows: 32, classCount: 10, imageBytes: 0) == 4096)
    #expect(Ingest.unitRows(blockRows: 8, classCount: 10, imageBytes: 1 << 30) == 8)
}
