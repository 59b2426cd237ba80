import CHDF5
import Logits
import Platform

/// Where a shard's logits are read from.
enum StoredLogits: Sendable {
    case mapped(MappedFile, offset: Int)
    case chunked(ChunkedLogits)
}

extension ShardSource {
    /// `/logits`: in the mapped file (raw), or by chunks (zstd).
    consuming func logits(_ header: ShardHeader, _ encoding: ShardEncoding) throws(LogitError) -> StoredLogits {
        let dataset = try open(dataset: "logits")
        let (rows, classes) = (header.key.rowCount, header.classCount)
        guard try extent("logits", rank: 2) == [rows, classes] else {
            throw damaged("/logits is not \(rows) × \(classes)")
        }
        let stored = try Handle(H5Dget_type(dataset.id), H5Tclose, or: damaged("/logits"))
        let valueBytes = encoding.precision.valueBytes
        let type: ElementType = encoding.precision == .float16 ? .float16 : .float32
        guard H5Tequal(stored.id, type.stored) > 0 else { throw damaged("/logits has another type than \(type)") }
        switch encoding.codec {
        case .raw:
            let bytes = rows * classes * valueBytes
            let offset = try contiguous(dataset.id, "logits", bytes: bytes)
            let map = try MappedFile(path)
            guard offset + bytes <= map.bytes.count else { throw damaged("it became shorter while it was opened") }
            return .mapped(map, offset: offset)
        case .zstd:
            let properties = try Handle(H5Dget_create_plist(dataset.id), H5Pclose, or: damaged("/logits"))
            var chunk: [hsize_t] = [0, 0]
            guard H5Pget_layout(properties.id) == H5D_CHUNKED, H5Pget_chunk(properties.id, 2, &chunk) == 2,
                chunk[1] == UInt64(classes), chunk[0] >= 1, chunk[0] <= UInt64(rows),
                chunk[0] * chunk[1] * UInt64(valueBytes) <= UInt64(ShardLimits.chunkBytes),
                encoding.chunkRows.map({ UInt64($0) == chunk[0] }) ?? true
            else { throw damaged("/logits has chunks of another shape") }
            return .chunked(
                ChunkedLogits(
                    file: file, dataset: dataset, chunkRows: Int(chunk[0]), rowBytes: classes * valueBytes,
                    valueBytes: valueBytes))
        }
    }
}
