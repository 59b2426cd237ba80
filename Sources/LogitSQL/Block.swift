import CLogitSQL
import Glibc
import Logits
import Platform
import Shards
import Synchronization

/// Rows of one shard that lie before a cursor, checked: in the mapped file, or undone in memory of ours.
///
/// `@unchecked Sendable`: written by the thread that makes it, and only read once it is handed over.
final class Block: @unchecked Sendable {
    /// Whose threads may work on it.
    let scan: Scan
    let unit: ScanUnit
    let reader: ShardReader
    /// The shard's row at which it begins.
    let firstRow: Int
    let rowCount: Int
    /// Runs of rows that the query asks for, counted from `firstRow`; the others are not checked.
    let runs: [Range<Int>]
    /// Logits, row by row.
    let first: UnsafeRawPointer
    /// Nil where they lie in the file.
    let memory: BlockMemory?
    /// By function, a value a row.
    private(set) var known: [RowFunction: UnsafeMutablePointer<Double>] = [:]

    var rowBytes: Int { reader.classCount * 4 }

    /// Reads and checks the rows of a range whose ordinals the unit asks for, and computes functions of them.
    init(
        _ scan: Scan, _ unit: ScanUnit, _ reader: ShardReader, _ rows: Range<Int>, functions: [RowFunction]
    ) throws(LogitError) {
        self.scan = scan
        self.unit = unit
        self.reader = reader
        firstRow = rows.lowerBound
        rowCount = rows.count
        runs = Block.runs(unit, reader, rows)
        if let (_, base) = reader.mappedLogits {
            memory = nil
            first = base + rows.lowerBound * reader.classCount * 4
            for run in runs { try reader.checkMapped(run.lowerBound + firstRow..<run.upperBound + firstRow) }
        } else {
            let room = BlockMemory(bytes: runs.isEmpty ? 0 : rows.count * reader.classCount * 4)
            memory = room
            first = UnsafeRawPointer(room.first)
            let floats = UnsafeMutableBufferPointer(
                start: room.first.assumingMemoryBound(to: Float.self), count: rows.count * reader.classCount)
            for run in runs {
                let part = run.lowerBound * reader.classCount..<run.upperBound * reader.classCount
                try reader.copyLogits(
                    run.lowerBound + firstRow..<run.upperBound + firstRow,
                    into: UnsafeMutableBufferPointer(rebasing: floats[part]))
            }
        }
        for function in functions { compute(function) }
    }

    deinit { known.values.forEach { $0.deallocate() } }

    private static func runs(_ unit: ScanUnit, _ reader: ShardReader, _ rows: Range<Int>) -> [Range<Int>] {
        guard let wanted = unit.ordinals else { return [0..<rows.count] }
        var runs: [Range<Int>] = []
        for (place, row) in rows.enumerated() where wanted.contains(reader.columns.ordinal[row]) {
            if let last = runs.last, last.upperBound == place {
                runs[runs.count - 1] = last.lowerBound..<place + 1
            } else {
                runs.append(place..<place + 1)
            }
        }
        return runs
    }

    /// The logits of one row, counted from `firstRow`.
    func vector(_ row: Int) -> Vector {
        Vector(
            UnsafeBufferPointer(
                start: (first + row * rowBytes).assumingMemoryBound(to: Float.self), count: reader.classCount))
    }

    private func compute(_ function: RowFunction) {
        let values = UnsafeMutablePointer<Double>.allocate(capacity: rowCount)
        values.initialize(repeating: 0, count: rowCount)
        for run in runs {
            for row in run { values[row] = RowFunction.value(function, vector(row)) }
        }
        known[function] = values
    }
}

/// Memory for a block, which begins at a multiple of its size: so the block is found from a pointer into its first part, and
/// SQLite can give back each vector by its address alone.
final class BlockMemory: Sendable {
    /// Rows of a block fill this much, less the head; a row that is longer has a block of its own.
    static let alignment = 1 << 20
    private static let headBytes = 64

    nonisolated(unsafe) let first: UnsafeMutableRawPointer
    nonisolated(unsafe) private let base: UnsafeMutableRawPointer
    private let isPooled: Bool

    static func rows(classes: Int) -> Int {
        let most = max(1, (alignment - headBytes) / (4 * classes))
        // A power of two: chunks of 2, 4, 8 … rows are then undone once.
        return min(4096, 1 << (Int.bitWidth - 1 - most.leadingZeroBitCount))
    }

    init(bytes: Int) {
        let size = max(BlockMemory.alignment, (bytes + BlockMemory.headBytes + 4095) / 4096 * 4096)
        isPooled = size == BlockMemory.alignment
        let pooled = isPooled ? BlockMemory.pool.withLock { $0.popLast() } : nil
        if let pooled {
            base = pooled.base
        } else {
            var made: UnsafeMutableRawPointer?
            guard posix_memalign(&made, BlockMemory.alignment, size) == 0, let made else {
                fatalError("there is no memory for \(size) bytes of rows")
            }
            base = made
        }
        first = base + BlockMemory.headBytes
        base.storeBytes(of: Unmanaged.passUnretained(self).toOpaque(), as: UnsafeMutableRawPointer.self)
    }

    deinit {
        let kept =
            isPooled
            && BlockMemory.pool.withLock { pool in
                guard pool.count < BlockMemory.poolLimit else { return false }
                pool.append(Memory(base: base))
                return true
            }
        if !kept { free(base) }
    }

    /// The memory that a vector lies in.
    static func holding(_ vector: UnsafeMutableRawPointer) -> Unmanaged<BlockMemory> {
        let base = UnsafeMutableRawPointer(bitPattern: UInt(bitPattern: vector) & ~UInt(alignment - 1))!
        return Unmanaged.fromOpaque(base.load(as: UnsafeMutableRawPointer.self))
    }

    /// `@unchecked Sendable`: free memory that nobody points to.
    private struct Memory: @unchecked Sendable { let base: UnsafeMutableRawPointer }
    private static let poolLimit = 32
    private static let pool = Mutex<[Memory]>([])
}
