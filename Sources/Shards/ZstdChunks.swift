import CZstd
import Glibc

/// One chunk under the codec `zstd`: the bytes of the values shuffled (all first bytes, then all second …), then one zstd
/// frame that carries its content size and begins a new block with each of those planes.
///
/// The lower bytes of a float32 are noise: on their own they are stored as they are. The highest ones hold sign and exponent,
/// whose frequencies are worth a Huffman table; strings of them repeat by chance alone, and zstd's levels from 1 to 22 all
/// lose by writing such matches down. schema/shard-format.md has the sizes and rates.
enum ZstdChunks {
    /// Bytes of logits a chunk holds, undone: a random read undoes a whole chunk.
    static let targetBytes = 16 << 10
    /// What the filter's one parameter says, and how kept images are compressed.
    static let level: Int32 = 9
    /// HDF5's registered number for zstd.
    static let filter: Int32 = 32015

    /// Rows a chunk holds where nothing else is asked for: as many as fill it, at least one.
    static func chunkRows(classes: Int) -> Int { max(1, targetBytes / (4 * classes)) }

    /// The stored bytes of a chunk of values of `valueBytes` bytes.
    static func encode(_ bytes: UnsafeRawBufferPointer, valueBytes: Int) -> [UInt8] {
        shuffled(bytes, valueBytes).withUnsafeBytes { compress($0, planes: valueBytes, by: entropyCoding) }
    }

    private static func shuffled(_ bytes: UnsafeRawBufferPointer, _ valueBytes: Int) -> [UInt8] {
        let count = bytes.count / valueBytes
        return [UInt8](unsafeUninitializedCapacity: bytes.count) { buffer, filled in
            for plane in 0..<valueBytes {
                for index in 0..<count { buffer[plane * count + index] = bytes[index * valueBytes + plane] }
            }
            filled = bytes.count
        }
    }

    /// One frame of an image: of its bytes as they are, or shuffled into planes.
    static func encodeImage(_ bytes: UnsafeRawBufferPointer, valueBytes: Int) -> [UInt8] {
        shuffled(bytes, valueBytes).withUnsafeBytes { compress($0, planes: valueBytes, by: matching) }
    }

    /// At most so many bytes are stored of a chunk of `count` bytes: zstd's own bound, and a block's head for each plane.
    static func bound(_ count: Int) -> Int { ZSTD_compressBound(count) + 64 }

    /// One frame of `planes` runs of equal length, each in blocks of its own.
    private static func compress(
        _ bytes: UnsafeRawBufferPointer, planes: Int, by compressor: ThreadContext
    ) -> [UInt8] {
        let bound = bound(bytes.count)
        return [UInt8](unsafeUninitializedCapacity: bound) { buffer, filled in
            let context = compressor.context()
            // Neither can fail: no frame is under way then.
            ZSTD_CCtx_reset(context, ZSTD_reset_session_only)
            ZSTD_CCtx_setPledgedSrcSize(context, UInt64(bytes.count))
            var output = ZSTD_outBuffer(dst: buffer.baseAddress, size: bound, pos: 0)
            let length = bytes.count / planes
            for plane in 0..<planes {
                var input = ZSTD_inBuffer(src: bytes.baseAddress! + plane * length, size: length, pos: 0)
                let left = ZSTD_compressStream2(
                    context, &output, &input, plane == planes - 1 ? ZSTD_e_end : ZSTD_e_flush)
                precondition(left == 0 && input.pos == length, "zstd cannot fail with a buffer of its own bound")
            }
            filled = output.pos
        }
    }

    /// Undoes `compress`; false where the bytes are no frame of exactly that size. The one bit of a frame that decoders pass over
    /// (bit 4 of its fifth byte, the descriptor) must be 0, so that every bit belongs to a check.
    static func decompress(_ stored: UnsafeRawBufferPointer, into bytes: UnsafeMutableRawBufferPointer) -> Bool {
        stored.count > 4 && stored[4] & 0x10 == 0
            && ZSTD_getFrameContentSize(stored.baseAddress, stored.count) == UInt64(bytes.count)
            && ZSTD_findFrameCompressedSize(stored.baseAddress, stored.count) == stored.count
            && ZSTD_decompressDCtx(
                decompression.context(), bytes.baseAddress, bytes.count, stored.baseAddress, stored.count)
                == bytes.count
    }

    /// Huffman tables without matches: the fast strategy, told to take steps that are longer than any block.
    private static let entropyCoding = ThreadContext {
        let context = ZSTD_createCCtx()
        let parameters = [
            (ZSTD_c_compressionLevel, 1), (ZSTD_c_strategy, Int32(ZSTD_fast.rawValue)), (ZSTD_c_minMatch, 7),
            (ZSTD_c_targetLength, ZSTD_cParam_getBounds(ZSTD_c_targetLength).upperBound), (lc_literal_compression(), 1),
        ]
        // A zstd that refuses one makes frames that are as good, only larger.
        for (parameter, value) in parameters { ZSTD_CCtx_setParameter(context, parameter, value) }
        return context
    } free: {
        ZSTD_freeCCtx($0.map { OpaquePointer($0) })
    }

    private static let matching = ThreadContext {
        let context = ZSTD_createCCtx()
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)
        return context
    } free: {
        ZSTD_freeCCtx($0.map { OpaquePointer($0) })
    }

    private static let decompression = ThreadContext {
        ZSTD_createDCtx()
    } free: {
        ZSTD_freeDCtx($0.map { OpaquePointer($0) })
    }
}

/// A zstd context a thread: making one a chunk costs as much as decoding a small chunk.
private struct ThreadContext: Sendable {
    private let key: pthread_key_t
    private let make: @Sendable () -> OpaquePointer?

    init(
        make: @escaping @Sendable () -> OpaquePointer?,
        free: @escaping @convention(c) (UnsafeMutableRawPointer?) -> Void
    ) {
        self.make = make
        var made = pthread_key_t()
        precondition(pthread_key_create(&made, free) == 0, "the process has no thread-specific key left")
        key = made
    }

    func context() -> OpaquePointer {
        if let kept = pthread_getspecific(key) { return OpaquePointer(kept) }
        guard let made = make() else { fatalError("there is no memory for a zstd context") }
        pthread_setspecific(key, UnsafeRawPointer(made))
        return made
    }
}
