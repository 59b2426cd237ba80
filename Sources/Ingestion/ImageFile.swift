import Images
import Logits
import Networks
import Platform

/// A file that a single image is saved into; its name says the format.
package struct ImageFile: Sendable {
    private enum Kind { case png, npy }

    package let path: String
    private let kind: Kind

    /// - Throws: `usage` where the name ends neither in .png nor in .npy.
    package init(_ path: String) throws(LogitError) {
        if path.lowercased().hasSuffix(".png") {
            kind = .png
        } else if path.lowercased().hasSuffix(".npy") {
            kind = .npy
        } else {
            throw LogitError(.usage, "--save is \"\(path)\"; name a .npy file (float32, exact) or a .png file (8 bits)")
        }
        self.path = path
    }

    /// - Parameter values: three planes (R, G, B) in [0,1].
    package func write(_ values: [Float], _ shape: ImageShape) throws(LogitError) {
        precondition(values.count == shape.valueCount && shape.channels == 3)
        let bytes: [UInt8]
        switch kind {
        case .png:
            let levels = values.map(EightBit.level)
            bytes = try RGBImage(planar: levels, height: shape.height, width: shape.width).png()
        case .npy: bytes = ImageFile.npy(values, shape)
        }
        try Files.writeDurably(bytes, to: path)
    }

    /// NumPy's format 1.0: magic, version, header length, a Python literal padded so that the data begin at a multiple of 64.
    private static func npy(_ values: [Float], _ shape: ImageShape) -> [UInt8] {
        let literal =
            "{'descr': '<f4', 'fortran_order': False, 'shape': (\(shape.channels), \(shape.height), \(shape.width)), }"
        let length = (10 + literal.utf8.count + 1 + 63) / 64 * 64 - 10
        var bytes: [UInt8] = [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(length & 0xFF), UInt8(length >> 8)]
        bytes += Array(literal.utf8)
        bytes += [UInt8](repeating: 0x20, count: length - literal.utf8.count - 1) + [0x0A]
        values.withUnsafeBytes { bytes += $0 }
        return bytes
    }
}
