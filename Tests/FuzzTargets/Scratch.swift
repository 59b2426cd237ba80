import Foundation

/// A folder of this process, in memory where there is such a file system; gone when the process ends in peace.
enum Scratch {
    final class Folder: Sendable {
        let path: String

        init() {
            let base = FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
            path = "\(base)/logit-fuzz-\(ProcessInfo.processInfo.processIdentifier)"
            try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            atexit { try? FileManager.default.removeItem(atPath: Scratch.folder.path) }
        }
    }

    static let folder = Folder()
}

func contents(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }
