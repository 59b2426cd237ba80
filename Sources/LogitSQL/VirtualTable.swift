import CLogitSQL
import Logits

/// What the modules of all tables share.
enum VirtualTable {
    /// Says in words why an operation of a table failed.
    static func fail(_ table: UnsafeMutablePointer<sqlite3_vtab>?, _ error: LogitError) -> Int32 {
        ls_free(table?.pointee.zErrMsg)
        table?.pointee.zErrMsg = ls_text(error.message)
        switch error.code {
        case .corrupt, .stale: return SQLITE_CORRUPT | 1 << 8  // SQLITE_CORRUPT_VTAB
        case .io: return SQLITE_IOERR
        default: return SQLITE_ERROR
        }
    }

    /// Makes a table of a connection; `object` is kept until the table goes.
    static func connect(
        _ db: OpaquePointer?, _ declaration: String, _ object: AnyObject,
        _ result: UnsafeMutablePointer<UnsafeMutablePointer<sqlite3_vtab>?>?
    ) -> Int32 {
        let status = ls_declare(db, declaration)
        guard status == SQLITE_OK else { return status }
        _ = ls_innocuous(db)
        let table = UnsafeMutablePointer<ls_table>.allocate(capacity: 1)
        table.initialize(to: ls_table())
        table.pointee.object = Unmanaged.passRetained(object).toOpaque()
        result?.pointee = UnsafeMutableRawPointer(table).assumingMemoryBound(to: sqlite3_vtab.self)
        return SQLITE_OK
    }

    static func disconnect(_ table: UnsafeMutablePointer<sqlite3_vtab>?) -> Int32 {
        let own = UnsafeMutableRawPointer(table!).assumingMemoryBound(to: ls_table.self)
        Unmanaged<AnyObject>.fromOpaque(own.pointee.object).release()
        own.deallocate()
        return SQLITE_OK
    }

    static func object<Value: AnyObject>(_ table: UnsafeMutablePointer<sqlite3_vtab>?, _ type: Value.Type) -> Value {
        let own = UnsafeMutableRawPointer(table!).assumingMemoryBound(to: ls_table.self)
        return Unmanaged<Value>.fromOpaque(own.pointee.object).takeUnretainedValue()
    }

    /// Adds a module to a connection, which then owns `data`.
    static func register(
        _ db: OpaquePointer, _ name: String, _ module: UnsafePointer<sqlite3_module>, _ data: AnyObject
    ) -> Int32 {
        ls_create_module(db, name, module, Unmanaged.passRetained(data).toOpaque()) {
            Unmanaged<AnyObject>.fromOpaque($0!).release()
        }
    }
}

/// The constraints that SQLite offers to a table, by their places.
struct OfferedConstraints {
    private let info: UnsafeMutablePointer<sqlite3_index_info>

    init(_ info: UnsafeMutablePointer<sqlite3_index_info>) { self.info = info }

    var places: Range<Int> { 0..<Int(info.pointee.nConstraint) }

    subscript(_ place: Int) -> (column: Int32, comparison: Int32, isUsable: Bool) {
        let offered = info.pointee.aConstraint[place]
        return (offered.iColumn, Int32(offered.op), offered.usable != 0)
    }

    /// Asks for a constraint's value as an argument, counted from 1.
    func use(_ place: Int, argument: Int, isExact: Bool) {
        info.pointee.aConstraintUsage[place].argvIndex = Int32(argument)
        info.pointee.aConstraintUsage[place].omit = isExact ? 1 : 0
    }
}
