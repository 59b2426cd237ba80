import Foundation
import Logits
import Networks
import Shards

/// A folder that is gone when this is.
package final class TemporaryFolder: Sendable {
    package let path: String

    package init() {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("logit-\(UUID().uuidString)").path
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    package func file(_ name: String) -> String { "\(path)/\(name)" }
}

/// What a program that ran left behind.
package struct Ran: Sendable {
    package let status: Int32
    package let output: String
    package let errors: String
}

/// Runs a program to its end.
package func run(_ program: String, _ arguments: [String]) throws -> Ran {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    let folder = TemporaryFolder()
    let (out, err) = (folder.file("out"), folder.file("err"))
    for path in [out, err] { _ = FileManager.default.createFile(atPath: path, contents: nil) }
    process.standardOutput = FileHandle(forWritingAtPath: out)
    process.standardError = FileHandle(forWritingAtPath: err)
    process.standardInput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    return Ran(
        status: process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus,
        output: try String(contentsOfFile: out, encoding: .utf8),
        errors: try String(contentsOfFile: err, encoding: .utf8))
}

/// The folder of the built products: the tests' own.
package let productFolder: String = {
    let path = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return (path as NSString).deletingLastPathComponent
}()

/// The checkout.
package let projectFolder: String = ((#filePath as NSString).deletingLastPathComponent as NSString)
    .deletingLastPathComponent.replacingOccurrences(of: "/Tests", with: "")

/// A Python with numpy, h5py and hdf5plugin, where tools/test made one.
package let python: String? = ProcessInfo.processInfo.environment["LOGITCORPUS_PYTHON"]

/// Rows that look like logits; a function of the seed.
package func exampleTable(
    rows: Int, classes: Int, attacked: Bool = false, cost: Bool = false, status8bit: Bool = false, seed: UInt64 = 1,
    firstOrdinal: Int = 0
) -> RowTable {
    let random = Philox(key: seed)
    var table = RowTable(classCount: classes)
    for row in 0..<rows {
        let logits = (0..<classes).map { Float(random.uniform(UInt64(row * classes + $0)) * 20 - 10) }
        table.logits += logits
        table.ordinal.append(Int64(firstOrdinal + row))
        table.image.append("class \(row % classes)/bild-é\(firstOrdinal + row).png")
        table.label.append(Int32((firstOrdinal + row) % classes))
        table.prediction.append(argMax(logits))
    }
    guard attacked else { return table }
    let whole = Array(0..<rows)
    table.attack = AttackColumns(
        cleanPrediction: whole.map { Int32($0 % classes) }, status: whole.map { UInt8($0 % 3) },
        iterations: whole.map { Int32(10 + $0) }, perturbationL2: whole.map { Float($0) / 7 },
        perturbationLinf: whole.map { Float($0 % 16) / 255 }, cost: cost ? whole.map { Float($0) * 10 } : nil,
        status8bit: status8bit ? whole.map { $0 % 3 == 0 ? 1 : UInt8($0 % 3) } : nil)
    return table
}

/// Images of 2 × 3 that are a function of the row.
package func exampleImages(rows: Int, _ precision: ImagePrecision) -> KeptImages {
    let random = Philox(key: 9)
    return KeptImages(
        (0..<rows * 18).map { Float(random.uniform(UInt64($0))) },
        format: ImageFormat(precision: precision, height: 2, width: 3))
}

package let examplePGD = Variant(name: "pgd", canonical: "pgd", parametersJSON: "{\"epsilon\":0.06274509803921569}")

package func exampleKey(_ table: RowTable, variant: Variant = .clean, first: Int = 0) -> UnitKey {
    UnitKey(
        dataset: "d", split: "train", datasetDigest: String(repeating: "a", count: 64), network: "n",
        networkDigest: String(repeating: "b", count: 64), preprocessing: "3x8x8", variant: variant, view: 0, seed: 0,
        listDigest: String(repeating: "c", count: 64), firstPosition: first, rowCount: table.count)
}

package func exampleHeader(_ table: RowTable, variant: Variant = .clean, first: Int = 0) -> ShardHeader {
    ShardHeader(
        key: exampleKey(table, variant: variant, first: first), classCount: table.classCount, blockRows: 64,
        contentDigest: "0123", softwareJSON: "{}", created: "2026-01-01T00:00:00Z")
}
