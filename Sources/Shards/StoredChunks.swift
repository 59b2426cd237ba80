import CShardKernels
import Glibc
import Logits
import Platform

/// The chunks of a dataset of a mapped file, undone without HDF5 and without a lock.
struct StoredChunks: Sendable {
    /// Bytes of one chunk, undone.
    let chunkBytes: Int
    /// Bytes of a value that was byte-shuffled; 1: unshuffled.
    private let valueBytes: Int
    private let file: MappedFile
    private let index: ChunkIndex

    /// - Parameters:
    ///   - header: the address of the dataset's object header.
    ///   - count: chunks that the dataset has.
    /// - Returns: nil where the file does not hold them all.
    init?(_ file: MappedFile, header: UInt64, count: Int, chunkBytes: Int, valueBytes: Int) {
        guard let index = ChunkIndex(file, header: header, count: count, chunkBytes: chunkBytes) else { return nil }
        self.file = file
        self.index = index
        self.chunkBytes = chunkBytes
        self.valueBytes = valueBytes
    }

    /// Undoes some values of a chunk.
    /// - Parameters:
    ///   - first: byte of the undone chunk at which `output` begins; a whole number of values.
    ///   - scratch: `chunkBytes` bytes.
    /// - Returns: false where the chunk is not what it should be.
    func read(
        _ chunk: Int, from first: Int, into output: UnsafeMutableRawBufferPointer,
        scratch: UnsafeMutableRawBufferPointer
    ) -> Bool {
        guard ZstdChunks.decompress(index.chunk(chunk, in: file), into: scratch) else { return false }
        copy(first, of: scratch, into: output)
        return true
    }

    /// Some values of an undone chunk whose bytes are still shuffled.
    func copy(_ first: Int, of planes: UnsafeMutableRawBufferPointer, into output: UnsafeMutableRawBufferPointer) {
        precondition(first >= 0 && first + output.count <= chunkBytes)
        let (from, to) = (planes.baseAddress!, output.baseAddress!)
        let (plane, count) = (chunkBytes / valueBytes, output.count / valueBytes)
        switch valueBytes {
        case 4: shard_unshuffle4(from, plane, first / 4, count, to)
        case 2: shard_unshuffle2(from, plane, first / 2, count, to)
        default: memcpy(to, from + first, output.count)
        }
    }

    /// Undoes a chunk and leaves its bytes shuffled, for `copy`.
    func decompress(_ chunk: Int, into planes: UnsafeMutableRawBufferPointer) -> Bool {
        ZstdChunks.decompress(index.chunk(chunk, in: file), into: planes)
    }

    /// Asks for a chunk that is read soon.
    func prefetch(_ chunk: Int) {
        let stored = index.chunk(chunk, in: file)
        shard_prefetch(stored.baseAddress, stored.count)
    }
}
