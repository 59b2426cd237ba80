import Glibc
import Logits
import Platform

/// The first 48 bytes of a shard: HDF5's superblock, version 3 ("HDF5 File Format Specification Version 3.0", II.A).
///
/// | bytes | field |
/// |---|---|
/// | 0–7 | signature `\x89HDF\r\n\x1a\n` |
/// | 8 | version, 3 |
/// | 9, 10 | bytes in an offset and in a length, 8 and 8 |
/// | 11 | status flags, 0 once the writer has closed the file |
/// | 12–19 | base address, 0 |
/// | 20–27 | address of the extension, none |
/// | 28–35 | end of file |
/// | 36–43 | address of the root group |
/// | 44–47 | Jenkins lookup3 of bytes 0–43 |
///
/// It is checked before HDF5 sees the file: a cut, grown, unfinished or older file is told apart in one clear sentence, and
/// HDF5's readers of the formats without checksums are never reached.
package enum Superblock {
    static let byteCount = 48
    private static let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]

    /// What is wrong with the first bytes of a file of `fileBytes` bytes; nil if nothing is.
    static func fault(_ block: [UInt8], fileBytes: Int) -> String? {
        guard block.count == byteCount, Array(block[..<8]) == signature else { return "it does not begin as HDF5" }
        guard block[8] == 3, block[9] == 8, block[10] == 8 else { return "its HDF5 format is not that of shards" }
        guard word(block, 44) == UInt64(lookup3(block[..<44])) else { return "its first bytes fail their checksum" }
        guard block[11] == 0 else { return "its writer did not finish it" }
        guard word(block, 12, count: 8) == 0, word(block, 36, count: 8) < UInt64(fileBytes) else {
            return "its HDF5 format is not that of shards"
        }
        let end = word(block, 28, count: 8)
        guard end == UInt64(fileBytes) else { return "it has \(fileBytes) bytes where its first ones say \(end)" }
        return nil
    }

    /// The size of a file, after a look at its superblock.
    /// - Parameter damaged: makes the error from a reason.
    static func check(_ path: String, _ damaged: (String) -> LogitError) throws(LogitError) -> Int {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)  // a pipe is no shard, and nothing to wait for
        guard descriptor >= 0 else { throw Files.failure("open", path, errno: errno) }
        defer { close(descriptor) }
        var info = stat()
        guard fstat(descriptor, &info) == 0 else { throw Files.failure("read", path, errno: errno) }
        guard info.st_mode & S_IFMT == S_IFREG else { throw damaged("it is no plain file") }
        var block = [UInt8](repeating: 0, count: byteCount)
        let got = pread(descriptor, &block, byteCount, 0)
        guard got >= 0 else { throw Files.failure("read", path, errno: errno) }
        if let fault = fault(Array(block[..<got]), fileBytes: Int(info.st_size)) { throw damaged(fault) }
        return Int(info.st_size)
    }

    private static func word(_ bytes: [UInt8], _ first: Int, count: Int = 4) -> UInt64 {
        (0..<count).reduce(0) { $0 | UInt64(bytes[first + $1]) << UInt64(8 * $1) }
    }

    package static func lookup3(_ bytes: ArraySlice<UInt8>) -> UInt32 { bytes.withUnsafeBytes(lookup3) }

    /// Bob Jenkins' `hashlittle` with an initial value of 0, which HDF5 puts behind all its metadata.
    static func lookup3(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        func rotated(_ value: UInt32, _ count: UInt32) -> UInt32 { value << count | value >> (32 - count) }
        var a = 0xDEAD_BEEF &+ UInt32(truncatingIfNeeded: bytes.count)
        var (b, c) = (a, a)
        var place = 0
        func take() -> UInt32 {
            var word: UInt32 = 0
            let count = min(4, bytes.count - place)
            for index in 0..<max(0, count) { word |= UInt32(bytes[place + index]) << UInt32(8 * index) }
            place += 4
            return word
        }
        while bytes.count - place > 12 {
            a &+= take()
            b &+= take()
            c &+= take()
            (a, c) = ((a &- c) ^ rotated(c, 4), c &+ b)
            (b, a) = ((b &- a) ^ rotated(a, 6), a &+ c)
            (c, b) = ((c &- b) ^ rotated(b, 8), b &+ a)
            (a, c) = ((a &- c) ^ rotated(c, 16), c &+ b)
            (b, a) = ((b &- a) ^ rotated(a, 19), a &+ c)
            (c, b) = ((c &- b) ^ rotated(b, 4), b &+ a)
        }
        guard place < bytes.count else { return c }
        a &+= take()
        b &+= take()
        c &+= take()
        c = (c ^ b) &- rotated(b, 14)
        a = (a ^ c) &- rotated(c, 11)
        b = (b ^ a) &- rotated(a, 25)
        c = (c ^ b) &- rotated(b, 16)
        a = (a ^ c) &- rotated(c, 4)
        b = (b ^ a) &- rotated(a, 14)
        return (c ^ b) &- rotated(b, 24)
    }
}
