import Foundation
import TestSupport
import Testing

let logit = "\(productFolder)/logit"

func logit(_ arguments: String...) throws -> Ran { try run(logit, arguments) }

func json(_ ran: Ran) throws -> Any {
    try JSONSerialization.jsonObject(with: Data(ran.output.utf8), options: .fragmentsAllowed)
}

/// One clear sentence on standard error, a status that is not 0, no trace.
func expectSentence(
    _ ran: Ran, status: Int32 = 1, mentions words: String..., sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(ran.status == status, "\(ran.errors)", sourceLocation: sourceLocation)
    let lines = ran.errors.split(separator: "\n").filter { $0.hasPrefix("logit: ") }
    #expect(lines.count == 1, "\(ran.errors)", sourceLocation: sourceLocation)
    for word in words { #expect(ran.errors.contains(word), "\(ran.errors)", sourceLocation: sourceLocation) }
    #expect(!ran.errors.contains("Fatal") && !ran.errors.contains("Traceback"), sourceLocation: sourceLocation)
}

@Test("the whole job by commands: ingest, sample, train, evaluate, ask")
func wholeJob() throws {
    let folder = TemporaryFolder()
    let corpus = folder.file("c")
    for arguments in [
        ["init", corpus],
        ["dataset", "add", corpus, "shapes", "--images", Fixtures.trainImages, "--split", "train", "--quiet"],
        ["dataset", "add", corpus, "shapes", "--images", Fixtures.testImages, "--split", "test", "--quiet"],
        ["network", "add", corpus, "residual", "--module", Fixtures.network],
        ["ingest", corpus, "--split", "train", "--attack", "clean,pgd", "--per-class", "5", "--quiet"],
        ["ingest", corpus, "--split", "test", "--attack", "clean,pgd", "--limit", "300", "--quiet", "--codec", "zstd"],
        ["select", corpus, "first", "--correct-by", "residual"],
        ["snapshot", "tag", corpus, "v1"],
        ["train", corpus, "g", "--hidden", "200", "--lr", "1e-3", "--epochs", "3", "--quiet"],
    ] {
        let ran = try run(logit, arguments)
        #expect(ran.status == 0, "\(arguments): \(ran.errors)")
    }
    let status = try #require(try json(logit("status", corpus, "--format", "json")) as? [String: Any])
    #expect((status["parts"] as? [[String: Any]])?.count == 4)
    let first = try #require(try json(logit("sample", corpus, "--format", "json", "--quiet")) as? [String: Any])
    let second = try #require(
        try json(logit("sample", corpus, "--format", "json", "--quiet", "--threads", "3")) as? [String: Any])
    #expect(first["rows"] as? Int == 500 && first["digest"] as? String == second["digest"] as? String)
    let evaluation = try #require(
        try json(logit("evaluate", corpus, "--defender", "g", "--selection", "first", "--format", "json"))
            as? [String: Any])
    #expect((evaluation["figures"] as? [[String: Any]])?.count == 2)
    let answer = try #require(
        try json(
            logit(
                "sql", corpus, "SELECT attack, accuracy FROM accuracy WHERE split = 'test' ORDER BY 1", "--format",
                "json"))
            as? [[String: Any]])
    #expect(answer.count == 2 && answer[0]["attack"] as? String == "clean" && answer[1]["accuracy"] as? Double == 0)
    let histogram = try #require(
        try json(logit("histogram", corpus, "--format", "json", "--plot", folder.file("h.svg"))) as? [String: Any])
    #expect((histogram["edges"] as? [Double])?.count == 21)
    #expect(try String(contentsOfFile: folder.file("h.svg"), encoding: .utf8).contains("<svg"))
    #expect(try logit("bhattacharyya", corpus, "--format", "json").status == 0)
    for out in ["g.pt", "g.safetensors"] {
        #expect(try logit("defender", "export", corpus, "g", "--out", folder.file(out)).status == 0)
    }
    #expect(try logit("verify", corpus).status == 0)
    // The stock shell answers plain SQL by image, network and attack.
    let shell = try run(
        "/usr/bin/sqlite3",
        [
            "\(corpus)/catalog.sqlite",
            "SELECT count(*) FROM rows WHERE network = 'residual' AND attack = 'pgd' AND split = 'test'",
        ])
    #expect(shell.output == "300\n")
    // Without the catalogue, repair brings all of it back.
    let before =
        try logit("sql", corpus, "SELECT * FROM defenders").output
        + logit("sql", corpus, "SELECT * FROM evaluations").output
    try FileManager.default.removeItem(atPath: "\(corpus)/catalog.sqlite")
    #expect(try logit("repair", corpus, "--quiet").status == 0)
    #expect(
        try logit("sql", corpus, "SELECT * FROM defenders").output
            + logit("sql", corpus, "SELECT * FROM evaluations").output == before)
    expectSentence(try logit("train", corpus, "g2", "--p", "1.5", "--quiet"), status: 64, mentions: "--p", "1.5")
    expectSentence(try logit("sample", corpus, "--at", "nowhere"), mentions: "nowhere")
    expectSentence(try logit("sql", corpus, "DROP TABLE row_index"), status: 64, mentions: "SELECT")
    expectSentence(try logit("sql", corpus, "ATTACH 'x' AS y"), status: 64)
}

