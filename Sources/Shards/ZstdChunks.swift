import CZstd
import Glibc

/// One chunk under the codec `zstd`: the bytes of floats shuffled (all first bytes, then all second …), then one zstd frame
/// that carries its content size.
enum ZstdChunks {
    /// Bytes of logits a chunk holds, undone: a random read undoes a whole chunk. schema/shard-format.md has the rates and
    /// sizes that this and the level were chosen by.
    static let targetBytes = 16 << 10
    static let level: Int32 = 9
    /// HDF5's registered number for zstd.
    static let filter: Int32 = 32015

    /// Rows a chunk of a table of `rows` rows holds: as many as fill it, at least one.
    static func chunkRows(rows: Int, classes: Int) -> Int { min(max(1, targetBytes / (4 * classes)), rows) }

    /// The stored bytes of a chunk of floats.
    static func encode(_ values: UnsafeBufferPointer<Float>) -> [UInt8] {
        let bytes = UnsafeRawBufferPointer(values)
        let count = values.count
        let shuffled = [UInt8](unsafeUninitializedCapacity: bytes.count) { buffer, filled in
            for plane in 0..<4 {
                for index in 0..<count { buffer[plane * count + index] = bytes[index * 4 + plane] }
            }
            filled = bytes.count
        }
        return shuffled.withUnsafeBytes(compress)
    }

    /// One frame of bytes as they are.
    static func compress(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: ZSTD_compressBound(bytes.count)) { buffer, filled in
            filled = ZSTD_compress(buffer.baseAddress, buffer.count, bytes.baseAddress, bytes.count, level)
            precondition(ZSTD_isError(filled) == 0, "zstd cannot fail with a buffer of its own bound")
        }
    }

    /// Undoes `encode` into `values`; false where the bytes are no frame of exactly that size.
    static func decode(_ stored: UnsafeRawBufferPointer, into values: UnsafeMutableBufferPointer<Float>) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: values.count * 4, alignment: 16) { shuffled in
            guard decompress(stored, into: shuffled) else { return false }
            let count = values.count
            let p0 = UnsafeRawPointer(shuffled.baseAddress!).assumingMemoryBound(to: UInt8.self)
            let (p1, p2, p3) = (p0 + count, p0 + 2 * count, p0 + 3 * count)
            for index in 0..<count {
                let word =
                    UInt32(p0[index]) | UInt32(p1[index]) << 8 | UInt32(p2[index]) << 16 | UInt32(p3[index]) << 24
                values[index] = Float(bitPattern: word)
            }
            return true
        }
    }

    /// Undoes `compress`; false where the bytes are no frame of exactly that size.
    static func decompress(_ stored: UnsafeRawBufferPointer, into bytes: UnsafeMutableRawBufferPointer) -> Bool {
        ZSTD_getFrameContentSize(stored.baseAddress, stored.count) == UInt64(bytes.count)
            && ZSTD_findFrameCompressedSize(stored.baseAddress, stored.count) == stored.count
            && ZSTD_decompressDCtx(context(), bytes.baseAddress, bytes.count, stored.baseAddress, stored.count)
                == bytes.count
    }

    /// Each thread keeps one decompression context: making one a chunk costs as much as decoding a small chunk.
    private static func context() -> OpaquePointer? {
        if let kept = pthread_getspecific(contextKey) { return OpaquePointer(kept) }
        let made = ZSTD_createDCtx()
        pthread_setspecific(contextKey, made.map { UnsafeRawPointer($0) })
        return made
    }

    private static let contextKey: pthread_key_t = {
        var key = pthread_key_t()
        let status = pthread_key_create(&key) { context in ZSTD_freeDCtx(context.map { OpaquePointer($0) }) }
        precondition(status == 0, "the process has no thread-specific key left")
        return key
    }()
}
