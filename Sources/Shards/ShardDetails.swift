import Logits

/// What a manifest and the catalogue know of a shard beyond its key and digests: how its file is checked without opening it,
/// and what it takes to make the same rows again. Every part may be absent: former versions did not record it.
package struct ShardDetails: Codable, Sendable, Equatable {
    /// XXH3-128 of the file's bytes.
    package var fileChecksum: String?
    /// `raw` or `zstd`.
    package var codec: String?
    /// Of the stored logits: `float32`.
    package var precision: String?
    /// Images that the network computed at once.
    package var blockRows: Int?
    /// How images are kept beside the rows; absent where none are.
    package var keptImages: ImagePrecision?
    /// Whether the rows have an 8-bit outcome.
    package var hasStatus8bit: Bool?
    /// Of the rows, in order, as text: `0-4095`, `0-4,1300-1304`; absent where it would be long.
    package var ordinals: String?

    package init(
        fileChecksum: String? = nil, codec: String? = nil, precision: String? = nil, blockRows: Int? = nil,
        keptImages: ImagePrecision? = nil, hasStatus8bit: Bool? = nil, ordinals: String? = nil
    ) {
        self.fileChecksum = fileChecksum
        self.codec = codec
        self.precision = precision
        self.blockRows = blockRows
        self.keptImages = keptImages
        self.hasStatus8bit = hasStatus8bit
        self.ordinals = ordinals
    }

    private enum CodingKeys: String, CodingKey {
        case codec, precision, ordinals
        case fileChecksum = "file_checksum"
        case blockRows = "block_rows"
        case keptImages = "kept_images"
        case hasStatus8bit = "status_8bit"
    }
}
