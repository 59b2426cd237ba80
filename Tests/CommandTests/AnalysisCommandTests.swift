import Foundation
import TestSupport
import Testing

private func object(_ ran: Ran) throws -> [String: Any] {
    #expect(ran.status == 0, "\(ran.errors)")
    return try #require(try json(ran) as? [String: Any])
}

/// Two defenders of one network, each trained on one attack.
private func corpus(_ folder: TemporaryFolder) throws -> String {
    let path = folder.file("c")
    for arguments in [
        ["init", path],
        ["dataset", "add", path, "shapes", "--images", Fixtures.trainImages, "--split", "train", "--quiet"],
        ["dataset", "add", path, "shapes", "--images", Fixtures.testImages, "--split", "test", "--quiet"],
        ["network", "add", path, "residual", "--module", Fixtures.network],
        ["ingest", path, "--split", "train", "--attack", "clean,pgd,fgsm", "--per-class", "5", "--quiet"],
        ["ingest", path, "--split", "test", "--attack", "clean,pgd,fgsm", "--limit", "200", "--quiet"],
        ["train", path, "g-pgd", "--hidden", "200", "--lr", "1e-3", "--epochs", "8", "--quiet"],
        ["train", path, "g-fgsm", "--attack", "fgsm", "--hidden", "200", "--lr", "1e-3", "--epochs", "8", "--quiet"],
        [
            "train", path, "g-all", "--attack", "pgd,fgsm", "--hidden", "100", "--lr", "1e-3", "--epochs", "1",
            "--quiet",
        ],
    ] {
        let ran = try run(logit, arguments)
        #expect(ran.status == 0, "\(arguments): \(ran.errors)")
    }
    return path
}

@Test("supporting classes, their matrix, ablations and detection by commands")
func analyses() throws {
    let folder = TemporaryFolder()
    let path = try corpus(folder)
    let plots = ["s.svg", "i.svg", "r.svg"].map(folder.file)
    let found = try object(
        logit("support", path, "--defender", "g-pgd", "--plot", plots[0], "--format", "json", "--quiet"))
    let classes = try #require(found["classes"] as? [[String: Any]])
    #expect(classes.count == 100 && found["images"] as? Int == 200)
    #expect(classes.reduce(0) { $0 + ($1["count"] as? Int ?? 0) } == 2000)
    #expect(try String(contentsOfFile: plots[0], encoding: .utf8).components(separatedBy: "<image ").count == 11)
    let image = try object(
        logit(
            "support", path, "--defender", "g-pgd", "--image", "3", "--top", "4", "--plot", plots[1], "--format", "json"
        ))
    #expect(image["ordinal"] as? Int == 3 && (image["classes"] as? [Any])?.count == 4)
    let alone = try logit("bhattacharyya", path, "--supporting", "--split", "test")
    expectSentence(alone, mentions: "only pgd", "logit support")
    for defender in ["g-pgd", "g-fgsm"] {
        #expect(try logit("support", path, "--defender", defender, "--quiet").status == 0)
        #expect(try logit("evaluate", path, "--defender", defender, "--attack", "pgd,fgsm", "--quiet").status == 0)
    }
    let matrix = try object(logit("bhattacharyya", path, "--supporting", "--format", "json"))
    let pairs = try #require(matrix["pairs"] as? [[String: Any]])
    let coefficient = try #require(pairs.first?["coefficient"] as? Double)
    #expect(pairs.count == 1 && coefficient > 0 && coefficient < 1 && pairs[0]["mean_transfer"] is Double)
    #expect(matrix["ranked_pairs"] as? Int == 1 && matrix["rank_correlation"] == nil)
    let lowered = try object(logit("ablate", "lower", path, "--defender", "g-pgd", "--format", "json", "--quiet"))
    #expect((lowered["figures"] as? [Any])?.count == 8)
    let bits = try object(
        logit(
            "ablate", "precision", path, "--defender", "g-pgd", "--precision", "float32,keep-bits=4", "--format", "json"
        ))
    #expect((bits["figures"] as? [Any])?.count == 12)
    let detected = try object(
        logit(
            "detect", path, "--defender", "g-all", "--plot", plots[2], "--format", "json", "--quiet"))
    #expect((detected["figures"] as? [Any])?.count == 8 && (detected["curves"] as? [Any])?.count == 8)
    let kinds = try logit("sql", path, "SELECT DISTINCT kind FROM analyses ORDER BY 1", "--format", "csv").output
    #expect(kinds.split(whereSeparator: \.isWhitespace) == ["kind", "detection", "lowering", "precision", "support"])
    #expect(try logit("verify", path, "--quiet").status == 0)
    expectSentence(
        try logit("support", path, "--defender", "g-all"), status: 64, mentions: "several attacks", "pgd, fgsm")
    expectSentence(
        try logit("detect", path, "--defender", "g-pgd", "--split", "train"), status: 64, mentions: "learnt from")
    expectSentence(
        try logit("ablate", "precision", path, "--defender", "g-pgd", "--precision", "int8"), status: 64,
        mentions: "int8")
    expectSentence(try logit("support", path, "--defender", "g-pgd", "--image", "none.png"), mentions: "none.png")
}
