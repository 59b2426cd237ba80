import CHDF5
import CZstd
import Glibc
import Logits

/// `/perturbed` of a shard and the checksums of its images; images are fetched one by one when they are asked for.
struct StoredImages: Sendable {
    private enum Place: Sendable {
        /// In the file that the logits are mapped from.
        case mapped(offset: Int)
        case chunked(ImageChunks)
    }

    let format: ImageFormat
    let checksums: [UInt64]
    private let place: Place

    fileprivate init(format: ImageFormat, checksums: [UInt64], offset: Int) {
        self.format = format
        self.checksums = checksums
        place = .mapped(offset: offset)
    }

    fileprivate init(format: ImageFormat, checksums: [UInt64], chunks: ImageChunks) {
        self.format = format
        self.checksums = checksums
        place = .chunked(chunks)
    }

    /// Copies one image as stored, unchecked.
    /// - Parameters:
    ///   - logits: of the same shard.
    ///   - output: room for `format.byteCount` bytes.
    /// - Returns: false where its chunk is missing or is not what it should be.
    func copy(_ row: Int, from logits: StoredLogits, into output: UnsafeMutableRawBufferPointer) -> Bool {
        switch place {
        case .mapped(let offset):
            guard case .mapped(let map, _) = logits, let base = map.bytes.baseAddress,
                offset + (row + 1) * format.byteCount <= map.bytes.count
            else { return false }
            output.copyMemory(from: .init(start: base + offset + row * format.byteCount, count: format.byteCount))
            return true
        case .chunked(let chunks): return chunks.read(row, format.precision, into: output)
        }
    }
}

/// One chunk an image; fetched by HDF5, under its lock, and undone outside it. The dataset keeps its file open.
private final class ImageChunks: Sendable {
    private let dataset: Handle

    init(_ dataset: consuming Handle) { self.dataset = dataset }

    func read(_ row: Int, _ precision: ImagePrecision, into output: UnsafeMutableRawBufferPointer) -> Bool {
        lc_silence()
        var size: hsize_t = 0
        let start = [hsize_t(row), 0, 0, 0]
        guard H5Dget_chunk_storage_size(dataset.id, start, &size) >= 0, size > 0,
            size <= UInt64(ZSTD_compressBound(output.count) + 64)
        else { return false }
        return withUnsafeTemporaryAllocation(byteCount: Int(size), alignment: 16) { stored in
            var mask: UInt32 = 0
            guard H5Dread_chunk(dataset.id, lc_default(), start, &mask, stored.baseAddress) >= 0, mask == 0 else {
                return false
            }
            let bytes = UnsafeRawBufferPointer(stored)
            switch precision {
            case .eightBit: return ZstdChunks.decompress(bytes, into: output)
            case .float: return ZstdChunks.decode(bytes, valueBytes: 4, into: output)
            }
        }
    }
}

extension ShardSource {
    /// `/perturbed` and `/perturbed_checksum`: both or neither.
    func images(_ header: ShardHeader, _ codec: Codec) throws(LogitError) -> StoredImages? {
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
            return StoredImages(format: format, checksums: checksums, offset: offset)
        case .zstd:
            let properties = try Handle(H5Dget_create_plist(dataset.id), H5Pclose, or: damaged("/perturbed"))
            var chunk: [hsize_t] = [0, 0, 0, 0]
            guard H5Pget_layout(properties.id) == H5D_CHUNKED, H5Pget_chunk(properties.id, 4, &chunk) == 4,
                chunk == [1, 3, hsize_t(format.height), hsize_t(format.width)]
            else { throw damaged("/perturbed has chunks of another shape") }
            return StoredImages(format: format, checksums: checksums, chunks: ImageChunks(dataset))
        }
    }
}
