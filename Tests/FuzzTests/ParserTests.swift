import Foundation
import FuzzTargets
import Logits
import TestSupport
import Testing

/// What `tools/fuzz` does for hours, for a moment: seeds are taken, damaged ones are taken or refused, found cases stay fixed.
@Suite("parsers of bytes from outside")
struct ParserTests {
    @Test("the first seed is taken, and others are taken or refused", arguments: FuzzTarget.all.map(\.name))
    func seeds(name: String) throws {
        let target = try target(name)
        let seeds = try target.seeds()
        #expect(!seeds.isEmpty)
        for (place, seed) in seeds.enumerated() {
            let isTaken = try target.run(seed)
            #expect(isTaken || place > 0, "the first seed of \(name) is refused")
        }
    }

    @Test("cut, grown and changed inputs are taken or refused, and nothing else", arguments: FuzzTarget.all.map(\.name))
    func damage(name: String) throws {
        let target = try target(name)
        let random = Philox(key: 5)
        var draw: UInt64 = 0
        func number(below limit: Int) -> Int {
            draw += 1
            return min(limit - 1, Int(random.uniform(draw) * Double(limit)))
        }
        for seed in try target.seeds() + [[]] {
            for _ in 0..<40 {
                var bytes = seed
                for _ in 0...number(below: 3) {
                    let place = number(below: bytes.count + 1)
                    switch number(below: 4) {
                    case 0 where place < bytes.count: bytes[place] = UInt8(number(below: 256))
                    case 1 where place < bytes.count: bytes[place] ^= UInt8(1 << number(below: 8))
                    case 2: bytes.insert(contentsOf: [0xFF, 0x7F, 0x00].prefix(1 + number(below: 3)), at: place)
                    default: bytes.removeSubrange(place..<min(bytes.count, place + number(below: 20)))
                    }
                }
                try target.run(bytes)
            }
        }
    }

    @Test("inputs that once were trouble are none")
    func cases() throws {
        let folder = "\(projectFolder)/Tests/FuzzTests/Cases"
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) where !name.hasSuffix(".md") {
            let target = try target(name)
            for file in try FileManager.default.contentsOfDirectory(atPath: "\(folder)/\(name)") {
                let bytes = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)/\(file)"))
                let begun = Date()
                try target.run(Array(bytes))
                #expect(Date().timeIntervalSince(begun) < 5, "\(name)/\(file)")
            }
        }
    }

    private func target(_ name: String) throws -> FuzzTarget {
        try #require(FuzzTarget.all.first { $0.name == name }, "there is no parser \(name)")
    }
}
