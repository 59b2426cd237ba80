import CHDF5
import Glibc
import Logits
import Platform

/// Writes one shard file. Equal tables and headers give equal bytes: object times are off, the layout is fixed.
///
/// HDF5 lays the file out in memory and `ShardImage` writes it: a full disk is then one plain error of one plain write, where
/// HDF5 would keep the file half open and complain again at exit.
package enum ShardWriter {
    /// Creates `path`, which must not exist, writes and fsyncs it; on any failure the file is gone.
    ///
    /// - Parameters:
    ///   - table: `header.key.rowCount` rows of `header.classCount` logits, with attack columns unless the variant is clean;
    ///     logits rounded to the encoding's precision already.
    ///   - images: one a row, or nil to keep none.
    ///   - encoding: how `/logits` is stored.
    ///   - rounding: what rounding did, unless the precision is exact.
    /// - Throws: `badInput` where a value is beyond what the format holds, `io` where the disk refuses.
    package static func write(
        _ table: RowTable, images: KeptImages? = nil, header: ShardHeader, encoding: ShardEncoding,
        rounding: Rounding? = nil, to path: String
    ) throws(LogitError) {
        let checksums = RowChecksums(table, images: images, precision: encoding.precision)
        try layOut(
            table, images: images, header: header, encoding: encoding, rounding: rounding, checksums: checksums,
            for: path
        ).write(to: path)
    }

    /// The bytes that `write` gives the file `path`; nothing is written yet.
    package static func layOut(
        _ table: RowTable, images: KeptImages?, header: ShardHeader, encoding: ShardEncoding, rounding: Rounding?,
        checksums: RowChecksums, for path: String
    ) throws(LogitError) -> ShardImage {
        precondition(table.count > 0 && table.count == header.key.rowCount && table.classCount == header.classCount)
        precondition((table.attack == nil) == header.key.variant.isClean, "attack columns belong to attacks")
        precondition(images == nil || images?.count == table.count, "one image a row")
        let precision = encoding.precision
        precondition((rounding == nil) == precision.isExact, "lossy logits come with what rounding did")
        precondition(
            precision.isExact || table.logits.allSatisfy { precision.rounded($0).bitPattern == $0.bitPattern },
            "logits that are not rounded to their precision")
        lc_silence()
        let draft = ShardDraft(
            path: path, table: table, images: images, header: header, encoding: encoding, rounding: rounding,
            checksums: checksums)
        try draft.checkLimits()
        return try draft.image()
    }
}

/// A shard's file as it is laid out in memory.
struct ShardDraft {
    let path: String
    let table: RowTable
    let images: KeptImages?
    let header: ShardHeader
    let encoding: ShardEncoding
    let rounding: Rounding?
    let checksums: RowChecksums

    var codec: Codec { encoding.codec }
    /// Rows a chunk of `/logits` under `zstd`.
    var chunkRows: Int {
        min(encoding.chunkRows ?? ZstdChunks.chunkRows(classes: table.classCount), table.count)
    }

    var failure: LogitError {
        LogitError(.environment, "HDF5 cannot lay out the shard \(path) in memory; free some memory and run again")
    }

    func refusal(_ what: String) -> LogitError {
        LogitError(.badInput, "shard \(path) cannot hold \(what); make it smaller or shorter")
    }

    func checkLimits() throws(LogitError) {
        let (rows, classes) = (table.count, table.classCount)
        guard rows <= ShardLimits.rows else { throw refusal("\(rows) rows, more than \(ShardLimits.rows)") }
        guard classes >= 2, classes <= ShardLimits.classes, rows * classes * 4 <= ShardLimits.logitBytes else {
            throw refusal("\(rows) rows of \(classes) classes (2 to \(ShardLimits.classes) classes, at most 16 GiB)")
        }
        try encoding.check(classCount: classes)
        try checkImageLimits()
        precondition(table.logits.count == rows * classes && table.image.count == rows, "columns of other lengths")
        for name in table.image where name.utf8.count > ShardLimits.imageNameBytes || name.utf8.contains(0) {
            throw refusal(
                "the image id \(name.prefix(40))… (at most \(ShardLimits.imageNameBytes) bytes, none of them zero)")
        }
        for (name, value) in texts where value.utf8.count > ShardLimits.attributeBytes || value.utf8.contains(0) {
            throw refusal("its \(name) (at most \(ShardLimits.attributeBytes) bytes, none of them zero)")
        }
    }

