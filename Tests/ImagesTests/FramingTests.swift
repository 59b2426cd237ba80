import Foundation
import Images
import Logits
import TestSupport
import Testing

private let pictureFolder = "\(projectFolder)/Tests/ImagesTests/Pictures"

private func fnv(_ pixels: [UInt8]) -> String {
    String(pixels.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }, radix: 16)
}

private func picture(_ name: String) throws -> RGBImage {
    try RGBImage.decode(Array(try Data(contentsOf: URL(fileURLWithPath: "\(pictureFolder)/\(name)"))), name: name)
}

/// Frozen by Tests/ImagesTests/make_pictures.py with PIL, compared there with torchvision.
@Test("resizing and cropping give torchvision's pixels: shrunk, grown, stretched, padded, odd and even, one pixel wide")
func framed() throws {
    let lines = try String(contentsOfFile: "\(pictureFolder)/framed.txt", encoding: .utf8).split(separator: "\n")
    #expect(lines.count >= 90)
    for line in lines {
        let parts = line.split(separator: " ").map(String.init)
        let framing = try Framing(resize: parts[1] == "-" ? nil : parts[1], crop: parts[2] == "-" ? nil : parts[2])
        let image = try picture(parts[0])
        let result = framing.apply(to: image)
        #expect(result.size == framing.size(of: image.size) && "\(result.size)" == parts[3], "\(line)")
        #expect(result.pixels.count == 3 * result.width * result.height && fnv(result.pixels) == parts[4], "\(line)")
    }
}

@Test("without options an image stays as it is, and its size is not fixed")
func unframed() throws {
    let framing = try Framing(resize: nil, crop: nil)
    let image = try picture("waves.png")
    #expect(framing.apply(to: image) == image && framing.fixedSize == nil)
}

@Test("options have one spelling")
func spelling() throws {
    let framing = try Framing(resize: "0256", crop: "224X224")
    #expect(framing.resizeText == "256" && framing.cropText == "224")
    #expect(framing.fixedSize == PixelSize(height: 224, width: 224))
    let other = try Framing(resize: "256x256", crop: "224x225")
    #expect(other.resizeText == "256x256" && other.cropText == "224x225")
    #expect(try Framing(resize: "30x40", crop: nil).fixedSize == PixelSize(height: 30, width: 40))
    #expect(try Framing(resize: "30", crop: nil).fixedSize == nil)
}

@Test(
    "an option that is no size is refused by its name",
    arguments: ["", "0", "-3", "x", "12x", "1x2x3", "4097", "99999999999999999999", "25.5", "+5", "1 x 2", "²"])
func badOptions(text: String) {
    for (resize, crop, option) in [(text, nil, "--resize"), (nil, text, "--crop")] as [(String?, String?, String)] {
        let error = #expect(throws: LogitError.self) { try Framing(resize: resize, crop: crop) }
        #expect(error?.code == .usage && error?.message.hasPrefix(option) == true, "\(error?.message ?? "")")
    }
}

@Test("a crop of a line of pixels costs what the crop has, not what resizing the whole would", .timeLimit(.minutes(20)))
func thin() throws {
    // Resized whole it would have 256 × 7,680,000 pixels.
    let pixels = [UInt8](repeating: 0, count: 30_000) + [UInt8](repeating: 200, count: 60_000)
    for (width, height) in [(1, 30_000), (30_000, 1)] {
        let image = RGBImage(width: width, height: height, pixels: pixels)
        let result = try Framing(resize: "256", crop: "224").apply(to: image)
        #expect(result.size == PixelSize(height: 224, width: 224) && result.pixels.allSatisfy { $0 == 200 })
        let small = try Framing(resize: "64x64", crop: nil).apply(to: image)
        #expect(small.pixels.first == 0 && small.pixels.last == 200 && Set(small.pixels).count > 2)
    }
}

private let real = ProcessInfo.processInfo.environment["LOGITCORPUS_REAL"]

@Test(
    "1,000 ImageNet images, greyscale ones among them, are framed to PIL's pixels, all of them",
    .enabled(
        if: real != nil && python != nil, "set LOGITCORPUS_REAL to real images, LOGITCORPUS_PYTHON to a Python with PIL"
    ))
func imagenet() throws {
    let folder = TemporaryFolder()
    let archive = "\(try #require(real))/imagenet/one-per-class.tar"
    let script = "\(projectFolder)/Tests/ImagesTests/framing.py"
    let ran = try run(try #require(python), [script, archive, "256", "224", folder.file("pixels")])
    #expect(ran.status == 0, "\(ran.errors)")
    print(ran.output)
    let set = try ImageSet.open(archive, classNames: nil)
    let framing = try Framing(resize: "256", crop: "224")
    let expected = try Data(contentsOf: URL(fileURLWithPath: folder.file("pixels")), options: .alwaysMapped)
    let count = 3 * 224 * 224
    #expect(set.entries.count == 1000 && expected.count == 1000 * count)
    var differing = 0
    for ordinal in set.entries.indices {
        let image = framing.apply(to: try set.decode(try set.bytes(ordinal), of: ordinal))
        let wrong = zip(image.pixels, expected[ordinal * count..<(ordinal + 1) * count]).count { $0 != $1 }
        if wrong > 0 { print("\(set.entries[ordinal].id): \(wrong) values differ") }
        differing += wrong
    }
    #expect(differing == 0)
}
