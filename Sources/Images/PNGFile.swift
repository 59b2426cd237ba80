import CImageCodecs
import Logits

extension RGBImage {
    /// - Parameter levels: three planes (R, G, B) of height × width.
    package init(planar levels: [UInt8], height: Int, width: Int) {
        let plane = height * width
        precondition(levels.count == 3 * plane)
        var pixels = [UInt8](repeating: 0, count: 3 * plane)
        for index in 0..<plane {
            for channel in 0..<3 { pixels[3 * index + channel] = levels[channel * plane + index] }
        }
        self.init(width: width, height: height, pixels: pixels)
    }

    /// The image as a PNG file, 8-bit RGB without colour profile.
    package func png() throws(LogitError) -> [UInt8] {
        var error = [CChar](repeating: 0, count: Int(IMAGE_ERROR_BYTES))
        var pixels = pixels
        var (status, bytes): (Int32, [UInt8]) = (0, [])
        pixels.withUnsafeMutableBufferPointer { buffer in
            var image = image_rgb(width: Int32(width), height: Int32(height), pixels: buffer.baseAddress)
            var count = 0
            status = image_encode_png(&image, nil, &count, &error)
            guard status == 0 else { return }
            bytes = [UInt8](repeating: 0, count: count)
            status = image_encode_png(&image, &bytes, &count, &error)
        }
        guard status == 0 else {
            let reason = String(decoding: error.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            throw LogitError(.io, "an image of \(width)×\(height) cannot be made a PNG (\(reason)); save it as .npy")
        }
        return bytes
    }
}
