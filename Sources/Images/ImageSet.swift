import Logits
import Platform

/// One image of a set: a stable id and its class.
package struct ImageEntry: Sendable, Equatable {
    package let id: String
    package let label: Int32
}

/// A set of labelled images, in ordinal order, read on demand from any number of threads.
///
/// A folder or tar with one folder a class (JPEG, PNG), or a CIFAR-10 binary file (one label byte, then 32 × 32 R, G and B
/// planes). Ids are relative paths, or FILE/position. Class indices follow the bytewise order of the folder names, or are
/// the label byte.
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

    /// - Parameter classNames: the names in class order, where the folders do not say them all; nil: from the set itself.
    package static func open(_ path: String, classNames: [String]?) throws(LogitError) -> ImageSet {
        guard Files.exists(path) else {
            throw LogitError(.notFound, "there is no file or folder \(path); check --images")
        }
        if Files.isDirectory(path) { return try ImageSet(folder: path, classNames) }
        if path.hasSuffix(".bin") { return try ImageSet(binary: path, classNames) }
        return try ImageSet(tar: path, classNames)
    }

    /// The bytes that an image's digest covers: the encoded file, or the record of a binary file.
    package func bytes(_ ordinal: Int) throws(LogitError) -> [UInt8] {
        switch storage {
        case .files(let paths): return try Files.read(paths[ordinal], limit: 1 << 30)
        case .ranges(let ranges, let map):
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

    private init(folder path: String, _ classNames: [String]?) throws(LogitError) {
        var files: [String] = []
        var folders: [String] = []
        var skipped = 0
        for name in try Files.list(path) where !name.hasPrefix(".") {
            guard Files.isDirectory("\(path)/\(name)") else {
                skipped += 1
                continue
            }
            folders.append(name)
            files += try ImageSet.walk(path, name)
        }
        let listing = try Listing(files, folders: folders, root: path, classNames)
        kind = .folder
        self.path = path
        self.classNames = listing.classNames
        entries = listing.entries
        skippedCount = skipped + listing.skippedCount
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

    private init(tar path: String, _ classNames: [String]?) throws(LogitError) {
        let map = try MappedFile(path)
        let found = ImageSet.classFolders(of: try Tar.list(map, path: path))
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
            found.filter { $0.kind == .folder || $0.path.utf8.contains(ImageSet.slash) }
                .map { Array($0.path.utf8.prefix { $0 != ImageSet.slash }) })
        let listing = try Listing(
            byPath.values.map(\.path), folders: folders.map { String(decoding: $0, as: UTF8.self) }, root: path,
            classNames)
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

    private static let slash = UInt8(ascii: "/")

    /// The members of an archive but hidden ones, with paths from the class folders on: `tar c photos` wraps those in one
    /// folder more, beside which and in which there may be other files.
    private static func classFolders(of members: [TarEntry]) -> [TarEntry] {
        let shown = members.filter { !isHidden($0) }
        let inFolders = shown.filter { $0.kind == .folder || $0.path.utf8.contains(slash) }
        let images = inFolders.filter { $0.kind != .folder && Listing.isImage($0.path) }
        guard let top = inFolders.first?.path.utf8.prefix(while: { $0 != slash }).map({ $0 }), !images.isEmpty,
            inFolders.allSatisfy({ $0.path.utf8.prefix { $0 != slash }.elementsEqual(top) }),
            images.allSatisfy({ $0.path.utf8.count { $0 == slash } >= 2 })
        else { return shown }
        var unwrapped: [TarEntry] = []
        for member in shown {
            let isInside = member.path.utf8.starts(with: top + [slash])
            guard isInside || member.kind != .folder else { continue }
            let path = isInside ? String(Substring(member.path.utf8.dropFirst(top.count + 1))) : member.path
            unwrapped.append(TarEntry(kind: member.kind, path: path, offset: member.offset, size: member.size))
        }
        return unwrapped.filter { !isHidden($0) }
    }

    /// As for a folder: hidden folders and what is in them are not looked at, nor are hidden files beside class folders.
    private static func isHidden(_ member: TarEntry) -> Bool {
        let parts = member.path.utf8.split(separator: slash)
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

/// Class folders and their images, sorted and checked.
private struct Listing {
    let classNames: [String]
    let entries: [ImageEntry]
    let skippedCount: Int

    init(_ files: [String], folders: [String], root: String, _ given: [String]?) throws(LogitError) {
        let images = files.filter(Listing.isImage).sorted(by: Listing.bytewise)
        skippedCount = files.count - images.count
        guard !folders.isEmpty else {
            throw LogitError(
                .badInput,
                "\(root) has no class folders; put the images of each class into a folder of its own, named by the class"
            )
        }
        let filled = Set(images.map { String($0.prefix { $0 != "/" }) })
        if let empty = folders.sorted(by: Listing.bytewise).first(where: { !filled.contains($0) }) {
            throw LogitError(
                .badInput, "the class folder \(empty) of \(root) holds no JPEG or PNG image; fill it or remove it")
        }
        classNames = given ?? folders.sorted(by: Listing.bytewise)
        let index = Dictionary(
            classNames.enumerated().map { ($0.element, Int32($0.offset)) }, uniquingKeysWith: { first, _ in first })
        guard index.count == classNames.count else {
            throw LogitError(.badInput, "the class list names a class twice; name each class once")
        }
        var entries: [ImageEntry] = []
        entries.reserveCapacity(images.count)
        for image in images {
            let folder = String(image.prefix { $0 != "/" })
            guard let label = index[folder] else {
                throw LogitError(
                    .badInput,
                    "the folder \(folder) of \(root) is not in the class list; add it there or remove the folder")
            }
            if image.unicodeScalars.contains(where: { $0.value < 0x20 || $0 == "\u{FFFD}" }) {
                throw LogitError(
                    .badInput,
                    "an image of \(root) has a name with a control character or that is not UTF-8; rename \(image.debugDescription)"
                )
            }
            entries.append(ImageEntry(id: image, label: label))
        }
        // Equal strings of other bytes: the same name in two of Unicode's forms.
        guard Set(entries.map(\.id)).count == entries.count else {
            throw LogitError(
                .badInput, "\(root) has two images whose names differ only in the form of their Unicode; rename one")
        }
        guard classNames.count >= 2 else {
            throw LogitError(.badInput, "\(root) has one class only (\(classNames[0])); a classifier needs two or more")
        }
        self.entries = entries
    }

    /// Whether a relative path is that of an image in a class folder.
    static func isImage(_ path: String) -> Bool {
        guard path.utf8.contains(UInt8(ascii: "/")) else { return false }
        let name = path.split(separator: "/").last ?? ""
        guard !name.hasPrefix(".") else { return false }
        let lower = name.lowercased()
        return lower.hasSuffix(".jpg") || lower.hasSuffix(".jpeg") || lower.hasSuffix(".png")
    }

    private static func bytewise(_ first: String, _ second: String) -> Bool {
        first.utf8.lexicographicallyPrecedes(second.utf8)
    }
}