@Test("an ingest killed at any moment and run again ends in the same rows, bit for bit")
func killed() throws {
    let folder = TemporaryFolder()
    let whole = try Fixtures.corpus(folder, name: "whole")
    #expect(try logit("ingest", whole, "--attack", "clean,pgd", "--limit", "500", "--quiet").status == 0)
    let killed = try Fixtures.corpus(folder, name: "killed")
    var kills = 0
    for round in 0..<40 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: logit)
        process.arguments = ["ingest", killed, "--attack", "clean,pgd", "--limit", "500", "--quiet"]
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        usleep(UInt32(300_000 + round * 57_000))
        if process.isRunning {
            kill(process.processIdentifier, SIGKILL)
            kills += 1
        }
        process.waitUntilExit()
        if process.terminationReason == .exit { break }
        // What is visible is whole, at any time.
        #expect(try logit("verify", killed, "--quiet").status == 0)
    }
    #expect(kills > 0)
    #expect(try logit("ingest", killed, "--attack", "clean,pgd", "--limit", "500", "--quiet").status == 0)
    let trees = try [whole, killed].map { path in
        (try json(logit("snapshot", "list", path, "--format", "json")) as? [[String: Any]])?.last?["tree"] as? String
    }
    #expect(trees[0] != nil && trees[0] == trees[1])
}

@Test("bad input is one sentence, a status that is not 0, and nothing half-done")
func badInput() throws {
    let folder = TemporaryFolder()
    let corpus = try Fixtures.corpus(folder)
    let text = folder.file("text.pt")
    try Data("hello".utf8).write(to: URL(fileURLWithPath: text))
    expectSentence(try logit("network", "add", corpus, "x", "--module", text), mentions: text)
    expectSentence(
        try logit("network", "add", corpus, "x", "--module", Fixtures.network, "--input", "3x7"), status: 64,
        mentions: "--input")
    expectSentence(try logit("ingest", corpus, "--attack", "pgd:epsilon=-1"), status: 64, mentions: "epsilon", "-1")
    expectSentence(try logit("ingest", corpus, "--attack", "pdg"), status: 64, mentions: "pgd")
    expectSentence(try logit("ingest", corpus, "--network", "nobody"), mentions: "nobody", "residual")
    expectSentence(try logit("ingest", corpus, "--limit", "0"), status: 64, mentions: "--limit")
    expectSentence(try logit("ingest", corpus, "--limit", "many"), status: 64)
    expectSentence(try logit("ingest", folder.file("nowhere")), mentions: "nowhere")
    expectSentence(try logit("frobnicate"), status: 64)
    expectSentence(try logit("train", corpus, "g"), mentions: "ingest")
    // A truncated picture is refused when the set is added, by name, and the set is not there afterwards.
    let picture = folder.file("bad/a/cut.jpg")
    for name in ["bad/a", "bad/b"] {
        try FileManager.default.createDirectory(atPath: folder.file(name), withIntermediateDirectories: true)
    }
    let pictures = "\(projectFolder)/Tests/ImagesTests/Pictures"
    try Data(contentsOf: URL(fileURLWithPath: "\(pictures)/420.jpg")).dropLast(300).write(
        to: URL(fileURLWithPath: picture))
    try FileManager.default.copyItem(atPath: "\(pictures)/444.jpg", toPath: folder.file("bad/b/whole.jpg"))
    expectSentence(try logit("dataset", "add", corpus, "bad", "--images", folder.file("bad")), mentions: "cut.jpg")
    let status = try logit("status", corpus, "--format", "json").output
    #expect(!status.contains("\"bad\""))
}

@Test("a device that is not one is a usage error; cuda without CUDA is a sentence, and nothing is staged or trained")
func device() throws {
    let folder = TemporaryFolder()
    let corpus = try Fixtures.corpus(folder)
    try Fixtures.ingest(corpus, limit: 40)
    func files() throws -> Set<String> { Set(try FileManager.default.subpathsOfDirectory(atPath: corpus)) }
    let before = try files()
    for command in [["ingest", corpus, "--limit", "64"], ["train", corpus, "g", "--split", "test"]] {
        expectSentence(try run(logit, command + ["--device", "tpu"]), status: 64, mentions: "tpu", "cuda")
        expectSentence(
            try run(logit, command + ["--device", "cuda"]), mentions: "--device cuda", "without CUDA",
            "tools/torch-library", "leave out --device")
    }
    #expect(try files() == before)
    #expect(try logit("ingest", corpus, "--limit", "64", "--device", "cpu", "--quiet").status == 0)
}

