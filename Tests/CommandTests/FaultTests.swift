import Foundation
import TestSupport
import Testing

/// What runs the injection: any Python 3; the checks read shards with h5py too where it is there.
private let interpreter = [python, "/usr/bin/python3"].compactMap { $0 }.first(where: isExecutable)

private func isExecutable(_ path: String) -> Bool { FileManager.default.isExecutableFile(atPath: path) }

@Test(
    "after any of 50 faults or 25 losses of power nothing committed is lost, nothing half-done visible, and the same command ends as if there had been none",
    .enabled(if: interpreter != nil && isExecutable("/usr/bin/cc"), "needs cc and python3"))
func faults() throws {
    let folder = TemporaryFolder()
    let ran = try run(
        try #require(interpreter),
        [
            "\(projectFolder)/tools/faults/main.py", "--logit", logit, "--faults", "50", "--losses", "25", "--only",
            "dataset add,ingest,snapshot,move tag,repair of damage,compact,gc", "--folder", folder.file("faults"),
        ])
    #expect(ran.status == 0, "\(ran.output)\(ran.errors)")
    // All that was asked for took place.
    #expect(ran.output.contains("50 faults and 25 losses of power"), "\(ran.output)")
}
