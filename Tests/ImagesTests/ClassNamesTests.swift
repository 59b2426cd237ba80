import Foundation
import Images
import Logits
import TestSupport
import Testing

private func names(_ text: String) throws -> [String] {
    let folder = TemporaryFolder()
    try text.write(toFile: folder.file("classes.txt"), atomically: true, encoding: .utf8)
    return try ClassNames.read(folder.file("classes.txt"))
}

@Test("class names are lines, or the last of the columns of a numbered table")
func classNames() throws {
    #expect(try names("cat\nsea lion\r\ndog\n") == ["cat", "sea lion", "dog"])
    #expect(try names("index\tsynset\tname\n0\tn01\ttench, Tinca\n1\tn02\tgoldfish\n") == ["tench, Tinca", "goldfish"])
    #expect(try names("0\tcat\n1\tdog") == ["cat", "dog"])
}

@Test(
    "a table whose lines are not the classes in order is refused with its line",
    arguments: [
        ("0\tcat\n2\tdog\n", "line 2"), ("index\tname\n1\tcat\n2\tdog\n", "line 2"), ("0\tcat\n1\n", "line 2"),
        ("0\tcat\n1\t\n", "line 2"), ("index\tname\n", "0 classes"), ("one", "1 classes"),
    ])
func wrongClassNames(text: String, mention: String) throws {
    let error = #expect(throws: LogitError.self) { try names(text) }
    #expect(error?.message.contains(mention) == true, "\(error?.message ?? "")")
}
