import CorpusStore
import Images
import Logits
import Networks
import Platform

/// Adds a network to a corpus after running it once.
package enum NetworkImport {
    /// - Parameters:
    ///   - input: `3x32x32`; nil: what resizing and cropping give, else the size of the corpus's images where all have one,
    ///     then 3x224x224.
    ///   - resize: `256` or `256x320`; nil: images are not resized.
    ///   - crop: `224` or `224x288`; nil: images are not cropped.
    package static func run(
        _ corpus: Corpus, name: String, module path: String, input: String?, resize: String? = nil,
        crop: String? = nil, mean: [Float]?, standardDeviation: [Float]?, fold: Bool
    ) throws(LogitError) -> NetworkDescriptor {
        try Layout.check(name: name, of: "network")
        guard (mean == nil) == (standardDeviation == nil) else {
            throw LogitError(.usage, "--mean and --std belong together; give both or neither")
        }
        let framing = try Framing(resize: resize, crop: crop)
        let module = try Files.read(path)
        let splits = try corpus.splits()
        let candidates = try candidates(input, framing, splits)
        let found = try NetworkProbe.inspect(
            path: path, candidates: candidates, mean: mean, standardDeviation: standardDeviation, fold: fold)
        try check(found, path, framing, splits)
        let descriptor = NetworkDescriptor(
            name: name, digest: Digest.hex(module), height: found.shape.height, width: found.shape.width,
            classCount: found.classCount, resize: framing.resizeText, crop: framing.cropText, mean: mean,
            standardDeviation: standardDeviation, blockRows: recommendedBlockRows(for: found.shape), fold: fold,
            source: Files.absolute(path), created: timestamp())
        try corpus.addNetwork(descriptor, module: module)
        return descriptor
    }

    /// Refuses a network that fits none of the corpus's datasets.
    private static func check(
        _ found: (shape: ImageShape, classCount: Int), _ path: String, _ framing: Framing, _ splits: [SplitDescriptor]
    ) throws(LogitError) {
        guard !splits.isEmpty else { return }
        let fitting = splits.filter { $0.classNames.count == found.classCount }
        guard let split = fitting.first else {
            let expected = Set(splits.map { "\($0.dataset) has \($0.classNames.count)" }).sorted().joined(
                separator: ", ")
            throw LogitError(
                .badInput,
                "\(path) has \(found.classCount) classes, but dataset \(expected); give a network for these classes, or add its dataset first"
            )
        }
        let wanted = PixelSize(height: found.shape.height, width: found.shape.width)
        let sizes = fitting.map { $0.imageSize.map(framing.size) }
        guard let size = sizes[0], sizes.allSatisfy({ $0 != nil && $0 != wanted }) else { return }
        throw LogitError(
            .badInput,
            "\(path) takes images of \(found.shape), but those of dataset \(split.dataset) are 3x\(size)\(framing.resizeText.map { " after --resize \($0)" } ?? ""); give --resize \(wanted), or --resize and --crop, or images of the network's own size"
        )
    }

    private static func candidates(
        _ input: String?, _ framing: Framing, _ splits: [SplitDescriptor]
    ) throws(LogitError) -> [ImageShape] {
        if let input {
            let shape = try shape(input)
            try check(framing, gives: shape, input)
            return [shape]
        }
        if let size = framing.fixedSize { return [ImageShape(height: size.height, width: size.width)] }
        let sizes = Set(splits.map { $0.imageSize.map(framing.size) })
        var own = sizes.count == 1 ? sizes.first?.map { ImageShape(height: $0.height, width: $0.width) } : nil
        if let shape = own, max(shape.height, shape.width) > Framing.largestSide { own = nil }
        if let resize = framing.resizeText {
            guard let own else {
                throw LogitError(
                    .usage,
                    "--resize \(resize) keeps each image's shape, so the network's size is unknown; add --crop \(resize), or give --resize \(resize)x\(resize)"
                )
            }
            return [own]
        }
        let usual = ImageShape(height: 224, width: 224)
        guard let own, own != usual else { return [usual] }
        return [own, usual]
    }

    private static func shape(_ input: String) throws(LogitError) -> ImageShape {
        let parts = input.lowercased().split(separator: "x", omittingEmptySubsequences: false).map { Int(String($0)) }
        guard parts.count == 3, parts[0] == 3, let height = parts[1], let width = parts[2],
            (1...Framing.largestSide).contains(height), (1...Framing.largestSide).contains(width)
        else {
            throw LogitError(
                .usage,
                "--input is \"\(input)\"; give 3xHEIGHTxWIDTH, for instance 3x32x32 (colour images, sides up to \(Framing.largestSide))"
            )
        }
        return ImageShape(height: height, width: width)
    }

    /// Refuses options that can never give the size of --input.
    private static func check(_ framing: Framing, gives shape: ImageShape, _ input: String) throws(LogitError) {
        if let size = framing.fixedSize, size != PixelSize(height: shape.height, width: shape.width) {
            throw LogitError(
                .usage,
                "--\(framing.crop == nil ? "resize" : "crop") gives images of 3x\(size) but --input is \(input); make them agree, or leave out --input"
            )
        }
        if framing.crop == nil, case .shorterSide(let side) = framing.resize, side != min(shape.height, shape.width) {
            throw LogitError(
                .usage,
                "--resize \(side) makes the shorter side \(side) but --input is \(input); add --crop, or give --resize \(shape.height)x\(shape.width)"
            )
        }
    }
}

extension SplitDescriptor {
    /// Of every image, where all have one size.
    fileprivate var imageSize: PixelSize? {
        guard let height, let width else { return nil }
        return PixelSize(height: height, width: width)
    }
}
