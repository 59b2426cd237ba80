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
        text.replacingOccurrences(of: "\"rows\" : 2", with: "\"rows\" : 1e30"),
        text.replacingOccurrences(of: "\"format_version\" : 1", with: "\"format_version\" : 0"),
        text.replacingOccurrences(of: "shards/d/train", with: "shards//train"),
        String(repeating: "[", count: 100_000), "\u{0}\u{1}", "{\"format_version\": 1, \"shards\": [null]}",
    ]
    for (place, one) in bad.enumerated() {
        try Data(one.utf8).write(to: URL(fileURLWithPath: folder.file("a.json")))
        let error = #expect(throws: LogitError.self, "case \(place)") {
            try Manifests.readSnapshot(folder.file("a.json"))
        }
        #expect(error?.message.contains(folder.file("a.json")) == true)
    }
}

@Test("a manifest that names a shard twice is refused")
func twice() throws {
    let folder = TemporaryFolder()
    var doubled = snapshot
    doubled.shards += snapshot.shards
    try Data(Manifests.encode(doubled)).write(to: URL(fileURLWithPath: folder.file("a.json")))
    #expect(throws: LogitError.self) { try Manifests.readSnapshot(folder.file("a.json")) }
}

@Test("manifest keys are the documented ones, sorted")
func keys() throws {
    let encoded = Data(Manifests.encode(snapshot))
    let object = try #require(try JSONSerialization.jsonObject(with: encoded) as? [String: Any])
    #expect(Set(object.keys) == ["format_version", "id", "tree", "message", "created", "shards"])
    let shard = try #require((object["shards"] as? [[String: Any]])?.first)
    #expect(
        Set(shard.keys) == [
            "path", "dataset", "split", "dataset_digest", "network", "network_digest", "preprocessing", "attack",
            "attack_name", "attack_parameters", "view", "seed", "list_digest", "first_position", "rows", "classes",
            "content_digest", "file_digest", "file_bytes",
        ])
}

@Test("a selection comes back as it was; one with an image twice, or ids missing, is refused")
func selections() throws {
    let folder = TemporaryFolder()
    let path = folder.file("a.json")
    let whole = SelectionFile(
        formatVersion: 1, name: "one", dataset: "d", split: "train", datasetDigest: "e", ordinals: [5, 1 << 60],
        images: ["a/ü.png", "b \"c\".png"], provenance: "made by hand", created: "2026-01-01T00:00:00Z")
    try Data(Manifests.encode(whole)).write(to: URL(fileURLWithPath: path))
    #expect(try Manifests.readSelection(path) == whole)
    for change in [[5, 5], [-1, 5], [5]] as [[Int64]] {
        var bad = whole
        bad.ordinals = change
        try Data(Manifests.encode(bad)).write(to: URL(fileURLWithPath: path))
        #expect(throws: LogitError.self) { try Manifests.readSelection(path) }
    }
}
