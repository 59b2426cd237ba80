/// How many bits of each logit a shard keeps. All but `float32` round, to nearest with ties to even; NaN and infinity pass.
public enum Precision: Sendable, Hashable {
    /// Exact.
    case float32
    /// IEEE half: 10 bits of the mantissa, 5 of the exponent, 2 bytes a value.
    case float16
    /// Float32 of whose mantissa the upper k bits are kept, the others zero: still 4 bytes a value before compression, and
    /// plain float32 to every reader. k is 1 to 22.
    case keepBits(Int)

    /// bfloat16 as float32: 7 bits of the mantissa.
    public static let bfloat16 = keepBits(7)

    /// From `float32`, `float16`, `bfloat16` or `keep-bits=k` (k of 1 to 23; 23 is `float32`); nil if it is none of them.
    public init?(_ text: String) {
        switch text {
        case "float32": self = .float32
        case "float16": self = .float16
        case "bfloat16": self = .bfloat16
        default:
            let digits = text.dropFirst(Precision.prefix.count)
            guard text.hasPrefix(Precision.prefix), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let bits = Int(digits), (1...23).contains(bits), !digits.hasPrefix("0")
            else { return nil }
            self = bits == 23 ? .float32 : .keepBits(bits)
        }
    }

    private static let prefix = "keep-bits="

    public var isExact: Bool { self == .float32 }
    /// Of one value, as stored.
    public var valueBytes: Int { self == .float16 ? 2 : 4 }
    /// Of the mantissa, without the leading one.
    public var mantissaBits: Int {
        switch self {
        case .float32: 23
        case .float16: 10
        case .keepBits(let bits): bits
        }
    }

    /// A stored value differs from z by at most the larger of this · |z| and `absoluteBound`; 0 where nothing is rounded.
    public var relativeBound: Double { isExact ? 0 : Precision.power(-(mantissaBits + 1)) }
    /// What counts where z is too small for the full mantissa: half a step of the smallest exponent.
    public var absoluteBound: Double {
        switch self {
        case .float32: 0
        case .float16: Precision.power(-25)
        case .keepBits(let bits): Precision.power(-(127 + bits))
        }
    }

    private static func power(_ exponent: Int) -> Double { Double(sign: .plus, exponent: exponent, significand: 1) }

    /// The nearest value that is kept; infinite where z is finite and beyond what can be kept.
    @inlinable
    public func rounded(_ value: Float) -> Float {
        switch self {
        case .float32: value
        case .float16: HalfFloat.value(HalfFloat.bits(value))
        case .keepBits(let bits): Precision.keeping(UInt32(bits), value)
        }
    }

    @inlinable
    static func keeping(_ bits: UInt32, _ value: Float) -> Float {
        let pattern = value.bitPattern
        // An exponent of ones: NaN or infinity.
        guard pattern & 0x7F80_0000 != 0x7F80_0000 else { return value }
        let dropped = 23 - bits
        let odd = pattern >> dropped & 1
        return Float(bitPattern: (pattern + (1 << (dropped - 1)) - 1 + odd) & ~((1 << dropped) - 1))
    }
}

extension Precision: CustomStringConvertible {
    public var description: String {
        switch self {
        case .float32: "float32"
        case .float16: "float16"
        case .bfloat16: "bfloat16"
        case .keepBits(let bits): "\(Precision.prefix)\(bits)"
        }
    }
}

/// IEEE 754 half precision as bit patterns. In integers, so that every processor gives the same bits and none needs an
/// instruction of its own.
public enum HalfFloat {
    /// The largest finite value.
    public static let largest: Float = 65504

    /// The nearest half, ties to even; a NaN keeps its sign and the upper bits of its payload, and is quiet.
    @inlinable
    public static func bits(_ value: Float) -> UInt16 {
        let pattern = value.bitPattern
        let sign = UInt16(truncatingIfNeeded: pattern >> 16) & 0x8000
        let magnitude = pattern & 0x7FFF_FFFF
        if magnitude > 0x7F80_0000 { return sign | 0x7E00 | UInt16(truncatingIfNeeded: magnitude >> 13) & 0x3FF }
        // From 65520 on (half a step beyond the largest) the nearest is infinity.
        if magnitude >= 0x477F_F000 { return sign | 0x7C00 }
        if magnitude < 0x3880_0000 {
            // Below 2⁻¹⁴ halves are multiples of 2⁻²⁴, which is what 0.5 has for a step.
            let shifted = Float(bitPattern: magnitude) + 0.5
            return sign | UInt16(truncatingIfNeeded: shifted.bitPattern &- 0x3F00_0000)
        }
        let odd = magnitude >> 13 & 1
        return sign | UInt16(truncatingIfNeeded: (magnitude &+ 0xFFF &+ odd &- 0x3800_0000) >> 13)
    }

    /// The value of a half, exact.
    @inlinable
    public static func value(_ bits: UInt16) -> Float {
        let sign = UInt32(bits & 0x8000) << 16
        let exponent = UInt32(bits >> 10 & 0x1F)
        let mantissa = UInt32(bits & 0x3FF)
        let subnormal = (Float(mantissa) * 0x1p-24).bitPattern
        let normal = exponent == 0x1F ? 0x7F80_0000 | mantissa << 13 : (exponent + 112) << 23 | mantissa << 13
        return Float(bitPattern: sign | (exponent == 0 ? subnormal : normal))
    }
}
