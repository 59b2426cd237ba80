import CImageCodecs
import Logits

/// A decoded image, 8 bits a channel.
package struct RGBImage: Sendable, Equatable {
    package let width: Int
    package let height: Int
    /// height × width × 3, interleaved R, G, B.
    package let pixels: [UInt8]

    /// - Parameter pixels: height × width × 3.
    package init(width: Int, height: Int, pixels: [UInt8]) {
        precondition(pixels.count == 3 * width * height)
        self.width = width
        self.height = height
        self.pixels = pixels
    }

    package var size: PixelSize { PixelSize(height: height, width: width) }

    /// Decodes a JPEG or PNG file; which of the two its first bytes tell.
    /// - Parameter name: for the error's sentence.
    package static func decode(_ bytes: [UInt8], name: String) throws(LogitError) -> RGBImage {
        let decoder:
            (UnsafePointer<UInt8>?, Int, UnsafeMutablePointer<image_rgb>?, UnsafeMutablePointer<CChar>?) -> Int32
        if bytes.starts(with: [0xFF, 0xD8, 0xFF]) {
            decoder = image_decode_jpeg
        } else if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
            decoder = image_decode_png
        } else {
            throw LogitError(
                .badInput, "\(name) is neither a JPEG nor a PNG, whatever its name says; replace or remove the file")
        }
        var image = image_rgb()
        var error = [CChar](repeating: 0, count: Int(IMAGE_ERROR_BYTES))
        guard decoder(bytes, bytes.count, &image, &error) == 0 else {
            let reason = String(decoding: error.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            throw LogitError(.badInput, "\(name) cannot be decoded (\(reason)); replace or remove the file")
        }
        defer { image_free(&image) }
        let (width, height) = (Int(image.width), Int(image.height))
        return RGBImage(
            width: width, height: height,
            pixels: Array(UnsafeBufferPointer(start: image.pixels, count: width * height * 3)))
    }

    /// Three planes (3 × height × width) of byte / 255, as torchvision's ToTensor makes them.
    package func writePlanar(into output: UnsafeMutableBufferPointer<Float>) {
        let count = width * height
        precondition(output.count == 3 * count && pixels.count == 3 * count)
        pixels.withUnsafeBufferPointer { source in
            for index in 0..<count {
                output[index] = Float(source[3 * index]) / 255
                output[count + index] = Float(source[3 * index + 1]) / 255
                output[2 * count + index] = Float(source[3 * index + 2]) / 255
            }
        }
    }
}
