/// `clean`, or one attack with its canonical parameters.
///
/// Two spellings of the same parameters give equal variants: `canonical` and `parametersJSON` are made by the attack
/// registry from parsed values, never from what was typed.
public struct Variant: Hashable, Sendable, CustomStringConvertible {
    /// The attack's bare name (`pgd`), or `clean`.
    public let name: String
    /// The bare name for the preset, else with the parameters that differ from it: `pgd:epsilon=8/255`.
    public let canonical: String
    /// All parameters as canonical JSON (sorted keys, shortest numbers); `{}` for clean.
    public let parametersJSON: String

    public init(name: String, canonical: String, parametersJSON: String) {
        self.name = name
        self.canonical = canonical
        self.parametersJSON = parametersJSON
    }

    public static let clean = Variant(name: "clean", canonical: "clean", parametersJSON: "{}")

    public var isClean: Bool { name == "clean" }
    public var description: String { canonical }
}

/// What an attack did to one image; stored as `/status`.
public enum Outcome: UInt8, Sendable, CaseIterable, CustomStringConvertible {
    /// The arg max of the recorded logits is not the label attacked.
    case fooled = 0
    /// It still is.
    case failed = 1
    /// It was wrong before any step (only where the truth is attacked).
    case trivial = 2
    /// Logits or gradient were not finite, or the gradient was zero everywhere.
    case invalid = 3

    public var description: String {
        switch self {
        case .fooled: "fooled"
        case .failed: "failed"
        case .trivial: "trivial"
        case .invalid: "invalid"
        }
    }
}
