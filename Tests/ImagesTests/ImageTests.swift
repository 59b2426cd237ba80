import Foundation
import Images
import Logits
import TestSupport
import Testing

@Test("a folder, a tar of it and a wrapped tar give the same images in the same order")
func sameSet() throws {
    let folder = TemporaryFolder()
    try FileManager.default.createDirectory(atPath: folder.file("set"), withIntermediateDirectories: true)
    #expect(try run("/bin/tar", ["xf", Fixtures.testImages, "-C", folder.file("set")]).status == 0)
    try Data("x".utf8).write(to: URL(fileURLWithPath: folder.file("set/circle-solid/notes.txt")))
    #expect(try run("/bin/tar", ["cf", folder.file("wrapped.tar"), "-C", folder.path, "set"]).status == 0)
    let sets = try [folder.file("set"), Fixtures.testImages, folder.file("wrapped.tar")].map {
        try ImageSet.open($0, classNames: nil)
    }
    #expect(sets[0].entries.count == 1200 && sets[0].classNames.count == 100)
    #expect(sets[0].skippedCount == 1)
    #expect(sets[0].entries == sets[1].entries && sets[0].entries == sets[2].entries)
    #expect(sets[0].classNames == sets[0].classNames.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
    for ordinal in [0, 599, 1199] {
        let bytes = try sets.map { try $0.bytes(ordinal) }
        #expect(bytes[0] == bytes[1] && bytes[0] == bytes[2])
    }
}

@Test("a CIFAR-10 record is one label byte and three planes")
func binary() throws {
    let folder = TemporaryFolder()
    var bytes = [UInt8](repeating: 0, count: 2 * 3073)
    bytes[0] = 3
    bytes[3073] = 9
    bytes[3073 + 1 + 5] = 10
    bytes[3073 + 1 + 1024 + 5] = 20
    bytes[3073 + 1 + 2048 + 5] = 255
    try Data(bytes).write(to: URL(fileURLWithPath: folder.file("a.bin")))
    let set = try ImageSet.open(folder.file("a.bin"), classNames: nil)
    #expect(set.entries.map(\.label) == [3, 9] && set.entries[1].id == "a.bin/1")
    let image = try set.decode(try set.bytes(1), of: 1)
    #expect(Array(image.pixels[15..<18]) == [10, 20, 255])
    var planes = [Float](repeating: -1, count: 3072)
    planes.withUnsafeMutableBufferPointer { image.writePlanar(into: $0) }
    #expect(planes[5] == Float(10) / 255 && planes[1024 + 5] == Float(20) / 255 && planes[2048 + 5] == 1)
    try Data(bytes.dropLast()).write(to: URL(fileURLWithPath: folder.file("short.bin")))
    #expect(throws: LogitError.self) { try ImageSet.open(folder.file("short.bin"), classNames: nil) }
    bytes[0] = 10
    try Data(bytes).write(to: URL(fileURLWithPath: folder.file("label.bin")))
    #expect(throws: LogitError.self) { try ImageSet.open(folder.file("label.bin"), classNames: nil) }
}

/// Pictures of every kind by PIL's encoder, their pixels by PIL's decoder: frozen by Tests/ImagesTests/make_pictures.py.
@Test("pixels equal PIL's for every kind of JPEG and PNG")
func pictures() throws {
    let folder = "\(projectFolder)/Tests/ImagesTests/Pictures"
    let lines = try String(contentsOfFile: "\(folder)/digests.txt", encoding: .utf8).split(separator: "\n")
    #expect(lines.count >= 14)
    for line in lines {
        let parts = line.split(separator: " ")
        let bytes = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(parts[0])"))
        let image = try RGBImage.decode(Array(bytes), name: String(parts[0]))
        #expect("\(image.width)x\(image.height)" == parts[1], "\(parts[0])")
        var hash: UInt32 = 2_166_136_261  // FNV-1a of the pixels
        for pixel in image.pixels { hash = (hash ^ UInt32(pixel)) &* 16_777_619 }
        #expect(String(hash, radix: 16) == parts[2], "\(parts[0])")
    }
}

