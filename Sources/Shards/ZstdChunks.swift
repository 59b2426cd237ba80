import CZstd
import Glibc

/// One chunk under the codec `zstd`: the bytes of the values shuffled (all first bytes, then all second …), then one zstd
/// frame that carries its content size and begins a new block with each of those planes. The lower bytes of a float32 are
/// noise: on their own they are stored as they are and copied back, and the tables of the upper ones fit these alone.
enum ZstdChunks {
    /// Bytes of logits a chunk holds, undone: a random read undoes a whole chunk. schema/shard-format.md has the rates and
    /// sizes that this and the level were chosen by.
    static let targetBytes = 16 << 10
    static let level: Int32 = 9
    /// HDF5's registered number for zstd.
    static let filter: Int32 = 32015

    /// Rows a chunk holds where nothing else is asked for: as many as fill it, at least one.
    static func chunkRows(classes: Int) -> Int { max(1, targetBytes / (4 * classes)) }

    /// The stored bytes of a chunk of values of `valueBytes` bytes.
    static func encode(_ bytes: UnsafeRawBufferPointer, valueBytes: Int) -> [UInt8] {
        let count = bytes.count / valueBytes
        let shuffled = [UInt8](unsafeUninitializedCapacity: bytes.count) { buffer, filled in
            for plane in 0..<valueBytes {
                for index in 0..<count { buffer[plane * count + index] = bytes[index * valueBytes + plane] }
            }
            filled = bytes.count
        }
        return shuffled.withUnsafeBytes { compress($0, planes: valueBytes) }
    }

    /// One frame of `planes` runs of equal length, each in blocks of its own.
    static func compress(_ bytes: UnsafeRawBufferPointer, planes: Int) -> [UInt8] {
        // Beside the bound a block's head a plane.
        let bound = ZSTD_compressBound(bytes.count) + 16 * planes
        return [UInt8](unsafeUninitializedCapacity: bound) { buffer, filled in
            let context = compression.context()
            var status = ZSTD_CCtx_reset(context, ZSTD_reset_session_only)
            status |= ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)
            status |= ZSTD_CCtx_setPledgedSrcSize(context, UInt64(bytes.count))
            precondition(status == 0, "zstd takes a level and a size")
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

    /// Undoes `encode`; false where the bytes are no frame of exactly that size.
    static func decode(
        _ stored: UnsafeRawBufferPointer, valueBytes: Int, into values: UnsafeMutableRawBufferPointer
    ) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: values.count, alignment: 16) { shuffled in
            guard decompress(stored, into: shuffled) else { return false }
            if valueBytes == 4 { unshuffle4(shuffled, values) } else { unshuffle2(shuffled, values) }
            return true
        }
    }

    private static func unshuffle4(_ planes: UnsafeMutableRawBufferPointer, _ values: UnsafeMutableRawBufferPointer) {
        let count = values.count / 4
        let p0 = UnsafeRawPointer(planes.baseAddress!).assumingMemoryBound(to: UInt8.self)
        let (p1, p2, p3) = (p0 + count, p0 + 2 * count, p0 + 3 * count)
        let words = values.bindMemory(to: UInt32.self)
        for index in 0..<count {
            words[index] =
                UInt32(p0[index]) | UInt32(p1[index]) << 8 | UInt32(p2[index]) << 16 | UInt32(p3[index]) << 24
        }
    }

    private static func unshuffle2(_ planes: UnsafeMutableRawBufferPointer, _ values: UnsafeMutableRawBufferPointer) {
        let count = values.count / 2
        let p0 = UnsafeRawPointer(planes.baseAddress!).assumingMemoryBound(to: UInt8.self)
        let p1 = p0 + count
        let words = values.bindMemory(to: UInt16.self)
        for index in 0..<count { words[index] = UInt16(p0[index]) | UInt16(p1[index]) << 8 }
    }

    /// Undoes `compress`; false where the bytes are no frame of exactly that size.
    static func decompress(_ stored: UnsafeRawBufferPointer, into bytes: UnsafeMutableRawBufferPointer) -> Bool {
        ZSTD_getFrameContentSize(stored.baseAddress, stored.count) == UInt64(bytes.count)
            && ZSTD_findFrameCompressedSize(stored.baseAddress, stored.count) == stored.count
            && ZSTD_decompressDCtx(
                decompression.context(), bytes.baseAddress, bytes.count, stored.baseAddress, stored.count)
                == bytes.count
    }

    private static let compression = ThreadContext(make: ZSTD_createCCtx) {
        ZSTD_freeCCtx($0.map { OpaquePointer($0) })
    }
    private static let decompression = ThreadContext(make: ZSTD_createDCtx) {
        ZSTD_freeDCtx($0.map { OpaquePointer($0) })
    }
}

/// A zstd context a thread: making one a chunk costs as much as decoding a small chunk.
private struct ThreadContext: Sendable {
    private let key: pthread_key_t
    private let make: @Sendable () -> OpaquePointer?

    init(
        make: @escaping @Sendable () -> OpaquePointer?, free: @escaping @convention(c) (UnsafeMutableRawPointer?) -> Void
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
