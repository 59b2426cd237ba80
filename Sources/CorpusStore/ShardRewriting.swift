import Logits
import Platform
import Shards

/// One unit on its way from its present file into another, on any thread: nothing but files is touched.
struct ShardRewriting: Sendable {
    let unit: StoredUnit
    let target: ShardEncoding
    let layout: Layout

    /// A new file in staging that has been read back and compared.
    struct Written: Sendable {
        let old: StoredUnit
        let new: StoredUnit
        let table: RowTable
        let created: String
        let staged: String
        /// What rounding did; nil where nothing was rounded now.
        let rounding: Rounding?
    }

    func write() throws(LogitError) -> Written {
        let path = layout.absolute(unit.path)
        let reader = try ShardReader(path: path)
        guard reader.header.key == unit.key, reader.header.contentDigest == unit.contentDigest else {
            throw LogitError(.corrupt, "the catalogue describes shard \(path) otherwise than it is; run logit repair")
        }
        let old = try reader.table(0..<reader.rowCount)
        let images = reader.imageFormat == nil ? nil : try reader.images(0..<reader.rowCount)
        let isRounded = target.precision != reader.precision
        let (table, rounding) = isRounded ? try old.rounded(to: target.precision) : (old, reader.rounding)
        var header = reader.header
        header.contentDigest = Corpus.contentDigest(unit.key, table, images, target.precision)
        guard isRounded || header.contentDigest == unit.contentDigest else {
            throw LogitError(
                .corrupt,
                "shard \(path) does not hold what its content digest says; run logit repair, which sets it aside")
        }
        let staged = "\(layout.staging)/compact-\(Digest.hex(unit.path).prefix(16)).h5"
        try Files.remove(staged)
        try ShardWriter.write(
            table, images: images, header: header, encoding: target, rounding: rounding, to: staged)
        // Reads the new file whole: each row's checksum, and its content against the digest above, images included.
        let (new, stored, created) = try Corpus.readShard(staged, at: nil, isKnown: { _ in true })
        guard new.key == unit.key, new.contentDigest == header.contentDigest,
            RowDifference.rows(stored, table).isEmpty, isWithinBound(stored, old)
        else {
            try Files.remove(staged)
            throw LogitError(
                .io,
                "the file that was to replace shard \(path) does not hold its rows, so the shard stays as it is; check the disk and the memory of this machine"
            )
        }
        return Written(
            old: unit, new: new, table: stored, created: created, staged: staged, rounding: isRounded ? rounding : nil)
    }

    /// Each stored logit against the one in the old file.
    private func isWithinBound(_ stored: RowTable, _ old: RowTable) -> Bool {
        let (relative, absolute) = (target.precision.relativeBound, target.precision.absoluteBound)
        return zip(stored.logits, old.logits).allSatisfy { new, old in
            guard old.isFinite else { return old.isNaN ? new.isNaN : new == old }
            if new.bitPattern == old.bitPattern { return true }
            return (Double(new) - Double(old)).magnitude <= max(relative * Double(old.magnitude), absolute)
        }
    }
}
