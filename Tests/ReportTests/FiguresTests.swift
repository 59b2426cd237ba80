import Analysis
import Foundation
import Logits
import Report
import TestSupport
import Testing

private let hasGnuplot = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
    FileManager.default.isExecutableFile(atPath: "\($0)/gnuplot")
}

private func draw(to path: String) throws {
    let histogram = Histogram(edges: [0, 1, 2], counts: [3, 4])
    try Figures.histogram(
        title: "it's <a> & 'b' | \u{03B5}", axis: "mean", series: [("clean", histogram), ("pgd", histogram)], to: path)
}

@Test("a figure is a whole file of its kind, and nothing else stays", .enabled(if: hasGnuplot))
func whole() throws {
    let folder = TemporaryFolder()
    try draw(to: folder.file("a.svg"))
    let text = try String(contentsOfFile: folder.file("a.svg"), encoding: .utf8)
    #expect(text.hasSuffix("</svg>\n\n") || text.hasSuffix("</svg>\n"))
    #expect(text.contains("&lt;a> &amp;"))
    try draw(to: folder.file("a.png"))
    #expect(try Data(contentsOf: URL(fileURLWithPath: folder.file("a.png"))).starts(with: [0x89, 0x50, 0x4E, 0x47]))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["a.png", "a.svg"])
}

@Test("a name that gnuplot would take for a command is a name", .enabled(if: hasGnuplot))
func noCommand() throws {
    let folder = TemporaryFolder()
    let mark = folder.file("mark")
    #expect(throws: LogitError.self) { try draw(to: "|touch \(mark); cat > /dev/null #.svg") }
    #expect(!FileManager.default.fileExists(atPath: mark))
}

@Test("a picture of another kind, or in a folder that is absent, is refused", .enabled(if: hasGnuplot))
func refused() {
    let folder = TemporaryFolder()
    for name in ["a.pdf", "absent/a.svg", "a\n.svg"] {
        #expect(throws: LogitError.self) { try draw(to: folder.file(name)) }
    }
}
