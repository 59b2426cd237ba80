import Foundation
import TestSupport
import Testing

private func write(_ text: String, to path: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
}

@Test("attacks from a file are the attacks as typed, wherever --attack takes a list")
func attackFile() throws {
    let folder = TemporaryFolder()
    let corpus = try Fixtures.corpus(folder)
    let file = folder.file("attacks.yaml")
    try write(
        """
        # What we compare.
        - clean
        - pgd
        - attack: pgd
          epsilon: 8/255
          steps: 3
        - {attack: pgd, epsilon: 0.0314}   # the digits as they stand here
        - "mim:steps=2"
        - attack: bim
          label: prediction
        - pgd:epsilon=16/255               # the preset: pgd once more
        """, to: file)
    let names = [
        "clean", "pgd", "pgd:epsilon=8/255,steps=3", "pgd:epsilon=0.0314", "mim:steps=2", "bim:label=prediction",
    ]
    func parts(_ attacks: String) throws -> [[String: Any]] {
        let ran = try logit("ingest", corpus, "--attack", attacks, "--limit", "8", "--quiet", "--format", "json")
        #expect(ran.status == 0, "\(ran.errors)")
        return try #require((try json(ran) as? [String: Any])?["parts"] as? [[String: Any]])
    }
    let first = try parts(file)
    #expect(first.map { $0["attack"] as? String } == names && first.allSatisfy { $0["computed"] as? Int == 8 })
    // The same, typed and from another spelling of a file: nothing is left to compute.
    let other = folder.file("other.yml")
    try write("attacks: [pgd, 'pgd:steps=3,epsilon=0.03137254901960784', {attack: 'mim:steps=2'}]", to: other)
    let second = try parts("clean,\(other),pgd:epsilon=0.0314,bim:label=prediction")
    #expect(Set(second.map { $0["attack"] as? String }) == Set(names))
    #expect(second.allSatisfy { $0["computed"] as? Int == 0 })
    let histogram = try json(logit("histogram", corpus, "--attack", file, "--format", "json")) as? [String: Any]
    #expect((histogram?["variants"] as? [[String: Any]])?.map { $0["attack"] as? String } == names)
    let pairs = try json(logit("bhattacharyya", corpus, "--attack", other, "--format", "json")) as? [String: Any]
    #expect((pairs?["pairs"] as? [Any])?.count == 3)
    let sample = try json(logit("sample", corpus, "--attack", other, "--format", "json", "--quiet")) as? [String: Any]
    #expect(sample?["rows"] as? Int == 8)
    #expect(try logit("train", corpus, "g", "--attack", other, "--hidden", "8", "--epochs", "1", "--quiet").status == 0)
    let evaluation = try json(logit("evaluate", corpus, "--defender", "g", "--attack", file, "--format", "json"))
    #expect(((evaluation as? [String: Any])?["figures"] as? [Any])?.count == names.count)
}

@Test("--label holds for what a file leaves open")
func labelOfFile() throws {
    let folder = TemporaryFolder()
    let file = folder.file("a.yaml")
    try write("- pgd\n- {attack: bim, label: truth}\n", to: file)
    let ran = try logit(
        "ingest", try Fixtures.corpus(folder), "--attack", file, "--label", "prediction", "--limit", "1", "--quiet",
        "--format", "json")
    let parts = (try json(ran) as? [String: Any])?["parts"] as? [[String: Any]]
    #expect(parts?.map { $0["attack"] as? String } == ["pgd:label=prediction", "bim"])
}

