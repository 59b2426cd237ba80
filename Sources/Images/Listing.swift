import Logits

/// The images of a folder or archive, sorted and checked, each with its class.
struct Listing {
    let classNames: [String]
    let entries: [ImageEntry]
    let skippedCount: Int

    /// - Parameters:
    ///   - files: relative paths; those in hidden folders are left out already.
    ///   - folders: the class folders, where there is no labelling.
    init(
        _ files: [String], folders: [String], root: String, _ given: [String]?, _ labelling: ImageSet.Labelling?
    ) throws(LogitError) {
        let images = files.filter { Listing.isImage($0) && (labelling != nil || $0.utf8.contains(Listing.slash)) }
            .sorted(by: Listing.bytewise)
        skippedCount = files.count - images.count
        try Listing.checkNames(images, root)
        let labels: [Int32]
        if let labelling {
            (classNames, labels) = try labelling(images)
        } else {
            let sorted = folders.sorted(by: Listing.bytewise)
            try Listing.check(folders: sorted, images, root)
            classNames = given ?? sorted
            labels = try Listing.folderLabels(images, classNames, root)
        }
        guard Set(classNames).count == classNames.count else {
            throw LogitError(.badInput, "the class list names a class twice; name each class once")
        }
        guard classNames.count >= 2 else {
            throw LogitError(.badInput, "\(root) has one class only (\(classNames[0])); a classifier needs two or more")
        }
        entries = zip(images, labels).map { ImageEntry(id: $0, label: $1) }
    }

    /// Bytes of an image's id: what a shard takes.
    private static let nameLimit = 4096

    private static func checkNames(_ images: [String], _ root: String) throws(LogitError) {
        if let long = images.first(where: { $0.utf8.count > nameLimit }) {
            throw LogitError(
                .badInput,
                "an image of \(root) has a path of \(long.utf8.count) bytes, more than the limit of \(nameLimit); rename \(long.prefix(80))…"
            )
        }
        for image in images where image.unicodeScalars.contains(where: { $0.value < 0x20 || $0 == "\u{FFFD}" }) {
            throw LogitError(
                .badInput,
                "an image of \(root) has a name with a control character or that is not UTF-8; rename \(image.debugDescription)"
            )
        }
        // Equal strings of other bytes: the same name in two of Unicode's forms.
        guard Set(images).count == images.count else {
            throw LogitError(
                .badInput, "\(root) has two images whose names differ only in the form of their Unicode; rename one")
        }
    }

    private static func check(folders: [String], _ images: [String], _ root: String) throws(LogitError) {
        guard !folders.isEmpty else {
            throw LogitError(
                .badInput,
                "\(root) has no class folders; put the images of each class into a folder of its own, named by the class, or name a label file with --labels"
            )
        }
        let filled = Set(images.map(folder(of:)))
        if let empty = folders.first(where: { !filled.contains($0) }) {
            throw LogitError(
                .badInput, "the class folder \(empty) of \(root) holds no JPEG or PNG image; fill it or remove it")
        }
    }

    private static func folderLabels(
        _ images: [String], _ classNames: [String], _ root: String
    ) throws(LogitError) -> [Int32] {
        let index = Dictionary(
            classNames.enumerated().map { ($0.element, Int32($0.offset)) }, uniquingKeysWith: { first, _ in first })
        var labels: [Int32] = []
        labels.reserveCapacity(images.count)
        for image in images {
            guard let label = index[folder(of: image)] else {
                throw LogitError(
                    .badInput,
                    "the folder \(folder(of: image)) of \(root) is not in the class list; add it there or remove the folder"
                )
            }
            labels.append(label)
        }
        return labels
    }

    private static func folder(of image: String) -> String { String(image.prefix { $0 != "/" }) }

    /// Whether a relative path is that of an image.
    static func isImage(_ path: String) -> Bool {
        let name = path.split(separator: "/").last ?? ""
        guard !name.hasPrefix(".") else { return false }
        return extensions.contains { name.lowercased().hasSuffix($0) }
    }

    static let extensions = [".jpg", ".jpeg", ".png"]
    static let slash = UInt8(ascii: "/")

    private static func bytewise(_ first: String, _ second: String) -> Bool {
        first.utf8.lexicographicallyPrecedes(second.utf8)
    }
}
