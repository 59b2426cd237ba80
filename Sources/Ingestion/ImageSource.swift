import CorpusStore
import Images
import Logits
import Networks

/// The images of a split as a network wants them, each checked against the digest it was added with.
struct ImageSource: Sendable {
    let listed: [ListedImage]
    private let set: ImageSet
    private let split: SplitDescriptor
    private let network: NetworkDescriptor
    private let framing: Framing

    var valueCount: Int { network.channels * network.height * network.width }

    init(_ split: SplitDescriptor, _ images: [ListedImage], _ network: NetworkDescriptor) throws(LogitError) {
        // A label file may be gone: what it said is in the list.
        let labelling: ImageSet.Labelling = { (ids) throws(LogitError) in
            guard ids.elementsEqual(images.lazy.map(\.id)) else {
                throw ImageSource.changed(split, images, now: ids.map { ($0, nil) })
            }
            return (split.classNames, images.map(\.label))
        }
        do throws(LogitError) {
            set = try ImageSet.open(
                split.source, classNames: split.classNames, labelling: split.labels == nil ? nil : labelling)
        } catch {
            if error.code == .stale { throw error }
            throw LogitError(
                error.code,
                "the images of \(split.dataset)/\(split.split) cannot be read again: \(error.message)",
                cause: error.cause)
        }
        guard set.entries.count == images.count,
            zip(set.entries, images).allSatisfy({ $0.id == $1.id && $0.label == $1.label })
        else { throw ImageSource.changed(split, images, now: set.entries.map { ($0.id, $0.label) }) }
        framing = try Framing(resize: network.resize, crop: network.crop)
        listed = images
        self.split = split
        self.network = network
    }

    /// - Parameter now: ids in order, with labels where the source itself says them.
    private static func changed(
        _ split: SplitDescriptor, _ images: [ListedImage], now: [(id: String, label: Int32?)]
    ) -> LogitError {
        let listed = now.enumerated().map { ordinal, image in
            let old = images.indices.contains(ordinal) ? images[ordinal] : nil
            return ListedImage(id: image.id, label: image.label ?? old?.label ?? 0, digest: old?.digest ?? "")
        }
        let difference = Corpus.firstDifference(images, listed) ?? "files were added, removed or renamed"
        return LogitError(
            .stale,
            "\(split.source) no longer holds the images of \(split.dataset)/\(split.split) as they were added (\(difference)); put them back, or add the folder as another dataset"
        )
    }

    /// Decodes some images into one block of planar floats in [0,1].
    func block(_ ordinals: ArraySlice<Int>) throws(LogitError) -> [Float] {
        var values = [Float](repeating: 0, count: ordinals.count * valueCount)
        for (place, ordinal) in ordinals.enumerated() {
            let bytes = try set.bytes(ordinal)
            let digest = Digest.hex(bytes)
            guard digest == listed[ordinal].digest else {
                throw LogitError(
                    .stale,
                    "image \(listed[ordinal].id) of \(split.dataset)/\(split.split) has changed since it was added (SHA-256 \(digest.prefix(12)), was \(listed[ordinal].digest.prefix(12))); put the old file back, or add the images as another dataset"
                )
            }
            let image = try framed(try set.decode(bytes, of: ordinal), listed[ordinal].id)
            values.withUnsafeMutableBufferPointer { all in
                image.writePlanar(
                    into: UnsafeMutableBufferPointer(rebasing: all[place * valueCount..<(place + 1) * valueCount]))
            }
        }
        return values
    }

    /// An image at the network's size.
    private func framed(_ image: RGBImage, _ id: String) throws(LogitError) -> RGBImage {
        let size = framing.size(of: image.size)
        let wanted = PixelSize(height: network.height, width: network.width)
        guard size == wanted else {
            let resized = network.resize.map { ", \(size) after --resize \($0)," } ?? ""
            throw LogitError(
                .badInput,
                "image \(id) is \(image.size) (height x width)\(resized) but network \(network.name) takes \(wanted); add the network again under another name with --resize and --crop, for instance --resize \(wanted), or give images of its own size"
            )
        }
        return framing.apply(to: image)
    }
}
