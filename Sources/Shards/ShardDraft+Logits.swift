import CHDF5
import Logits
import Platform

extension ShardDraft {
    func writeLogits(_ file: hid_t, _ image: ShardImage) throws(LogitError) {
        let (rows, classes) = (table.count, table.classCount)
        let type: ElementType = encoding.precision == .float16 ? .float16 : .float32
        let properties = try Handle(H5Pcreate(lc_dataset_create()), H5Pclose, or: failure)
        guard H5Pset_obj_track_times(properties.id, false) >= 0,
            H5Pset_fill_time(properties.id, H5D_FILL_TIME_NEVER) >= 0
        else { throw failure }
        if codec == .zstd {
            let dimensions = [hsize_t(chunkRows), hsize_t(classes)]
            var level = UInt32(ZstdChunks.level)
            // Optional: the filter runs here, not in HDF5, so writing asks for no plugin.
            guard H5Pset_chunk(properties.id, 2, dimensions) >= 0, H5Pset_shuffle(properties.id) >= 0,
                H5Pset_filter(properties.id, ZstdChunks.filter, UInt32(H5Z_FLAG_OPTIONAL), 1, &level) >= 0
            else { throw failure }
        }
        let space = try Handle(H5Screate_simple(2, [hsize_t(rows), hsize_t(classes)], nil), H5Sclose, or: failure)
        let dataset = try Handle(
            H5Dcreate2(file, "logits", type.stored, space.id, lc_default(), properties.id, lc_default()), H5Dclose,
            or: failure)
        let isWritten = table.withStoredLogits(encoding.precision) { bytes in
            switch codec {
            case .raw where encoding.precision == .float16:
                H5Dwrite(dataset.id, type.native, 0, 0, lc_default(), bytes.baseAddress) >= 0
            case .raw:
                image.fill(from: .logits) {
                    H5Dwrite(dataset.id, type.native, 0, 0, lc_default(), bytes.baseAddress)
                }
            case .zstd: writeChunks(of: bytes, to: dataset.id)
            }
        }
        guard isWritten else { throw failure }
    }

    /// - Returns: whether HDF5 took them all.
    private func writeChunks(of bytes: UnsafeRawBufferPointer, to dataset: hid_t) -> Bool {
        let valueBytes = encoding.precision.valueBytes
        let chunkBytes = chunkRows * table.classCount * valueBytes
        // The caller's memory outlives the threads, which only read it.
        nonisolated(unsafe) let bytes = bytes
        let encoded = mapInParallel((bytes.count + chunkBytes - 1) / chunkBytes) { chunk in
            let start = chunk * chunkBytes
            let part = UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + chunkBytes, bytes.count)])
            if part.count == chunkBytes { return ZstdChunks.encode(part, valueBytes: valueBytes) }
            // The last chunk is whole too, its rows beyond the table zero.
            return (Array(part) + [UInt8](repeating: 0, count: chunkBytes - part.count)).withUnsafeBytes {
                ZstdChunks.encode($0, valueBytes: valueBytes)
            }
        }
        for (chunk, stored) in encoded.enumerated() {
            let place = [hsize_t(chunk * chunkRows), 0]
            guard H5Dwrite_chunk(dataset, lc_default(), 0, place, stored.count, stored) >= 0 else { return false }
        }
        return true
    }
}
