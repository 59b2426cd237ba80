/// What one shard holds, and nothing about how or when it was made.
///
/// Two processes that compute the same key on the same kind of machine make the same rows.
public struct UnitKey: Hashable, Sendable {
    public var dataset: String
    public var split: String
    /// SHA-256 over the split's ordered images (id, label, image digest).
    public var datasetDigest: String
    public var network: String
    /// SHA-256 of the module file.
    public var networkDigest: String
    /// How an image becomes the module's input, in one canonical line: `3x32x32`, `3x224x224;mean=…;std=…`.
    public var preprocessing: String
    public var variant: Variant
    public var view: Int
    /// 0 for variants that use no random numbers.
    public var seed: UInt64
    /// SHA-256 over the ordinals of the ingest's list.
    public var listDigest: String
    /// Position in that list of the unit's first image.
    public var firstPosition: Int
    public var rowCount: Int

    public init(
        dataset: String, split: String, datasetDigest: String, network: String, networkDigest: String,
        preprocessing: String, variant: Variant, view: Int, seed: UInt64, listDigest: String, firstPosition: Int,
        rowCount: Int
    ) {
        self.dataset = dataset
        self.split = split
        self.datasetDigest = datasetDigest
        self.network = network
        self.networkDigest = networkDigest
        self.preprocessing = preprocessing
        self.variant = variant
        self.view = view
        self.seed = seed
        self.listDigest = listDigest
        self.firstPosition = firstPosition
        self.rowCount = rowCount
    }

    /// One line that determines the key: what digests cover and trees sort by. Fields are separated by U+001F.
    public var canonicalText: String {
        [
            dataset, split, datasetDigest, network, networkDigest, preprocessing, variant.canonical,
            variant.parametersJSON,
            String(view), String(seed), listDigest, String(firstPosition), String(rowCount),
        ].joined(separator: "\u{1F}")
    }
}
