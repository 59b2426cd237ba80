import Foundation
import Logits
import Shards
import TestSupport
import Testing

/// The filter plugin with which stock tools read shards of codec `zstd`.
@Suite("the filter plugin")
struct PluginTests {
    private static let plugin = "\(productFolder)/libH5Zzstd.so"
    private static let hasRscript = isThere("/usr/bin/Rscript", ["-e", "library(hdf5r)"])
    private static let hasH5py = isThere("/usr/bin/python3", ["-c", "import h5py"])

    private let folder = TemporaryFolder()

    private static func isThere(_ program: String, _ arguments: [String]) -> Bool {
        FileManager.default.isExecutableFile(atPath: program) && (try? run(program, arguments))?.status == 0
    }

    /// A shard, and a folder that holds the plugin alone: HDF5 opens every library that lies in its plugin path.
    private func shard() throws -> (path: String, table: RowTable) {
        try FileManager.default.createDirectory(atPath: folder.file("plugins"), withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: PluginTests.plugin, toPath: folder.file("plugins/libH5Zzstd.so"))
        let table = exampleTable(rows: 50, classes: 10)
        let path = folder.file("a.h5")
        try ShardWriter.write(table, header: exampleHeader(table), encoding: .zstd, to: path)
        return (path, table)
    }

    private func runWithPlugin(_ words: String...) throws -> Ran {
        try run("/usr/bin/env", ["HDF5_PLUGIN_PATH=\(folder.file("plugins"))"] + words)
    }

