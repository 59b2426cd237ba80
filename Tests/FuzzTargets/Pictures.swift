import Foundation
import Images
import TestSupport

extension FuzzTarget {
    private static let folder = "\(projectFolder)/Tests/ImagesTests/Pictures"

    private static func files(_ ending: String) throws -> [[UInt8]] {
        try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(ending) }.sorted()
            .map { try contents("\(folder)/\($0)") }
    }

    static let pictures = [
        FuzzTarget("jpeg", seeds: { try files(".jpg") }) { bytes in _ = try RGBImage.decode(bytes, name: "image") },
        FuzzTarget("png", seeds: { try files(".png") }) { bytes in _ = try RGBImage.decode(bytes, name: "image") },
        FuzzTarget("tar", seeds: { try archives() }) { bytes in
            try withFile(bytes, "images.tar") { path in
                let set = try ImageSet.open(path, classNames: nil)
                for ordinal in set.entries.indices.prefix(2) { _ = try set.decode(try set.bytes(ordinal), of: ordinal) }
            }
        },
        FuzzTarget("cifar", seeds: { [[UInt8](repeating: 3, count: 3073), [UInt8](repeating: 9, count: 6146)] }) {
            bytes in
            // Whole records are rare among any bytes: the last one is filled up.
            let whole = bytes + [UInt8](repeating: 0, count: (3073 - bytes.count % 3073) % 3073)
            for each in [bytes, whole] {
                _ = try? withFile(each, "images.bin") { path in
                    let set = try ImageSet.open(path, classNames: nil)
                    for ordinal in set.entries.indices { _ = try set.decode(try set.bytes(ordinal), of: ordinal) }
                }
            }
        },
        FuzzTarget("framing", seeds: { ["256 224", "7x9 3x4", " 5", "6 "].map { Array($0.utf8) } }) { bytes in
            let parts = String(decoding: bytes, as: UTF8.self).split(
                separator: " ", maxSplits: 1, omittingEmptySubsequences: false
            ).map(String.init)
            let framing = try Framing(
                resize: parts[0].isEmpty ? nil : parts[0], crop: parts.count < 2 || parts[1].isEmpty ? nil : parts[1])
            let image = RGBImage(width: 3, height: 2, pixels: [UInt8](0..<18))
            let size = framing.size(of: image.size)
            if size.height * size.width < 1 << 16 { _ = framing.apply(to: image) }
        },
    ]

    /// Archives of two class folders in the forms that `tar` writes, made with what every Debian has.
    private static func archives() throws -> [[UInt8]] {
        let folder = TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let long = String(repeating: "long", count: 40)
        for name in ["a/x.png", "b/y.png", "b/\(long).png"] {
            let path = folder.file("in/\(name)")
            try FileManager.default.createDirectory(
                atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            try FileManager.default.copyItem(atPath: "\(FuzzTarget.folder)/dot.png", toPath: path)
        }
        return try ["gnu", "pax", "ustar", "v7"].map { format in
            let path = folder.file("\(format).tar")
            // Only the first two formats hold a long name.
            let names = ["gnu", "pax"].contains(format) ? ["."] : ["a/x.png", "b/y.png"]
            let ran = try TestSupport.run(
                "/bin/tar", ["-c", "-b", "1", "--format=\(format)", "-f", path, "-C", folder.file("in")] + names)
            precondition(ran.status == 0, ran.errors)
            return try contents(path)
        }
    }
}
