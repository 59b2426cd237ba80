import Logits
import Platform

/// A member of a tar archive.
struct TarEntry: Sendable {
    /// `link`: a symbolic or hard link, or a sparse file: its bytes are not there as they stand.
    enum Kind: Sendable { case file, folder, link }

    let kind: Kind
    let path: String
    let offset: Int
    let size: Int
}

/// Lists the files, folders and links of a tar (ustar, GNU long names, pax paths). Devices and the like are left out.
enum Tar {
    static func list(_ archive: MappedFile, path archivePath: String) throws(LogitError) -> [TarEntry] {
        let bytes = archive.bytes
        var entries: [TarEntry] = []
        var position = 0
        var longName: String?
        var isEnded = false
        while position + 512 <= bytes.count {
            let header = UnsafeRawBufferPointer(rebasing: bytes[position..<position + 512])
            if header.allSatisfy({ $0 == 0 }) {
                isEnded = true
                break
            }
            guard checksumHolds(header), let size = number(header[124..<136]), size >= 0,
                size <= bytes.count - position - 512
            else {
                throw LogitError(
                    .badInput,
                    "\(archivePath) is no tar archive, or is damaged or cut short at byte \(position); make it again")
            }
            let start = position + 512
            let data = UnsafeRawBufferPointer(rebasing: bytes[start..<start + size])
            switch header[156] {
            case 0, UInt8(ascii: "0"), UInt8(ascii: "7"), UInt8(ascii: "5"), UInt8(ascii: "1"), UInt8(ascii: "2"),
                UInt8(ascii: "S"):
                let name = longName ?? shortName(header)
                longName = nil
                let kind = kind(header[156], name)
                let path = try clean(name, kind, archivePath)
                // The folder `./` that `tar c .` writes is the archive itself.
                if !path.isEmpty { entries.append(TarEntry(kind: kind, path: path, offset: start, size: size)) }
            case UInt8(ascii: "L"): longName = text(data)
            case UInt8(ascii: "x"): longName = paxPath(data) ?? longName
            default: longName = nil
            }
            position = start + (size + 511) / 512 * 512
        }
        // An archive ends with a block of zeros: without it files may be missing.
        guard isEnded else {
            throw LogitError(.badInput, "\(archivePath) is no tar archive, or is cut short at its end; make it again")
        }
        return entries
    }

    private static func kind(_ type: UInt8, _ name: String) -> TarEntry.Kind {
        switch type {
        case UInt8(ascii: "5"): .folder
        case UInt8(ascii: "1"), UInt8(ascii: "2"), UInt8(ascii: "S"): .link
        // The oldest archives mark a folder by the slash at its end alone.
        default: name.utf8.last == UInt8(ascii: "/") ? .folder : .file
        }
    }

    private static func checksumHolds(_ header: UnsafeRawBufferPointer) -> Bool {
        var sum = 0
        for (index, byte) in header.enumerated() { sum += (148..<156).contains(index) ? 32 : Int(byte) }
        return number(header[148..<156]) == sum
    }

    /// Octal digits, or GNU's base-256 for large sizes.
    private static func number(_ field: Slice<UnsafeRawBufferPointer>) -> Int? {
        if let first = field.first, first & 0x80 != 0 {
            var value = Int(first & 0x7F)
            for byte in field.dropFirst() {
                guard value < 1 << 48 else { return nil }
                value = value << 8 | Int(byte)
            }
            return value
        }
        let digits = field.drop { $0 == 0x20 }.prefix { $0 >= 0x30 && $0 <= 0x37 }
        guard !digits.isEmpty else { return nil }
        return digits.reduce(0) { $0 << 3 | Int($1 - 0x30) }
    }

    private static func text(_ bytes: some Collection<UInt8>) -> String {
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }

    private static func shortName(_ header: UnsafeRawBufferPointer) -> String {
        let name = text(header[0..<100])
        let isPosix = text(header[257..<262]) == "ustar" && header[262] == 0
        let prefix = isPosix ? text(header[345..<500]) : ""
        return prefix.isEmpty ? name : "\(prefix)/\(name)"
    }

    /// The `path` record of a pax header: lines of `LENGTH KEY=VALUE`.
    private static func paxPath(_ data: UnsafeRawBufferPointer) -> String? {
        var rest = data[...]
        var found: String?
        while let space = rest.firstIndex(of: 0x20),
            let length = Int(String(decoding: rest[..<space], as: UTF8.self)), length > space - rest.startIndex + 1,
            length <= rest.count
        {
            let record = String(decoding: rest[(space + 1)..<(rest.startIndex + length - 1)], as: UTF8.self)
            if record.hasPrefix("path=") { found = String(record.dropFirst(5)) }
            rest = rest[(rest.startIndex + length)...]
        }
        return found
    }

    /// A relative path without `.` parts; an archive that points outside itself is refused.
    private static func clean(_ name: String, _ kind: TarEntry.Kind, _ archivePath: String) throws(LogitError) -> String
    {
        let parts = name.split(separator: "/").filter { $0 != "." }
        guard !name.hasPrefix("/"), !parts.contains(".."), kind == .folder || !parts.isEmpty else {
            throw LogitError(
                .badInput, "\(archivePath) holds a file with the path \(name); make it again with relative paths")
        }
        return parts.joined(separator: "/")
    }
}
