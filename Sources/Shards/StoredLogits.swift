import CHDF5
import CShardKernels
import Glibc
import Logits
import Platform

/// Where a shard's logits are read from: the mapped file, in either codec.
enum StoredLogits: Sendable {
    case contiguous(MappedFile, offset: Int)
    case chunked(StoredChunks, chunkRows: Int)
}

extension ShardSource {
    /// - Parameter file: of this shard.
    func logits(
        _ header: ShardHeader, _ encoding: ShardEncoding, in file: MappedFile
    ) throws(LogitError) -> StoredLogits {
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
            return .contiguous(file, offset: try contiguous(dataset.id, "logits", bytes: bytes))
        case .zstd:
            let properties = try Handle(H5Dget_create_plist(dataset.id), H5Pclose, or: damaged("/logits"))
            var chunk: [hsize_t] = [0, 0]
            guard H5Pget_layout(properties.id) == H5D_CHUNKED, H5Pget_chunk(properties.id, 2, &chunk) == 2,
                chunk[1] == UInt64(classes), chunk[0] >= 1, chunk[0] <= UInt64(rows),
                chunk[0] * chunk[1] * UInt64(valueBytes) <= UInt64(ShardLimits.chunkBytes),
                encoding.chunkRows.map({ UInt64($0) == chunk[0] }) ?? true
            else { throw damaged("/logits has chunks of another shape") }
            let chunkRows = Int(chunk[0])
            let chunks = try chunks(
                "logits", in: file, count: (rows + chunkRows - 1) / chunkRows,
                chunkBytes: chunkRows * classes * valueBytes, valueBytes: valueBytes)
            return .chunked(chunks, chunkRows: chunkRows)
        }
    }

    func chunks(
        _ name: String, in file: MappedFile, count: Int, chunkBytes: Int, valueBytes: Int
    ) throws(LogitError) -> StoredChunks {
        let header = try address(of: name)
        guard
            let chunks = StoredChunks(
                file, header: header, count: count, chunkBytes: chunkBytes, valueBytes: valueBytes)
        else { throw damaged("the index of the chunks of /\(name) is not whole") }
        return chunks
    }
}
