import Glibc
import Platform

/// Where the chunks of a dataset lie in the file, by number (row-major order).
///
/// HDF5 1.10 tells the address of one chunk by walking over all of them, and every chunk it reads takes its one lock; so the
/// index that the file holds is read here ("HDF5 File Format Specification Version 3.0": object header version 2, IV.A.1.b;
/// data layout message version 4, IV.A.2.i; fixed array, VII.B), with all its checksums, once, when the shard is opened.
struct ChunkIndex: Sendable {
    private let offsets: [UInt64]
    private let sizes: [UInt32]

    var count: Int { offsets.count }

    /// The stored bytes of a chunk.
    func chunk(_ number: Int, in file: MappedFile) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: file.bytes.baseAddress! + Int(offsets[number]), count: Int(sizes[number]))
    }

    /// - Parameters:
    ///   - header: the address of the dataset's object header.
    ///   - count: chunks that the dataset has.
    ///   - chunkBytes: of one chunk, undone.
    /// - Returns: nil where the index is damaged, or a chunk is missing, unfiltered, or not inside the file.
    init?(_ file: MappedFile, header: UInt64, count: Int, chunkBytes: Int) {
        guard let layout = FileBytes(file.bytes).layoutMessage(header),
            let entries = FileBytes(file.bytes).chunkEntries(layout, count: count)
        else { return nil }
        let most = UInt64(ZstdChunks.bound(chunkBytes))
        let end = UInt64(file.bytes.count)
        var offsets: [UInt64] = []
        var sizes: [UInt32] = []
        offsets.reserveCapacity(count)
        sizes.reserveCapacity(count)
        for (offset, size, mask) in entries {
            guard mask == 0, size > 0, size <= most, offset <= end, size <= end - offset else { return nil }
            offsets.append(offset)
            sizes.append(UInt32(size))
        }
        self.offsets = offsets
        self.sizes = sizes
    }
}

/// A file's bytes, read within their bounds.
private struct FileBytes {
    typealias Entry = (offset: UInt64, size: UInt64, mask: UInt64)

    let bytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// `count` bytes at an address; nil where they are not in the file.
    func part(_ address: UInt64, _ count: Int) -> UnsafeRawBufferPointer? {
        guard count >= 0, address <= UInt64(bytes.count), count <= bytes.count - Int(address) else { return nil }
        return UnsafeRawBufferPointer(rebasing: bytes[Int(address)..<Int(address) + count])
    }

    /// A structure that begins with a signature and ends with the checksum of all before it.
    private func checked(_ address: UInt64, _ count: Int, _ signature: String) -> UnsafeRawBufferPointer? {
        guard count >= 8, let part = part(address, count), part.starts(with: signature.utf8), part.endsInChecksum else {
            return nil
        }
        return part
    }

    /// The data layout message of an object header, which lies in the header's first block or in one that it continues in.
    func layoutMessage(_ address: UInt64) -> UnsafeRawBufferPointer? {
        guard let head = part(address, 6), head[4] == 2 else { return nil }
        let flags = head[5]
        let sizeBytes = 1 << (flags & 3)
        // Times and attribute limits, where the flags say that they are there.
        let prefix = 6 + (flags & 0x20 != 0 ? 16 : 0) + (flags & 0x10 != 0 ? 4 : 0)
        guard let size = part(address, prefix + sizeBytes)?.number(prefix, sizeBytes), size <= UInt64(bytes.count),
            let block = checked(address, prefix + sizeBytes + Int(size) + 4, "OHDR")
        else { return nil }
        let order = flags & 0x04 != 0 ? 2 : 0
        var pending = [UnsafeRawBufferPointer(rebasing: block[(prefix + sizeBytes)..<(block.count - 4)])]
        // A header of ours has one block, or a few; a circle of them ends here.
        for _ in 0..<16 {
            guard let messages = pending.popLast() else { return nil }
            var place = 0
            while place + 4 + order <= messages.count {
                let (type, length) = (messages[place], Int(messages.number(place + 1, 2) ?? 0))
                place += 4 + order
                guard length <= messages.count - place else { return nil }
                let body = UnsafeRawBufferPointer(rebasing: messages[place..<place + length])
                if type == 0x08 { return body }
                if type == 0x10 {
                    guard let next = body.number(0, 8), let size = body.number(8, 8), size <= UInt64(bytes.count),
                        let block = checked(next, Int(size), "OCHK")
                    else { return nil }
                    pending.append(UnsafeRawBufferPointer(rebasing: block[4..<(block.count - 4)]))
                }
                place += length
            }
        }
        return nil
    }

