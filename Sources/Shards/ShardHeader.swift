import Logits

/// What a shard says of itself: its root attributes.
package struct ShardHeader: Sendable, Equatable {
    /// The version of the shard format that this program writes; it reads this and all before.
    package static let currentVersion = 1

    package var key: UnitKey
    package var classCount: Int
    /// Rows the network computed at once.
    package var blockRows: Int
    /// SHA-256 over the unit key and all stored values.
    package var contentDigest: String
    /// JSON: programs, libraries and processor that computed the rows.
    package var softwareJSON: String
    /// RFC 3339, UTC.
    package var created: String

    package init(
        key: UnitKey, classCount: Int, blockRows: Int, contentDigest: String, softwareJSON: String, created: String
    ) {
        self.key = key
        self.classCount = classCount
        self.blockRows = blockRows
        self.contentDigest = contentDigest
        self.softwareJSON = softwareJSON
        self.created = created
    }
}

/// Bounds on what a shard may claim: no writer goes beyond them, and a file that does is refused before anything is
/// allocated for it.
enum ShardLimits {
    static let rows = 1 << 26
    static let classes = 1_000_000
    /// `/logits` undone.
    static let logitBytes = 1 << 34
    /// One chunk of `/logits` undone: 16 rows of the most classes.
    static let chunkBytes = 1 << 26
    static let imageNameBytes = 4096
    /// Height and width of a kept image.
    static let imageSide = 4096
    /// An attribute lies whole in the root's object header, whose messages hold 64 KiB.
    static let attributeBytes = 60_000
}
