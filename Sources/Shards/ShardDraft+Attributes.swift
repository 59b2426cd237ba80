import CHDF5
import Logits

/// Attributes of a shard whose logits are rounded.
enum RoundingAttribute: String {
    case relativeBound = "error_bound"
    case absoluteBound = "error_bound_absolute"
    case largestError = "largest_error"
    case largestRelativeError = "largest_relative_error"
    case changedArgMax = "changed_arg_max"
    case newlyTied = "newly_tied"
    case distinctMaximaBefore = "distinct_maxima_before"
    case distinctMaximaAfter = "distinct_maxima_after"
}

extension ShardDraft {
    var texts: [(String, String)] {
        let key = header.key
        return [
            ("kind", "logit"), ("dataset", key.dataset), ("split", key.split), ("dataset_digest", key.datasetDigest),
            ("network", key.network), ("network_digest", key.networkDigest), ("preprocessing", key.preprocessing),
            ("attack", key.variant.canonical), ("attack_name", key.variant.name),
            ("attack_parameters", key.variant.parametersJSON), ("list_digest", key.listDigest),
            ("content_digest", header.contentDigest), ("codec", codec.rawValue),
            ("precision", encoding.precision.description),
            ("software", header.softwareJSON), ("created", header.created),
        ]
    }

    func writeAttributes(_ file: hid_t) throws(LogitError) {
        let key = header.key
        var integers: [(String, Int64)] = [
            ("format_version", Int64(ShardHeader.currentVersion)), ("view", Int64(key.view)),
            ("first_ordinal", table.ordinal[0]), ("block_rows", Int64(header.blockRows)),
            ("classes", Int64(header.classCount)), ("first_position", Int64(key.firstPosition)),
            ("seed", Int64(bitPattern: key.seed)),
        ]
        if codec == .zstd { integers.append(("chunk_rows", Int64(chunkRows))) }
        for (name, value) in integers { try attribute(file, name, .int64, value) }
        for (name, value) in texts { try attribute(file, name, value) }
        if let rounding { try writeRounding(rounding, file) }
    }

    /// What is promised of rounded logits, and what was measured on these.
    private func writeRounding(_ rounding: Rounding, _ file: hid_t) throws(LogitError) {
        let reals: [(RoundingAttribute, Double)] = [
            (.relativeBound, encoding.precision.relativeBound), (.absoluteBound, encoding.precision.absoluteBound),
            (.largestError, rounding.largestError), (.largestRelativeError, rounding.largestRelativeError),
        ]
        for (name, value) in reals { try attribute(file, name.rawValue, .float64, value) }
        let counts: [(RoundingAttribute, Int)] = [
            (.changedArgMax, rounding.changedArgMax), (.newlyTied, rounding.newlyTied),
            (.distinctMaximaBefore, rounding.distinctMaximaBefore),
            (.distinctMaximaAfter, rounding.distinctMaximaAfter),
        ]
        for (name, value) in counts { try attribute(file, name.rawValue, .int64, Int64(value)) }
    }

    private func attribute<Value: BitwiseCopyable>(
        _ object: hid_t, _ name: String, _ type: ElementType, _ value: Value
    ) throws(LogitError) {
        let space = try Handle(H5Screate(H5S_SCALAR), H5Sclose, or: failure)
        let made = try Handle(
            H5Acreate2(object, name, type.stored, space.id, lc_default(), lc_default()), H5Aclose, or: failure)
        var stored = value
        guard H5Awrite(made.id, type.native, &stored) >= 0 else { throw failure }
    }

    func attribute(_ object: hid_t, _ name: String, _ value: String) throws(LogitError) {
        let bytes = Array(value.utf8)
        let type = try stringType(bytes.count, failure)
        let space = try Handle(H5Screate(H5S_SCALAR), H5Sclose, or: failure)
        let made = try Handle(
            H5Acreate2(object, name, type.id, space.id, lc_default(), lc_default()), H5Aclose, or: failure)
        guard H5Awrite(made.id, type.id, bytes.isEmpty ? [0] : bytes) >= 0 else { throw failure }
    }
}
