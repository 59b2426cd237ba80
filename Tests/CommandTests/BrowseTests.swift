import Foundation
import TestSupport
import Testing

private let browse = "\(projectFolder)/tools/browse"
private let browsePython = "\(projectFolder)/.venv-browse/bin/python"
private let chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].first {
    FileManager.default.isExecutableFile(atPath: $0)
}

/// Why the browser cannot be tried here; nil where it can.
private let obstacle: String? =
    if chromium == nil {
        "there is no Chromium (apt-get install chromium)"
    } else if !FileManager.default.isExecutableFile(atPath: browsePython) {
        "there is no .venv-browse (tools/browse --setup)"
    } else {
        nil
    }

@Suite("tools/browse")
struct BrowseTests {
    private let folder = TemporaryFolder()

    /// Starts `tools/browse`, hands over its address, and ends it.
    private func browsing(_ path: String, _ body: (String) throws -> Void) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: browse)
        process.arguments = [path, "--port", "0"]
        let log = folder.file("browse.log")
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        process.standardOutput = FileHandle(forWritingAtPath: log)
        process.standardError = process.standardOutput
        process.standardInput = FileHandle.nullDevice
        try process.run()
        defer {
            process.terminate()
            process.waitUntilExit()
        }
        var said = ""
        for _ in 0..<600 where !said.contains("http") && process.isRunning {
            usleep(100_000)
            said = try String(contentsOfFile: log, encoding: .utf8)
        }
        let address = try #require(said.split(separator: " ").first { $0.hasPrefix("http") }, "\(said)")
        try body(String(address))
    }

    @Test("a corpus is clicked through in a browser: tables, questions and plots, also from a copy and beside a writer")
    func clicks() throws {
        if let obstacle { return print("tools/browse is not tried: \(obstacle)") }
        let path = try Fixtures.corpus(folder)
        try Fixtures.ingest(path, attacks: "clean,pgd", limit: 40)
        let copy = folder.file("copy")
        try copyCorpus(path, to: copy, without: ["-wal", "-shm"])
        try browsing(path) { address in
            let script = "\(projectFolder)/Tests/CommandTests/browse.py"
            let ran = try run(browsePython, [script, address, chromium ?? "", folder.file("chromium")])
            #expect(ran.status == 0, "\(ran.errors.suffix(2000))")
            #expect(ran.output.split(separator: "\n").count == 1, "\(ran.output)")
            #expect(ran.output.hasSuffix("8 plots\n"), "\(ran.output)")
        }
        func rows(_ address: String) throws -> String {
            let sum =
                "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=60).read().decode())"
            let question = "catalog.csv?sql=select+count(*)+from+rows"
            return try run(browsePython, ["-c", sum, address + question]).output.filter(\.isNumber)
        }
        try browsing(copy) { address in
            #expect(try rows(address) == "80")
            #expect(!FileManager.default.fileExists(atPath: "\(copy)/catalog.sqlite-wal"))
            try Fixtures.ingest(copy, attacks: "fgsm", limit: 40)
            var found = ""
            for _ in 0..<100 where found != "120" {
                usleep(200_000)
                found = try rows(address)
            }
            #expect(found == "120")
        }
    }

    @Test("what cannot be browsed is one sentence")
    func refusals() throws {
        if let obstacle { return print("tools/browse is not tried: \(obstacle)") }
        func expectRefusal(_ arguments: [String], status: Int32 = 1, _ words: String...) throws {
            let ran = try run(browse, arguments)
            #expect(ran.status == status && ran.output == "", "\(ran.output) \(ran.errors)")
            #expect(ran.errors.hasPrefix("browse: ") && ran.errors.split(separator: "\n").count == 1, "\(ran.errors)")
            for word in words { #expect(ran.errors.contains(word), "\(ran.errors)") }
        }
        let path = try Fixtures.corpus(folder)
        try expectRefusal([folder.file("nowhere")], "nowhere", "logit init")
        try expectRefusal([folder.path], "no corpus")
        try expectRefusal([], status: 64, "CORPUS")
        try expectRefusal([path, "--port", "70000"], status: 64, "70000")
        try expectRefusal([path, "--port", "many"], status: 64, "many")
        let bound = try run("/bin/sh", ["-c", "tar -xf '\(Fixtures.folder)/corpus-v1.tar' -C '\(folder.path)'"])
        #expect(bound.status == 0)
        try expectRefusal(["\(folder.path)/corpus"], "version", "logit repair")
        try browsing(path) { address in
            let port = address.split(separator: ":").last?.filter { "0"..."9" ~= $0 } ?? ""
            try expectRefusal([path, "--port", port], port, "in use")
        }
        try Data("nothing".utf8).write(to: URL(fileURLWithPath: "\(path)/catalog.sqlite"))
        try expectRefusal([path], "catalog.sqlite", "logit repair")
    }
}
