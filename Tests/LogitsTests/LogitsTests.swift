import Logits
import Testing

/// Known answers of the authors' Random123 distribution (kat_vectors, philox4x32 10).
struct KnownAnswer: Sendable {
    let key: UInt64
    let counter: [UInt32]
    let words: [UInt32]

    static let all = [
        KnownAnswer(key: 0, counter: [0, 0, 0, 0], words: [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
        KnownAnswer(
            key: .max, counter: [.max, .max, .max, .max], words: [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
        KnownAnswer(
            key: 0x299f_31d0_a409_3822, counter: [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            words: [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]),
    ]
}

@Test("Philox gives its authors' known answers", arguments: KnownAnswer.all)
func knownAnswers(answer: KnownAnswer) {
    let counter = answer.counter
    let words = Philox(key: answer.key).block((counter[0], counter[1], counter[2], counter[3]))
    #expect([words.0, words.1, words.2, words.3] == answer.words)
}

@Test("the arg max of ties is the lower index and a NaN never wins")
func ties() {
    #expect(argMax([1, 3, 3, 2] as [Float]) == 1)
    #expect(argMax([.nan, -5, .nan, -7] as [Float]) == 1)
    #expect(argMax([.nan, .nan] as [Float]) == -1)
    #expect(argMax([-.infinity, -.infinity] as [Float]) == 0)
}

@Test("statistics of a row are those of its definition")
func statistics() {
    let logits: [Float] = [2, -1, 2, 5]
    logits.withUnsafeBufferPointer { pointer in
        let first = RowStatistics(logits: pointer, label: 2)
        #expect(first.mean == 2)
        #expect(first.minimum == -1 && first.maximum == 5)
        #expect(first.l2 == 34.0.squareRoot())
        #expect(first.labelMargin == -3)
        #expect(first.labelRank == 2)
        #expect(RowStatistics(logits: pointer, label: 0).labelRank == 1)
        #expect(RowStatistics(logits: pointer, label: 3).labelMargin == 3)
    }
}
