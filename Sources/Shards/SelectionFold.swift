/// Which part of a split a fold is: image i belongs to fold i mod count.
package struct SelectionFold: Codable, Sendable, Hashable {
    package var index: Int
    package var count: Int
    /// All images but those of the fold.
    package var isRest: Bool

    package init(index: Int, count: Int, isRest: Bool) {
        self.index = index
        self.count = count
        self.isRest = isRest
    }

    private enum CodingKeys: String, CodingKey {
        case index, count
        case isRest = "is_rest"
    }
}
