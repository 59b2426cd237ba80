/// Bounds on what a corpus's JSON files may claim. Nothing that this program writes is beyond them; they keep a damaged or
/// hostile file from asking for memory, for a division by zero, or for a place outside the corpus.
enum DescriptorLimits {
    /// Of a JSON file.
    static let bytes = 1 << 28
    static let images = 1 << 26
    static let classes = 1_000_000
    /// Of an image or a network's input.
    static let side = 1 << 15
    static let blockRows = 1 << 20

    static func isName(_ name: String) -> Bool { (try? Layout.check(name: name, of: "")) != nil }

    /// SHA-256 in lower-case hex: what file names are made of.
    static func isDigest(_ text: String) -> Bool {
        text.utf8.count == 64 && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }
}

extension SplitDescriptor {
    package var fault: String? {
        guard DescriptorLimits.isName(dataset), DescriptorLimits.isName(split) else { return "its names are none" }
        guard DescriptorLimits.isDigest(digest) else { return "its digest is none" }
        guard (1...DescriptorLimits.images).contains(imageCount) else { return "\(imageCount) images" }
        guard (2...DescriptorLimits.classes).contains(classNames.count) else { return "\(classNames.count) classes" }
        let sides = [height, width].compactMap { $0 }
        return sides.allSatisfy((1...DescriptorLimits.side).contains) ? nil : "images of size \(sides)"
    }
}

extension NetworkDescriptor {
    package var fault: String? {
        guard DescriptorLimits.isName(name) else { return "its name is none" }
        guard DescriptorLimits.isDigest(digest) else { return "its digest is none" }
        guard channels == 3, [height, width].allSatisfy((1...DescriptorLimits.side).contains) else {
            return "an input of \(channels)x\(height)x\(width)"
        }
        guard (2...DescriptorLimits.classes).contains(classCount) else { return "\(classCount) classes" }
        guard (1...DescriptorLimits.blockRows).contains(blockRows) else { return "blocks of \(blockRows)" }
        guard (mean == nil) == (standardDeviation == nil), mean?.count ?? 3 == 3, standardDeviation?.count ?? 3 == 3
        else { return "a mean or standard deviation that is not three numbers" }
        return nil
    }
}

extension DefenderRecord {
    package var fault: String? {
        guard DescriptorLimits.isName(name) else { return "its name is none" }
        guard (2...DescriptorLimits.classes).contains(classCount), epochsDone >= 0 else {
            return "\(classCount) classes"
        }
        return nil
    }
}

extension EvaluationRecord {
    package var fault: String? {
        let isCounted = figures.allSatisfy {
            $0.rows >= 0 && (0...$0.rows).contains($0.undefendedCorrect) && (0...$0.rows).contains($0.correctedCorrect)
        }
        return isCounted ? nil : "it counts more rows right than there are"
    }
}
