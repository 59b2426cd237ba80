import Logits
import Platform

/// One image of a set: a stable id and its class.
package struct ImageEntry: Sendable, Equatable {
    package let id: String
    package let label: Int32
}

/// A set of labelled images, in ordinal order, read on demand from any number of threads.
///
/// A folder or tar with one folder a class (JPEG, PNG), or with images anywhere in it whose labels come from elsewhere, or a
/// CIFAR-10 binary file (one label byte, then 32 × 32 R, G and B planes). Ids are relative paths, or FILE/position. Class
/// indices follow the bytewise order of the folder names, or are those of the labelling, or the label byte.
package final class ImageSet: Sendable {
    package enum Kind: String, Sendable { case folder, tar, cifarBinary = "cifar-binary" }

    package let kind: Kind
    package let path: String
    package let classNames: [String]
    package let entries: [ImageEntry]
    /// Files passed over: hidden ones and those that are not named .jpg, .jpeg or .png.
    package let skippedCount: Int

    /// Where each image's bytes are: whole files of a folder, or ranges of the mapped archive.
    private enum Storage: Sendable {
        case files([String])
        case ranges([Range<Int>], MappedFile)
    }
    private let storage: Storage

    static let cifarRecordBytes = 1 + 3 * 32 * 32
    /// Bytes of one encoded image; the most pixels, uncompressed, need fewer.
    private static let fileLimit = 1 << 30
    private static let recordLimit = 1 << 26

    /// The classes and the label of each image, where folders do not say them.
    /// - Parameter ids: in ordinal order.
    package typealias Labelling =
        @Sendable (_ ids: [String]) throws(LogitError) -> (
            classNames: [String], labels: [Int32]
        )

    /// - Parameters:
    ///   - classNames: the names in class order, where the folders do not say them all; nil: from the set itself.
    ///   - labelling: for images that lie anywhere in the folder or tar; nil: one folder a class.
    package static func open(
        _ path: String, classNames: [String]?, labelling: Labelling? = nil
    ) throws(LogitError) -> ImageSet {
        guard Files.exists(path) else {
            throw LogitError(.notFound, "there is no file or folder \(path); check --images")
        }
        if Files.isDirectory(path) { return try ImageSet(folder: path, classNames, labelling) }
        guard path.hasSuffix(".bin") else { return try ImageSet(tar: path, classNames, labelling) }
        guard labelling == nil else {
            throw LogitError(.usage, "\(path) holds its labels itself; leave out --labels")
        }
        return try ImageSet(binary: path, classNames)
    }

    /// The bytes that an image's digest covers: the encoded file, or the record of a binary file.
    package func bytes(_ ordinal: Int) throws(LogitError) -> [UInt8] {
        switch storage {
        case .files(let paths): return try Files.read(paths[ordinal], limit: ImageSet.fileLimit)
        case .ranges(let ranges, let map):
            guard ranges[ordinal].count <= ImageSet.fileLimit else {
                throw LogitError(
                    .badInput,
                    "image \(entries[ordinal].id) of \(path) has \(ranges[ordinal].count) bytes, more than the limit of \(ImageSet.fileLimit); remove it"
                )
            }
            // A mapping reaches beyond the end of a file that was cut since: reading there would end the process.
            guard try Files.size(path) >= ranges[ordinal].upperBound else {
                throw LogitError(.stale, "\(path) has become shorter since it was opened; put the whole file back")
            }
            return Array(map.bytes[ranges[ordinal]])
        }
    }

    /// Decodes what `bytes` gave.
    package func decode(_ bytes: [UInt8], of ordinal: Int) throws(LogitError) -> RGBImage {
        guard kind == .cifarBinary else {
            return try RGBImage.decode(bytes, name: "image \(entries[ordinal].id) of \(path)")
        }
        let plane = 32 * 32
        var pixels = [UInt8](repeating: 0, count: 3 * plane)
        for index in 0..<plane {
            for channel in 0..<3 { pixels[3 * index + channel] = bytes[1 + channel * plane + index] }
        }
        return RGBImage(width: 32, height: 32, pixels: pixels)
    }

    // MARK: Opening

    private init(folder path: String, _ classNames: [String]?, _ labelling: Labelling?) throws(LogitError) {
        var files: [String] = []
        var folders: [String] = []
        for name in try Files.list(path) where !name.hasPrefix(".") {
            guard Files.isDirectory("\(path)/\(name)") else {
                files.append(name)
                continue
            }
            folders.append(name)
            files += try ImageSet.walk(path, name)
        }
        let listing = try Listing(files, folders: folders, root: path, classNames, labelling)
        kind = .folder
        self.path = path
        self.classNames = listing.classNames
        entries = listing.entries
        skippedCount = listing.skippedCount
        storage = .files(listing.entries.map { "\(path)/\($0.id)" })
    }

    /// Paths of the plain files under a folder, relative to `root`, but what is in hidden folders.
    private static func walk(_ root: String, _ folder: String, depth: Int = 1) throws(LogitError) -> [String] {
        guard depth <= 32 else {
            throw LogitError(
                .badInput, "\(root)/\(folder) is more than 32 folders deep, as where a link leads back; remove the link"
            )
        }
        var found: [String] = []
        for name in try Files.list("\(root)/\(folder)") {
            let path = "\(folder)/\(name)"
            if !Files.isDirectory("\(root)/\(path)") {
                found.append(path)
            } else if !name.hasPrefix(".") {
                found += try walk(root, path, depth: depth + 1)
            }
        }
        return found
    }

    private init(tar path: String, _ classNames: [String]?, _ labelling: Labelling?) throws(LogitError) {
        let map = try MappedFile(path)
        let found = ImageSet.unwrapped(try Tar.list(map, path: path), depth: labelling == nil ? 2 : 1)
        if let link = found.first(where: { $0.kind == .link }) {
            throw LogitError(
                .badInput,
                "\(path) holds \(link.path) as a link or sparse file, not as its bytes; make it again with tar --dereference --hard-dereference"
            )
        }
        // By bytes: strings that differ only in Unicode's form are equal, files are not. The last of equal paths counts.
        let files = found.filter { $0.kind == .file }
        let byPath = Dictionary(files.map { (Array($0.path.utf8), $0) }, uniquingKeysWith: { _, last in last })
        let folders = Set(
            found.filter { $0.kind == .folder || $0.path.utf8.contains(Listing.slash) }
                .map { Array($0.path.utf8.prefix { $0 != Listing.slash }) })
        let listing = try Listing(
            byPath.values.map(\.path), folders: folders.map { String(decoding: $0, as: UTF8.self) }, root: path,
            classNames, labelling)
        kind = .tar
        self.path = path
        self.classNames = listing.classNames
        entries = listing.entries
        skippedCount = listing.skippedCount
        storage = .ranges(
            listing.entries.map { entry in
                let file = byPath[Array(entry.id.utf8)]!  // the listing was made of these paths
                return file.offset..<file.offset + file.size
            }, map)
    }

    /// The members of an archive but hidden ones, without the one folder in which `tar c photos` wraps the images, beside
    /// which and in which there may be other files.
    /// - Parameter depth: of folders in which all images lie where there is such a wrapping; with class folders it is 2.
    private static func unwrapped(_ members: [TarEntry], depth: Int) -> [TarEntry] {
        let shown = members.filter { !isHidden($0) }
        let inFolders = shown.filter { $0.kind == .folder || $0.path.utf8.contains(Listing.slash) }
        let images = shown.filter {
            $0.kind != .folder && Listing.isImage($0.path) && (depth == 1 || $0.path.utf8.contains(Listing.slash))
        }
        guard let top = inFolders.first?.path.utf8.prefix(while: { $0 != Listing.slash }).map({ $0 }), !images.isEmpty,
            inFolders.allSatisfy({ $0.path.utf8.prefix { $0 != Listing.slash }.elementsEqual(top) }),
            images.allSatisfy({ $0.path.utf8.count { $0 == Listing.slash } >= depth })
        else { return shown }
        var unwrapped: [TarEntry] = []
        for member in shown {
            let isInside = member.path.utf8.starts(with: top + [Listing.slash])
            guard isInside || member.kind != .folder else { continue }
            let path = isInside ? String(Substring(member.path.utf8.dropFirst(top.count + 1))) : member.path
            unwrapped.append(TarEntry(kind: member.kind, path: path, offset: member.offset, size: member.size))
        }
        return unwrapped.filter { !isHidden($0) }
    }

    /// As for a folder: hidden folders and what is in them are not looked at, nor are hidden files beside class folders.
    private static func isHidden(_ member: TarEntry) -> Bool {
        let parts = member.path.utf8.split(separator: Listing.slash)
        let names = member.kind == .folder || parts.count == 1 ? parts[...] : parts.dropLast()
        return names.contains { $0.first == UInt8(ascii: ".") }
    }

    private init(binary path: String, _ classNames: [String]?) throws(LogitError) {
        let map = try MappedFile(path)
        let size = ImageSet.cifarRecordBytes
        guard map.bytes.count % size == 0 else {
            throw LogitError(
                .badInput,
                "\(path) has \(map.bytes.count) bytes, no multiple of the \(size) of a CIFAR-10 record; it is cut short or another format"
            )
        }
        let name = path.split(separator: "/").last.map(String.init) ?? path
        let count = map.bytes.count / size
        guard count <= ImageSet.recordLimit else {
            throw LogitError(
                .badInput, "\(path) has \(count) records, more than the limit of \(ImageSet.recordLimit); split it")
        }
        let labels = (0..<count).map { Int32(map.bytes[$0 * size]) }
        let names = classNames ?? (0..<10).map(String.init)
        if let place = labels.firstIndex(where: { $0 >= names.count }) {
            throw LogitError(
                .badInput,
                "record \(place) of \(path) has the label \(labels[place]), but there are \(names.count) classes; name them all with --classes"
            )
        }
        kind = .cifarBinary
        self.path = path
        self.classNames = names
        entries = labels.enumerated().map { ImageEntry(id: "\(name)/\($0.offset)", label: $0.element) }
        skippedCount = 0
        storage = .ranges((0..<count).map { $0 * size..<($0 + 1) * size }, map)
    }
}