@Test("images kept by an ingest are there for replay, which makes a row again; verify makes some at random")
func replay() throws {
    let folder = TemporaryFolder()
    let corpus = try Fixtures.corpus(folder)
    let ingested = try logit(
        "ingest", corpus, "--attack", "clean,pgd:epsilon=8/255", "--limit", "40", "--keep-images", "8bit", "--quiet")
    #expect(ingested.status == 0, "\(ingested.errors)")
    let (row, png) = ("shapes/test/33/residual/pgd:epsilon=8/255/0", folder.file("a.png"))
    let replayed = try logit("replay", corpus, "--row", row, "--save", png, "--format", "json", "--quiet")
    let report = try #require(try json(replayed) as? [String: Any])
    #expect(replayed.status == 0 && report["verdict"] as? String == "equal" && report["row"] as? String == row)
    #expect(report["block_rows"] as? Int == 8 && FileManager.default.fileExists(atPath: png))
    #expect(try logit("replay", corpus, "--row", row).output.contains("equal bit for bit"))
    let verified = try logit("verify", corpus, "--recompute", "5", "--seed", "3", "--format", "json", "--quiet")
    let recomputed = try #require((try json(verified) as? [String: Any])?["recomputed"] as? [String: Any])
    #expect(verified.status == 0 && (recomputed["rows"] as? [Any])?.count == 5 && recomputed["seed"] as? Int == 3)
    expectSentence(try logit("replay", corpus, "--row", "shapes/test"), status: 64, mentions: "--row", "DATASET")
    expectSentence(try logit("replay", corpus, "--row", "shapes/test/39/residual/mim/0"), mentions: "no row")
    expectSentence(
        try logit("replay", corpus, "--row", row, "--save", folder.file("a.gif")), status: 64, mentions: "a.gif")
    expectSentence(try logit("verify", corpus, "--recompute", "0"), status: 64, mentions: "--recompute")
    expectSentence(
        try logit("ingest", corpus, "--keep-images", "16bit"), status: 64, mentions: "16bit")
    expectSentence(
        try logit("ingest", corpus, "--limit", "40", "--keep-images", "float"), status: 64, mentions: "float images")
}

@Test("a read-only corpus can be read and asked, and says that it cannot be written")
func readOnly() throws {
    let folder = TemporaryFolder()
    let corpus = try Fixtures.corpus(folder)
    try Fixtures.ingest(corpus, attacks: "clean", limit: 64)
    // Root may write anything: an immutable bind of the folder needs a mount, so this runs as another user.
    let nobody = try run("/usr/bin/env", ["setpriv", "--version"])
    try #require(nobody.status == 0)
    _ = try run("/bin/chmod", ["-R", "a+rX,a-w", folder.path])
    defer { _ = try? run("/bin/chmod", ["-R", "u+w", folder.path]) }
    func asNobody(_ arguments: String...) throws -> Ran {
        try run("/usr/bin/env", ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", logit] + arguments)
    }
    guard try asNobody("--version").status == 0 else { return }  // the build folder is closed to others here
    #expect(try asNobody("sql", corpus, "SELECT count(*) FROM rows").output.contains("64"))
    #expect(try asNobody("verify", corpus, "--quiet").status == 0)
    expectSentence(try asNobody("ingest", corpus, "--quiet"), mentions: "read-only")
}

@Test(
    "help has an example for every command",
    arguments: [
        ["init"], ["dataset", "add"], ["network", "add"], ["attack", "list"], ["attack", "show"], ["attack", "check"],
        ["ingest"], ["status"], ["verify"], ["replay"],
        ["repair"], ["sample"], ["train"], ["evaluate"], ["support"], ["ablate", "lower"], ["ablate", "precision"],
        ["detect"], ["snapshot", "create"], ["snapshot", "list"],
        ["snapshot", "tag"], ["snapshot", "show"], ["snapshot", "diff"], ["snapshot", "delete"], ["compact"], ["gc"],
        ["select"], ["sql"], ["histogram"], ["bhattacharyya"], ["defender", "list"], ["defender", "show"],
        ["report"], ["experiment", "run"], ["defender", "export"],
    ])
func help(command: [String]) throws {
    let ran = try run(logit, command + ["--help"])
    #expect(ran.status == 0 && ran.output.contains("Example: logit \(command[0])"))
}