    func image() throws(LogitError) -> ShardImage {
        let image = try ShardImage(table, images: images, or: failure)
        let access = try Handle(H5Pcreate(lc_file_access()), H5Pclose, or: failure)
        let creation = try Handle(H5Pcreate(lc_file_create()), H5Pclose, or: failure)
        let logitBytes = table.logits.count * encoding.precision.valueBytes
        guard H5Pset_libver_bounds(access.id, H5F_LIBVER_V110, H5F_LIBVER_V110) >= 0,
            image.use(for: access.id),
            // No blocks set aside for later objects: a shard has no padding but the page alignment below.
            H5Pset_meta_block_size(access.id, 0) >= 0, H5Pset_small_data_block_size(access.id, 0) >= 0,
            H5Pset_obj_track_times(creation.id, false) >= 0,
            // Attributes and links stay in the root's own header, which has a checksum over all of it.
            H5Pset_attr_phase_change(creation.id, 1000, 900) >= 0,
            H5Pset_link_phase_change(creation.id, 1000, 900) >= 0
        else { throw failure }
        // Raw logits begin on a page, and images that are larger. Chunks must not: each would be rounded up to whole pages.
        if codec == .raw {
            guard H5Pset_alignment(access.id, hsize_t(max(4096, logitBytes)), 4096) >= 0 else { throw failure }
        }
        let file = H5Fcreate(path, lc_truncate(), creation.id, access.id)
        guard file >= 0 else { throw failure }
        do {
            try writeAttributes(file)
            try writeLogits(file, image)
            try writeColumns(file)
            try writeImages(file, image)
        } catch {
            H5Fclose(file)
            throw error
        }
        guard H5Fclose(file) >= 0 else { throw failure }
        return image
    }

    // MARK: Datasets

    private func writeColumns(_ file: hid_t) throws(LogitError) {
        try column(file, "ordinal", .int64, table.ordinal)
        try images(file)
        try column(file, "label", .int32, table.label)
        try column(file, "prediction", .int32, table.prediction)
        try column(file, "checksum", .uint64, checksums.rows)
        guard let attack = table.attack else { return }
        try column(file, "clean_prediction", .int32, attack.cleanPrediction)
        try column(file, "status", .uint8, attack.status)
        try column(file, "iterations", .int32, attack.iterations)
        try column(file, "perturbation_l2", .float32, attack.perturbationL2)
        try column(file, "perturbation_linf", .float32, attack.perturbationLinf)
        if let cost = attack.cost { try column(file, "cost", .float32, cost) }
        try nameOutcomes(file, "status")
        guard let rounded = attack.status8bit else { return }
        try column(file, "status_8bit", .uint8, rounded)
        try nameOutcomes(file, "status_8bit")
    }

    /// Says in an attribute what the codes of a dataset mean.
    private func nameOutcomes(_ file: hid_t, _ name: String) throws(LogitError) {
        let status = try Handle(H5Dopen2(file, name, lc_default()), H5Dclose, or: failure)
        let names = Outcome.allCases.map { "\($0.rawValue) \($0)" }.joined(separator: ", ")
        try attribute(status.id, "values", names)
    }

    func column<Value: BitwiseCopyable>(_ file: hid_t, _ name: String, _ type: ElementType, _ values: [Value])
        throws(LogitError)
    {
        precondition(values.count == table.count, "column \(name) has another length")
        try store(file, name, type.stored, type.native) { H5Dwrite($0, $1, 0, 0, lc_default(), values) }
    }

    private func images(_ file: hid_t) throws(LogitError) {
        let longest = max(1, table.image.map(\.utf8.count).max() ?? 1)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(longest * table.count)
        for name in table.image {
            bytes.append(contentsOf: name.utf8)
            bytes.append(contentsOf: repeatElement(0, count: longest - name.utf8.count))
        }
        let type = try stringType(longest, failure)
        try store(file, "image", type.id, type.id) { H5Dwrite($0, $1, 0, 0, lc_default(), bytes) }
    }

    /// A contiguous dataset of one value a row.
    private func store(
        _ file: hid_t, _ name: String, _ stored: hid_t, _ native: hid_t, _ write: (hid_t, hid_t) -> herr_t
    ) throws(LogitError) {
        let properties = try Handle(H5Pcreate(lc_dataset_create()), H5Pclose, or: failure)
        guard H5Pset_obj_track_times(properties.id, false) >= 0 else { throw failure }
        let space = try Handle(H5Screate_simple(1, [hsize_t(table.count)], nil), H5Sclose, or: failure)
        let dataset = try Handle(
            H5Dcreate2(file, name, stored, space.id, lc_default(), properties.id, lc_default()), H5Dclose, or: failure)
        guard write(dataset.id, native) >= 0 else { throw failure }
    }
}
