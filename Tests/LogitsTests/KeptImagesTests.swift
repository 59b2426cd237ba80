import Logits
import Testing

@Test("a value is rounded to 8 bits as torchvision's save_image rounds it")
func levels() {
    // torch 2.13.0: torch.tensor(v).mul(255).add_(0.5).clamp_(0, 255).to(torch.uint8)
    let frozen: [(Float, UInt8)] = [
        (0, 0), (1, 255), (0.5, 128), (0.49803925, 127), (0.0019607844, 1), (0.00196, 0),
        (0.00197, 1), (0.99803925, 255), (0.998039, 254), (0.3333333, 85), (-0.25, 0), (1.5, 255),
    ]
    for (value, level) in frozen { #expect(EightBit.level(value) == level, "\(value)") }
    for level in 0...255 { #expect(EightBit.level(Float(level) / 255) == UInt8(level)) }
    #expect(EightBit.level(.nan) == 0 && EightBit.level(.infinity) == 255 && EightBit.level(-.infinity) == 0)
    #expect(EightBit.rounded([0.5, 0.001]) == [Float(128) / 255, 0])
}

@Test("kept images are stored planes: levels, or the floats' own bytes")
func storedImages() {
    let values = (0..<24).map { Float($0) / 23 }
    let floats = KeptImages(values, format: ImageFormat(precision: .float, height: 2, width: 2))
    #expect(floats.count == 2 && floats.bytes == values.withUnsafeBytes { Array($0) })
    var levels = KeptImages(values, format: ImageFormat(precision: .eightBit, height: 2, width: 2))
    #expect(levels.count == 2 && Array(levels.image(1)) == values[12...].map(EightBit.level))
    levels.append(levels)
    #expect(levels.count == 4 && levels.image(3).elementsEqual(levels.image(1)))
}

@Test("a clean row with a logit that is not finite has no prediction and is invalid")
func invalidClean() {
    #expect(RowTable.cleanPrediction([1, 3, 2]) == 1)
    #expect(RowTable.cleanPrediction([1, .nan, 2]) == -1 && RowTable.cleanPrediction([1, .infinity]) == -1)
    let table = RowTable(
        classCount: 2, logits: [0, 1, .nan, 1], ordinal: [0, 1], image: ["a", "b"], label: [0, 0], prediction: [1, -1])
    #expect(!table.isInvalid(0) && table.isInvalid(1))
}
