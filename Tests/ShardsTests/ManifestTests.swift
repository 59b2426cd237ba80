import Foundation
import Logits
import Shards
import TestSupport
import Testing

private let snapshot = SnapshotManifest(
    formatVersion: 1, id: "ab12", tree: "cd34", parent: nil, message: "first \"words\"",
    created: "2026-01-01T00:00:00Z",
    shards: [
        ShardEntry(
            path: "shards/d/train/n/clean/view0/a.h5", key: exampleKey(exampleTable(rows: 2, classes: 3)),
            classCount: 3,
            contentDigest: "e", fileDigest: "f", fileBytes: 99)
    ])

@Test("a manifest comes back as it was")
func manifest() throws {
    let folder = TemporaryFolder()
    try Data(Manifests.encode(snapshot)).write(to: URL(fileURLWithPath: folder.file("a.json")))
    #expect(try Manifests.readSnapshot(folder.file("a.json")) == snapshot)
}

@Test("a newer, cut, foreign or escaping manifest is refused in a sentence that names it")
func refusals() throws {
    let folder = TemporaryFolder()
    let text = String(decoding: Manifests.encode(snapshot), as: UTF8.self)
    let bad = [
        text.replacingOccurrences(of: "\"format_version\" : 1", with: "\"format_version\" : 2"),
        String(text.dropLast(20)), "[]", "", "{\"format_version\": 1}",
        text.replacingOccurrences(of: "shards/d/train", with: "shards/../../etc"),
        text.replacingOccurrences(of: "\"rows\" : 2", with: "\"rows\" : -2"),
    ]
    for (place, one) in bad.enumerated() {
        try Data(one.utf8).write(to: URL(fileURLWithPath: folder.file("a.json")))
        let error = #expect(throws: LogitError.self, "case \(place)") {
            try Manifests.readSnapshot(folder.file("a.json"))
        }
        #expect(error?.message.contains(folder.file("a.json")) == true)
    }
}
