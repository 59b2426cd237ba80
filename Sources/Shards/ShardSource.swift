import CHDF5
import Logits
import Platform

/// The HDF5 side of reading: every size and type is compared with the limits and the file before memory is asked for.
struct ShardSource: ~Copyable {
    let path: String
    let file: Handle
    let fileBytes: Int

    init(_ path: String) throws(LogitError) {
        lc_silence()
        let size = try Superblock.check(path) { ShardSource.damaged(path, $0) }
        let access = try Handle(
            H5Pcreate(lc_file_access()), H5Pclose, or: ShardSource.damaged(path, "HDF5 is out of memory"))
        // A committed shard never changes, and some file systems have no locks: HDF5's own are off.
        _ = H5Pset_file_locking(access.id, false, true)
        let opened = try Handle(
            H5Fopen(path, lc_read_only(), access.id), H5Fclose,
            or: ShardSource.damaged(path, "HDF5 cannot open it"))
        self.path = path
        fileBytes = size
        file = opened
    }

    func damaged(_ reason: String) -> LogitError { ShardSource.damaged(path, reason) }

    private static func damaged(_ path: String, _ reason: String) -> LogitError {
        LogitError(
            .corrupt,
            "shard \(path) is damaged or no shard (\(reason)); put back a copy, or run logit repair and ingest its rows again"
        )
    }

    // MARK: Datasets

    func columns(_ header: ShardHeader) throws(LogitError) -> (RowTable, [UInt64]) {
        let rows = header.key.rowCount
        var table = RowTable(classCount: header.classCount)
        table.ordinal = try column("ordinal", .int64, rows, Int64(0))
        table.image = try images(rows)
        table.label = try column("label", .int32, rows, Int32(0))
        table.prediction = try column("prediction", .int32, rows, Int32(0))
        if !header.key.variant.isClean {
            table.attack = AttackColumns(
                cleanPrediction: try column("clean_prediction", .int32, rows, Int32(0)),
                status: try column("status", .uint8, rows, UInt8(0)),
                iterations: try column("iterations", .int32, rows, Int32(0)),
                perturbationL2: try column("perturbation_l2", .float32, rows, Float(0)),
                perturbationLinf: try column("perturbation_linf", .float32, rows, Float(0)),
                cost: has("cost") ? try column("cost", .float32, rows, Float(0)) : nil,
                status8bit: has("status_8bit") ? try column("status_8bit", .uint8, rows, UInt8(0)) : nil)
        }
        guard try table.ordinal[0] == integer("first_ordinal") else {
            throw damaged("its first ordinal is not what it says")
        }
        guard table.label.allSatisfy({ $0 >= 0 && Int($0) < header.classCount }) else {
            throw damaged("a label lies outside the classes")
        }
        return (table, try column("checksum", .uint64, rows, UInt64(0)))
    }

    func has(_ name: String) -> Bool { H5Lexists(file.id, name, lc_default()) > 0 }

    func column<Value: BitwiseCopyable>(_ name: String, _ type: ElementType, _ rows: Int, _ zero: Value)
        throws(LogitError) -> [Value]
    {
        let dataset = try open(dataset: name)
        let stored = try Handle(H5Dget_type(dataset.id), H5Tclose, or: damaged("/\(name)"))
        guard H5Tequal(stored.id, type.stored) > 0 else { throw damaged("/\(name) has another type") }
        guard try extent(name, rank: 1) == [rows] else { throw damaged("/\(name) has not \(rows) entries") }
        _ = try contiguous(dataset.id, name, bytes: rows * MemoryLayout<Value>.stride)
        var values = [Value](repeating: zero, count: rows)
        guard H5Dread(dataset.id, type.native, 0, 0, lc_default(), &values) >= 0 else {
            throw damaged("/\(name) cannot be read")
        }
        return values
    }

    private func images(_ rows: Int) throws(LogitError) -> [String] {
        let dataset = try open(dataset: "image")
        let stored = try Handle(H5Dget_type(dataset.id), H5Tclose, or: damaged("/image"))
        let width = H5Tget_size(stored.id)
        guard H5Tget_class(stored.id) == H5T_STRING, H5Tis_variable_str(stored.id) == 0, width > 0,
            width <= ShardLimits.imageNameBytes, try extent("image", rank: 1) == [rows]
        else { throw damaged("/image holds no names") }
        _ = try contiguous(dataset.id, "image", bytes: rows * width)
        let memory = try stringType(width, damaged("/image"))
        var bytes = [UInt8](repeating: 0, count: rows * width)
        guard H5Dread(dataset.id, memory.id, 0, 0, lc_default(), &bytes) >= 0 else {
            throw damaged("/image cannot be read")
        }
        var names: [String] = []
        names.reserveCapacity(rows)
        for row in 0..<rows {
            let name = bytes[row * width..<(row + 1) * width].prefix { $0 != 0 }
            guard let text = String(validating: name, as: UTF8.self) else { throw damaged("an image id is no text") }
            names.append(text)
        }
        return names
    }

    /// The address of a dataset of the file itself: no link to another file, which a shard never has.
    func address(of name: String) throws(LogitError) -> UInt64 {
        var link = H5L_info_t()
        guard H5Lget_info(file.id, name, &link, lc_default()) >= 0, link.type == H5L_TYPE_HARD else {
            throw damaged("/\(name) is missing")
        }
        return UInt64(link.u.address)
    }

    func open(dataset name: String) throws(LogitError) -> Handle {
        _ = try address(of: name)
        return try Handle(H5Dopen2(file.id, name, lc_default()), H5Dclose, or: damaged("/\(name) cannot be read"))
    }

    func extent(_ name: String, rank: Int) throws(LogitError) -> [Int] {
        let dataset = try open(dataset: name)
        let space = try Handle(H5Dget_space(dataset.id), H5Sclose, or: damaged("/\(name)"))
        var dimensions = [hsize_t](repeating: 0, count: rank)
        guard H5Sget_simple_extent_ndims(space.id) == Int32(rank),
            H5Sget_simple_extent_dims(space.id, &dimensions, nil) >= 0,
            dimensions.allSatisfy({ $0 <= UInt64(ShardLimits.rows) })
        else { throw damaged("/\(name) has another shape") }
        return dimensions.map(Int.init)
    }

    /// Where a dataset that is one run of `bytes` bytes lies in the file: no chunks, no filters, no other file's bytes.
    func contiguous(_ dataset: hid_t, _ name: String, bytes: Int) throws(LogitError) -> Int {
        let properties = try Handle(H5Dget_create_plist(dataset), H5Pclose, or: damaged("/\(name)"))
        let offset = H5Dget_offset(dataset)
        guard H5Pget_layout(properties.id) == H5D_CONTIGUOUS, H5Pget_external_count(properties.id) == 0,
            bytes <= fileBytes, offset <= UInt64(fileBytes - bytes), H5Dget_storage_size(dataset) == UInt64(bytes)
        else { throw damaged("/\(name) does not lie in the file as one run of \(bytes) bytes") }
        return Int(offset)
    }
}
