import CHDF5
import Logits
import Platform

/// The HDF5 side of reading: every size and type is compared with the limits and the file before memory is asked for.
struct ShardSource: ~Copyable {
    private let path: String
    private let file: Handle
    private let fileBytes: Int

    init(_ path: String) throws(LogitError) {
        let size = try Files.size(path)
        let access = try Handle(
            H5Pcreate(lc_file_access()), H5Pclose, or: ShardSource.damaged(path, "HDF5 is out of memory"))
        _ = H5Pset_libver_bounds(access.id, H5F_LIBVER_V110, H5F_LIBVER_V110)
        let opened = try Handle(
            H5Fopen(path, lc_read_only(), access.id), H5Fclose,
            or: ShardSource.damaged(path, "HDF5 cannot open it"))
        self.path = path
        fileBytes = size
        file = opened
    }

    consuming func take() -> Handle { file }

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
        guard version >= 1, version <= ShardHeader.currentVersion else {
            throw LogitError(
                .environment,
                "shard \(path) has format version \(version), and this program reads 1 to \(ShardHeader.currentVersion); use the newer program"
            )
        }
        guard try text("kind") == "logit" else { throw damaged("it holds values of another kind than logits") }
        let classes = try integer("classes")
        guard classes >= 2, classes <= ShardLimits.classes else { throw damaged("\(classes) classes") }
        let rows = try extent("ordinal", rank: 1)[0]
        guard rows >= 1, rows <= ShardLimits.rows else { throw damaged("\(rows) rows") }
        let variant = Variant(
            name: try text("attack_name"), canonical: try text("attack"), parametersJSON: try text("attack_parameters"))
        let key = UnitKey(
            dataset: try text("dataset"), split: try text("split"), datasetDigest: try text("dataset_digest"),
            network: try text("network"), networkDigest: try text("network_digest"),
            preprocessing: try text("preprocessing"), variant: variant, view: Int(try integer("view")),
            seed: UInt64(bitPattern: try integer("seed")), listDigest: try text("list_digest"),
            firstPosition: Int(try integer("first_position")), rowCount: rows)
        return ShardHeader(
            key: key, classCount: Int(classes), blockRows: Int(try integer("block_rows")),
            contentDigest: try text("content_digest"), softwareJSON: try text("software"), created: try text("created"))
    }

    func codec() throws(LogitError) -> Codec {
        let name = try text("codec")
        guard let codec = Codec(rawValue: name) else { throw damaged("unknown codec \(name.prefix(40))") }
        return codec
    }

    private func integer(_ name: String) throws(LogitError) -> Int64 {
        let attribute = try open(name)
        var value: Int64 = 0
        let space = try Handle(H5Aget_space(attribute.id), H5Sclose, or: damaged("attribute \(name)"))
        guard H5Sget_simple_extent_npoints(space.id) == 1, H5Aread(attribute.id, lc_native_int64(), &value) >= 0 else {
            throw damaged("attribute \(name) is no number")
        }
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
                cost: H5Lexists(file.id, "cost", lc_default()) > 0 ? try column("cost", .float32, rows, Float(0)) : nil)
        }
        guard table.label.allSatisfy({ $0 >= 0 && Int($0) < header.classCount }) else {
            throw damaged("a label lies outside the classes")
        }
        return (table, try column("checksum", .uint64, rows, UInt64(0)))
    }

    private func column<Value: BitwiseCopyable>(_ name: String, _ type: ElementType, _ rows: Int, _ zero: Value)
        throws(LogitError) -> [Value]
    {
        let dataset = try open(dataset: name)
        guard try extent(name, rank: 1) == [rows] else { throw damaged("/\(name) has not \(rows) entries") }
        try refuse(beyondFile: rows * MemoryLayout<Value>.stride, name)
        let stored = try Handle(H5Dget_type(dataset.id), H5Tclose, or: damaged("/\(name)"))
        guard H5Tequal(stored.id, type.stored) > 0 else { throw damaged("/\(name) has another type") }
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
        try refuse(beyondFile: rows * width, "image")
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

    /// `/logits`, its offset in the file (raw) and its rows a chunk (zstd).
    func logits(_ header: ShardHeader, _ codec: Codec) throws(LogitError) -> LogitsDataset {
        let dataset = try open(dataset: "logits")
        let (rows, classes) = (header.key.rowCount, header.classCount)
        guard try extent("logits", rank: 2) == [rows, classes] else {
            throw damaged("/logits is not \(rows) × \(classes)")
        }
        let stored = try Handle(H5Dget_type(dataset.id), H5Tclose, or: damaged("/logits"))
        guard H5Tequal(stored.id, lc_file_float()) > 0 else { throw damaged("/logits has another type than float32") }
        let properties = try Handle(H5Dget_create_plist(dataset.id), H5Pclose, or: damaged("/logits"))
        let layout = H5Pget_layout(properties.id)
        switch codec {
        case .raw:
            try refuse(beyondFile: rows * classes * 4, "logits")
            let offset = H5Dget_offset(dataset.id)
            guard layout == H5D_CONTIGUOUS, offset != UInt64.max, offset % 4 == 0, offset < UInt64(fileBytes) else {
                throw damaged("/logits is not contiguous")
            }
            return LogitsDataset(handle: dataset, offset: Int(offset), chunkRows: 1)
        case .zstd:
            var chunk: [hsize_t] = [0, 0]
            guard layout == H5D_CHUNKED, H5Pget_chunk(properties.id, 2, &chunk) == 2, chunk[1] == UInt64(classes),
                chunk[0] >= 1, chunk[0] <= UInt64(rows), chunk[0] * chunk[1] <= UInt64(1 << 28)
            else { throw damaged("/logits has chunks of another shape") }
            return LogitsDataset(handle: dataset, offset: 0, chunkRows: Int(chunk[0]))
        }
    }

    private func open(dataset name: String) throws(LogitError) -> Handle {
        try Handle(
            H5Dopen2(file.id, name, lc_default()), H5Dclose, or: damaged("/\(name) is missing or cannot be read"))
    }

    private func extent(_ name: String, rank: Int) throws(LogitError) -> [Int] {
        let dataset = try open(dataset: name)
        let space = try Handle(H5Dget_space(dataset.id), H5Sclose, or: damaged("/\(name)"))
        var dimensions = [hsize_t](repeating: 0, count: rank)
        guard H5Sget_simple_extent_ndims(space.id) == Int32(rank),
            H5Sget_simple_extent_dims(space.id, &dimensions, nil) >= 0,
            dimensions.allSatisfy({ $0 <= UInt64(ShardLimits.rows) })
        else { throw damaged("/\(name) has another shape") }
        return dimensions.map(Int.init)
    }

    /// Uncompressed data cannot be longer than the file that holds it.
    private func refuse(beyondFile bytes: Int, _ name: String) throws(LogitError) {
        guard bytes <= fileBytes else { throw damaged("/\(name) claims \(bytes) bytes in a file of \(fileBytes)") }
    }
}

struct LogitsDataset: ~Copyable {
    private let handle: Handle
    let offset: Int
    let chunkRows: Int

    init(handle: consuming Handle, offset: Int, chunkRows: Int) {
        self.handle = handle
        self.offset = offset
        self.chunkRows = chunkRows
    }

    consuming func take() -> Handle { handle }
}
