import CLogitSQL
import Glibc
import Logits
import Platform
import Shards

/// A cursor of the table `logits`: over the catalogue alone where no logits are asked for, over rows that the catalogue finds
/// by their image, or through shards.
///
/// `own.row ..< own.end` are the rows before it: of a run of a block, or one row of a statement.
final class LogitsCursor {
    let session: Session
    private let own: UnsafeMutablePointer<ls_cursor>

    private var statement: Statement?
    private var readsLogits = false
    private var root = ""

    private var scan: Scan?
    private var block: Block?
    private var run = 0

    /// Shards of single rows, and room for one row of them.
    private var readers: [String: ShardReader] = [:]
    private var room: [Float] = []
    private let scratch = RowScratch()

    private var lock: FileLock?

    init(_ session: Session, _ own: UnsafeMutablePointer<ls_cursor>) {
        self.session = session
        self.own = own
    }

    /// Starts a query.
    func begin(_ plan: LogitsPlan, _ number: Int32, _ values: [OpaquePointer]) throws(LogitError) {
        end()
        readsLogits = number & LogitsTable.readsLogits != 0
        root = try session.root()
        if lock == nil { lock = try ReadersLock.share(root) }
        if number & LogitsTable.isScan != 0 || session.snapshot != nil {
            scan = Scan(try Units(plan: plan, values: values, session: session, root: root).find())
        } else {
            let statement = try session.statement(CatalogueQuery.rows(plan))
            for (place, value) in values.enumerated() { statement.bind(value, at: place + 1) }
            self.statement = statement
        }
        try advance()
    }

    /// Goes to the first row of the next run or block, or to the statement's next row.
    func advance() throws(LogitError) {
        own.pointee.row = 0
        own.pointee.end = 0
        if let statement {
            if try statement.step() { own.pointee.end = 1 }
        } else if let block, run + 1 < block.runs.count {
            run += 1
            (own.pointee.row, own.pointee.end) = (Int64(block.runs[run].lowerBound), Int64(block.runs[run].upperBound))
        } else if let scan {
            let functions = functionsAsked()
            leaveBlock()
            if let next = try scan.next(functions: functions) { enter(next) }
        }
    }

    private func enter(_ next: Block) {
        block = next
        run = 0
        if let file = next.reader.mappedLogits?.file { session.keep(file) }
        own.pointee.row = Int64(next.runs[0].lowerBound)
        own.pointee.end = Int64(next.runs[0].upperBound)
        var shared = ls_block()
        shared.first = next.first.assumingMemoryBound(to: UInt8.self)
        shared.row_bytes = Int64(next.rowBytes)
        shared.is_mapped = next.memory == nil ? 1 : 0
        shared.end = shared.first + next.rowCount * next.rowBytes
        shared.owner = UnsafeRawPointer(Unmanaged.passUnretained(next).toOpaque())
        own.pointee.block = shared
        for (function, values) in next.known { ls_set_known(own, Int32(function.rawValue), values) }
    }

    private func leaveBlock() {
        own.pointee.block = ls_block()
        block = nil
    }

    /// The functions that the query asked of most rows of the block that it leaves.
    private func functionsAsked() -> [RowFunction] {
        guard let block else { return [] }
        let rows = block.runs.reduce(0) { $0 + $1.count }
        return RowFunction.allCases.filter { ls_calls(own, Int32($0.rawValue)) * 2 >= rows }
    }

    func close() {
        end()
        lock = nil
    }

    private func end() {
        own.pointee.row = 0
        own.pointee.end = 0
        leaveBlock()
        scan?.close()
        scan = nil
        if let statement { session.keep(statement) }
        statement = nil
        if readers.count > 64 { readers = [:] }
    }

    // MARK: Values

    var rowID: Int64 {
        let (unit, row) =
            if let statement {
                (statement.integer(CatalogueQuery.pathColumn + 5), statement.integer(CatalogueQuery.pathColumn + 1))
            } else if let block { (block.unit.id, block.firstRow + Int(own.pointee.row)) } else { (0, 0) }
        return Int64(unit) << 26 | Int64(row)
    }

