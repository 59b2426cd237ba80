import CH5Zstd
import Foundation
import Logits
import Shards
import TestSupport

extension FuzzTarget {
    static let shards = [
        FuzzTarget("shard", seeds: { try shardSeeds() }) { bytes in try read(bytes) },
        // With HDF5's checksums put right, so that damage gets past them.
        FuzzTarget("sealed-shard", seeds: { try shardSeeds() }) { bytes in
            var sealed = bytes
            ShardSeal.renew(&sealed)
            try read(sealed)
        },
        FuzzTarget("plugin", seeds: { [[0x28, 0xB5, 0x2F, 0xFD, 0x20, 5, 0x29, 0, 0, 1, 2, 3, 4, 5]] }) { bytes in
            let filter = H5PLget_plugin_info()!.assumingMemoryBound(to: filter_class.self).pointee.filter!
            var buffer = malloc(max(1, bytes.count))
            buffer!.copyMemory(from: bytes, byteCount: bytes.count)
            defer { free(buffer) }
            var room = bytes.count
            let count = filter(UInt32(FLAG_REVERSE), 0, nil, bytes.count, &room, &buffer)
            precondition(count <= room)
        },
    ]

    private static func read(_ bytes: [UInt8]) throws {
        try withFile(bytes, "shard.h5") { path in
            let reader = try ShardReader(path: path)
            try reader.verify()
            let table = try reader.table(0..<reader.rowCount)
            try reader.visitContent(table) { _ in }
        }
    }

    private static func shardSeeds() throws -> [[UInt8]] {
        let folder = TemporaryFolder()
        let path = folder.file("a.h5")
        var seeds: [[UInt8]] = []
        let encodings = Codec.allCases.flatMap { codec in
            [Precision.float32, .float16].map { ShardEncoding(codec: codec, precision: $0) }
        }
        for encoding in encodings {
            for (attacked, precision) in [(false, nil), (true, nil), (true, .eightBit)] as [(Bool, ImagePrecision?)] {
                let (table, rounding) = try exampleTable(
                    rows: 3, classes: 5, attacked: attacked, cost: attacked, status8bit: attacked
                ).rounded(to: encoding.precision)
                try ShardWriter.write(
                    table, images: precision.map { exampleImages(rows: 3, $0) },
                    header: exampleHeader(table, variant: attacked ? examplePGD : .clean), encoding: encoding,
                    rounding: rounding, to: path)
                seeds.append(try contents(path))
                try FileManager.default.removeItem(atPath: path)
            }
        }
        return seeds
    }
}
