import GRDB
import Glibc
import Logits
import Platform

/// How a reader opens the catalogue.
///
/// A writer keeps `catalog.sqlite-wal` in place when it closes, so a corpus that is written has one; a copy may not.
enum CatalogAccess: Sendable {
    /// With a write-ahead log beside it: beside a writer, or on a read-only file system that has the shared memory file too.
    case live
    /// Without a log: a copy without one. SQLite then takes the file as unchangeable and no locks, so whether it has changed
    /// is asked after each use.
    case still(FileState)
    /// With a log that no shared memory file can be made for: on a read-only file system. The log is read alone; nobody writes.
    case alone

    init(_ path: String) {
        let state = FileState(path)
        self = Files.exists(path + "-wal") ? .live : .still(state)
    }

    /// `mode=ro` without a log fails where the folder cannot be written, and `immutable=1` beside a log misses rows.
    func uri(_ path: String) -> String {
        let escaped = CatalogAccess.escaped(path)
        switch self {
        case .live: return "file:\(escaped)?mode=ro"
        case .still: return "file:\(escaped)?immutable=1"
        case .alone: return "file:\(escaped)?mode=ro&vfs=unix-none"
        }
    }

    /// What must run on a new connection before its first read: the index of the log is then kept in its own memory.
    var preparation: String? {
        if case .alone = self { return "PRAGMA locking_mode = EXCLUSIVE;" }
        return nil
    }

    /// Whether a writer has come since a file was taken as unchangeable: what was read may be of no one moment.
    func isOutdated(_ path: String) -> Bool {
        guard case .still(let state) = self else { return false }
        return Files.exists(path + "-wal") || FileState(path) != state
    }

    /// Opens by the rules above. The log may vanish after it was seen: another program's last connection removes it.
    /// - Parameter open: opens and reads once; fails with a `DatabaseError`.
    static func opening<Value>(_ path: String, _ open: (CatalogAccess) throws -> Value) throws -> Value {
        for _ in 0..<10 {
            let access = CatalogAccess(path)
            do {
                let value = try open(access)
                if !access.isOutdated(path) { return value }
            } catch let error as DatabaseError {
                if access.isOutdated(path) { continue }
                guard case .live = access, [.SQLITE_CANTOPEN, .SQLITE_READONLY].contains(error.resultCode) else {
                    throw error
                }
                if Files.exists(path + "-wal") { return try open(.alone) }
            }
        }
        throw LogitError(.busy, "the catalogue \(path) changes faster than it can be opened; run the command again")
    }

    private static func escaped(_ path: String) -> String {
        var escaped = ""
        for byte in path.utf8 {
            switch byte {
            case 0x61...0x7A, 0x41...0x5A, 0x30...0x39, 0x2D, 0x2E, 0x2F, 0x5F, 0x7E:
                escaped.unicodeScalars.append(UnicodeScalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                escaped += "%" + (digits.count == 1 ? "0" + digits : digits)
            }
        }
        return escaped
    }
}

/// What tells whether a file was changed or replaced.
struct FileState: Sendable, Equatable {
    private let node: UInt64
    private let size: Int
    private let seconds: Int
    private let nanoseconds: Int

    init(_ path: String) {
        var info = stat()
        let found = stat(path, &info) == 0
        node = found ? UInt64(info.st_ino) : 0
        size = found ? Int(info.st_size) : -1
        seconds = found ? Int(info.st_mtim.tv_sec) : 0
        nanoseconds = found ? Int(info.st_mtim.tv_nsec) : 0
    }
}
