import CHDF5
import Logits
import Platform

/// The HDF5 side of reading: every size and type is compared with the limits and the file before memory is asked for.
struct ShardSource: ~Copyable {
    let path: String
    let file: Handle
    private let fileBytes: Int

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

    // MARK: Attributes

    func header() throws(LogitError) -> ShardHeader {
        let version = try integer("format_version")
        guard version >= 1 else { throw damaged("format version \(version)") }
        guard version <= ShardHeader.currentVersion else {
            throw LogitError(
                .environment,
                "shard \(path) has format version \(version), and this program reads 1 to \(ShardHeader.currentVersion); use the newer program"
            )
        }
        guard try text("kind") == "logit" else { throw damaged("it holds values of another kind than logits") }
        let classes = try integer("classes")
        guard classes >= 2, classes <= ShardLimits.classes else { throw damaged("\(classes) classes") }
        let rows = try extent("ordinal", rank: 1)[0]
        guard rows >= 1, rows <= ShardLimits.rows, rows * Int(classes) * 4 <= ShardLimits.logitBytes else {
            throw damaged("\(rows) rows of \(classes) classes")
        }
        let variant = Variant(
            name: try text("attack_name"), canonical: try text("attack"), parametersJSON: try text("attack_parameters"))
        let key = UnitKey(
            dataset: try text("dataset"), split: try text("split"), datasetDigest: try text("dataset_digest"),
            network: try text("network"), networkDigest: try text("network_digest"),
            preprocessing: try text("preprocessing"), variant: variant, view: try count("view"),
            seed: UInt64(bitPattern: try integer("seed")), listDigest: try text("list_digest"),
            firstPosition: try count("first_position"), rowCount: rows)
        return ShardHeader(
            key: key, classCount: Int(classes), blockRows: try count("block_rows"),
            contentDigest: try text("content_digest"), softwareJSON: try text("software"), created: try text("created"))
    }

    func codec() throws(LogitError) -> Codec {
        let name = try text("codec")
        guard let codec = Codec(rawValue: name) else { throw damaged("unknown codec \(name.prefix(40))") }
        return codec
    }

    /// A number that cannot be negative.
    private func count(_ name: String) throws(LogitError) -> Int {
        let value = try integer(name)
        guard value >= 0 else { throw damaged("attribute \(name) is \(value)") }
        return Int(value)
    }

    private func integer(_ name: String) throws(LogitError) -> Int64 {
        let attribute = try open(name)
        var value: Int64 = 0
        let type = try Handle(H5Aget_type(attribute.id), H5Tclose, or: damaged("attribute \(name)"))
        let space = try Handle(H5Aget_space(attribute.id), H5Sclose, or: damaged("attribute \(name)"))
        guard H5Tequal(type.id, lc_file_int64()) > 0, H5Sget_simple_extent_npoints(space.id) == 1,
            H5Aread(attribute.id, lc_native_int64(), &value) >= 0
        else { throw damaged("attribute \(name) is no 64-bit integer") }
        return value
    }

    private func text(_ name: String) throws(LogitError) -> String {
        let attribute = try open(name)
        let type = try Handle(H5Aget_type(attribute.id), H5Tclose, or: damaged("attribute \(name)"))
        let space = try Handle(H5Aget_space(attribute.id), H5Sclose, or: damaged("attribute \(name)"))
        let size = H5Tget_size(type.id)
        guard H5Tget_class(type.id) == H5T_STRING, H5Tis_variable_str(type.id) == 0, size > 0,
            size <= ShardLimits.attributeBytes, H5Sget_simple_extent_npoints(space.id) == 1
        else { throw damaged("attribute \(name) is no text") }
        let memory = try stringType(size, damaged("attribute \(name)"))
        var bytes = [UInt8](repeating: 0, count: size)
        guard H5Aread(attribute.id, memory.id, &bytes) >= 0,
            let value = String(validating: bytes.prefix { $0 != 0 }, as: UTF8.self)
        else { throw damaged("attribute \(name) is no text") }
        return value
    }

    private func open(_ name: String) throws(LogitError) -> Handle {
        guard H5Aexists(file.id, name) > 0 else { throw damaged("attribute \(name) is missing") }
        return try Handle(
            H5Aopen(file.id, name, lc_default()), H5Aclose, or: damaged("attribute \(name) cannot be read"))
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

    /// `/logits`: in the mapped file (raw), or by chunks (zstd).
    consuming func logits(_ header: ShardHeader, _ codec: Codec) throws(LogitError) -> StoredLogits {
        let dataset = try open(dataset: "logits")
        let (rows, classes) = (header.key.rowCount, header.classCount)
        guard try extent("logits", rank: 2) == [rows, classes] else {
            throw damaged("/logits is not \(rows) × \(classes)")
        }
        let stored = try Handle(H5Dget_type(dataset.id), H5Tclose, or: damaged("/logits"))
        guard H5Tequal(stored.id, lc_file_float()) > 0 else { throw damaged("/logits has another type than float32") }
        switch codec {
        case .raw:
            let bytes = rows * classes * 4
            let offset = try contiguous(dataset.id, "logits", bytes: bytes)
            let map = try MappedFile(path)
            guard offset + bytes <= map.bytes.count else { throw damaged("it became shorter while it was opened") }
            return .mapped(map, offset: offset)
        case .zstd:
            let properties = try Handle(H5Dget_create_plist(dataset.id), H5Pclose, or: damaged("/logits"))
            var chunk: [hsize_t] = [0, 0]
            guard H5Pget_layout(properties.id) == H5D_CHUNKED, H5Pget_chunk(properties.id, 2, &chunk) == 2,
                chunk[1] == UInt64(classes), chunk[0] >= 1, chunk[0] <= UInt64(rows),
                chunk[0] * chunk[1] * 4 <= UInt64(ShardLimits.chunkBytes)
            else { throw damaged("/logits has chunks of another shape") }
            let chunkRows = Int(chunk[0])
            return .chunked(ChunkedLogits(file: file, dataset: dataset, chunkRows: chunkRows, classCount: classes))
        }
    }

    /// A dataset of the file itself: no link to another file, which a shard never has.
    func open(dataset name: String) throws(LogitError) -> Handle {
        var link = H5L_info_t()
        guard H5Lget_info(file.id, name, &link, lc_default()) >= 0, link.type == H5L_TYPE_HARD else {
            throw damaged("/\(name) is missing")
        }
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

/// Where a shard's logits are read from.
enum StoredLogits: Sendable {
    case mapped(MappedFile, offset: Int)
    case chunked(ChunkedLogits)
}
