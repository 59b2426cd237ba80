import CHDF5
import Logits
import Platform

/// `/perturbed` of a shard and the checksums of its images; images are fetched one by one when they are asked for.
struct StoredImages: Sendable {
    fileprivate enum Place: Sendable {
        case contiguous(MappedFile, offset: Int)
        /// One chunk an image.
        case chunked(StoredChunks)
    }

    let format: ImageFormat
    let checksums: [UInt64]
    fileprivate let place: Place

    /// Copies one image as stored, unchecked.
    /// - Parameters:
    ///   - output: room for `format.byteCount` bytes.
    ///   - scratch: as much again.
    /// - Returns: false where its chunk is not what it should be.
    func copy(
        _ row: Int, into output: UnsafeMutableRawBufferPointer, scratch: UnsafeMutableRawBufferPointer
    ) -> Bool {
        switch place {
        case .contiguous(let file, let offset):
            let start = offset + row * format.byteCount
            output.copyMemory(
                from: UnsafeRawBufferPointer(rebasing: file.bytes[start..<start + format.byteCount]))
            return true
        case .chunked(let chunks): return chunks.read(row, from: 0, into: output, scratch: scratch)
        }
    }
}

extension ShardSource {
    /// `/perturbed` and `/perturbed_checksum`: both or neither.
    func images(
        _ header: ShardHeader, _ codec: Codec, in file: MappedFile
    ) throws(LogitError) -> StoredImages? {
        guard has("perturbed") || has("perturbed_checksum") else { return nil }
        let rows = header.key.rowCount
        let dataset = try open(dataset: "perturbed")
        let extent = try extent("perturbed", rank: 4)
        guard extent[0] == rows, extent[1] == 3, (1...ShardLimits.imageSide).contains(extent[2]),
            (1...ShardLimits.imageSide).contains(extent[3])
        else { throw damaged("/perturbed is not \(rows) images of 3 planes") }
        let stored = try Handle(H5Dget_type(dataset.id), H5Tclose, or: damaged("/perturbed"))
        let precision: ImagePrecision
        if H5Tequal(stored.id, lc_file_uint8()) > 0 {
            precision = .eightBit
        } else if H5Tequal(stored.id, lc_file_float()) > 0 {
            precision = .float
        } else {
            throw damaged("/perturbed has another type than uint8 or float32")
        }
        let format = ImageFormat(precision: precision, height: extent[2], width: extent[3])
        let checksums = try column("perturbed_checksum", .uint64, rows, UInt64(0))
        switch codec {
        case .raw:
            let offset = try contiguous(dataset.id, "perturbed", bytes: rows * format.byteCount)
            return StoredImages(
                format: format, checksums: checksums, place: .contiguous(file, offset: offset))
        case .zstd:
            let properties = try Handle(H5Dget_create_plist(dataset.id), H5Pclose, or: damaged("/perturbed"))
            var chunk: [hsize_t] = [0, 0, 0, 0]
            guard H5Pget_layout(properties.id) == H5D_CHUNKED, H5Pget_chunk(properties.id, 4, &chunk) == 4,
                chunk == [1, 3, hsize_t(format.height), hsize_t(format.width)]
            else { throw damaged("/perturbed has chunks of another shape") }
            let chunks = try chunks(
                "perturbed", in: file, count: rows, chunkBytes: format.byteCount, valueBytes: precision.valueBytes)
            return StoredImages(format: format, checksums: checksums, place: .chunked(chunks))
        }
    }
}
