import CorpusStore
import Images
import Logits
import Platform

/// Adds a split of images to a corpus: every image is read, digested and decoded once, so that what cannot be used is said
/// now and not in the middle of an ingest. Images stay where they are; the corpus keeps their ids, labels and digests.
package enum DatasetImport {
    package struct Report: Codable, Sendable {
        package var dataset: String
        package var split: String
        package var images: Int
        package var classes: Int
        package var skippedFiles: Int
        /// height × width where all images have one size.
        package var height: Int?
        package var width: Int?
        package var digest: String
    }

    /// - Parameters:
    ///   - classNames: from --classes; nil: from the folders or the label file, or from the dataset's other split for a
    ///     binary file.
    ///   - labels: path of a label file; nil: one folder a class, or a binary file.
    ///   - progress: called with (images done, images in all).
    package static func run(
        _ corpus: Corpus, dataset: String, split: String, source: String, classNames: [String]?, labels: String? = nil,
        progress: @escaping @Sendable (Int, Int) -> Void, shouldStop: @escaping @Sendable () -> Bool
    ) throws(LogitError) -> Report {
        try Layout.check(name: dataset, of: "dataset")
        try Layout.check(name: split, of: "split")
        var names = classNames
        if names == nil, source.hasSuffix(".bin") {
            names = try corpus.splits().first { $0.dataset == dataset }?.classNames
        }
        let root = Files.absolute(source)
        let labelFile = try labels.map { (path) throws(LogitError) in try LabelFile(Files.absolute(path)) }
        let set = try ImageSet.open(root, classNames: names, labelling: labelFile?.labelling(names, root: root))
        guard !set.entries.isEmpty else {
            throw LogitError(.badInput, "\(source) holds no images; give a folder, tar or .bin file with some")
        }
        let scan = Scan(set, progress: progress, shouldStop: shouldStop)
        inParallel(usableCoreCount()) { _ in scan.work() }
        let (listed, size) = try scan.result()
        let descriptor = SplitDescriptor(
            dataset: dataset, split: split, source: set.path, kind: set.kind.rawValue, labels: labelFile?.path,
            classNames: set.classNames, imageCount: listed.count, digest: Digest.hex(Corpus.imageListBytes(listed)),
            height: size?.height, width: size?.width, created: timestamp())
        try corpus.addSplit(descriptor, images: listed)
        return Report(
            dataset: dataset, split: split, images: listed.count, classes: set.classNames.count,
            skippedFiles: set.skippedCount, height: size?.height, width: size?.width, digest: descriptor.digest)
    }
}

/// The images handed out to threads one by one, and what they found.
///
/// `@unchecked Sendable`: the mutable state is only touched holding `turn`, a queue with one token.
private final class Scan: @unchecked Sendable {
    struct Size: Equatable {
        let height: Int
        let width: Int
    }

    private let set: ImageSet
    private let progress: @Sendable (Int, Int) -> Void
    private let shouldStop: @Sendable () -> Bool
    private let turn = BoundedQueue<Bool>(capacity: 1)
    private var next = 0
    private var done = 0
    private var digests: [String]
    private var sizes: [Size?]
    private var failure: (ordinal: Int, error: LogitError)?

    init(_ set: ImageSet, progress: @escaping @Sendable (Int, Int) -> Void, shouldStop: @escaping @Sendable () -> Bool)
    {
        self.set = set
        self.progress = progress
        self.shouldStop = shouldStop
        digests = [String](repeating: "", count: set.entries.count)
        sizes = [Size?](repeating: nil, count: set.entries.count)
        turn.push(true)
    }

    /// One thread's share; the failure of the first bad image in order is the one that is told.
    func work() {
        while let ordinal = take() {
            do throws(LogitError) {
                let bytes = try set.bytes(ordinal)
                let image = try set.decode(bytes, of: ordinal)
                let digest = Digest.hex(bytes)
                exclusively {
                    digests[ordinal] = digest
                    sizes[ordinal] = Size(height: image.height, width: image.width)
                    done += 1
                    progress(done, digests.count)
                }
            } catch {
                exclusively { if failure == nil || ordinal < failure!.ordinal { failure = (ordinal, error) } }
            }
        }
    }

    func result() throws(LogitError) -> ([ListedImage], Size?) {
        if let failure { throw failure.error }
        guard done == digests.count else {
            throw LogitError(.cancelled, "stopped before all images were read; nothing was added")
        }
        let listed = zip(set.entries, digests).map { ListedImage(id: $0.id, label: $0.label, digest: $1) }
        let first = sizes[0]
        return (listed, sizes.allSatisfy { $0 == first } ? first : nil)
    }

    private func take() -> Int? {
        exclusively {
            guard next < digests.count, failure == nil, !shouldStop() else { return nil }
            next += 1
            return next - 1
        }
    }

    private func exclusively<Value>(_ body: () -> Value) -> Value {
        _ = turn.pop()
        defer { turn.push(true) }
        return body()
    }
}
