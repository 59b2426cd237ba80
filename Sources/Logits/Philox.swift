/// Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011).
///
/// A value is a pure function of (key, counter): no state, no stream, so any process can make any image's numbers.
public struct Philox: Sendable {
    public let key: (UInt32, UInt32)

    public init(key: UInt64) {
        self.key = (UInt32(truncatingIfNeeded: key), UInt32(truncatingIfNeeded: key >> 32))
    }

    /// The four words at a 128-bit counter.
    public func block(_ counter: (UInt32, UInt32, UInt32, UInt32)) -> (UInt32, UInt32, UInt32, UInt32) {
        var (c0, c1, c2, c3) = counter
        var (k0, k1) = key
        for _ in 0..<10 {
            let first = UInt64(c0) * 0xD251_1F53
            let second = UInt64(c2) * 0xCD9E_8D57
            let high0 = UInt32(truncatingIfNeeded: first >> 32)
            let high1 = UInt32(truncatingIfNeeded: second >> 32)
            (c0, c1, c2, c3) = (
                high1 ^ c1 ^ k0, UInt32(truncatingIfNeeded: second), high0 ^ c3 ^ k1, UInt32(truncatingIfNeeded: first)
            )
            k0 &+= 0x9E37_79B9
            k1 &+= 0xBB67_AE85
        }
        return (c0, c1, c2, c3)
    }

    /// 64 random bits at a 64-bit index, in the stream `stream`.
    public func bits(_ index: UInt64, stream: UInt64 = 0) -> UInt64 {
        let words = block(
            (
                UInt32(truncatingIfNeeded: index), UInt32(truncatingIfNeeded: index >> 32),
                UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32)
            ))
        return UInt64(words.0) | UInt64(words.1) << 32
    }

    /// A double in [0, 1) with 53 random bits.
    public func uniform(_ index: UInt64, stream: UInt64 = 0) -> Double {
        Double(bits(index, stream: stream) >> 11) * 0x1p-53
    }

    /// Fills `output` with floats in [0, 1), 24 random bits each, four to a counter.
    public func fillUniform(_ output: UnsafeMutableBufferPointer<Float>, stream: UInt64 = 0) {
        let s0 = UInt32(truncatingIfNeeded: stream)
        let s1 = UInt32(truncatingIfNeeded: stream >> 32)
        var index = 0
        while index < output.count {
            let counter = UInt64(index / 4)
            let words = block((UInt32(truncatingIfNeeded: counter), UInt32(truncatingIfNeeded: counter >> 32), s0, s1))
            let four = [words.0, words.1, words.2, words.3]
            for offset in 0..<min(4, output.count - index) {
                output[index + offset] = Float(four[offset] >> 8) * 0x1p-24
            }
            index += 4
        }
    }
}
