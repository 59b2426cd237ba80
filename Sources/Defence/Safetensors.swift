import FoundationEssentials
import Logits
import Platform

/// Reads and writes the safetensors format: eight bytes of header length, a JSON header, raw little-endian float32.
/// Any PyTorch or NumPy reads it with the `safetensors` package.
package enum Safetensors {
    package struct Tensor: Sendable, Equatable {
        package let name: String
        package let shape: [Int]
        package let values: [Float]

        package init(name: String, shape: [Int], values: [Float]) {
            self.name = name
            self.shape = shape
            self.values = values
        }
    }

    private struct Entry: Codable {
        var dtype: String
        var shape: [Int]
        var dataOffsets: [Int]
        private enum CodingKeys: String, CodingKey {
            case dtype, shape
            case dataOffsets = "data_offsets"
        }
    }

    private static let headerLimit = 1 << 24

    package static func encode(_ tensors: [Tensor], metadata: [String: String]) -> [UInt8] {
        var entries: [String: Entry] = [:]
        var offset = 0
        for tensor in tensors {
            precondition(tensor.shape.reduce(1, *) == tensor.values.count)
            entries[tensor.name] = Entry(
                dtype: "F32", shape: tensor.shape, dataOffsets: [offset, offset + tensor.values.count * 4])
            offset += tensor.values.count * 4
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let body = try? encoder.encode(entries), let notes = try? encoder.encode(["__metadata__": metadata])
        else {
            preconditionFailure("a header that JSON cannot hold")
        }
        // One object of both: drop the first's closing and the second's opening brace.
        var header = Array(notes.dropLast()) + Array(",".utf8) + Array(body.dropFirst())
        header += [UInt8](repeating: 0x20, count: (8 - header.count % 8) % 8)
        var bytes = withUnsafeBytes(of: UInt64(header.count).littleEndian) { Array($0) } + header
        bytes.reserveCapacity(bytes.count + offset)
        for tensor in tensors { tensor.values.withUnsafeBytes { bytes.append(contentsOf: $0) } }
        return bytes
    }

    /// - Throws: `corrupt` where the file is anything else than whole float32 tensors, `io` or `notFound` where it cannot be
    ///   read.
    package static func read(_ path: String) throws(LogitError) -> (
        tensors: [String: Tensor], metadata: [String: String]
    ) {
        let bytes = try Files.read(path)
        func damaged(_ reason: String) -> LogitError {
            LogitError(
                .corrupt, "\(path) is no safetensors file of a defender (\(reason)); put back a copy, or train again")
        }
        guard bytes.count > 8 else { throw damaged("it is too short") }
        let length = bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
        guard length <= UInt64(headerLimit), Int(length) <= bytes.count - 8 else {
            throw damaged("its header is too long")
        }
        let header = Data(bytes[8..<8 + Int(length)])
        let start = 8 + Int(length)
        var found: [String: Tensor] = [:]
        guard let fields = try? JSONDecoder().decode([String: Field].self, from: header) else {
            throw damaged("its header is no JSON of tensors")
        }
        var metadata: [String: String] = [:]
        for (name, field) in fields {
            switch field {
            case .metadata(let values): metadata = values
            case .tensor(let entry):
                let size = entry.shape.reduce((1, false)) { sum, next in
                    let product = sum.0.multipliedReportingOverflow(by: next)
                    return (product.partialValue, sum.1 || product.overflow || next < 0)
                }
                guard entry.dtype == "F32", !size.1, entry.dataOffsets.count == 2, entry.dataOffsets[0] >= 0,
                    entry.dataOffsets[0] <= entry.dataOffsets[1], entry.dataOffsets[1] <= bytes.count - start,
                    (entry.dataOffsets[1] - entry.dataOffsets[0]) % 4 == 0,
                    size.0 == (entry.dataOffsets[1] - entry.dataOffsets[0]) / 4
                else { throw damaged("tensor \(name) does not fit") }
                let values = [Float](unsafeUninitializedCapacity: size.0) { buffer, filled in
                    bytes.withUnsafeBytes { raw in
                        let source = UnsafeRawBufferPointer(
                            rebasing: raw[(start + entry.dataOffsets[0])..<(start + entry.dataOffsets[1])])
                        UnsafeMutableRawBufferPointer(buffer).copyMemory(from: source)
                    }
                    filled = size.0
                }
                found[name] = Tensor(name: name, shape: entry.shape, values: values)
            }
        }
        return (found, metadata)
    }

    private enum Field: Decodable {
        case metadata([String: String])
        case tensor(Entry)

        init(from decoder: any Decoder) throws {
            if let entry = try? Entry(from: decoder) {
                self = .tensor(entry)
            } else {
                self = .metadata(try [String: String](from: decoder))
            }
        }
    }
}
