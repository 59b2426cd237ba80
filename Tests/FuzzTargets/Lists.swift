import CorpusStore
import Images
import Logits
import Shards
import TestSupport

extension FuzzTarget {
    private static let ids = ["a/x.png", "a/y.png", "b/z.jpeg", "b/ü.png"]

    static let lists = [
        FuzzTarget(
            "labels",
            seeds: {
                [
                    "a/x.png\tcat\na/y.png\tdog\nb/z.jpeg\tcat\nb/ü.png\tcat\n", "0\n1\n1\n0\n",
                    "name,label\na/x.png,0\na/y,1\n\"b/z.jpeg\",1\nb/ü,0\n", "a/x 0\r\na/y 1\r\nb/z 1\r\nb/ü 2\r\n",
                    "ImageId,PredictionString\na/x,n01 1 2 3\n",
                ].map { Array($0.utf8) }
            }
        ) { bytes in
            try withFile(bytes, "labels.txt") { path in
                let file = try LabelFile(path)
                for names in [nil, ["cat", "dog"]] {
                    _ = try? file.labelling(names, root: "images")(ids)
                }
            }
        },
        FuzzTarget(
            "image-list",
            seeds: {
                let digest = String(repeating: "a", count: 64)
                return [Corpus.imageListBytes(ids.map { ListedImage(id: $0, label: 1, digest: digest) })]
            }
        ) { bytes in
            let images = try Corpus.parseImageList(bytes, classCount: 2, path: "list")
            precondition(images.allSatisfy { $0.label == 0 || $0.label == 1 })
        },
        FuzzTarget("manifest", seeds: { [Manifests.encode(exampleManifest)] }) { bytes in
            try withFile(bytes, "manifest.json") { path in
                let manifest = try Manifests.readSnapshot(path)
                precondition(manifest.shards.allSatisfy { $0.path.hasPrefix("shards/") && $0.key.rowCount > 0 })
            }
        },
        FuzzTarget("selection", seeds: { [Manifests.encode(exampleSelection)] }) { bytes in
            try withFile(bytes, "selection.json") { path in
                let selection = try Manifests.readSelection(path)
                precondition(selection.images.count == selection.ordinals.count)
            }
        },
    ]

    private static var exampleManifest: SnapshotManifest {
        let table = exampleTable(rows: 2, classes: 3)
        return SnapshotManifest(
            formatVersion: 1, id: "ab12", tree: "cd34", parent: nil, message: "m", created: "2026-01-01T00:00:00Z",
            shards: [
                ShardEntry(
                    path: "shards/d/train/n/clean/view0/a.h5", key: exampleKey(table), classCount: 3,
                    contentDigest: "e", fileDigest: "f", fileBytes: 99)
            ])
    }

    private static var exampleSelection: SelectionFile {
        SelectionFile(
            formatVersion: 1, name: "one", dataset: "d", split: "train", datasetDigest: "e", ordinals: [5, 1 << 60],
            images: ["a/ü.png", "b"], provenance: "p", created: "2026-01-01T00:00:00Z")
    }
}
