import Logits
import Platform

/// A file of class names, one a line in class order.
package enum ClassNames {
    package static func read(_ path: String) throws(LogitError) -> [String] {
        let names = try Files.readText(path, limit: 64 << 20).split(whereSeparator: \.isNewline).map(String.init)
        guard names.count >= 2 else {
            throw LogitError(.badInput, "\(path) names \(names.count) classes; give one name a line, two or more")
        }
        return names
    }
}
