import CLogitSQL
import Glibc
import Logits
import Synchronization

/// An aggregate over vectors whose rows of one block are taken together, by the scan's threads: the query's own thread only
/// notes which rows of the block it was handed.
///
/// What blocks give is put together in their order, so that sums are the same for any number of threads.
final class BlockFold<Partial: Sendable>: Sendable {
    private let compute: @Sendable (Block, [Range<Int>]) -> Partial
    private let merge: @Sendable (inout Partial, Partial) -> Void

    private struct State {
        var total: Partial?
        /// Of blocks whose turn has not come.
        var done: [Int: Partial] = [:]
        var submitted = 0
        var merged = 0
    }
    private let state = Mutex(State())

    /// Of the query's thread alone.
    private struct Pending {
        var block: Block?
        var owner: UnsafeRawPointer?
        var runs: [Range<Int>] = []
        var scans: [ObjectIdentifier: Scan] = [:]
    }
    nonisolated(unsafe) private var pending = Pending()

    init(
        compute: @escaping @Sendable (Block, [Range<Int>]) -> Partial,
        merge: @escaping @Sendable (inout Partial, Partial) -> Void
    ) {
        self.compute = compute
        self.merge = merge
    }

    /// Takes the vector of a call's first argument, where a scan's block holds it.
    /// - Returns: false where none does; the caller then adds it itself.
    func take(_ call: FunctionCall) -> Bool {
        var row: Int64 = 0
        let value = call.values![0]
        guard call.type(0) == SQLITE_BLOB, let vector = ls_blob(value),
            let cursor = ls_find(call.session, vector, Int64(ls_bytes(value)), &row)
        else { return false }
        let owner = cursor.pointee.block.owner
        if owner != pending.owner {
            flush()
            pending.owner = owner
            let block = Unmanaged<Block>.fromOpaque(owner!).takeUnretainedValue()
            pending.block = block
            pending.scans[ObjectIdentifier(block.scan)] = block.scan
        }
        let place = Int(row)
        if let last = pending.runs.indices.last, pending.runs[last].upperBound == place {
            pending.runs[last] = pending.runs[last].lowerBound..<place + 1
        } else {
            pending.runs.append(place..<place + 1)
        }
        return true
    }

    private func flush() {
        guard let block = pending.block else { return }
        let runs = pending.runs
        pending.block = nil
        pending.owner = nil
        pending.runs = []
        let number = state.withLock { state in
            state.submitted += 1
            return state.submitted - 1
        }
        block.scan.submit { [self] in
            let partial = compute(block, runs)
            state.withLock { state in
                state.done[number] = partial
                while let next = state.done.removeValue(forKey: state.merged) {
                    if state.total == nil { state.total = next } else { merge(&state.total!, next) }
                    state.merged += 1
                }
            }
        }
    }

    /// What all rows gave that `take` took; nil where there were none.
    func finish() -> Partial? {
        flush()
        pending.scans.values.forEach { $0.drain() }
        return state.withLock { $0.total }
    }
}
