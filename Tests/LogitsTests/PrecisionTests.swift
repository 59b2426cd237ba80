import Logits
import Testing

private let choices: [Precision] = [.float16, .bfloat16, .keepBits(1), .keepBits(10), .keepBits(22)]

@Test("precisions are read as they are written, bfloat16 is keep-bits=7 and keep-bits=23 is float32")
func precisionNames() {
    for precision in choices + [.float32] { #expect(Precision(precision.description) == precision) }
    #expect(Precision("keep-bits=7") == .bfloat16 && Precision("keep-bits=7")?.description == "bfloat16")
    #expect(Precision("keep-bits=23") == .float32)
    for bad in [
        "", "float64", "Float32", "keep-bits", "keep-bits=", "keep-bits=0", "keep-bits=24", "keep-bits=+7",
        "keep-bits=07", "keep-bits=7 ", "keep-bits=99999999999999999999", "keep-bits=٧",
    ] {
        #expect(Precision(bad) == nil, "\(bad)")
    }
}

/// Some values of every exponent, both signs, and what lies at the edges.
private let values: [Float] = {
    let random = Philox(key: 3)
    let edges: [Float] = [
        0, .leastNonzeroMagnitude, .leastNormalMagnitude, 1, 2049, 65504, 0x1p-14, 0x1p-24, 0x1p-25, 0x1.8p-25, 0x1p-26,
    ]
    let spread = (0..<20000).map { Float(bitPattern: UInt32(truncatingIfNeeded: random.bits($0)) & 0x7FFF_FFFF) }
    return (edges + spread).flatMap { [$0, -$0, $0.nextUp, $0.nextDown] }.filter(\.isFinite)
}()

@Test(
    "a rounded value is the nearest that is kept, ties go to even, and rounding again changes nothing",
    arguments: choices)
func nearest(precision: Precision) {
    for value in values {
        let stored = precision.rounded(value)
        #expect(precision.rounded(stored).bitPattern == stored.bitPattern)
        #expect(stored.sign == value.sign)
        // What keeping k bits leaves is a multiple of the step of its exponent, half of which is the bound.
        let smallest = precision == .float16 ? -14 : -126
        let exponent = max(smallest, value == 0 ? smallest : Int(value.exponent))
        let step = Double(sign: .plus, exponent: exponent - precision.mantissaBits, significand: 1)
        let expected = (Double(value) / step).rounded(.toNearestOrEven) * step
        guard precision == .float16 ? expected.magnitude <= 65504 : expected.magnitude < 0x1p128 else {
            #expect(stored.isInfinite)
            continue
        }
        #expect(Double(stored) == expected, "\(value)")
        let bound = max(precision.relativeBound * Double(value.magnitude), precision.absoluteBound)
        #expect((Double(stored) - Double(value)).magnitude <= bound, "\(value)")
    }
}

@Test("every half has the value and the bits that the processor's half has")
func halves() {
    for pattern in UInt16.min...UInt16.max {
        let value = HalfFloat.value(pattern)
        let reference = Float(Float16(bitPattern: pattern))
        #expect(reference.isNaN ? value.isNaN : value.bitPattern == reference.bitPattern)
        if !value.isNaN { #expect(HalfFloat.bits(value) == pattern) }
    }
    for value in values where value.magnitude < 1e6 { #expect(HalfFloat.bits(value) == Float16(value).bitPattern) }
}

@Test("NaN and infinity pass through every precision", arguments: choices)
func notFinite(precision: Precision) {
    for value in [Float.infinity, -.infinity] { #expect(precision.rounded(value) == value) }
    // A payload in the lowest bit alone must not become infinity.
    for pattern: UInt32 in [0x7F80_0001, 0xFF80_0001, 0x7FC0_1234, 0xFFFF_FFFF] {
        let value = precision.rounded(Float(bitPattern: pattern))
        #expect(value.isNaN && value.sign == Float(bitPattern: pattern).sign)
        if precision != .float16 { #expect(value.bitPattern == pattern) }
    }
}

private func table(_ logits: [Float]) -> RowTable {
    RowTable(
        classCount: 4, logits: logits, ordinal: [0, 1, 2].prefix(logits.count / 4).map { $0 },
        image: ["a", "b", "c"].prefix(logits.count / 4).map { $0 }, label: .init(repeating: 0, count: logits.count / 4),
        prediction: (0..<logits.count / 4).map { argMax(logits[$0 * 4..<$0 * 4 + 4]) })
}

@Test("rounding says which rows change their arg max or become tied, and leaves the predictions")
func counts() throws {
    // 2048.5 and 2049.5 become 2048 and 2050 as halves: row 0 is tied and changed, row 1 tied only, row 2 tied before.
    let given = table([2048, 2048.5, 0, 0, 2048.5, 2048, 0, 0, 7, 7, 0.5, .nan])
    let (rows, rounding) = try given.rounded(to: .float16)
    let found = try #require(rounding)
    #expect(rows.logits[0..<2] == [2048, 2048] && rows.logits[11].isNaN && rows.prediction == given.prediction)
    #expect(found.changedArgMax == 1 && found.newlyTied == 2)
    #expect(found.distinctMaximaBefore == 2 && found.distinctMaximaAfter == 2)
    #expect(found.largestError == 0.5 && found.largestRelativeError == Double(0.5 / 2048.5))
    let exact = try given.rounded(to: .float32)
    #expect(exact.rounding == nil && exact.table.logits[1] == 2048.5)
}

@Test("a logit that would become infinite is refused, and the sentence names row, image and a way out")
func tooLarge() {
    for (value, precision, way) in [
        (65505, .float16, "keep-bits=10"), (-1e10, .float16, "keep-bits=10"),
        (.greatestFiniteMagnitude, .bfloat16, "float32"),
    ] as [(Float, Precision, String)] {
        let error = #expect(throws: LogitError.self) {
            try table([1, 2, 3, 4, 5, 6, 7, value]).rounded(to: precision)
        }
        #expect(error?.code == .badInput, "\(value)")
        for part in ["row 1", "image b", "\(precision)", way] { #expect(error?.message.contains(part) == true) }
    }
    #expect(throws: Never.self) { try table([1, 2, 3, 65504]).rounded(to: .float16) }
    #expect(throws: Never.self) { try table([1, 2, 3, .infinity]).rounded(to: .float16) }
}
