import CHDF5
import Logits

/// An HDF5 identifier, closed when it goes out of scope. The library takes one lock around each call, so threads may share
/// it.
struct Handle: ~Copyable, Sendable {
    let id: hid_t
    private let close: @convention(c) @Sendable (hid_t) -> herr_t

    /// - Parameter error: what a negative id means.
    init(
        _ id: hid_t, _ close: @escaping @convention(c) @Sendable (hid_t) -> herr_t,
        or error: @autoclosure () -> LogitError
    )
        throws(LogitError)
    {
        guard id >= 0 else { throw error() }
        self.id = id
        self.close = close
    }

    deinit { _ = close(id) }
}

/// The element types of a shard, in memory and in the file (little-endian).
enum ElementType {
    case float16, float32, float64, uint8, int32, int64, uint64

    var native: hid_t {
        switch self {
        case .float16: Self.half
        case .float32: lc_native_float()
        case .float64: lc_native_double()
        case .uint8: lc_native_uint8()
        case .int32: lc_native_int32()
        case .int64: lc_native_int64()
        case .uint64: lc_native_uint64()
        }
    }

    var stored: hid_t {
        switch self {
        case .float16: Self.half
        case .float32: lc_file_float()
        case .float64: lc_file_double()
        case .uint8: lc_file_uint8()
        case .int32: lc_file_int32()
        case .int64: lc_file_int64()
        case .uint64: lc_file_uint64()
        }
    }

    /// IEEE half, little-endian, which HDF5 1.10 has no name for; kept for the life of the process.
    private static let half: hid_t = {
        let type = H5Tcopy(lc_file_float())
        // Sign at bit 15, 5 bits of exponent from 10 on, 10 of mantissa.
        let made =
            type >= 0 && H5Tset_fields(type, 15, 10, 5, 0, 10) >= 0 && H5Tset_size(type, 2) >= 0
            && H5Tset_ebias(type, 15) >= 0
        precondition(made, "HDF5 is out of memory")
        return type
    }()
}

/// A fixed-length, null-padded UTF-8 string type of `byteCount` bytes.
func stringType(_ byteCount: Int, _ error: @autoclosure () -> LogitError) throws(LogitError) -> Handle {
    let type = try Handle(H5Tcopy(lc_c_string()), H5Tclose, or: error())
    guard H5Tset_size(type.id, max(1, byteCount)) >= 0, H5Tset_cset(type.id, H5T_CSET_UTF8) >= 0,
        H5Tset_strpad(type.id, H5T_STR_NULLPAD) >= 0
    else { throw error() }
    return type
}