    @Test(
        "h5dump prints the logits, and h5ls the filter",
        .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/h5dump")))
    func stockTools() throws {
        let (path, table) = try shard()
        let binary = folder.file("logits.raw")
        let dumped = try runWithPlugin("h5dump", "-d", "/logits", "-b", "LE", "-o", binary, path)
        #expect(dumped.status == 0, "\(dumped.errors)")
        #expect(try Data(contentsOf: URL(fileURLWithPath: binary)) == table.logits.withUnsafeBytes { Data($0) })
        let listed = try runWithPlugin("h5ls", "-v", "\(path)/logits")
        #expect(listed.output.contains("32015") && listed.output.contains("{50/50, 10/10}"), "\(listed.output)")
        // What the documents warn of: without the plugin the block of data is empty, whatever the status.
        let bare = try run("/usr/bin/env", ["HDF5_PLUGIN_PATH=\(folder.path)", "h5dump", "-d", "/logits", path])
        #expect(bare.output.contains("DATA {") && !bare.output.contains("(0,0)"), "\(bare.output)")
    }

    private static let script = """
        import sys, h5py, numpy
        assert "hdf5plugin" not in sys.modules
        z = h5py.File(sys.argv[1])["logits"][:]
        assert z.tobytes() == open(sys.argv[2], "rb").read(), z
        """

    @Test("the system's h5py reads the same bits without hdf5plugin", .enabled(if: hasH5py))
    func systemPython() throws { try readBits("/usr/bin/python3") }

    @Test(
        "so does pip's h5py, which brings an HDF5 library of its own", .enabled(if: python != nil))
    func pipPython() throws { try readBits(try #require(python)) }

    private func readBits(_ program: String) throws {
        let (path, table) = try shard()
        let expected = folder.file("expected")
        try table.logits.withUnsafeBytes { Data($0) }.write(to: URL(fileURLWithPath: expected))
        let ran = try runWithPlugin(program, "-c", PluginTests.script, path, expected)
        #expect(ran.status == 0, "\(ran.errors)")
    }

    @Test("R reads the same values through hdf5r", .enabled(if: hasRscript))
    func hdf5r() throws {
        let (path, table) = try shard()
        let script = """
            library(hdf5r); a <- commandArgs(TRUE)
            z <- H5File$new(a[1], "r")[["logits"]][,]
            cat(dim(z), sprintf("%.9g", z), sep = "\\n")
            """
        let ran = try runWithPlugin("Rscript", "-e", script, path)
        #expect(ran.status == 0, "\(ran.errors)")
        let lines = ran.output.split(separator: "\n")
        #expect(lines.prefix(2) == ["10", "50"], "R's first dimension is the last of HDF5's")
        #expect(lines.dropFirst(2).compactMap { Float($0) } == table.logits)
    }

    @Test("a chunk that is no whole frame of a size that a shard can have is refused, and nothing is lost")
    func hostileFrames() throws {
        let filter = try Filter(PluginTests.plugin)
        let bytes = (0..<5000).map { UInt8(truncatingIfNeeded: $0 / 7) }
        let frame = try #require(filter.run(bytes, undo: false))
        #expect(filter.run(frame, undo: true) == bytes)
        func header(_ size: UInt64) -> [UInt8] {
            [0x28, 0xB5, 0x2F, 0xFD, 0xE0] + (0..<8).map { UInt8(truncatingIfNeeded: size >> (8 * $0)) } + [1, 0, 0]
        }
        // Content size unknown: single segment off, no size field, a window of 1 KiB, one empty last block.
        let unsized: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 0x00, 0x01, 0x00, 0x00]
        let bad = [
            [], [0], unsized, header(0), header(1), header(1 << 28), header(1 << 62), header(.max),
            Array(frame.dropLast()), frame + [0], frame + frame, Array(frame.dropFirst()),
        ]
        for (place, one) in bad.enumerated() { #expect(filter.run(one, undo: true) == nil, "case \(place)") }
        var flips = 0
        for place in frame.indices {
            var damaged = frame
            damaged[place] ^= 0xFF
            // A frame has no checksum of its contents: other bytes may come out, but never of another number.
            if let result = filter.run(damaged, undo: true) { flips += result.count == bytes.count ? 0 : 1 }
        }
        #expect(flips == 0)
    }

    @Test(
        "tools/install-plugin puts it where it is told to, again and again",
        .enabled(if: FileManager.default.fileExists(atPath: "\(projectFolder)/.build/release/libH5Zzstd.so")))
    func install() throws {
        let target = folder.file("deep/down")
        for _ in 0..<2 {
            let ran = try run("\(projectFolder)/tools/install-plugin", [target])
            #expect(ran.status == 0 && ran.output.contains("HDF5_PLUGIN_PATH=\(target)"), "\(ran.errors)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: target) == ["libH5Zzstd.so"])
        }
    }
}

/// The plugin as HDF5 sees it: a table whose last entry, at byte 40, is the function.
private struct Filter {
    private typealias Function =
        @convention(c) (
            UInt32, Int, UnsafePointer<UInt32>?, Int, UnsafeMutablePointer<Int>,
            UnsafeMutablePointer<UnsafeMutableRawPointer?>
        ) -> Int
    private let function: Function

    init(_ path: String) throws {
        let library = try #require(dlopen(path, RTLD_NOW | RTLD_LOCAL))
        let kind = unsafeBitCast(
            try #require(dlsym(library, "H5PLget_plugin_type")), to: (@convention(c) () -> Int32).self)
        let info = unsafeBitCast(
            try #require(dlsym(library, "H5PLget_plugin_info")), to: (@convention(c) () -> UnsafeRawPointer).self)()
        try #require(kind() == 0 && info.load(as: Int32.self) == 1)
        try #require(info.load(fromByteOffset: 4, as: Int32.self) == 32015)
        function = info.load(fromByteOffset: 40, as: Function.self)
    }

    /// - Returns: nil where the filter fails; it must then have left the buffer as it was.
    func run(_ bytes: [UInt8], undo: Bool) -> [UInt8]? {
        var buffer = malloc(max(1, bytes.count))
        buffer?.copyMemory(from: bytes, byteCount: bytes.count)
        defer { free(buffer) }
        let before = buffer
        var room = bytes.count
        let count = function(undo ? 0x100 : 0, 0, nil, bytes.count, &room, &buffer)
        let result = [UInt8](UnsafeRawBufferPointer(start: buffer, count: count == 0 ? bytes.count : count))
        guard count == 0 else { return count <= room ? result : nil }
        #expect(buffer == before && result == bytes && room == bytes.count)
        return nil
    }
}
