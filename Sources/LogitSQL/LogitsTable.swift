import CLogitSQL
import Logits

/// The module of the table `logits`.
final class LogitsTable {
    let session: Session

    init(_ session: Session) { self.session = session }

    func register(_ db: OpaquePointer) -> Int32 { VirtualTable.register(db, "logits", module, self) }

    /// Bits of the plan's number.
    static let readsLogits: Int32 = 1
    static let isScan: Int32 = 2
}

private typealias Cursor = UnsafeMutablePointer<sqlite3_vtab_cursor>?

private func own(_ cursor: Cursor) -> UnsafeMutablePointer<ls_cursor> {
    UnsafeMutableRawPointer(cursor!).assumingMemoryBound(to: ls_cursor.self)
}

private func rows(_ cursor: Cursor) -> LogitsCursor {
    Unmanaged<LogitsCursor>.fromOpaque(own(cursor).pointee.object).takeUnretainedValue()
}

/// Runs what may fail.
private func attempt(_ cursor: Cursor, _ body: (LogitsCursor) throws(LogitError) -> Void) -> Int32 {
    do throws(LogitError) {
        try body(rows(cursor))
        return SQLITE_OK
    } catch { return VirtualTable.fail(cursor!.pointee.pVtab, error) }
}

nonisolated(unsafe) private let module: UnsafePointer<sqlite3_module> = {
    let module = UnsafeMutablePointer<sqlite3_module>.allocate(capacity: 1)
    module.initialize(to: sqlite3_module())
    module.pointee.xConnect = { db, data, _, _, result, _ in
        let table = Unmanaged<LogitsTable>.fromOpaque(data!).takeUnretainedValue()
        return VirtualTable.connect(db, LogitsColumn.declaration, table, result)
    }
    module.pointee.xBestIndex = { table, info in
        do throws(LogitError) {
            return try LogitsIndex.choose(info!) ? SQLITE_OK : SQLITE_CONSTRAINT
        } catch { return VirtualTable.fail(table, error) }
    }
    module.pointee.xDisconnect = { table in
        VirtualTable.object(table, LogitsTable.self).session.finalizeStatements()
        return VirtualTable.disconnect(table)
    }
    module.pointee.xDestroy = module.pointee.xDisconnect
    module.pointee.xOpen = { table, result in
        let session = VirtualTable.object(table, LogitsTable.self).session
        let cursor = UnsafeMutablePointer<ls_cursor>.allocate(capacity: 1)
        cursor.initialize(to: ls_cursor())
        cursor.pointee.object = Unmanaged.passRetained(LogitsCursor(session, cursor)).toOpaque()
        ls_enter(session.shared, cursor)
        result!.pointee = UnsafeMutableRawPointer(cursor).assumingMemoryBound(to: sqlite3_vtab_cursor.self)
        return SQLITE_OK
    }
    module.pointee.xClose = { cursor in
        let session = rows(cursor).session
        let closed = own(cursor)
        ls_leave(session.shared, closed)
        rows(cursor).close()
        Unmanaged<LogitsCursor>.fromOpaque(closed.pointee.object).release()
        closed.deallocate()
        return SQLITE_OK
    }
    module.pointee.xFilter = { cursor, number, text, count, values in
        attempt(cursor) { (rows) throws(LogitError) in
            let plan = LogitsPlan(String(cString: text!))
            try rows.begin(plan, number, (0..<Int(count)).map { values![$0]! })
        }
    }
    module.pointee.xNext = { cursor in
        let own = own(cursor)
        if own.pointee.row + 1 < own.pointee.end {
            own.pointee.row += 1
            return SQLITE_OK
        }
        return attempt(cursor) { (rows) throws(LogitError) in try rows.advance() }
    }
    module.pointee.xEof = { cursor in own(cursor).pointee.row < own(cursor).pointee.end ? 0 : 1 }
    module.pointee.xColumn = { cursor, context, column in
        let own = own(cursor)
        if column == LogitsColumn.z.rawValue, own.pointee.block.is_mapped != 0 {
            ls_result_bytes(context, ls_row(own), own.pointee.block.row_bytes, nil)
            return SQLITE_OK
        }
        return Unmanaged<LogitsCursor>.fromOpaque(own.pointee.object)._withUnsafeGuaranteedRef { rows in
            do throws(LogitError) {
                try rows.give(LogitsColumn(rawValue: column)!, context!)
            } catch { ls_result_error(context, error.message) }
            return SQLITE_OK
        }
    }
    module.pointee.xRowid = { cursor, result in
        result!.pointee = rows(cursor).rowID
        return SQLITE_OK
    }
    return UnsafePointer(module)
}()

