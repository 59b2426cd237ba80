import Foundation
import TestSupport
import Testing

/// A command that runs beside the test.
private func start(_ arguments: String..., output: String? = nil) throws -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: logit)
    process.arguments = arguments
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    if let output {
        _ = FileManager.default.createFile(atPath: output, contents: nil)
        process.standardError = FileHandle(forWritingAtPath: output)
    }
    try process.run()
    return process
}

private func eventually(_ condition: () throws -> Bool) throws {
    for _ in 0..<600 {
        if try condition() { return }
        usleep(50_000)
    }
    Issue.record("it did not come to pass within 30 s")
}

private func rowCount(_ corpus: String) throws -> Int {
    let ran = try logit("sql", corpus, "SELECT count(*) FROM rows", "--format", "csv")
    #expect(ran.status == 0, "\(ran.errors)")
    return try #require(ran.output.split(separator: "\n").last.flatMap { Int($0) })
}

@Test("a second writer is told who holds the corpus, or waits for it; a killed writer holds nothing")
func secondWriter() throws {
    let folder = TemporaryFolder()
    let corpus = try Fixtures.corpus(folder)
    let ingest = try start("ingest", corpus, "--attack", "clean,pgd", "--limit", "600", "--quiet")
    defer { if ingest.isRunning { kill(ingest.processIdentifier, SIGKILL) } }
    try eventually {
        try String(contentsOfFile: "\(corpus)/lock", encoding: .utf8).hasPrefix("\(ingest.processIdentifier) ")
    }
    let pid = "process \(ingest.processIdentifier)"
    expectSentence(try logit("snapshot", "create", corpus), mentions: pid, "ingest", "--wait")
    expectSentence(try logit("gc", corpus, "--wait", "0.3"), mentions: pid)
    expectSentence(try logit("gc", corpus, "--wait=-1"), status: 64, mentions: "--wait")
    let messages = folder.file("messages")
    let waiting = try start("snapshot", "create", corpus, "--message", "waited", "--wait", output: messages)
    try eventually { try String(contentsOfFile: messages, encoding: .utf8).contains("waiting: \(pid)") }
    #expect(ingest.isRunning && waiting.isRunning)
    // Stopped where a shard is committed, so that there is something to snapshot.
    try eventually { try rowCount(corpus) > 0 || !ingest.isRunning }
    kill(ingest.processIdentifier, SIGKILL)
    ingest.waitUntilExit()
    waiting.waitUntilExit()
    #expect(waiting.terminationStatus == 0)
    #expect(try logit("snapshot", "list", corpus).output.contains("waited"))
    #expect(try logit("ingest", corpus, "--attack", "clean,pgd", "--limit", "600", "--quiet").status == 0)
    #expect(try rowCount(corpus) == 1200)
}

@Test("readers go on while an ingest commits: none fails, none waits for its end, and what they see only grows")
func readersBesideAWriter() throws {
    let folder = TemporaryFolder()
    let corpus = try Fixtures.corpus(folder)
    try Fixtures.ingest(corpus, limit: 64)
    // One shard a variant and seed: each view is committed by itself.
    let ingest = try start(
        "ingest", corpus, "--attack", "clean,pgd,bim,mim,fgsm", "--limit", "400", "--views", "2", "--quiet")
    defer { if ingest.isRunning { kill(ingest.processIdentifier, SIGKILL) } }
    var counts = [try rowCount(corpus)]
    var turns = 0
    while ingest.isRunning {
        counts.append(try rowCount(corpus))
        for ran in [
            try logit("sample", corpus, "--split", "test", "--quiet"), try logit("verify", corpus, "--quiet"),
            try logit("snapshot", "list", corpus), try logit("status", corpus),
        ] { #expect(ran.status == 0, "\(ran.errors)") }
        turns += 1
    }
    #expect(ingest.terminationStatus == 0)
    counts.append(try rowCount(corpus))
    #expect(counts == counts.sorted() && counts[0] == 128 && counts.count > 3, "\(counts)")
    #expect(Set(counts).count > 2, "the readers saw no commit between the first and the last: \(counts)")
}

@Test("compact, snapshot show, diff and delete, and gc, by commands")
func compactAndCollect() throws {
    let folder = TemporaryFolder()
    let corpus = try Fixtures.corpus(folder)
    try Fixtures.ingest(corpus, limit: 64)
    func object(_ ran: Ran) throws -> [String: Any] {
        #expect(ran.status == 0, "\(ran.errors)")
        return try #require(try json(ran) as? [String: Any])
    }
    let first = try #require(
        (try object(logit("snapshot", "show", corpus, "--format", "json"))["snapshot"] as? [String: Any])?["id"]
            as? String)
    let compacted = try object(logit("compact", corpus, "--codec", "zstd", "--format", "json", "--quiet"))
    #expect(compacted["rewritten"] as? Int == 2 && (compacted["held_bytes"] as? Int ?? 0) > 0)
    #expect(try logit("compact", corpus, "--codec", "zstd").output.contains("logit gc"))
    let diff = try object(logit("snapshot", "diff", corpus, first, "--format", "json"))
    #expect((diff["rewritten"] as? [String: Any])?["rows"] as? Int == 128 && (diff["units"] as? [Any])?.count == 2)
    #expect(try logit("snapshot", "show", corpus, "head").output.contains("names    head"))
    #expect(try object(logit("gc", corpus, "--format", "json"))["bytes"] as? Int == 0)
    expectSentence(try logit("snapshot", "delete", corpus, "head"), status: 64, mentions: "head")
    #expect(try logit("snapshot", "delete", corpus, String(first.prefix(10))).status == 0)
    let dry = try object(logit("gc", corpus, "--dry-run", "--format", "json"))
    #expect((dry["shards"] as? [Any])?.count == 2)
    #expect(try object(logit("gc", corpus, "--format", "json"))["bytes"] as? Int == compacted["bytes_before"] as? Int)
    #expect(try logit("verify", corpus, "--quiet").status == 0)
    expectSentence(try logit("compact", corpus), status: 64, mentions: "--codec")
    expectSentence(try logit("compact", corpus, "--precision", "float64"), status: 64, mentions: "float64")
    #expect(try logit("compact", corpus, "--precision", "bfloat16", "--quiet").status == 0)
    expectSentence(try logit("compact", corpus, "--precision", "float32"), status: 64, mentions: "bfloat16", "float32")
}
