import Foundation
import TestSupport
import Testing

@Suite("histograms")
struct HistogramTests {
    private let folder = TemporaryFolder()

    private func corpus() throws -> String {
        let path = try Fixtures.corpus(folder)
        try Fixtures.ingest(path, attacks: "clean,pgd", limit: 60)
        try Fixtures.ingest(path, attacks: "clean,pgd,fgsm", limit: 90)
        return path
    }

    @Test("histograms and coefficients of statistics in the catalogue and of the logits are NumPy's")
    func numbers() throws {
        guard let python else { return }
        let script = "\(projectFolder)/Tests/CommandTests/histograms.py"
        let ran = try run(python, [script, logit, try corpus()])
        #expect(ran.status == 0, "\(ran.errors.suffix(2000))")
        let lines = ran.output.split(separator: "\n")
        #expect(lines.count == 1 && lines.first?.hasSuffix("figures compared") == true, "\(ran.output)")
    }

    @Test("a selection, a snapshot and a view restrict both kinds of statistic", arguments: ["mean", "logsumexp"])
    func restricted(statistic: String) throws {
        let path = try Fixtures.corpus(folder)
        try Fixtures.ingest(path, limit: 40)
        #expect(try logit("snapshot", "tag", path, "small").status == 0)
        #expect(try logit("select", path, "right", "--correct-by", "residual").status == 0)
        try Fixtures.ingest(path, limit: 64)
        func rows(_ more: String...) throws -> [Int] {
            let ran = try run(
                logit, ["histogram", path, "--statistic", statistic, "--format", "json", "--quiet"] + more)
            let found = try json(ran) as? [String: Any]
            return (found?["variants"] as? [[String: Any]])?.compactMap { $0["rows"] as? Int } ?? []
        }
        #expect(try rows() == [64, 64] && rows("--at", "small") == [40, 40])
        let chosen = try rows("--selection", "right")
        #expect(chosen[0] > 0 && chosen[0] < 40 && chosen[0] == chosen[1])
        expectSentence(
            try logit("histogram", path, "--statistic", statistic, "--view", "1"), mentions: "view 1", "clean")
    }

    @Test("several variants are drawn in one picture, over shared edges or their own", arguments: ["svg", "png"])
    func pictures(kind: String) throws {
        let path = try corpus()
        for edges in ["shared", "own"] {
            let picture = folder.file("\(edges).\(kind)")
            let ran = try logit(
                "histogram", path, "--attack", "clean,pgd,fgsm", "--edges", edges, "--plot", picture, "--quiet")
            #expect(ran.status == 0 && ran.output.contains("fgsm"), "\(ran.errors)")
            let bytes = try Data(contentsOf: URL(fileURLWithPath: picture))
            #expect(bytes.starts(with: kind == "svg" ? Data("<?xml".utf8) : Data([0x89, 0x50, 0x4E, 0x47])))
            guard kind == "svg" else { continue }
            let text = String(decoding: bytes, as: UTF8.self)
            for word in ["clean", "pgd", "fgsm", "images", "mean of the logits"] { #expect(text.contains(word)) }
        }
        expectSentence(
            try logit("histogram", path, "--plot", folder.file("h.gif")), status: 64, mentions: ".svg", ".png")
        expectSentence(
            try logit("histogram", path, "--statistic", "energy"), status: 64, mentions: "energy", "logsumexp", "mean")
        expectSentence(try logit("histogram", path, "--bins", "0"), status: 64, mentions: "--bins")
        expectSentence(try logit("histogram", path, "--edges", "mine"), status: 64, mentions: "mine")
        expectSentence(try logit("bhattacharyya", path, "--attack", "clean"), status: 64, mentions: "two or more")
        expectSentence(
            try logit("histogram", path, "--statistic", "iterations"), mentions: "clean", "iterations")
    }
}