/// How SQLite is told which queries are cheap.
enum LogitsIndex {
    /// - Returns: false where the table must be joined in another order.
    static func choose(_ info: UnsafeMutablePointer<sqlite3_index_info>) throws(LogitError) -> Bool {
        let offered = OfferedConstraints(info)
        var plan = LogitsPlan()
        var places: [(place: Int, isExact: Bool)] = []
        for place in offered.places {
            let (number, operation, isUsable) = offered[place]
            guard let column = LogitsColumn(rawValue: number), let comparison = comparison(operation) else { continue }
            if column == .snapshot, comparison == .equal, !isUsable { return false }
            guard isUsable, isPushed(column, comparison), isBinary(info, place) else { continue }
            plan.constraints.append((column, comparison))
            // Names of units are compared by the catalogue as SQLite compares them; what else is asked it compares again.
            places.append((place, column == .snapshot || LogitsColumn.unitColumns.contains(column)))
        }
        for (argument, used) in places.enumerated() {
            offered.use(used.place, argument: argument + 1, isExact: used.isExact)
        }
        let readsLogits = info.pointee.colUsed & (1 << UInt64(LogitsColumn.z.rawValue)) != 0
        let isScan = !plan.isLookup && (readsLogits || plan.has(.snapshot))
        if isScan, let order = order(info) {
            plan.order = order
            info.pointee.orderByConsumed = 1
        }
        info.pointee.idxNum = (readsLogits ? LogitsTable.readsLogits : 0) | (isScan ? LogitsTable.isScan : 0)
        info.pointee.idxStr = ls_text(plan.text)
        info.pointee.needToFreeIdxStr = 1
        estimate(info, plan, readsLogits: readsLogits)
        return true
    }

    private static func comparison(_ operation: Int32) -> LogitsPlan.Comparison? {
        switch operation {
        case SQLITE_INDEX_CONSTRAINT_EQ: .equal
        case SQLITE_INDEX_CONSTRAINT_LT: .less
        case SQLITE_INDEX_CONSTRAINT_LE: .lessOrEqual
        case SQLITE_INDEX_CONSTRAINT_GT: .greater
        case SQLITE_INDEX_CONSTRAINT_GE: .greaterOrEqual
        default: nil
        }
    }

    private static func isPushed(_ column: LogitsColumn, _ comparison: LogitsPlan.Comparison) -> Bool {
        switch column {
        case .dataset, .split, .network, .attack, .view, .image, .snapshot: comparison == .equal
        case .ordinal: true
        case .label, .prediction, .status, .z: false
        }
    }

    /// Comparisons under another collation (NOCASE) are SQLite's.
    private static func isBinary(_ info: UnsafeMutablePointer<sqlite3_index_info>, _ place: Int) -> Bool {
        guard let name = ls_collation(info, Int32(place)) else { return true }
        return String(cString: name) == "BINARY"
    }

    private static func order(
        _ info: UnsafeMutablePointer<sqlite3_index_info>
    ) -> [(column: LogitsColumn, isDescending: Bool)]? {
        guard info.pointee.nOrderBy > 0 else { return nil }
        var order: [(column: LogitsColumn, isDescending: Bool)] = []
        for place in 0..<Int(info.pointee.nOrderBy) {
            let term = info.pointee.aOrderBy[place]
            guard let column = LogitsColumn(rawValue: term.iColumn), LogitsColumn.unitColumns.contains(column) else {
                return nil
            }
            order.append((column, term.desc != 0))
        }
        return order
    }

    /// Shares of a corpus of some millions of rows, since what is in this one is not asked for each plan.
    private static func estimate(
        _ info: UnsafeMutablePointer<sqlite3_index_info>, _ plan: LogitsPlan, readsLogits: Bool
    ) {
        var rows = plan.isLookup ? 64.0 : 4e6
        for (column, comparison) in plan.constraints {
            switch (column, comparison) {
            case (.network, .equal), (.attack, .equal): rows *= 0.25
            case (.split, .equal), (.dataset, .equal), (.view, .equal): rows *= 0.75
            case (.ordinal, .equal), (.image, .equal): rows *= plan.isLookup ? 0.9 : 1e-4
            case (.ordinal, _): rows *= 0.5
            default: break
            }
        }
        info.pointee.estimatedRows = max(1, Int64(rows))
        info.pointee.estimatedCost = 20 + rows * (readsLogits ? 10 : 3)
    }
}
