/// JSON as the functions of histograms and vectors take and give it.
enum JSONValue {
    case null
    case number(Double)
    case array([JSONValue])
    case object([String: JSONValue])
    case other

    /// - Returns: nil where the bytes are no JSON, or nest deeper than 16, or hold some millions of values.
    init?(_ bytes: UnsafeBufferPointer<UInt8>) {
        var parser = JSONParser(bytes: bytes)
        guard let value = parser.value(depth: 0), parser.isAtEnd else { return nil }
        self = value
    }

    /// The elements of an array that holds nothing but numbers; null stands for NaN.
    var numbers: [Double]? {
        guard case .array(let elements) = self else { return nil }
        var numbers: [Double] = []
        numbers.reserveCapacity(elements.count)
        for element in elements {
            switch element {
            case .number(let value): numbers.append(value)
            case .null: numbers.append(.nan)
            default: return nil
            }
        }
        return numbers
    }

    /// Numbers as JSON has them, each so that it is read back to the bit: NaN as null, infinity as a number beyond all.
    static func text(_ numbers: some Sequence<Double>) -> String {
        "[" + numbers.map(text).joined(separator: ",") + "]"
    }

    private static func text(_ number: Double) -> String {
        number.isNaN ? "null" : number.isInfinite ? (number < 0 ? "-9e999" : "9e999") : "\(number)"
    }
}

private struct JSONParser {
    let bytes: UnsafeBufferPointer<UInt8>
    private var place = 0
    /// Values that may come: more than any vector has classes.
    private var left = 1 << 22

    init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    private var next: UInt8? { place < bytes.count ? bytes[place] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { place += 1 }
    }

    var isAtEnd: Bool {
        mutating get {
            skipSpace()
            return place == bytes.count
        }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        skipSpace()
        guard next == byte else { return false }
        place += 1
        return true
    }

    private mutating func take(_ word: StaticString) -> Bool {
        let count = word.utf8CodeUnitCount
        guard bytes.count - place >= count,
            (0..<count).allSatisfy({ bytes[place + $0] == word.utf8Start[$0] })
        else { return false }
        place += count
        return true
    }

    mutating func value(depth: Int) -> JSONValue? {
        skipSpace()
        left -= 1
        guard depth < 16, left >= 0, let byte = next else { return nil }
        switch byte {
        case UInt8(ascii: "["): return array(depth)
        case UInt8(ascii: "{"): return object(depth)
        case UInt8(ascii: "\""): return string() == nil ? nil : .other
        case UInt8(ascii: "n"): return take("null") ? .null : nil
        case UInt8(ascii: "t"): return take("true") ? .other : nil
        case UInt8(ascii: "f"): return take("false") ? .other : nil
        default: return number().map(JSONValue.number)
        }
    }

    private mutating func array(_ depth: Int) -> JSONValue? {
        place += 1
        var elements: [JSONValue] = []
        if take(UInt8(ascii: "]")) { return .array(elements) }
        repeat {
            guard let element = value(depth: depth + 1) else { return nil }
            elements.append(element)
        } while take(UInt8(ascii: ","))
        return take(UInt8(ascii: "]")) ? .array(elements) : nil
    }

    private mutating func object(_ depth: Int) -> JSONValue? {
        place += 1
        var members: [String: JSONValue] = [:]
        if take(UInt8(ascii: "}")) { return .object(members) }
        repeat {
            skipSpace()
            guard next == UInt8(ascii: "\""), let name = string(), take(UInt8(ascii: ":")),
                let member = value(depth: depth + 1)
            else { return nil }
            members[name] = member
        } while take(UInt8(ascii: ","))
        return take(UInt8(ascii: "}")) ? .object(members) : nil
    }

    /// A string with its escapes as they stand: only plain names matter here.
    private mutating func string() -> String? {
        let start = place + 1
        place = start
        while let byte = next {
            if byte == UInt8(ascii: "\"") {
                let text = String(decoding: bytes[start..<place], as: UTF8.self)
                place += 1
                return text
            }
            place += byte == UInt8(ascii: "\\") ? 2 : 1
        }
        return nil
    }

    private mutating func digits() -> Int {
        let start = place
        while let byte = next, (0x30...0x39).contains(byte) { place += 1 }
        return place - start
    }

    private mutating func number() -> Double? {
        let start = place
        if next == UInt8(ascii: "-") { place += 1 }
        let whole = place
        guard digits() > 0, bytes[whole] != UInt8(ascii: "0") || place == whole + 1 else { return nil }
        if next == UInt8(ascii: ".") {
            place += 1
            guard digits() > 0 else { return nil }
        }
        if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
            place += 1
            if next == UInt8(ascii: "-") || next == UInt8(ascii: "+") { place += 1 }
            guard digits() > 0 else { return nil }
        }
        guard place - start <= 400 else { return nil }
        let text = String(decoding: bytes[start..<place], as: UTF8.self)
        // A number beyond all is infinite, as it is for SQLite.
        return Double(text)
    }
}