    /// The entries of the index that a layout message names: a single filtered chunk, or a fixed array of them.
    func chunkEntries(_ layout: UnsafeRawBufferPointer, count: Int) -> [Entry]? {
        // Version 4, chunked; flags; rank; bytes of a dimension; the dimensions; the kind of index.
        guard layout.count > 5, layout[0] == 4, layout[1] == 2 else { return nil }
        let place = 5 + Int(layout[3]) * Int(layout[4])
        switch layout.number(place, 1) {
        case 1:
            guard count == 1, layout[2] & 0x02 != 0, let size = layout.number(place + 1, 8),
                let mask = layout.number(place + 9, 4), let offset = layout.number(place + 13, 8)
            else { return nil }
            return [(offset, size, mask)]
        case 3:
            guard let address = layout.number(place + 2, 8) else { return nil }
            return fixedArray(address, count: count)
        default: return nil
        }
    }

    private func fixedArray(_ address: UInt64, count: Int) -> [Entry]? {
        // Signature, version 0, client 1 (filtered chunks), entry size, page bits, entries, address of the data, checksum.
        guard let head = checked(address, 28, "FAHD"), head[4] == 0, head[5] == 1, (13...20).contains(head[6]),
            (1...20).contains(head[7]), head.number(8, 8) == UInt64(count), let data = head.number(16, 8)
        else { return nil }
        let (entryBytes, pageEntries) = (Int(head[6]), 1 << Int(head[7]))
        let pages = (count + pageEntries - 1) / pageEntries
        // Signature, version 0, client, address of the head; of more than one page a bit each and a checksum first.
        let isPaged = count > pageEntries
        let prefix = isPaged ? 14 + (pages + 7) / 8 + 4 : 14
        guard count <= bytes.count / entryBytes,
            let block = checked(data, isPaged ? prefix : prefix + count * entryBytes + 4, "FADB"), block[4] == 0,
            block[5] == 1, block.number(6, 8) == address
        else { return nil }
        var entries: [Entry] = []
        entries.reserveCapacity(count)
        var place = data + UInt64(prefix)
        for first in stride(from: 0, to: count, by: pageEntries) {
            let inPage = min(pageEntries, count - first)
            guard let page = part(place, inPage * entryBytes + 4), !isPaged || page.endsInChecksum else { return nil }
            for entry in 0..<inPage {
                let start = entry * entryBytes
                guard let offset = page.number(start, 8), let size = page.number(start + 8, entryBytes - 12),
                    let mask = page.number(start + entryBytes - 4, 4)
                else { return nil }
                entries.append((offset, size, mask))
            }
            place += UInt64(page.count)
        }
        return entries
    }
}

extension UnsafeRawBufferPointer {
    /// A little-endian number of up to 8 bytes; nil where they are not all there.
    fileprivate func number(_ place: Int, _ count: Int) -> UInt64? {
        guard place >= 0, count <= 8, place + count <= self.count else { return nil }
        var value: UInt64 = 0
        memcpy(&value, baseAddress! + place, count)
        return UInt64(littleEndian: value)
    }

    /// Whether the last four bytes are HDF5's checksum of those before them.
    fileprivate var endsInChecksum: Bool {
        guard count >= 4 else { return false }
        return number(count - 4, 4)
            == UInt64(Superblock.lookup3(UnsafeRawBufferPointer(rebasing: self[..<(count - 4)])))
    }
}
