import Logits

/// Height and width in pixels; written as the options have it, `224x256`.
package struct PixelSize: Sendable, Hashable, CustomStringConvertible {
    package let height: Int
    package let width: Int

    package init(height: Int, width: Int) {
        self.height = height
        self.width = width
    }

    package var description: String { "\(height)x\(width)" }
}

/// How an image is brought to a network's size: resized, then cropped about its centre, with the pixels that torchvision's
/// `Resize` and `CenterCrop` make of a PIL image.
package struct Framing: Sendable, Equatable {
    package enum Resize: Sendable, Equatable {
        /// The shorter side, in pixels; the longer one follows, rounded down.
        case shorterSide(Int)
        case both(PixelSize)
    }

    package let resize: Resize?
    /// An image smaller than the crop gets a black border.
    package let crop: PixelSize?

    /// Of a network's input, in pixels.
    package static let largestSide = 4096

    /// - Parameters:
    ///   - resize: `256` or `256x320` (height first); nil: no resizing.
    ///   - crop: `224` (a square) or `224x288`; nil: no cropping.
    /// - Throws: `usage` that names the option.
    package init(resize: String?, crop: String?) throws(LogitError) {
        self.resize = try resize.map { (text) throws(LogitError) in
            let sides = try Framing.sides(text, "--resize", "256 for the shorter side, or 256x320 for height and width")
            return sides.count == 1
                ? .shorterSide(sides[0]) : .both(PixelSize(height: sides[0], width: sides[1]))
        }
        self.crop = try crop.map { (text) throws(LogitError) in
            let sides = try Framing.sides(text, "--crop", "224 for a square, or 224x288 for height and width")
            return PixelSize(height: sides[0], width: sides.last!)
        }
    }

    private static func sides(_ text: String, _ option: String, _ example: String) throws(LogitError) -> [Int] {
        let parts = text.lowercased().split(separator: "x", omittingEmptySubsequences: false)
        let sides = parts.compactMap { $0.allSatisfy(\.isNumber) ? Int($0) : nil }
        guard (1...2).contains(parts.count), sides.count == parts.count,
            sides.allSatisfy((1...largestSide).contains)
        else {
            throw LogitError(
                .usage, "\(option) is \"\(text)\"; give pixels from 1 to \(largestSide): for instance \(example)")
        }
        return sides
    }

    /// The one spelling of the option: part of every row's key.
    package var resizeText: String? {
        switch resize {
        case .shorterSide(let side): "\(side)"
        case .both(let size): "\(size)"
        case nil: nil
        }
    }

    /// The one spelling of the option: part of every row's key.
    package var cropText: String? {
        crop.map { $0.height == $0.width ? "\($0.height)" : "\($0)" }
    }

    /// The size of every image, whatever it was before; nil where it depends on the image.
    package var fixedSize: PixelSize? {
        if case .both(let size) = resize { return crop ?? size }
        return crop
    }

    /// The size that an image gets.
    package func size(of image: PixelSize) -> PixelSize { crop ?? resizedSize(of: image) }

    private func resizedSize(of image: PixelSize) -> PixelSize {
        switch resize {
        case nil: image
        case .both(let size): size
        case .shorterSide(let side):
            image.width <= image.height
                ? PixelSize(height: side * image.height / image.width, width: side)
                : PixelSize(height: side, width: side * image.width / image.height)
        }
    }

    /// Makes the image; only the pixels that the crop keeps are computed, so a crop of a very thin image costs little.
    package func apply(to image: RGBImage) -> RGBImage {
        guard resize != nil || crop != nil else { return image }
        let resized = resizedSize(of: image.size)
        let final = size(of: image.size)
        let rows = Framing.cut(resized.height, to: final.height)
        let columns = Framing.cut(resized.width, to: final.width)
        let kept = image.resampled(to: resized, rows: rows.kept, columns: columns.kept)
        guard (rows.kept.count, columns.kept.count) != (final.height, final.width) else {
            return RGBImage(width: final.width, height: final.height, pixels: kept)
        }
        var pixels = [UInt8](repeating: 0, count: 3 * final.height * final.width)
        for row in 0..<rows.kept.count {
            let start = 3 * ((rows.border + row) * final.width + columns.border)
            let line = 3 * columns.kept.count
            pixels.replaceSubrange(start..<start + line, with: kept[row * line..<(row + 1) * line])
        }
        return RGBImage(width: final.width, height: final.height, pixels: pixels)
    }

    /// The places of one side that a centre crop keeps, and the width of the border before them; halves round to even, as
    /// Python's `round` does.
    private static func cut(_ length: Int, to wanted: Int) -> (kept: Range<Int>, border: Int) {
        guard length >= wanted else { return (0..<length, (wanted - length) / 2) }
        let start = Int((Double(length - wanted) / 2).rounded(.toNearestOrEven))
        return (start..<start + wanted, 0)
    }
}
