import Foundation
import Glibc
import Logits
import Shards
import TestSupport
import Testing

/// Every byte of a small shard is changed in turn, and read as users read. What comes out is an error, or what was written.
@Suite("every byte of a shard belongs to a check")
struct ShardFlipTests {
    enum Shape: CaseIterable { case clean, attackedWithImages }

    private static let encodings = [
        ShardEncoding.raw, .zstd, ShardEncoding(codec: .raw, precision: .float16),
        ShardEncoding(codec: .zstd, precision: .float16, chunkRows: 1),
    ]

    private let folder = TemporaryFolder()

    /// A written shard: its bytes can be changed in place, and what is read compared with what was written.
    private struct Written {
        let path: String
        let bytes: [UInt8]
        let header: ShardHeader
        let table: RowTable
        let images: KeptImages?
        private let descriptor: Int32

        init(_ encoding: ShardEncoding, _ shape: Shape, at path: String) throws {
            let isClean = shape == .clean
            let (table, rounding) = try exampleTable(
                rows: 3, classes: 5, attacked: !isClean, cost: !isClean, status8bit: !isClean
            ).rounded(to: encoding.precision)
            header = exampleHeader(table, variant: isClean ? .clean : examplePGD)
            images = isClean ? nil : exampleImages(rows: 3, .eightBit)
            try ShardWriter.write(
                table, images: images, header: header, encoding: encoding, rounding: rounding, to: path)
            bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
            descriptor = open(path, O_WRONLY)
            try #require(descriptor >= 0)
            self.path = path
            self.table = table
        }

        func close() { Glibc.close(descriptor) }

        func put(_ part: some Collection<UInt8>, at place: Int) {
            let part = Array(part)
            #expect(pwrite(descriptor, part, part.count, off_t(place)) == part.count)
        }

        /// Whether nobody notices that the file is not what was written; fails the test where other data come out.
        func isSilent(_ what: @autoclosure () -> String) -> Bool {
            do throws(LogitError) {
                let reader = try ShardReader(path: path)
                // Row by row: an error of one must not hide another's data.
                var isWhole = reader.header == header
                var failure: LogitError?
                for row in 0..<reader.rowCount {
                    do throws(LogitError) {
                        let read = try reader.table(row..<row + 1)
                        let expected = table.row(row).map(\.bitPattern)
                        isWhole = isWhole && read.logits.map(\.bitPattern) == expected
                        isWhole = isWhole && read.image[0] == table.image[row] && read.label[0] == table.label[row]
                        isWhole = isWhole && read.attack?.status[0] == table.attack?.status[row]
                        guard let images, reader.imageFormat != nil else { continue }
                        let kept = try reader.images(row..<row + 1).bytes
                        isWhole = isWhole && kept == Array(images.image(row))
                    } catch { failure = failure ?? error }
                }
                #expect(isWhole, "\(what()): other data came out")
                if let failure { throw failure }
                try reader.verify()
                return true
            } catch {
                if !error.message.contains(path) { Issue.record("\(what()): \(error.message)") }
                return false
            }
        }
    }

    @Test("flipped whole or by one bit, it is an error and never data", arguments: encodings, Shape.allCases)
    func everyByte(encoding: ShardEncoding, shape: Shape) throws {
        let written = try Written(encoding, shape, at: folder.file("a.h5"))
        defer { written.close() }
        #expect(written.isSilent("unchanged"))
        let random = Philox(key: 7)
        var silent: [Int] = []
        for place in written.bytes.indices {
            for mask in [0xFF, UInt8(1) << UInt8(random.uniform(UInt64(place)) * 8)] {
                written.put([written.bytes[place] ^ mask], at: place)
                if written.isSilent("byte \(place) changed by \(mask)") { silent.append(place) }
            }
            written.put([written.bytes[place]], at: place)
        }
        #expect(
            silent.isEmpty,
            "\(silent.count) flips of \(written.bytes.count) bytes that nobody noticed: \(silent.prefix(9))")
        #expect(written.isSilent("put back"))
    }

    @Test(
        "a run of it lost, as a disk loses sectors, is an error and never data", arguments: encodings, Shape.allCases)
    func everySector(encoding: ShardEncoding, shape: Shape) throws {
        let written = try Written(encoding, shape, at: folder.file("a.h5"))
        defer { written.close() }
        var silent: [Int] = []
        for size in [16, 64, 512] {
            let sectors = stride(from: 0, to: written.bytes.count, by: size).map {
                written.bytes[$0..<min($0 + size, written.bytes.count)]
            }
            for (index, sector) in sectors.enumerated() {
                let others = [
                    [UInt8](repeating: 0, count: sector.count), [UInt8](repeating: 0xFF, count: sector.count),
                    Array(sectors[(index + 1) % sectors.count].prefix(sector.count)),
                ]
                for other in others where other != Array(sector) {
                    written.put(other, at: index * size)
                    if written.isSilent("\(size) bytes at \(index * size)") {
                        silent.append(index * size)
                    }
                }
                written.put(sector, at: index * size)
            }
        }
        #expect(silent.isEmpty, "\(silent.count) losses that nobody noticed: \(silent.prefix(9))")
    }
}