@Test("damaged pictures end in a sentence that names them, never in a crash")
func damaged() throws {
    let folder = "\(projectFolder)/Tests/ImagesTests/Pictures"
    let random = Philox(key: 5)
    var failures = 0
    for name in try FileManager.default.contentsOfDirectory(atPath: folder).sorted() where !name.hasSuffix(".txt") {
        let whole = Array(try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)")))
        #expect(throws: LogitError.self, "\(name) cut") {
            try RGBImage.decode(Array(whole.dropLast(whole.count / 3)), name: name)
        }
        for attempt in 0..<200 {
            var bytes = whole
            for hit in 0..<3 {
                let bits = random.bits(UInt64(attempt * 3 + hit))
                bytes[Int(bits % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: bits >> 40)
            }
            do { _ = try RGBImage.decode(bytes, name: name) } catch {
                failures += 1
                #expect(error.message.contains(name))
            }
        }
    }
    #expect(failures > 100)
}

@Test("a picture that claims to be huge is refused before memory is asked for")
func huge() throws {
    var png = Array(try Data(contentsOf: URL(fileURLWithPath: "\(projectFolder)/Tests/ImagesTests/Pictures/rgb.png")))
    png.replaceSubrange(16..<24, with: [0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60])
    let header = Array(png[12..<29])
    var crc: UInt32 = ~0
    for byte in header {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
    }
    png.replaceSubrange(29..<33, with: withUnsafeBytes(of: (~crc).bigEndian) { Array($0) })
    let error = #expect(throws: LogitError.self) { try RGBImage.decode(png, name: "huge.png") }
    #expect(error?.message.contains("60000") == true)
}

@Test("folders that are no image sets are refused, each with what to do")
func refusals() throws {
    let folder = TemporaryFolder()
    func make(_ name: String, _ files: [String]) throws -> String {
        for file in files {
            let path = folder.file("\(name)/\(file)")
            try FileManager.default.createDirectory(
                atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            try Data("not a picture".utf8).write(to: URL(fileURLWithPath: path))
        }
        return folder.file(name)
    }
    let cases: [(String, String)] = [
        (try make("flat", ["a.png", "b.png"]), "class folders"),
        (try make("empty", ["a/x.png", "b/.hidden"]), "folder b"),
        (try make("text", ["a/x.txt", "b/x.png"]), "folder a"), (try make("single", ["a/x.png"]), "one class"),
        (folder.file("nowhere"), "no file or folder"), (try make("file", ["tar"]) + "/tar", "tar"),
    ]
    for (path, word) in cases {
        let error = #expect(throws: LogitError.self, "\(path)") { try ImageSet.open(path, classNames: nil) }
        #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
    }
    let set = try ImageSet.open(try make("named", ["a/x.jpg", "b/y.jpg"]), classNames: nil)
    #expect(throws: LogitError.self) { try set.decode(try set.bytes(0), of: 0) }
}

@Test("archives that point outside themselves or are damaged are refused")
func hostileTar() throws {
    let folder = TemporaryFolder()
    try FileManager.default.createDirectory(atPath: folder.file("a"), withIntermediateDirectories: true)
    try Data("x".utf8).write(to: URL(fileURLWithPath: folder.file("a/x.png")))
    _ = try run("/bin/tar", ["cPf", folder.file("up.tar"), "-C", folder.file("a"), "../a/x.png"])
    #expect(throws: LogitError.self) { try ImageSet.open(folder.file("up.tar"), classNames: nil) }
    let whole = Array(try Data(contentsOf: URL(fileURLWithPath: Fixtures.testImages)).prefix(64 * 1024))
    let random = Philox(key: 9)
    for attempt in 0..<300 {
        var bytes = whole
        let bits = random.bits(UInt64(attempt))
        bytes[Int(bits % 4096)] = UInt8(truncatingIfNeeded: bits >> 40)
        try Data(bytes).write(to: URL(fileURLWithPath: folder.file("b.tar")))
        // An error, or the images that are left; never a crash.
        _ = try? ImageSet.open(folder.file("b.tar"), classNames: nil)
    }
}
