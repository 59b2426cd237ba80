import CHDF5
import CShardLayout
import Logits
import Platform

/// A shard's file before it is written: what HDF5 laid out, and between it the large runs that lie in the table already and are
/// never copied.
///
/// `@unchecked Sendable`: nothing changes after HDF5 has closed the file, which is before anybody else sees this.
package final class ShardImage: @unchecked Sendable {
    /// What fills a hole in the layout.
    enum Source { case logits, images }

    private let layout: OpaquePointer
    private let table: RowTable
    private let images: KeptImages?
    private var sources: [Source] = []

    init(_ table: RowTable, images: KeptImages?, or error: @autoclosure () -> LogitError) throws(LogitError) {
        guard let layout = shard_layout_create() else { throw error() }
        self.layout = layout
        self.table = table
        self.images = images
    }

    deinit { shard_layout_destroy(layout) }

    /// Makes HDF5 lay out here the file that it creates with these properties.
    func use(for access: hid_t) -> Bool { shard_layout_use(layout, access) >= 0 }

    /// Lets HDF5 write all of a source at once, without keeping it. Small ones, which HDF5 gathers first, are kept after all.
    func fill(from source: Source, _ write: () -> herr_t) -> Bool {
        let before = shard_layout_piece_count(layout)
        shard_layout_expect(layout, UInt64(withBytes(of: source) { $0.count }))
        let isWritten = write() >= 0
        shard_layout_expect(layout, 0)
        if shard_layout_piece_count(layout) > before { sources.append(source) }
        return isWritten
    }

    /// Hands out the file's bytes in order.
    package func visit(_ body: (UnsafeRawBufferPointer) -> Void) {
        for index in 0..<shard_layout_piece_count(layout) {
            let piece = shard_layout_piece(layout, index)
            if let bytes = piece.bytes {
                body(UnsafeRawBufferPointer(start: bytes, count: Int(piece.count)))
            } else {
                withBytes(of: sources[index / 2], body)
            }
        }
    }

    package var byteCount: Int {
        (0..<shard_layout_piece_count(layout)).reduce(0) { $0 + Int(shard_layout_piece(layout, $1).count) }
    }

    /// Creates `path`, which must not exist, writes and fsyncs it; on any failure the file is gone.
    package func write(to path: String) throws(LogitError) {
        guard !Files.exists(path) else {
            throw LogitError(
                .io, "shard \(path) is there already, and shards never change; remove it if it is a leftover")
        }
        do {
            try Files.write(to: path, sync: true) { visit($0) }
        } catch {
            try? Files.remove(path)
            throw error
        }
    }

    private func withBytes<Result>(of source: Source, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        switch source {
        case .logits: table.logits.withUnsafeBytes(body)
        case .images: (images?.bytes ?? []).withUnsafeBytes(body)
        }
    }
}
