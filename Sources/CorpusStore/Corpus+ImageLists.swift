import Glibc
import Logits
import Platform

extension Corpus {
    /// The bytes of an image list, which the split's digest covers: one line `label TAB digest TAB id` an image.
    package static func imageListBytes(_ images: [ListedImage]) -> [UInt8] {
        var bytes: [UInt8] = []
        for image in images { bytes += "\(image.label)\t\(image.digest)\t\(image.id)\n".utf8 }
        return bytes
    }

    /// The images of a split in ordinal order, checked against the split's digest.
    package func images(of split: SplitDescriptor) throws(LogitError) -> [ListedImage] {
        try Corpus.parseImageList(
            imageList(of: split), classCount: split.classNames.count,
            path: layout.imageList(split.dataset, split.split))
    }

    /// The list of a split as it lies on disk: the bytes that the split was added with, a line for each of its images.
    func imageList(of split: SplitDescriptor) throws(LogitError) -> [UInt8] {
        let path = layout.imageList(split.dataset, split.split)
        let bytes = try Files.read(path, limit: imageListLimit)
        let digest = Digest.hex(bytes)
        guard digest == split.digest else {
            throw LogitError(
                .corrupt,
                "\(path) is not the list that \(split.dataset)/\(split.split) was added with (digest \(digest.prefix(12)), was \(split.digest.prefix(12))); put back a copy of it"
            )
        }
        var lines = 0
        bytes.withUnsafeBufferPointer { bytes in for byte in bytes where byte == 0x0A { lines += 1 } }
        guard lines == split.imageCount else {
            throw LogitError(
                .corrupt,
                "\(path) lists \(lines) images where \(split.dataset)/\(split.split) has \(split.imageCount); put back a copy of it"
            )
        }
        return bytes
    }

    /// The images that `imageListBytes` wrote.
    package static func parseImageList(
        _ bytes: [UInt8], classCount: Int, path: String
    ) throws(LogitError) -> [ListedImage] {
        var images: [ListedImage] = []
        var isWhole = true
        bytes.withUnsafeBytes { bytes in
            var lines = ImageListLines(bytes)
            while let line = lines.next(), let image = ListedImage(line, classCount: classCount) {
                images.append(image)
            }
            // The line that ended this was the last one, or none.
            isWhole = lines.isAtEnd && lines.count == images.count
        }
        guard isWhole else {
            throw LogitError(
                .corrupt, "line \(images.count + 1) of \(path) is no image of its classes; put back a copy of it")
        }
        return images
    }

    /// Bytes: two hundred for each of the most images.
    private var imageListLimit: Int { 200 * DescriptorLimits.images }
}

extension ListedImage {
    /// Nil where the line tells of no image of so many classes.
    fileprivate init?(_ line: ImageListLines.Line, classCount: Int) {
        guard line.label < classCount, let label = Int32(exactly: line.label),
            let id = String(validating: line.id, as: UTF8.self),
            let digest = String(validating: line.digest, as: UTF8.self), DescriptorLimits.isDigest(digest)
        else { return nil }
        self.init(id: id, label: label, digest: digest)
    }
}

/// Steps through the lines of an image list where they lie.
struct ImageListLines {
    struct Line {
        let label: Int
        let digest: UnsafeRawBufferPointer
        let id: UnsafeRawBufferPointer
    }

    private var rest: UnsafeRawBufferPointer
    /// Lines given out.
    private(set) var count = 0

    /// - Parameter bytes: outlive the lines.
    init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }

    var isAtEnd: Bool { rest.isEmpty }

    /// The next line; nil at the end, and before a line that is not of three parts with a number first.
    mutating func next() -> Line? {
        var left = rest
        guard let label = ImageListLines.cut(&left, at: 0x09), (1...9).contains(label.count),
            let digest = ImageListLines.cut(&left, at: 0x09), let id = ImageListLines.cut(&left, at: 0x0A), !id.isEmpty
        else { return nil }
        var number = 0
        for digit in label {
            guard (0x30...0x39).contains(digit) else { return nil }
            number = number * 10 + Int(digit - 0x30)
        }
        rest = left
        count += 1
        return Line(label: number, digest: digest, id: id)
    }

    /// Takes what comes before a byte off the front, and the byte.
    private static func cut(_ bytes: inout UnsafeRawBufferPointer, at byte: CInt) -> UnsafeRawBufferPointer? {
        guard let start = bytes.baseAddress, let end = memchr(start, byte, bytes.count) else { return nil }
        let count = UnsafeRawPointer(end) - start
        let part = UnsafeRawBufferPointer(rebasing: bytes[..<count])
        bytes = UnsafeRawBufferPointer(rebasing: bytes[(count + 1)...])
        return part
    }
}
