import Foundation
import Logits
import Platform

/// Something that reads bytes from outside. Whatever they are, it takes them or refuses them with a `LogitError`: no crash, no
/// memory out of proportion, no waiting.
package struct FuzzTarget: Sendable {
    package let name: String
    /// Inputs for a fuzzer to change; the first is taken.
    package let seeds: @Sendable () throws -> [[UInt8]]
    private let body: @Sendable ([UInt8]) throws -> Void

    init(
        _ name: String, seeds: @escaping @Sendable () throws -> [[UInt8]],
        _ body: @escaping @Sendable ([UInt8]) throws -> Void
    ) {
        self.name = name
        self.seeds = seeds
        self.body = body
    }

    package static let all = pictures + lists + texts + records + shards + sql

    /// - Returns: whether the bytes were taken.
    /// - Throws: what is no `LogitError`: a fault of the parser's.
    @discardableResult
    package func run(_ bytes: [UInt8]) throws -> Bool {
        do {
            try body(bytes)
            return true
        } catch is LogitError {
            return false
        }
    }
}

/// Hands bytes to what reads a file: a file of its own, in memory, whose name ends so.
func withFile<Value>(_ bytes: [UInt8], _ name: String, _ body: (String) throws -> Value) throws -> Value {
    let path = "\(Scratch.folder.path)/\(UUID().uuidString)-\(name)"
    defer { unlink(path) }
    try Files.write(bytes, to: path, sync: false)
    return try body(path)
}
