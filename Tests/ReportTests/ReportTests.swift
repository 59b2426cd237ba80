import CorpusStore
import Foundation
import Logits
import Report
import TestSupport
import Testing

private func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

private func write(_ corpus: String, into out: String, _ change: (inout ReportWriter.Options) -> Void = { _ in }) throws
{
    var options = ReportWriter.Options(corpus: corpus)
    change(&options)
    _ = try ReportWriter.write(try Corpus(at: corpus, .reading), options, into: out)
}

@Test("a corpus without rows says so; one without defenders gives a report that says what would make them")
func withoutDefenders() throws {
    let folder = TemporaryFolder()
    let corpus = try Fixtures.corpus(folder)
    #expect(throws: LogitError.self) { try write(corpus, into: folder.file("out")) }
    try Fixtures.ingest(corpus, attacks: "clean,fgsm", limit: 40)
    try write(corpus, into: folder.file("out")) { $0.title = "</title><script>alert(1)</script>" }
    let page = try text(folder.file("out/index.html"))
    for heading in ["Table 1", "Table 2", "Table 3", "Figure 1"] { #expect(page.contains(">\(heading)</h2>")) }
    #expect(page.contains("logit train \(corpus) NAME --network residual --attack fgsm"))
    #expect(!page.contains("<script") && page.contains("&lt;script&gt;"))
    #expect(page.contains("no defender yet"))
    // Without a defence: as the index counts.
    let counted = try #require(
        try answers(corpus, "SELECT rows, correct FROM accuracy WHERE attack = 'fgsm' AND split = 'test'").first)
    let csv = try text(folder.file("out/table-1.csv"))
    let line = try #require(csv.split(separator: "\n").first { $0.contains(",fgsm,none,") })
    let fields = line.split(separator: ",", omittingEmptySubsequences: false)
    #expect(counted.contains(String(fields[10])) && counted.contains(String(fields[11])), "\(counted) \(line)")
    #expect(try text(folder.file("out/table-1.tex")).contains("\\begin{tabular}"))
    #expect(try text(folder.file("out/table-1.txt")).contains("–"))
    // Again into the same folder.
    try write(corpus, into: folder.file("out"))
}

@Test("clean rows alone, and a tag, are enough for a report")
func cleanOnly() throws {
    let folder = TemporaryFolder()
    let corpus = try Fixtures.corpus(folder)
    try Fixtures.ingest(corpus, attacks: "clean", limit: 20)
    _ = try Corpus(at: corpus, .writing).tag("first", snapshot: nil, replacing: false)
    try Fixtures.ingest(corpus, attacks: "fgsm", limit: 20)
    try write(corpus, into: folder.file("out")) { $0.at = "first" }
    let page = try text(folder.file("out/index.html"))
    #expect(page.contains("no attack") && page.contains("20 rows") && !page.contains("fgsm"))
}

@Test("a report is not written into a corpus or over a file")
func refusedFolder() throws {
    let folder = TemporaryFolder()
    let corpus = try Fixtures.corpus(folder)
    try Fixtures.ingest(corpus, attacks: "clean", limit: 20)
    #expect(throws: LogitError.self) { try write(corpus, into: corpus) }
    try Data().write(to: URL(fileURLWithPath: folder.file("file")))
    #expect(throws: LogitError.self) { try write(corpus, into: folder.file("file")) }
}
