import Foundation
import TestSupport
import Testing

/// The comparison itself needs the Python libraries and minutes: docs/attacks-agreement.md. Here is what comes before it.
private func check(_ corpus: String, python: String, _ arguments: String...) throws -> Ran {
    try run(
        "/usr/bin/env",
        ["LOGITCORPUS_PYTHON=\(python)", "\(productFolder)/logit", "attack", "check", corpus, "--quiet"] + arguments)
}

@Test("attack check without the Python libraries says in one sentence how to get them")
func withoutLibraries() throws {
    let folder = TemporaryFolder()
    let corpus = try Fixtures.corpus(folder)
    // No such Python; and one in which an import fails, as it does where only some of the libraries are there.
    let lame = folder.file("python")
    try Data("#!/bin/sh\nexit 3\n".utf8).write(to: URL(fileURLWithPath: lame))
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: lame)
    for python in [folder.file("nowhere"), lame] {
        let ran = try check(corpus, python: python, "--images", "2", "--attack", "fgsm")
        #expect(ran.status == 1 && ran.output.isEmpty)
        #expect(ran.errors.hasPrefix("logit: \(python)") && ran.errors.contains("tools/crosscheck"), "\(ran.errors)")
        #expect(ran.errors.split(separator: "\n").count == 1)
    }
}

@Test(
    "attack check gives a script the pixels and results of the product, and ends with status 1 where a gate is missed")
func missedGate() throws {
    let folder = TemporaryFolder()
    let corpus = try Fixtures.corpus(folder)
    let stand = folder.file("python")
    let row = { (verdict: String) in
        "{\"attack\":\"fgsm\",\"anchor\":\"a\",\"images\":2,\"measure\":\"m\",\"value\":\"v\",\"arg_max\":\"x\",\"gate\":\"g\",\"verdict\":\"\(verdict)\",\"note\":\"\"}"
    }
    // Called as: SCRIPT --dump FOLDER --report FILE. Two images of 3 × 32 × 32 floats are 24,576 bytes.
    let script = """
        #!/bin/sh
        [ $(stat -c %s $3/pixels) = 24576 ] && [ $(stat -c %s $3/0.images) = 24576 ] && grep -q '"count" : 2' $3/dump.json || exit 7
        echo '[\(row("ok")),\(row("VERDICT"))]' > $5
        """
    for (verdict, status) in [("ok", Int32(0)), ("MISSED", 1)] {
        try Data(script.replacingOccurrences(of: "VERDICT", with: verdict).utf8).write(to: URL(fileURLWithPath: stand))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: stand)
        let ran = try check(corpus, python: stand, "--images", "2", "--attack", "fgsm", "--format", "json")
        #expect(ran.status == status, "\(ran.errors)")
        let rows = try JSONSerialization.jsonObject(with: Data(ran.output.utf8)) as? [[String: Any]]
        #expect(rows?.count == 2 && rows?[1]["verdict"] as? String == verdict)
        #expect(ran.errors.contains("1 of 2") == (status == 1), "\(ran.errors)")
    }
}

@Test("attack check refuses what it cannot check")
func refusedChecks() throws {
    let folder = TemporaryFolder()
    let corpus = try Fixtures.corpus(folder)
    for (arguments, word) in [
        (["--images", "0"], "--images"), (["--attack", "clean"], "clean"), (["--attack", "pdg"], "pgd"),
        (["--workers", "0"], "--workers"),
    ] {
        let ran = try run(
            "/usr/bin/env",
            ["LOGITCORPUS_PYTHON=/bin/true", "\(productFolder)/logit", "attack", "check", corpus] + arguments)
        #expect(ran.status == 64 && ran.errors.contains(word), "\(ran.errors)")
    }
}
