import Foundation
import Images
import Logits
import TestSupport
import Testing

/// A ustar archive of members with a type: `0` a file (of a few bytes), `5` a folder, `1` or `2` a link.
private func archive(_ members: [(path: String, type: Character)]) -> Data {
    var all = Data()
    for member in members {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at place: Int) {
            header.replaceSubrange(place..<place + text.utf8.count, with: text.utf8)
        }
        put(member.path, at: 0)
        put(member.type == "0" ? "00000000003" : "00000000000", at: 124)
        put(String(member.type), at: 156)
        put("ustar\0" + "00", at: 257)
        put("        ", at: 148)
        let sum = String(header.reduce(0) { $0 + Int($1) }, radix: 8)
        put(String(repeating: "0", count: 6 - sum.count) + sum + "\0 ", at: 148)
        all += header
        if member.type == "0" { all += Data("abc".utf8) + Data(count: 509) }
    }
    return all + Data(count: 1024)
}

@Test(
    "what lies beside and in the class folders of a tar does not change its classes and images",
    arguments: [
        ["a/1.png", "b/2.png"], ["./", "./a/", "./a/1.png", "./b/", "./b/2.png"],
        ["cover.png", "README", "a/1.png", "b/2.png"], ["w/README.txt", "w/a/1.png", "w/b/2.png"],
        ["._w", "w/", "w/.DS_Store", "w/a/._1.png", "w/a/1.png", "w/b/", "w/b/2.png"],
        [".git/x.png", ".git/config", "a/.thumbs/1.png", "a/1.png", "b/2.png"],
    ])
func archiveLayouts(paths: [String]) throws {
    let folder = TemporaryFolder()
    let members = paths.map { (path: $0, type: $0.hasSuffix("/") ? Character("5") : "0") }
    try archive(members).write(to: URL(fileURLWithPath: folder.file("x.tar")))
    let set = try ImageSet.open(folder.file("x.tar"), classNames: nil)
    #expect(set.classNames == ["a", "b"])
    #expect(set.entries.map(\.id) == ["a/1.png", "b/2.png"] && set.entries.map(\.label) == [0, 1])
    #expect(try set.bytes(1) == Array("abc".utf8))
}

@Test("a tar that would lose a class or an image silently is refused")
func archiveRefusals() throws {
    let folder = TemporaryFolder()
    let cases: [([(path: String, type: Character)], String)] = [
        ([("a/", "5"), ("a/1.png", "0"), ("b/", "5"), ("c/3.png", "0")], "class folder b"),
        ([("w/a/1.png", "0"), ("w/b/", "5"), ("w/c/3.png", "0")], "class folder b"),
        ([("a/1.png", "0"), ("b/2.png", "0"), ("b/3.png", "1")], "b/3.png"),
        ([("a/1.png", "0"), ("b/2.png", "0"), ("c", "2")], "link"),
        ([("a/caf\u{E9}.png", "0"), ("a/cafe\u{301}.png", "0"), ("b/2.png", "0")], "Unicode"),
    ]
    for (members, word) in cases {
        try archive(members).write(to: URL(fileURLWithPath: folder.file("x.tar")))
        let error = #expect(throws: LogitError.self) { try ImageSet.open(folder.file("x.tar"), classNames: nil) }
        #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
    }
}

@Test(
    "hidden folders in a class folder hold no images of it, and links that lead back end in a sentence",
    .timeLimit(.minutes(20)))
func folderTraps() throws {
    let folder = TemporaryFolder()
    for name in ["a", "b", "a/.ipynb_checkpoints"] {
        try FileManager.default.createDirectory(atPath: folder.file("s/\(name)"), withIntermediateDirectories: true)
        try Data("x".utf8).write(to: URL(fileURLWithPath: folder.file("s/\(name)/1.png")))
    }
    #expect(try ImageSet.open(folder.file("s"), classNames: nil).entries.map(\.id) == ["a/1.png", "b/1.png"])
    for name in ["x", "y"] {
        try FileManager.default.createSymbolicLink(atPath: folder.file("s/a/\(name)"), withDestinationPath: ".")
    }
    let error = #expect(throws: LogitError.self) { try ImageSet.open(folder.file("s"), classNames: nil) }
    #expect(error?.message.contains("link leads back") == true)
}

@Test("an archive that is cut while it is open is an error, not a crash")
func cutWhileOpen() throws {
    let folder = TemporaryFolder()
    try FileManager.default.copyItem(atPath: Fixtures.testImages, toPath: folder.file("a.tar"))
    let set = try ImageSet.open(folder.file("a.tar"), classNames: nil)
    #expect(try set.bytes(1199).count > 100)
    let handle = try #require(FileHandle(forWritingAtPath: folder.file("a.tar")))
    try handle.truncate(atOffset: 10_000)
    try handle.close()
    let error = #expect(throws: LogitError.self) { try set.bytes(1199) }
    #expect(error?.message.contains("shorter") == true)
    #expect(try set.bytes(0).count > 100)
}
