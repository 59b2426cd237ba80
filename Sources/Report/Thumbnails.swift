import CorpusStore
import Images
import Logits

/// Small pictures of classes, from the images that a corpus was made of.
package enum Thumbnails {
    private static let side = 64

    /// A PNG for each class of which the split's source still holds an image as it was added: the first in ordinal order. What
    /// is no longer there is left out, since a picture beside a bar is only an illustration.
    package static func pngs(of classes: [Int], _ split: SplitDescriptor, in corpus: Corpus) -> [Int: [UInt8]] {
        guard let listed = try? corpus.images(of: split) else { return [:] }
        let labelling: Images.ImageSet.Labelling = { (_) throws(LogitError) in (split.classNames, listed.map(\.label)) }
        guard
            let set = try? Images.ImageSet.open(
                split.source, classNames: split.classNames, labelling: split.labels == nil ? nil : labelling),
            set.entries.count == listed.count
        else { return [:] }
        var first: [Int: Int] = [:]
        for (ordinal, image) in listed.enumerated() where first[Int(image.label)] == nil {
            first[Int(image.label)] = ordinal
        }
        var found: [Int: [UInt8]] = [:]
        for one in classes {
            guard let ordinal = first[one], let bytes = try? set.bytes(ordinal),
                Digest.hex(bytes) == listed[ordinal].digest, let image = try? set.decode(bytes, of: ordinal)
            else { continue }
            found[one] = try? small(image).png()
        }
        return found
    }

    private static func small(_ image: RGBImage) throws(LogitError) -> RGBImage {
        guard min(image.width, image.height) > side || image.width != image.height else { return image }
        return try Framing(resize: "\(min(side, image.width, image.height))", crop: "\(side)").apply(to: image)
    }
}
