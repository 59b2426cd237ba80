import Foundation
import TestSupport
import Testing

/// The library that other programs load, and those programs. None may run for longer than a minute.
private let library = "\(productFolder)/liblogitsql.so"
private let shell = "/usr/bin/sqlite3"
private let debianPython = "/usr/bin/python3"

private func bounded(_ program: String, _ arguments: [String]) throws -> Ran {
    try run("/usr/bin/timeout", ["60", program] + arguments)
}

private func exists(_ path: String) -> Bool { FileManager.default.isExecutableFile(atPath: path) }

/// Datasette is looked for where tools/browse and tools/bench-sql put theirs.
private let datasetteProgram: String? = [".venv-browse", ".venv-sql"].map { "\(projectFolder)/\($0)/bin/datasette" }
    .first(where: exists)

@Suite("liblogitsql.so in programs that others wrote")
struct LoadingTests {
    private func catalogue() throws -> String { "\(try LogitsTableTests.shared.get().1)/catalog.sqlite" }

    @Test("needs the C libraries alone, and brings nothing but its entry point")
    func dependencies() throws {
        let needed = try bounded("/usr/bin/ldd", [library])
        #expect(needed.status == 0 && needed.output.contains("libhdf5"))
        for word in ["swift", "Foundation", "sqlite", "torch"] {
            #expect(!needed.output.contains(word), "\(needed.output)")
        }
        let names = try bounded("/usr/bin/nm", ["-D", "--defined-only", library])
        #expect(names.output.split(separator: "\n").map { $0.split(separator: " ").last } == ["sqlite3_logitsql_init"])
        let wanted = try bounded("/usr/bin/nm", ["-D", "--undefined-only", library])
        #expect(wanted.status == 0 && !wanted.output.contains(" sqlite3_"))
    }

    @Test("the stock shell loads it, asks, closes and opens again", .enabled(if: exists(shell)))
    func stockShell() throws {
        let file = try catalogue()
        let asked = try bounded(
            shell,
            [
                ":memory:", ".load \(library)", "SELECT mean(x'0000803f00004040')", ".open \(file)", ".load \(library)",
                "SELECT count(*), sum(length(z)), typeof(vec_mean(z)) FROM logits",
                "SELECT count(*) FROM logits('head')", "SELECT count(*) > 0 FROM shards()",
                "SELECT count(*) FROM snapshots()",
                ".open \(file)", ".load \(library)", "SELECT count(*) FROM logits WHERE argmax(z) = prediction",
            ])
        #expect(asked.errors == "" && asked.status == 0)
        #expect(asked.output.split(separator: "\n") == ["2.0", "130|52000|text", "130", "1", "2", "130"])
    }

    @Test("outside of a corpus the functions work and the table says what is wrong", .enabled(if: exists(shell)))
    func elsewhere() throws {
        let folder = TemporaryFolder()
        for file in [":memory:", folder.file("other.sqlite")] {
            let asked = try bounded(
                shell,
                [file, "CREATE TABLE t (a)", ".load \(library)", "SELECT argmax('[1, 3, 2]')", "SELECT * FROM logits"])
            #expect(asked.output == "1\n")
            #expect(asked.errors.contains("open CORPUS/catalog.sqlite"), "\(asked.errors)")
        }
    }

    @Test(
        "Debian's Python, with two connections in two threads, and a close while a query is open",
        .enabled(if: exists(debianPython)))
    func pythonThreads() throws {
        let asked = try bounded(
            debianPython, ["\(projectFolder)/Tests/LogitSQLTests/threads.py", library, try catalogue()])
        #expect(asked.status == 0, "\(asked.errors)")
        #expect(asked.output == "ok\n", "\(asked.output)")
    }

    @Test("two extensions of the same name in one process do not meet", .enabled(if: exists(debianPython)))
    func copies() throws {
        let folder = TemporaryFolder()
        let copy = folder.file("liblogitsql.so")
        try FileManager.default.copyItem(atPath: library, toPath: copy)
        let asked = try bounded(
            debianPython, ["\(projectFolder)/Tests/LogitSQLTests/threads.py", library, try catalogue(), copy])
        #expect(asked.status == 0 && asked.output == "ok\n", "\(asked.errors)")
    }

    @Test("Datasette answers a query over logits", .enabled(if: datasetteProgram != nil, "no Datasette is installed"))
    func datasette() throws {
        let query = "/catalog.json?sql=select+count(*)+as+n,+round(avg(length(z)))+as+bytes+from+logits&_shape=array"
        let asked = try bounded(
            datasetteProgram!, [try catalogue(), "--load-extension=\(library)", "--get", query])
        #expect(asked.status == 0, "\(asked.errors)")
        #expect(asked.output.contains("\"n\": 130") && asked.output.contains("\"bytes\": 400.0"), "\(asked.output)")
    }
}
