import Foundation
import TestSupport
import Testing

/// What each target may import (ARCHITECTURE.md, Layers): a closed list, so that data flows one way.
private let allowed: [String: Set<String>] = [
    "Logits": [], "Platform": ["Logits"], "Torch": ["Logits", "CTorchAPI"],
    "Images": ["Logits", "Platform", "CImageCodecs"],
    "Shards": ["Logits", "Platform", "CHDF5", "CShardLayout", "CZstd", "CXXHash", "CShardKernels"],
    "Networks": ["Logits", "Torch", "CAttackKernels"],
    "Analysis": ["Logits"],
    "CorpusStore": ["Logits", "Platform", "Shards", "GRDB", "GRDBSQLite", "Crypto"],
    "Ingestion": ["Logits", "Platform", "Networks", "Images", "Shards", "CorpusStore", "Yams"],
    "Sampling": ["Logits", "Platform", "Shards"],
    "Defence": ["Logits", "Platform", "Torch", "Shards", "Sampling", "CorpusStore", "Networks", "Analysis"],
    "LogitSQL": ["Logits", "Platform", "Shards", "Analysis", "CLogitSQL", "CVectorKernels"],
    "Report": [
        "Logits", "Platform", "Shards", "Networks", "Defence", "Analysis", "CorpusStore", "Images", "Mustache",
    ],
    "Experiments": [
        "Logits", "Platform", "Images", "Shards", "Networks", "CorpusStore", "Ingestion", "Sampling", "Defence",
        "Report",
        "Yams",
    ],
]

/// Foundation stays out of what other programs will load.
private let system: [String: Set<String>] = [
    "Logits": [], "Platform": ["Glibc", "Synchronization"], "Torch": ["Glibc"], "Images": [], "Analysis": ["Glibc"],
    "Sampling": [], "LogitSQL": ["Glibc", "Synchronization"],
    "Shards": ["Glibc", "FoundationEssentials", "Synchronization"], "Networks": ["Glibc", "FoundationEssentials"],
]

private func sources(_ folder: String) throws -> [(path: String, text: String)] {
    let base = "\(projectFolder)/\(folder)"
    let paths = try #require(FileManager.default.enumerator(atPath: base)).compactMap { $0 as? String }
    return try paths.filter { $0.hasSuffix(".swift") }.map {
        ("\(folder)/\($0)", try String(contentsOfFile: "\(base)/\($0)", encoding: .utf8))
    }
}

@Test("imports point down the layers only", arguments: allowed.keys.sorted())
func layers(target: String) throws {
    let files = try sources("Sources/\(target)")
    #expect(!files.isEmpty)
    let others: Set<String> = ["Glibc", "Foundation", "FoundationEssentials", "Synchronization", "Dispatch"]
    for file in files {
        for line in file.text.split(separator: "\n")
        where line.hasPrefix("import ") || line.hasPrefix("internal import ") {
            let module = String(line.split(separator: " ").last ?? "")
            if others.contains(module) {
                if let fine = system[target] { #expect(fine.contains(module), "\(file.path) imports \(module)") }
            } else {
                #expect(allowed[target]?.contains(module) == true, "\(file.path) imports \(module)")
            }
        }
    }
}

@Test("no file names a place outside the project, tries by force, or leaves work for later")
func habits() throws {
    let words = ["../" + "shared", "/" + "work/", "TO" + "DO", "FIX" + "ME", "try" + "!"]
    for file in try sources("Sources") + sources("Tests") {
        for word in words { #expect(!file.text.contains(word), "\(file.path): \(word)") }
    }
}

@Test("an unchecked promise of thread safety comes with its proof")
func promises() throws {
    let mark = "@unchecked " + "Sendable"
    for file in try sources("Sources") where file.text.contains(mark) {
        #expect(file.text.contains("`\(mark)`:"), "\(file.path)")
    }
}

@Test("the longest files, for orientation")
func lengths() throws {
    let lengths = try sources("Sources").map {
        ($0.text.split(separator: "\n", omittingEmptySubsequences: false).count, $0.path)
    }
    for (lines, path) in lengths.sorted(by: >).prefix(5) { print("\(lines) lines: \(path)") }
    #expect(lengths.allSatisfy { $0.0 < 500 })
}
