import Logits
import Platform

/// A file that says the class of each image of a flat folder or archive, as ImageNet's validation images come with.
///
/// Lines of a file name and a label, between them a tab, a comma or a space; a file with tabs or commas may begin with a
/// header. Or labels alone, one a line, in the sorted order of the file names. A label is a class index from 0 or a class
/// name; names without a class list get their index by sorted (bytewise) order. File names are relative paths, with or
/// without the extension.
package struct LabelFile: Sendable {
    package let path: String
    private let lines: [Line]

    private struct Line: Sendable {
        let number: Int
        /// nil: the file has labels alone.
        let image: String?
        let label: String
    }

    /// - Throws: `badInput` where a line has not the form of the others.
    package init(_ path: String) throws(LogitError) {
        var text = Substring(try Files.readText(path))
        if text.first == "\u{FEFF}" { text.removeFirst() }
        let numbered = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated()
            .map { (number: $0.offset + 1, text: LabelFile.trimmed($0.element)) }.filter { !$0.text.isEmpty }
        guard !numbered.isEmpty else {
            throw LogitError(.badInput, "\(path) is empty; give a line with name and label for each image")
        }
        self.path = path
        guard let separator = ["\t", ",", " "].first(where: { mark in numbered[0].text.contains(mark) }) else {
            if let odd = numbered.first(where: { line in line.text.contains { "\t, ".contains($0) } }) {
                throw LogitError(
                    .badInput,
                    "line \(odd.number) of \(path) has several words but line \(numbered[0].number) has one; give name and label in each line, or a label alone in each"
                )
            }
            lines = numbered.map { Line(number: $0.number, image: nil, label: String($0.text)) }
            return
        }
        var lines: [Line] = []
        lines.reserveCapacity(numbered.count)
        for line in numbered {
            guard let (image, label) = LabelFile.fields(line.text, separator) else {
                throw LogitError(
                    .badInput,
                    "line \(line.number) of \(path) is \"\(line.text.prefix(80))\"; give a file name and a label, with a tab, comma or space between them as in the other lines"
                )
            }
            lines.append(Line(number: line.number, image: image, label: label))
        }
        // Kaggle's ImageNet solution file: the class, then the box, of each object; all objects of a picture have one class.
        if numbered[0].text == "ImageId,PredictionString" {
            lines = lines.map { Line(number: $0.number, image: $0.image, label: String($0.label.prefix { $0 != " " })) }
        }
        self.lines = lines
    }

    private static func trimmed(_ text: Substring) -> Substring {
        let blank: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\r" }
        let start = text.drop(while: blank)
        guard let end = start.lastIndex(where: { !blank($0) }) else { return "" }
        return start[...end]
    }

    /// Name and label of a line; a name may hold spaces, a label too where the separator is another.
    private static func fields(_ line: Substring, _ separator: Character) -> (String, String)? {
        let parts: [Substring]
        if separator == " " {
            guard let space = line.lastIndex(of: " ") else { return nil }
            parts = [line[..<space], line[line.index(after: space)...]]
        } else {
            parts = line.split(separator: separator, omittingEmptySubsequences: false)
        }
        let values = parts.map { part in
            let value = trimmed(part)
            let isQuoted = value.count >= 2 && value.first == "\"" && value.last == "\""
            return isQuoted ? value.dropFirst().dropLast() : value
        }
        guard values.count == 2, values.allSatisfy({ !$0.isEmpty && !$0.contains("\"") }) else { return nil }
        let image = values[0].hasPrefix("./") ? values[0].dropFirst(2) : values[0]
        return (String(image), String(values[1]))
    }

    // MARK: Labels

    /// What an image set asks for: exactly one label for each image, and an image for each label.
    /// - Parameter classNames: in class order; nil: the names (or indices) that the file has.
    package func labelling(_ classNames: [String]?, root: String) -> ImageSet.Labelling {
        { (ids) throws(LogitError) in
            let lines = try self.matched(to: ids, root)
            return try self.classes(of: lines, classNames)
        }
    }

    /// The lines in the order of the images.
    private func matched(to ids: [String], _ root: String) throws(LogitError) -> [Line] {
        guard lines[0].image != nil else {
            guard lines.count == ids.count else {
                throw LogitError(
                    .badInput,
                    "\(path) has \(lines.count) labels but \(root) has \(ids.count) images; give one label a line for each image, in the sorted order of the file names"
                )
            }
            return lines
        }
        let places = LabelFile.places(ids)
        var found = [Line?](repeating: nil, count: ids.count)
        for (index, line) in lines.enumerated() {
            guard let place = places[line.image ?? ""] else {
                if index == 0, isHeader(line) { continue }
                throw LogitError(
                    .badInput,
                    "line \(line.number) of \(path) names \(line.image ?? ""), which is no image of \(root)\(ids.first.map { " (there is \($0))" } ?? ""); name the images by their paths in it, or remove the line"
                )
            }
            if let former = found[place] {
                throw LogitError(
                    .badInput,
                    "lines \(former.number) and \(line.number) of \(path) both label \(ids[place]); keep one of them")
            }
            found[place] = line
        }
        if let place = found.firstIndex(where: { $0 == nil }) {
            throw LogitError(
                .badInput,
                "image \(ids[place]) of \(root) has no label in \(path); add a line for it or remove the image")
        }
        return found.compactMap(\.self)
    }

    /// The place of each image by its path, and by its path without the extension where that is one image's alone.
    private static func places(_ ids: [String]) -> [String: Int] {
        var stems: [String: Int] = [:]
        var shared: Set<String> = []
        for (place, id) in ids.enumerated() {
            let ending = Listing.extensions.first { id.lowercased().hasSuffix($0) } ?? ""
            let stem = String(id.dropLast(ending.count))
            if stems.updateValue(place, forKey: stem) != nil { shared.insert(stem) }
        }
        for stem in shared { stems[stem] = nil }
        let whole = Dictionary(
            ids.enumerated().map { ($0.element, $0.offset) }, uniquingKeysWith: { first, _ in first })
        return whole.merging(stems) { whole, _ in whole }
    }

    /// Column titles: a label that is no index and that no other line has.
    private func isHeader(_ line: Line) -> Bool {
        Int(line.label) == nil && !lines.dropFirst().contains { $0.label == line.label }
    }

    /// Indices where every label is a whole number and the class list does not name them; else names.
    private func classes(
        of lines: [Line], _ given: [String]?
    ) throws(LogitError) -> (classNames: [String], labels: [Int32]) {
        let numbers = lines.compactMap { Int($0.label) }
        let isNamed = given.map { names in !Set(names).isDisjoint(with: lines.map(\.label)) } ?? false
        if numbers.count == lines.count, !isNamed { return try indices(numbers, lines, given) }
        let names = given ?? Set(lines.map(\.label)).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        let index = Dictionary(
            names.enumerated().map { ($0.element, Int32($0.offset)) }, uniquingKeysWith: { first, _ in first })
        var labels: [Int32] = []
        labels.reserveCapacity(lines.count)
        for line in lines {
            guard let label = index[line.label] else {
                throw LogitError(
                    .badInput,
                    "line \(line.number) of \(path) has the label \(line.label), which is not in the class list; add it to --classes or correct the line"
                )
            }
            labels.append(label)
        }
        return (names, labels)
    }

    private func indices(
        _ numbers: [Int], _ lines: [Line], _ given: [String]?
    ) throws(LogitError) -> (classNames: [String], labels: [Int32]) {
        // Ids that count from 1, as the ILSVRC devkit's, whose order is moreover not that of the sorted synsets.
        guard numbers.contains(0) || (given != nil && lines[0].image != nil) else {
            throw LogitError(
                .badInput,
                "the labels of \(path) go from \(numbers.min() ?? 0) to \(numbers.max() ?? 0) without a 0, so they may be ids that count from 1, such as the ILSVRC devkit's, which are no class indices; give the class names (synsets), or lines of name and index together with --classes"
            )
        }
        let limit = given?.count ?? 1 << 20
        if let place = numbers.firstIndex(where: { !(0..<limit).contains($0) }) {
            throw LogitError(
                .badInput,
                "line \(lines[place].number) of \(path) has the label \(numbers[place]), but class indices go from 0 to \(limit - 1); subtract 1 if they count from 1, or give class names"
            )
        }
        return (given ?? (0...(numbers.max() ?? 0)).map(String.init), numbers.map(Int32.init))
    }
}
