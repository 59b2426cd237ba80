import Foundation
import Images
import Logits
import TestSupport
import Testing

/// A folder with files of no content, made once; opening a set does not decode.
private func folder(_ files: [String]) throws -> TemporaryFolder {
    let folder = TemporaryFolder()
    for file in files {
        let path = folder.file("set/\(file)")
        try FileManager.default.createDirectory(
            atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        try Data("x".utf8).write(to: URL(fileURLWithPath: path))
    }
    return folder
}

private func open(
    _ folder: TemporaryFolder, _ labels: String, classes: [String]? = nil, images: String = "set"
) throws -> ImageSet {
    try labels.write(toFile: folder.file("labels"), atomically: true, encoding: .utf8)
    let file = try LabelFile(folder.file("labels"))
    let root = folder.file(images)
    return try ImageSet.open(root, classNames: classes, labelling: file.labelling(classes, root: root))
}

private let three = ["b.JPEG", "a.png", "c d.jpg", "notes.txt", ".hidden.png"]

@Test(
    "label files of every form give the same labels",
    arguments: [
        "a.png n02\nb.JPEG n01\nc d.jpg n02\n", "c d.jpg\tn02\nb.JPEG\tn01\na.png\tn02",
        "filename,label\r\na.png,n02\r\nb.JPEG,n01\r\n\"c d.jpg\",n02\r\n",
        "name\tclass\na.png\tn02\nb.JPEG\tn01\nc d.jpg\tn02",
        "\u{FEFF}./a.png, n02\n\n./b.JPEG, n01\n./c d.jpg, n02\n\n", "n02\nn01\nn02\n", "n02\r\nn01\r\nn02",
        "ImageId,PredictionString\nb,n01 85 1 499 272 n01 3 4 5 6\na,n02 1 2 3 4 \nc d,n02 0 0 9 9",
        "a n02\nb n01\nc d n02", "a.png 1\nb.JPEG 0\nc d.jpg 1", "1\n0\n1",
    ])
func forms(text: String) throws {
    let set = try open(try folder(three), text)
    #expect(set.entries.map(\.id) == ["a.png", "b.JPEG", "c d.jpg"] && set.entries.map(\.label) == [1, 0, 1])
    #expect(set.classNames == (text.contains("n01") ? ["n01", "n02"] : ["0", "1"]) && set.skippedCount == 1)
}

@Test("a class list gives names their index, and indices their name; numbers that it names are names")
func classList() throws {
    let folder = try folder(["a.png", "b.png", "c.png"])
    let names = try open(folder, "a.png z\nb.png y\nc.png z", classes: ["z", "unused", "y"])
    #expect(names.entries.map(\.label) == [0, 2, 0] && names.classNames == ["z", "unused", "y"])
    #expect(try open(folder, "a.png 2\nb.png 1\nc.png 1", classes: ["z", "x", "y"]).entries.map(\.label) == [2, 1, 1])
    #expect(try open(folder, "a.png 2\nb.png 1\nc.png 1", classes: ["2", "1"]).entries.map(\.label) == [0, 1, 1])
    let titles = try open(folder, "a.png,great white shark\nb.png,tench\nc.png,tench")
    #expect(titles.classNames == ["great white shark", "tench"] && titles.entries.map(\.label) == [0, 1, 1])
}

@Test("images in folders and in a tar, wrapped or not, are labelled by their paths")
func places() throws {
    let folder = try folder(["x/a.png", "x/b.png", "y/a.png"])
    let set = try open(folder, "x/a.png 0\nx/b.png 1\ny/a.png 1")
    #expect(set.entries.map(\.id) == ["x/a.png", "x/b.png", "y/a.png"])
    for (name, arguments) in [
        ("plain.tar", ["-C", folder.file("set"), "x", "y"]), ("wrapped.tar", ["-C", folder.path, "set"]),
    ] {
        #expect(try run("/bin/tar", ["cf", folder.file(name)] + arguments).status == 0)
        #expect(try open(folder, "x/a.png 0\nx/b.png 1\ny/a.png 1", images: name).entries == set.entries)
    }
    #expect(try run("/bin/tar", ["cf", folder.file("flat.tar"), "-C", folder.file("set"), "x"]).status == 0)
    #expect(try open(folder, "0\n1", images: "flat.tar").entries.map(\.id) == ["a.png", "b.png"])
}

@Test(
    "a label file that leaves any doubt is refused in a sentence that says where",
    arguments: [
        ("a.png 0\nb.png 1", "image c.png"), ("a.png 0\nb.png 1\nc.png 0\nd.png 1", "line 4"),
        ("a.png 0\nb.png 1\na.png 1\nc.png 0", "lines 1 and 3"), ("x.png 0\na.png 0\nb.png 1\nc.png 0", "line 1"),
        ("x.png,n1\na.png,n1\nb.png,n2\nc.png,n2", "line 1"), ("0\n1", "2 labels"), ("0\n1\n0\n1", "4 labels"),
        ("1\n2\n3", "count from 1"), ("a.png 1\nb.png 2\nc.png 3", "count from 1"),
        ("a.png -1\nb.png 0\nc.png 1", "-1"),
        ("a.png 0\nb.png 1\nc.png 99999999", "99999999"), ("a.png,0,1\nb.png,1,1\nc.png,0,1", "line 1"),
        ("a.png\t0\nb.png 1\nc.png\t0", "line 2"), ("0\na.png 1\n1", "line 2"), ("", "empty"), ("\n \n", "empty"),
        ("a.png 0\nb.png 0\nc.png 0", "one class"), ("a.png,\nb.png,1\nc.png,0", "line 1"),
    ])
func refusals(text: String, word: String) throws {
    let folder = try folder(["a.png", "b.png", "c.png"])
    let error = #expect(throws: LogitError.self) { try open(folder, text) }
    #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
}

@Test("with a class list, labels outside it are refused, and so is a bare list of numbers that may count from 1")
func classListRefusals() throws {
    let folder = try folder(["a.png", "b.png", "c.png"])
    for (text, word) in [
        ("a.png z\nb.png q\nc.png z", "line 2"), ("a.png 0\nb.png 3\nc.png 1", "line 2"), ("1\n2\n1", "count from 1"),
        ("1\n2\n3", "count from 1"),

    ] {
        let error = #expect(throws: LogitError.self) { try open(folder, text, classes: ["z", "y", "x"]) }
        #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
    }
    let twice = #expect(throws: LogitError.self) {
        try open(folder, "a.png z\nb.png y\nc.png z", classes: ["z", "y", "z"])
    }
    #expect(twice?.message.contains("twice") == true)
}

@Test("a file name without extension that two images share labels neither")
func sharedStem() throws {
    let folder = try folder(["a.png", "a.jpg", "b.png"])
    let error = #expect(throws: LogitError.self) { try open(folder, "a 0\na.jpg 1\nb 1") }
    #expect(error?.message.contains("line 1") == true)
    #expect(try open(folder, "a.png 0\na.jpg 1\nb 1").entries.map(\.label) == [1, 0, 1])
}

@Test("a binary file has its labels itself")
func binaryLabels() throws {
    let folder = TemporaryFolder()
    try Data(count: 3073).write(to: URL(fileURLWithPath: folder.file("set.bin")))
    let error = #expect(throws: LogitError.self) { try open(folder, "0", images: "set.bin") }
    #expect(error?.code == .usage && error?.message.contains("--labels") == true)
}
