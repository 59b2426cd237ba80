import Shards

/// Renews the checksums of HDF5's metadata wherever they are found by their signatures ("HDF5 File Format Specification Version
/// 3.0"): the superblock, object headers (OHDR, OCHK cannot be told without their parents), and the indices of chunks
/// (FAHD, FADB).
package enum ShardSeal {
    package static func renew(_ bytes: inout [UInt8]) {
        guard bytes.count > 48 else { return }
        put(&bytes, from: 0, to: 44)
        for place in 48..<max(48, bytes.count - 28)
        where bytes[place] == UInt8(ascii: "O") || bytes[place] == UInt8(ascii: "F") {
            switch String(decoding: bytes[place..<place + 4], as: UTF8.self) {
            case "OHDR": header(&bytes, place)
            case "FAHD": put(&bytes, from: place, to: place + 24)
            case "FADB": dataBlock(&bytes, place)
            default: break
            }
        }
    }

    /// Version 2: flags in byte 5; times and phase-change values where they say so; then the size of chunk 0, in 1 to 8 bytes.
    private static func header(_ bytes: inout [UInt8], _ place: Int) {
        let flags = bytes[place + 5]
        var cursor = place + 6 + (flags & 0x20 != 0 ? 16 : 0) + (flags & 0x10 != 0 ? 4 : 0)
        let width = 1 << Int(flags & 3)
        guard cursor + width <= bytes.count else { return }
        let size = (0..<width).reduce(0) { $0 | UInt64(bytes[cursor + $1]) << UInt64(8 * $1) }
        cursor += width
        guard size < UInt64(bytes.count) else { return }
        put(&bytes, from: place, to: cursor + Int(size))
    }

    /// A block of unpaged elements ends where the next structure begins: the seeds' are short, so every end is tried that
    /// holds whole elements of a filtered chunk.
    private static func dataBlock(_ bytes: inout [UInt8], _ place: Int) {
        for elements in 1...8 {
            for width in [8, 13, 14, 15, 16] {
                let end = place + 14 + elements * width
                guard end + 4 <= bytes.count,
                    bytes[(end + 4)...].starts(with: Array("FAHD".utf8)) || end + 4 == bytes.count
                else { continue }
                put(&bytes, from: place, to: end)
            }
        }
    }

    private static func put(_ bytes: inout [UInt8], from first: Int, to end: Int) {
        guard first < end, end + 4 <= bytes.count else { return }
        let checksum = Superblock.lookup3(bytes[first..<end])
        for place in 0..<4 { bytes[end + place] = UInt8(truncatingIfNeeded: checksum >> (8 * UInt32(place))) }
    }
}
