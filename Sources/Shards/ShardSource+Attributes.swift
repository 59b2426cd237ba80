import CHDF5
import Logits

extension ShardSource {
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

    /// How the shard says that its logits are stored. Shards of before there was a choice are exact and do not say so.
    func encoding() throws(LogitError) -> ShardEncoding {
        let name = try text("codec")
        guard let codec = Codec(rawValue: name) else { throw damaged("unknown codec \(name.prefix(40))") }
        var encoding = ShardEncoding(codec: codec)
        if H5Aexists(file.id, "precision") > 0 {
            let name = try text("precision")
            guard let precision = Precision(name) else { throw damaged("unknown precision \(name.prefix(40))") }
            encoding.precision = precision
        }
        if H5Aexists(file.id, "chunk_rows") > 0 { encoding.chunkRows = try count("chunk_rows") }
        return encoding
    }

    /// What rounding did, where the logits are rounded.
    func rounding(_ precision: Precision) throws(LogitError) -> Rounding? {
        guard !precision.isExact else { return nil }
        guard try real(.relativeBound) == precision.relativeBound, try real(.absoluteBound) == precision.absoluteBound
        else { throw damaged("its error bound is not that of \(precision)") }
        var rounding = Rounding()
        rounding.largestError = try real(.largestError)
        rounding.largestRelativeError = try real(.largestRelativeError)
        rounding.changedArgMax = try count(RoundingAttribute.changedArgMax.rawValue)
        rounding.newlyTied = try count(RoundingAttribute.newlyTied.rawValue)
        rounding.distinctMaximaBefore = try count(RoundingAttribute.distinctMaximaBefore.rawValue)
        rounding.distinctMaximaAfter = try count(RoundingAttribute.distinctMaximaAfter.rawValue)
        return rounding
    }

    /// A number that cannot be negative.
    private func count(_ name: String) throws(LogitError) -> Int {
        let value = try integer(name)
        guard value >= 0 else { throw damaged("attribute \(name) is \(value)") }
        return Int(value)
    }

    func integer(_ name: String) throws(LogitError) -> Int64 { try scalar(name, .int64, "64-bit integer", 0 as Int64) }

    private func real(_ name: RoundingAttribute) throws(LogitError) -> Double {
        try scalar(name.rawValue, .float64, "64-bit real number", 0.0)
    }

    private func scalar<Value: BitwiseCopyable>(
        _ name: String, _ wanted: ElementType, _ what: String, _ zero: Value
    ) throws(LogitError) -> Value {
        let attribute = try open(name)
        var value = zero
        let type = try Handle(H5Aget_type(attribute.id), H5Tclose, or: damaged("attribute \(name)"))
        let space = try Handle(H5Aget_space(attribute.id), H5Sclose, or: damaged("attribute \(name)"))
        guard H5Tequal(type.id, wanted.stored) > 0, H5Sget_simple_extent_npoints(space.id) == 1,
            H5Aread(attribute.id, wanted.native, &value) >= 0
        else { throw damaged("attribute \(name) is no \(what)") }
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
}
