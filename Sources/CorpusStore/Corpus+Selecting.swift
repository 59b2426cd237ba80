import Logits
import Shards

extension Corpus {
    /// The selection of, for each class, the first `perClass` images in ordinal order that a network gets right; not stored.
    /// - Throws: `badInput` where there are none.
    package func selectionOfCorrect(
        _ name: String, _ split: SplitDescriptor, by network: NetworkDescriptor, perClass: Int
    ) throws(LogitError) -> SelectionFile {
        guard perClass >= 1 else {
            throw LogitError(.usage, "--per-class is \(perClass); give a whole number of at least 1")
        }
        let found = try correctImages(of: split, by: network.name, perClass: perClass)
        guard !found.ordinals.isEmpty else {
            throw LogitError(
                .badInput,
                "network \(network.name) gets no image of \(split.dataset)/\(split.split) right, so the selection would be empty; choose another network"
            )
        }
        return selection(
            name, split, found.ordinals, found.images, nil,
            "for each class the first \(perClass) images in ordinal order that \(network.name) (module \(network.digest.prefix(12))) gets right"
        )
    }

    /// The selection of one fold of a split, or of the images outside it; not stored.
    package func selection(
        _ name: String, of fold: SelectionFold, _ split: SplitDescriptor
    ) throws(LogitError) -> SelectionFile {
        guard (2...1000).contains(fold.count), (0..<fold.count).contains(fold.index) else {
            throw LogitError(
                .usage,
                "--fold \(fold.index)/\(fold.count) does not exist; give K/N with N from 2 to 1000 and K from 0 to N − 1"
            )
        }
        let images = try images(of: split)
        let ordinals = images.indices.filter { ($0 % fold.count == fold.index) != fold.isRest }
        guard !ordinals.isEmpty else {
            throw LogitError(
                .badInput, "\(split.dataset)/\(split.split) has too few images for \(fold.count) folds; give fewer")
        }
        return selection(
            name, split, ordinals.map(Int64.init), ordinals.map { images[$0].id }, fold,
            fold.isRest
                ? "all images but fold \(fold.index) of \(fold.count)"
                : "fold \(fold.index) of \(fold.count): every image whose ordinal leaves that remainder")
    }

    /// The selection of so many images of a split, or of a selection of it, drawn by a seed; not stored. Each image is as likely as
    /// any other, and those of a smaller number are among those of a larger one: for learning curves.
    package func selectionAtRandom(
        _ name: String, _ split: SplitDescriptor, count: Int, seed: UInt64, among: SelectionFile? = nil
    ) throws(LogitError) -> SelectionFile {
        let images = try images(of: split)
        if let among { try check(among, split) }
        let pool = among?.ordinals ?? images.indices.map(Int64.init)
        guard pool.allSatisfy({ images.indices.contains(Int($0)) }) else {
            throw LogitError(
                .corrupt,
                "selection \(among?.name ?? "") names images that \(split.dataset)/\(split.split) has not; put back a copy of it"
            )
        }
        guard count >= 1, count <= pool.count else {
            throw LogitError(
                .usage,
                "--random is \(count); give a whole number from 1 to \(pool.count), the images of \(among.map { "selection \($0.name)" } ?? "\(split.dataset)/\(split.split)")"
            )
        }
        let random = Philox(key: seed)
        let keyed = pool.map { (key: random.bits(UInt64(bitPattern: $0)), ordinal: $0) }
        let drawn = keyed.sorted { $0 < $1 }.prefix(count).map(\.ordinal).sorted()
        return selection(
            name, split, drawn, drawn.map { images[Int($0)].id }, nil,
            "\(count) images at random\(among.map { " of selection \($0.name)" } ?? ""), seed \(seed)")
    }

    private func selection(
        _ name: String, _ split: SplitDescriptor, _ ordinals: [Int64], _ images: [String],
        _ fold: SelectionFold?, _ provenance: String
    ) -> SelectionFile {
        var file = SelectionFile(
            formatVersion: 1, name: name, dataset: split.dataset, split: split.split, datasetDigest: split.digest,
            ordinals: ordinals, images: images, provenance: provenance, created: timestamp())
        file.fold = fold
        return file
    }
}