@Test(
    "a wrong attack file is one sentence that says where",
    arguments: [
        ("- clean\n- pgd\n- attack: pgd\n  epsilo: 8/255\n", ["line 3", "epsilo", "did you mean epsilon"]),
        ("- clean\n- pdg\n", ["line 2", "pdg", "did you mean pgd"]),
        ("- {attack: pgd, epsilon: 3}\n", ["line 1", "epsilon is 3", "range"]),
        ("- {attack: pgd, epsilon: .inf}\n", ["line 1", "epsilon", ".inf"]),
        ("- {attack: pgd, steps: [1, 2]}\n", ["line 1", "steps is no single value"]),
        ("- attack: pgd\n  steps:\n", ["line 1", "steps is no single value"]),
        ("- attack: pgd\n  steps: 1\n  steps: 2\n", ["steps is given twice"]),
        ("- {attack: 'pgd:steps=1', steps: 2}\n", ["line 1", "steps is given twice"]),
        ("- {attack: pgd, epsilon: '8/255,steps=3'}\n", ["line 1", "epsilon"]),
        ("- {attack: pgd, 'epsilon=0.1,steps': 3}\n", ["line 1", "parameter"]),
        ("- {attack: pgd, [1]: 3}\n", ["line 1", "parameter"]),
        ("- pgd: {steps: 3}\n", ["line 1", "no key attack"]),
        ("- {steps: 3}\n", ["line 1", "no key attack"]),
        ("- clean\n- [pgd]\n", ["line 2", "a list"]),
        ("- clean\n-\n", ["entry is empty"]), ("- |\n  pgd\n  mim\n", ["line 1", "long text"]),
        ("- {attack: clean, steps: 3}\n", ["line 1", "clean takes no parameters"]),
        ("- 5\n", ["line 1", "no attack", "5"]),
        ("", ["holds no attack"]), ("# nothing\n", ["holds no attack"]), ("[]", ["holds no attack"]),
        ("attacks:\n", ["holds no attack"]), ("---\n", ["holds no attack"]),
        ("pgd\n", ["no list of attacks"]), ("attacks: pgd\n", ["no list of attacks"]),
        ("attacks: [pgd]\nseed: 3\n", ["no list of attacks"]),
        ("- pgd\n---\n- mim\n", ["line 2", "another document"]),
        ("- pgd\n- attack: pgd epsilon: 3\n", ["line 2"]),
        ("- [pgd\n", ["line"]), ("\t- pgd\n", ["line 1"]), ("- *x\n", ["line 1", "alias"]),
        ("- pgd\u{0}\n", ["YAML"]), ("%PDF-1.4\n", ["line 1"]), ("{\"cells\": []}", ["no list of attacks"]),
    ])
func wrongAttackFile(text: String, words: [String]) throws {
    try expectRefusal(of: text, mentions: words)
}

/// The sentence stays short whatever is in the file.
private func expectRefusal(of text: String, mentions words: [String]) throws {
    let folder = TemporaryFolder()
    let file = folder.file("wrong.yaml")
    try write(text, to: file)
    let ran = try logit("ingest", folder.file("nowhere"), "--attack", "clean,\(file)")
    expectSentence(ran, mentions: "wrong.yaml")
    #expect(ran.errors.utf8.count < 400 && ran.errors.split(separator: "\n").count == 1, "\(ran.errors)")
    for word in words { #expect(ran.errors.contains(word), "\(ran.errors)") }
}

@Test("a hostile attack file is one sentence, soon")
func hostileAttackFile() throws {
    /// Hangs a reader that compares keys.
    let bomb =
        (1...30).reduce("- &a0 [x, x]\n") { "\($0)- &a\($1) [*a\($1 - 1), *a\($1 - 1)]\n" } + "- {*a30 : 1, *a29 : 2}\n"
    try expectRefusal(of: bomb, mentions: ["anchors and aliases"])
    for (opening, count) in [("[", 60_000), ("- ", 30_000), ("{a: ", 15_000), ("? ", 30_000)] {
        try expectRefusal(of: String(repeating: opening, count: count), mentions: ["nested too deeply"])
    }
    let keys = String(repeating: "{? ", count: 900) + "1" + String(repeating: "}", count: 900)
    try expectRefusal(of: "- {attack: pgd, steps: \(keys)}", mentions: ["line 1", "steps"])
    try expectRefusal(of: "- " + String(repeating: "x", count: 50_000), mentions: ["line 1", "long text"])
    try expectRefusal(of: String(repeating: "- pgd\n", count: 20_000), mentions: ["120000", "65536"])
    let key = String(repeating: "k", count: 1_000)
    try expectRefusal(of: "- {attack: pgd, \(key): 1, \(key): 2}", mentions: ["line 1", "twice"])
}

@Test("an attack file that cannot be read is one sentence")
func unreadableAttackFile() throws {
    let folder = TemporaryFolder()
    let corpus = folder.file("nowhere")
    expectSentence(try logit("ingest", corpus, "--attack", folder.file("gone.yaml")), mentions: "gone.yaml", "path")
    try FileManager.default.createDirectory(atPath: folder.file("folder.yml"), withIntermediateDirectories: true)
    expectSentence(try logit("ingest", corpus, "--attack", folder.file("folder.yml")), mentions: "not a plain file")
    let file = folder.file("bytes.yaml")
    try Data([0x2D, 0x20, 0xFF, 0xFE, 0x0A]).write(to: URL(fileURLWithPath: file))
    expectSentence(try logit("ingest", corpus, "--attack", file), mentions: "UTF-8")
    try write("- pgd\n", to: folder.file("a.yaml"))
    expectSentence(
        try logit("ingest", corpus, "--attack", "\(folder.file("a.yaml")),steps=20"), status: 64, mentions: "steps=20")
}
