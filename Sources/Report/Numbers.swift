import Foundation

extension Double {
    /// With so many digits after the point.
    package func formatted(_ digits: Int) -> String { String(format: "%.\(digits)f", self) }
}

extension Int {
    /// Digits in groups of three.
    package var grouped: String {
        var text = String(magnitude)
        var place = text.count - 3
        while place > 0 {
            text.insert(",", at: text.index(text.startIndex, offsetBy: place))
            place -= 3
        }
        return self < 0 ? "-" + text : text
    }
}
