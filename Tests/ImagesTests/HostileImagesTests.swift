import Foundation
import Images
import Logits
import TestSupport
import Testing

/// Images that ask for more work or memory than an image can need.
@Suite("hostile images")
struct HostileImagesTests {
    private func picture(_ name: String) throws -> [UInt8] {
        let path = "\(projectFolder)/Tests/ImagesTests/Pictures/\(name)"
        return Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    @Test("a progressive JPEG of hundreds of scans is refused; a usual one is not")
    func scans() throws {
        let whole = try picture("progressive.jpg")
        let image = try RGBImage.decode(whole, name: "p")
        // The first scan and its tables, again and again: up to the marker after its codes.
        func place(_ from: Int, _ isMarker: (UInt8) -> Bool) throws -> Int {
            try #require((from..<whole.count - 1).first { whole[$0] == 0xFF && isMarker(whole[$0 + 1]) })
        }
        let tables = try place(0) { $0 == 0xC4 }
        let codes = try place(tables) { $0 == 0xDA } + 2
        let scan = whole[tables..<(try place(codes) { $0 != 0 && !(0xD0...0xD7).contains($0) })]
        func repeated(_ times: Int) -> [UInt8] {
            Array(whole.dropLast(2)) + (0..<times).flatMap { _ in scan } + [0xFF, 0xD9]
        }
        #expect(try RGBImage.decode(repeated(3), name: "p").size == image.size)
        let error = #expect(throws: LogitError.self) { try RGBImage.decode(repeated(200), name: "p") }
        #expect(error?.message.contains("more than 100 scans") == true, "\(error?.message ?? "")")
    }

    @Test("a PNG stuffed with packed texts is read without undoing them all")
    func texts() throws {
        let whole = try picture("rgb.png")
        // A zTXt chunk: keyword, 0, method 0, then 60 MB of zeros packed by zlib into 60 KB.
        let script = """
            import sys, zlib, struct
            whole = open(sys.argv[1], "rb").read()
            body = b"Comment\\0\\0" + zlib.compress(bytes(60_000_000), 9)
            chunk = struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))
            open(sys.argv[2], "wb").write(whole[:33] + chunk * 2000 + whole[33:])
            """
        let folder = TemporaryFolder()
        let source = "\(projectFolder)/Tests/ImagesTests/Pictures/rgb.png"
        let ran = try run("/usr/bin/python3", ["-c", script, source, folder.file("a.png")])
        try #require(ran.status == 0, "\(ran.errors)")
        let stuffed = Array(try Data(contentsOf: URL(fileURLWithPath: folder.file("a.png"))))
        let begun = Date()
        #expect(try RGBImage.decode(stuffed, name: "p") == RGBImage.decode(whole, name: "p"))
        #expect(Date().timeIntervalSince(begun) < 10)
    }

    @Test("an archive with a path longer than a shard takes is refused when it is added")
    func longPath() throws {
        let folder = TemporaryFolder()
        let deep = (0..<30).map { _ in String(repeating: "d", count: 150) }.joined(separator: "/")
        // The path of a pax header: a file system would refuse it.
        let script = """
            import io, sys, tarfile
            with tarfile.open(sys.argv[1], "w", format=tarfile.PAX_FORMAT) as tar:
                for name in ["a/x.png", "b/" + sys.argv[2] + "/y.png"]:
                    tar.addfile(tarfile.TarInfo(name), io.BytesIO())
            """
        let ran = try run("/usr/bin/python3", ["-c", script, folder.file("a.tar"), deep])
        try #require(ran.status == 0, "\(ran.errors)")
        let error = #expect(throws: LogitError.self) { try ImageSet.open(folder.file("a.tar"), classNames: nil) }
        #expect(error?.message.contains("more than the limit of 4096") == true, "\(error?.message ?? "")")
    }
}
