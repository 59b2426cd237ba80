import CorpusStore
import Logits
import Networks
import Platform

/// Adds a network to a corpus after running it once.
package enum NetworkImport {
    /// - Parameter input: `3x32x32`; nil: the size of the corpus's images where all have one, then 3x224x224.
    package static func run(
        _ corpus: Corpus, name: String, module path: String, input: String?, mean: [Float]?,
        standardDeviation: [Float]?,
        fold: Bool
    ) throws(LogitError) -> NetworkDescriptor {
        try Layout.check(name: name, of: "network")
        guard (mean == nil) == (standardDeviation == nil) else {
            throw LogitError(.usage, "--mean and --std belong together; give both or neither")
        }
        let module = try Files.read(path)
        let splits = try corpus.splits()
        let candidates = try candidates(input, splits)
        let found = try NetworkProbe.inspect(
            path: path, candidates: candidates, mean: mean, standardDeviation: standardDeviation, fold: fold)
        if !splits.isEmpty, !splits.contains(where: { $0.classNames.count == found.classCount }) {
            let expected = Set(splits.map { "\($0.dataset) has \($0.classNames.count)" }).sorted().joined(
                separator: ", ")
            throw LogitError(
                .badInput,
                "\(path) has \(found.classCount) classes, but dataset \(expected); give a network for these classes, or add its dataset first"
            )
        }
        let fitting = splits.filter { $0.classNames.count == found.classCount }
        if let split = fitting.first, let height = split.height, let width = split.width,
            !fitting.contains(where: {
                ($0.height ?? found.shape.height, $0.width ?? found.shape.width) == (
                    found.shape.height, found.shape.width
                )
            })
        {
            throw LogitError(
                .badInput,
                "\(path) takes images of \(found.shape), but those of dataset \(split.dataset) are 3x\(height)x\(width); give images of the network's own size"
            )
        }
        let descriptor = NetworkDescriptor(
            name: name, digest: Digest.hex(module), height: found.shape.height, width: found.shape.width,
            classCount: found.classCount, mean: mean, standardDeviation: standardDeviation,
            blockRows: recommendedBlockRows(for: found.shape), fold: fold, source: Files.absolute(path),
            created: timestamp())
        try corpus.addNetwork(descriptor, module: module)
        return descriptor
    }

    private static func candidates(_ input: String?, _ splits: [SplitDescriptor]) throws(LogitError) -> [ImageShape] {
        guard let input else {
            let sizes = Set(splits.map { "\($0.height ?? 0)x\($0.width ?? 0)" })
            let usual = ImageShape(height: 224, width: 224)
            if sizes.count == 1, let height = splits[0].height, let width = splits[0].width {
                let own = ImageShape(height: height, width: width)
                return own == usual ? [usual] : [own, usual]
            }
            return [usual]
        }
        let parts = input.lowercased().split(separator: "x", omittingEmptySubsequences: false).map { Int(String($0)) }
        guard parts.count == 3, parts[0] == 3, let height = parts[1], let width = parts[2], (1...4096).contains(height),
            (1...4096).contains(width)
        else {
            throw LogitError(
                .usage,
                "--input is \"\(input)\"; give 3xHEIGHTxWIDTH, for instance 3x32x32 (colour images, sides up to 4096)")
        }
        return [ImageShape(height: height, width: width)]
    }
}
