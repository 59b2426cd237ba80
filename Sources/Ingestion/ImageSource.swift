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

    var valueCount: Int { network.channels * network.height * network.width }

    init(_ split: SplitDescriptor, _ images: [ListedImage], _ network: NetworkDescriptor) throws(LogitError) {
        do throws(LogitError) {
            set = try ImageSet.open(split.source, classNames: split.classNames)
        } catch {
            throw LogitError(
                error.code,
                "the images of \(split.dataset)/\(split.split) cannot be read again: \(error.message)",
                cause: error.cause)
        }
        guard set.entries.count == images.count,
            zip(set.entries, images).allSatisfy({ $0.id == $1.id && $0.label == $1.label })
        else {
            throw LogitError(
                .stale,
                "\(split.source) no longer holds the images of \(split.dataset)/\(split.split) as they were added (files were added, removed or renamed); put them back, or add the folder as another dataset"
            )
        }
        listed = images
        self.split = split
        self.network = network
    }

    /// Decodes some images into one block of planar floats in [0,1].
    func block(_ ordinals: ArraySlice<Int>) throws(LogitError) -> [Float] {
        var values = [Float](repeating: 0, count: ordinals.count * valueCount)
        for (place, ordinal) in ordinals.enumerated() {
            let bytes = try set.bytes(ordinal)
            guard Digest.hex(bytes) == listed[ordinal].digest else {
                throw LogitError(
                    .stale,
                    "image \(listed[ordinal].id) of \(split.dataset)/\(split.split) has changed since it was added (its digest differs); put the old file back, or add the images as another dataset"
                )
            }
            let image = try set.decode(bytes, of: ordinal)
            guard image.width == network.width, image.height == network.height else {
                throw LogitError(
                    .badInput,
                    "image \(listed[ordinal].id) is \(image.width)×\(image.height) but network \(network.name) takes \(network.width)×\(network.height); give images of the network's own size"
                )
            }
            values.withUnsafeMutableBufferPointer { all in
                image.writePlanar(
                    into: UnsafeMutableBufferPointer(rebasing: all[place * valueCount..<(place + 1) * valueCount]))
            }
        }
        return values
    }
}
