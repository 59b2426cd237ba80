import CLogitSQL
import Logits

/// A table-valued function whose rows are computed at once from its arguments: few rows.
final class ComputedTable {
    let name: String
    let columns: [String]
    /// Arguments, of which the first `required` must be given.
    let arguments: [String]
    let required: Int
    let rows: (Session, [OpaquePointer?]) throws(LogitError) -> [[SQLValue]]
    /// Whether CREATE VIRTUAL TABLE can give it another place.
    var isCreatable = false
    fileprivate let session: Session

    init(
        _ name: String, columns: [String], arguments: [String], required: Int, _ session: Session,
        rows: @escaping (Session, [OpaquePointer?]) throws(LogitError) -> [[SQLValue]]
    ) {
        self.name = name
        self.columns = columns
        self.arguments = arguments
        self.required = required
        self.session = session
        self.rows = rows
    }

    func register(_ db: OpaquePointer) -> Int32 {
        VirtualTable.register(db, name, isCreatable ? creatableModule : module, self)
    }

    fileprivate var declaration: String {
        "CREATE TABLE x(" + (columns + arguments.map { "\"\($0)\" HIDDEN" }).joined(separator: ", ") + ")"
    }
}

private typealias Table = UnsafeMutablePointer<sqlite3_vtab>?
private typealias Cursor = UnsafeMutablePointer<sqlite3_vtab_cursor>?

private final class Rows {
    let table: ComputedTable
    var rows: [[SQLValue]] = []
    var place = 0

    init(_ table: ComputedTable) { self.table = table }
}

private func rows(_ cursor: Cursor) -> Rows {
    let own = UnsafeMutableRawPointer(cursor!).assumingMemoryBound(to: ls_cursor.self)
    return Unmanaged<Rows>.fromOpaque(own.pointee.object).takeUnretainedValue()
}

nonisolated(unsafe) private let module: UnsafePointer<sqlite3_module> = {
    let module = UnsafeMutablePointer<sqlite3_module>.allocate(capacity: 1)
    module.initialize(to: sqlite3_module())
    module.pointee.xConnect = { db, data, _, _, result, _ in
        let table = Unmanaged<ComputedTable>.fromOpaque(data!).takeUnretainedValue()
        return VirtualTable.connect(db, table.declaration, table, result)
    }
    module.pointee.xBestIndex = bestIndex
    module.pointee.xDisconnect = { VirtualTable.disconnect($0) }
    module.pointee.xDestroy = { VirtualTable.disconnect($0) }
    module.pointee.xOpen = { table, result in
        let cursor = UnsafeMutablePointer<ls_cursor>.allocate(capacity: 1)
        cursor.initialize(to: ls_cursor())
        let rows = Rows(VirtualTable.object(table, ComputedTable.self))
        cursor.pointee.object = Unmanaged.passRetained(rows).toOpaque()
        result!.pointee = UnsafeMutableRawPointer(cursor).assumingMemoryBound(to: sqlite3_vtab_cursor.self)
        return SQLITE_OK
    }
    module.pointee.xClose = { cursor in
        let own = UnsafeMutableRawPointer(cursor!).assumingMemoryBound(to: ls_cursor.self)
        Unmanaged<Rows>.fromOpaque(own.pointee.object).release()
        own.deallocate()
        return SQLITE_OK
    }
    module.pointee.xFilter = { cursor, given, _, count, values in
        let rows = rows(cursor)
        let table = rows.table
        // The arguments that are given, by the bits of `given`, in their order.
        var arguments: [OpaquePointer?] = []
        var place = 0
        for argument in table.arguments.indices {
            let isGiven = given & (1 << argument) != 0
            arguments.append(isGiven ? values![place] : nil)
            if isGiven { place += 1 }
        }
        rows.place = 0
        rows.rows = []
        do throws(LogitError) {
            rows.rows = try table.rows(table.session, arguments)
            return SQLITE_OK
        } catch {
            return VirtualTable.fail(
                cursor!.pointee.pVtab, LogitError(error.code, "\(table.name): \(error.message)"))
        }
    }
    module.pointee.xNext = {
        rows($0).place += 1
        return SQLITE_OK
    }
    module.pointee.xEof = { cursor in
        let rows = rows(cursor)
        return rows.place < rows.rows.count ? 0 : 1
    }
    module.pointee.xColumn = { cursor, context, column in
        let rows = rows(cursor)
        let row = rows.rows[rows.place]
        if Int(column) < row.count { row[Int(column)].give(context) } else { ls_result_null(context) }
        return SQLITE_OK
    }
    module.pointee.xRowid = { cursor, result in
        result!.pointee = Int64(rows(cursor).place)
        return SQLITE_OK
    }
    return UnsafePointer(module)
}()

nonisolated(unsafe) private let creatableModule: UnsafePointer<sqlite3_module> = {
    let creatable = UnsafeMutablePointer<sqlite3_module>.allocate(capacity: 1)
    creatable.initialize(to: module.pointee)
    creatable.pointee.xCreate = module.pointee.xConnect
    return UnsafePointer(creatable)
}()

private func bestIndex(_ table: Table, _ info: UnsafeMutablePointer<sqlite3_index_info>?) -> Int32 {
    let own = VirtualTable.object(table, ComputedTable.self)
    let offered = OfferedConstraints(info!)
    var given: [Int: Int] = [:]
    for place in offered.places {
        let (column, comparison, isUsable) = offered[place]
        let argument = Int(column) - own.columns.count
        guard argument >= 0, comparison == SQLITE_INDEX_CONSTRAINT_EQ else { continue }
        // An argument that comes from a table which is read later: another order of tables must be tried.
        guard isUsable else { return SQLITE_CONSTRAINT }
        given[argument] = place
    }
    for argument in 0..<own.required where given[argument] == nil {
        return VirtualTable.fail(
            table,
            LogitError(.usage, "\(own.name) needs its argument: \(own.name)(\(own.arguments.joined(separator: ", ")))"))
    }
    var mask: Int32 = 0
    for (order, argument) in given.keys.sorted().enumerated() {
        offered.use(given[argument]!, argument: order + 1, isExact: true)
        mask |= 1 << argument
    }
    info!.pointee.idxNum = mask
    info!.pointee.estimatedCost = 10
    info!.pointee.estimatedRows = 10
    return SQLITE_OK
}
