import ArgumentParser
import CorpusStore
import Foundation
import Logits
import Report

/// How a command prints its result.
enum Format: String, ExpressibleByArgument, CaseIterable { case table, json }

/// Options that every command with a result has.
struct OutputOptions: ParsableArguments {
    @Option(help: "How to print the result: table or json.")
    var format = Format.table

    @Flag(help: "Print no progress and no messages, only the result.")
    var quiet = false

    /// One JSON value on standard output, or the text.
    func print(_ value: some Encodable, text: @autoclosure () -> String) {
        switch format {
        case .json: write(JSONFile.encode(value))
        case .table: write(Array((text() + "\n").utf8))
        }
    }

    private func write(_ bytes: [UInt8]) { FileHandle.standardOutput.write(Data(bytes)) }

    /// A message for people, on standard error.
    func note(_ message: String) {
        if !quiet { FileHandle.standardError.write(Data("\(message)\n".utf8)) }
    }
}
