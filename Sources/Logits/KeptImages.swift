/// How the images beside the rows are stored.
public enum ImagePrecision: String, Sendable, CaseIterable, Codable {
    /// uint8: what a PNG holds.
    case eightBit = "8bit"
    /// float32: exact.
    case float

    public var valueBytes: Int { self == .float ? 4 : 1 }
}

/// What one image of a shard is: three planes (R, G, B) of height × width values.
public struct ImageFormat: Sendable, Equatable {
    public let precision: ImagePrecision
    public let height: Int
    public let width: Int

    public init(precision: ImagePrecision, height: Int, width: Int) {
        self.precision = precision
        self.height = height
        self.width = width
    }

    public var valueCount: Int { 3 * height * width }
    /// Of one image, as stored.
    public var byteCount: Int { valueCount * precision.valueBytes }
}

/// The images that the network was given for some rows, as they are stored: [rows, 3, height, width], row-major, floats
/// little-endian.
public struct KeptImages: Sendable, Equatable {
    public let format: ImageFormat
    public private(set) var bytes: [UInt8]

    /// - Parameter bytes: whole images as stored.
    public init(format: ImageFormat, bytes: [UInt8] = []) {
        precondition(bytes.count % format.byteCount == 0, "a part of an image")
        self.format = format
        self.bytes = bytes
    }

    /// - Parameter values: whole images in [0,1].
    public init(_ values: [Float], format: ImageFormat) {
        switch format.precision {
        case .float: self.init(format: format, bytes: values.withUnsafeBytes { Array($0) })
        case .eightBit: self.init(format: format, bytes: values.map(EightBit.level))
        }
    }

    public var count: Int { bytes.count / format.byteCount }

    public mutating func append(_ other: KeptImages) {
        precondition(format == other.format, "images of different formats")
        bytes += other.bytes
    }

    public mutating func reserve(_ images: Int) { bytes.reserveCapacity(images * format.byteCount) }

    /// The stored bytes of one image.
    public func image(_ index: Int) -> ArraySlice<UInt8> {
        bytes[index * format.byteCount..<(index + 1) * format.byteCount]
    }
}

/// Images in [0,1] as 8-bit files hold them.
public enum EightBit {
    /// The level 0 … 255 of a value, as torchvision's `save_image` writes it: ⌊255·x + ½⌋ in float32, so halves go up; what
    /// lies outside [0,1] goes to its ends, a NaN to 0.
    public static func level(_ value: Float) -> UInt8 {
        let scaled = value * 255 + 0.5
        return scaled >= 0 ? UInt8(min(scaled, 255)) : 0
    }

    /// The image that a reader of the 8-bit file gets: level / 255.
    public static func rounded(_ values: [Float]) -> [Float] { values.map { Float(level($0)) / 255 } }
}