    func give(_ column: LogitsColumn, _ context: OpaquePointer) throws(LogitError) {
        if let statement {
            if column == .z { return try giveLogits(of: statement, context) }
            return ls_result_value(context, statement.value(Int(column.rawValue)))
        }
        guard let block else { return ls_result_null(context) }
        if column == .z { return giveLogits(of: block, context) }
        let columns = block.reader.columns
        let row = block.firstRow + Int(own.pointee.row)
        switch column {
        case .dataset: constant(block.unit.dataset, context)
        case .split: constant(block.unit.split, context)
        case .network: constant(block.unit.network, context)
        case .attack: constant(block.unit.attack, context)
        case .view: ls_result_int(context, Int64(block.unit.view))
        case .ordinal: ls_result_int(context, columns.ordinal[row])
        case .image: ls_result_text(context, columns.image[row], Int64(columns.image[row].utf8.count))
        case .label: ls_result_int(context, Int64(columns.label[row]))
        case .prediction: ls_result_int(context, Int64(columns.prediction[row]))
        case .status:
            // As the catalogue has it: a clean row has a status only where it is invalid.
            if let attack = columns.attack {
                ls_result_int(context, Int64(attack.status[row]))
            } else if columns.isInvalid(row) {
                ls_result_int(context, Int64(Outcome.invalid.rawValue))
            } else {
                ls_result_null(context)
            }
        case .z, .snapshot: ls_result_null(context)
        }
    }

    private func constant(_ name: String, _ context: OpaquePointer) {
        ls_result_constant(context, session.constant(name))
    }

    private func giveLogits(of block: Block, _ context: OpaquePointer) {
        // SQLite holds the memory until it has done with the vector.
        if let memory = block.memory { _ = Unmanaged.passRetained(memory) }
        ls_result_bytes(context, ls_row(own), Int64(block.rowBytes)) { BlockMemory.holding($0!).release() }
    }

    /// The logits of one row that the catalogue found.
    private func giveLogits(of statement: Statement, _ context: OpaquePointer) throws(LogitError) {
        let first = CatalogueQuery.pathColumn
        let (path, row) = (statement.text(first), statement.integer(first + 1))
        let reader = try reader(path, statement)
        guard row >= 0, row < reader.rowCount, reader.columns.ordinal[row] == Int64(statement.integer(2)) else {
            throw LogitError(.stale, "the catalogue and shard \(path) are of different rows; run logit verify")
        }
        let bytes = reader.classCount * 4
        if let (file, base) = reader.mappedLogits {
            try reader.checkMapped(row..<row + 1)
            session.keep(file)
            return ls_result_bytes(context, base + row * bytes, Int64(bytes), nil)
        }
        if room.count != reader.classCount { room = [Float](repeating: 0, count: reader.classCount) }
        var failure: LogitError?
        room.withUnsafeMutableBufferPointer { room in
            do throws(LogitError) {
                try reader.copyLogits(row: row, into: room, scratch: scratch)
                ls_result_copy(context, room.baseAddress, Int64(bytes))
            } catch { failure = error }
        }
        if let failure { throw failure }
    }

    private func reader(_ path: String, _ statement: Statement) throws(LogitError) -> ShardReader {
        if let known = readers[path] { return known }
        let first = CatalogueQuery.pathColumn
        let unit = ScanUnit(
            id: statement.integer(first + 5), path: "\(root)/\(path)", dataset: statement.text(0),
            split: statement.text(1), network: statement.text(5), attack: statement.text(6),
            view: statement.integer(7), rowCount: statement.integer(first + 2),
            classCount: statement.integer(first + 3), contentDigest: statement.text(first + 4))
        try unit.check(path)
        let reader = try unit.open()
        readers[path] = reader
        return reader
    }
}
