import Logits

/// damaged/PATH.json: one shard that is damaged or missing, and everything it takes to make its rows again bit for bit
/// (schema/integrity.md).
package struct LostShard: Codable, Sendable, Equatable {
    package var formatVersion: Int
    /// Where it was, relative to the corpus.
    package var path: String
    /// As a sentence.
    package var reason: String
    /// Where the damaged file is now, relative to the corpus; absent: there is none.
    package var file: String?
    /// Absent: nothing is known of its rows.
    package var shard: ShardEntry?
    /// Of its rows, in order, and the ids of these images; absent: not known.
    package var ordinals: [Int64]?
    package var images: [String]?
    /// Ids of the snapshots that hold it.
    package var snapshots: [String]
    package var found: String

    package init(
        path: String, reason: String, file: String?, shard: ShardEntry?, ordinals: [Int64]?, images: [String]?,
        snapshots: [String], found: String
    ) {
        formatVersion = 1
        self.path = path
        self.reason = reason
        self.file = file
        self.shard = shard
        self.ordinals = ordinals
        self.images = images
        self.snapshots = snapshots
        self.found = found
    }

    private enum CodingKeys: String, CodingKey {
        case path, reason, file, shard, ordinals, images, snapshots, found
        case formatVersion = "format_version"
    }

    /// Whether its rows can be made again from what is known.
    package var isKnown: Bool { shard?.details.blockRows != nil && ordinals != nil }

    package var encoding: ShardEncoding? {
        guard let codec = shard?.details.codec.flatMap(Codec.init), let text = shard?.details.precision,
            let precision = Precision(text)
        else { return nil }
        return ShardEncoding(codec: codec, precision: precision)
    }
}

extension Manifests {
    package static func encode(_ lost: LostShard) -> [UInt8] { json(lost) }

    package static func readLost(_ path: String) throws(LogitError) -> LostShard {
        let lost = try decode(LostShard.self, path)
        guard isInside(lost.path), lost.shard.map({ $0.path == lost.path && isPossible($0) }) ?? true,
            lost.ordinals.map({ $0.count == lost.shard?.key.rowCount && Set($0).count == $0.count }) ?? true,
            lost.images.map({ $0.count == lost.ordinals?.count }) ?? true,
            lost.ordinals?.allSatisfy({ $0 >= 0 }) ?? true
        else {
            throw LogitError(
                .corrupt,
                "\(path) does not describe a lost shard; remove it, and run logit repair, which writes it again")
        }
        return lost
    }
}
