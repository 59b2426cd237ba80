import CHDF5
import Logits

extension ShardDraft {
    func checkImageLimits() throws(LogitError) {
        guard let format = images?.format else { return }
        let sides = 1...ShardLimits.imageSide
        guard sides.contains(format.height), sides.contains(format.width) else {
            throw refusal("images of \(format.width)×\(format.height) (sides of 1 to \(ShardLimits.imageSide))")
        }
    }

    /// `/perturbed_checksum` and `/perturbed`, where images are kept.
    func writeImages(_ file: hid_t, _ image: ShardImage) throws(LogitError) {
        guard let images, let sums = checksums.images else { return }
        try column(file, "perturbed_checksum", .uint64, sums)
        let format = images.format
        let dimensions = [images.count, 3, format.height, format.width].map { hsize_t($0) }
        let properties = try Handle(H5Pcreate(lc_dataset_create()), H5Pclose, or: failure)
        guard H5Pset_obj_track_times(properties.id, false) >= 0,
            H5Pset_fill_time(properties.id, H5D_FILL_TIME_NEVER) >= 0
        else { throw failure }
        if codec == .zstd { try setChunks(properties.id, [1] + dimensions.dropFirst(), format.precision) }
        let type: ElementType = format.precision == .float ? .float32 : .uint8
        let space = try Handle(H5Screate_simple(4, dimensions, nil), H5Sclose, or: failure)
        let dataset = try Handle(
            H5Dcreate2(file, "perturbed", type.stored, space.id, lc_default(), properties.id, lc_default()), H5Dclose,
            or: failure)
        switch codec {
        case .raw:
            let isWritten = image.fill(from: .images) {
                H5Dwrite(dataset.id, type.native, 0, 0, lc_default(), images.bytes)
            }
            guard isWritten else { throw failure }
        case .zstd:
            for row in 0..<images.count {
                let stored = images.image(row).withUnsafeBytes {
                    ZstdChunks.encodeImage($0, valueBytes: format.precision.valueBytes)
                }
                let start = [hsize_t(row), 0, 0, 0]
                guard H5Dwrite_chunk(dataset.id, lc_default(), 0, start, stored.count, stored) >= 0 else {
                    throw failure
                }
            }
        }
    }

    /// One image a chunk: floats byte-shuffled, both under zstd. The filter is optional, as for the logits.
    private func setChunks(_ properties: hid_t, _ chunk: [hsize_t], _ precision: ImagePrecision) throws(LogitError) {
        var level = UInt32(ZstdChunks.level)
        guard H5Pset_chunk(properties, 4, chunk) >= 0, precision == .eightBit || H5Pset_shuffle(properties) >= 0,
            H5Pset_filter(properties, ZstdChunks.filter, UInt32(H5Z_FLAG_OPTIONAL), 1, &level) >= 0
        else { throw failure }
    }
}
