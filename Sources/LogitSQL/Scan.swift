import Glibc
import Logits
import Platform
import Shards
import Synchronization

/// A shard as a query reads it.
struct ScanUnit: Sendable {
    /// By which the rows are told apart: the unit's number in the catalogue, or its place in the manifest.
    let id: Int
    let path: String
    let dataset: String
    let split: String
    let network: String
    let attack: String
    let view: Int
    let rowCount: Int
    let classCount: Int
    let contentDigest: String
    /// Rows outside are passed over without a look at them.
    var rows: Range<Int>
    /// Rows with other ordinals are passed over; nil takes all.
    var ordinals: OrdinalBounds?

    init(
        id: Int, path: String, dataset: String, split: String, network: String, attack: String, view: Int,
        rowCount: Int,
        classCount: Int, contentDigest: String
    ) {
        self.id = id
        self.path = path
        self.dataset = dataset
        self.split = split
        self.network = network
        self.attack = attack
        self.view = view
        self.rowCount = rowCount
        self.classCount = classCount
        self.contentDigest = contentDigest
        rows = 0..<max(0, rowCount)
    }

    /// Opens the shard, which must be the one that catalogue or manifest say.
    func open() throws(LogitError) -> ShardReader {
        let reader = try ReaderCache.shared.open(path)
        let key = reader.header.key
        guard reader.header.contentDigest == contentDigest, reader.rowCount == rowCount,
            reader.classCount == classCount, key.dataset == dataset, key.split == split, key.network == network,
            key.variant.canonical == attack, key.view == view
        else {
            throw LogitError(
                .stale, "shard \(path) is not the one that the corpus recorded; put back a copy, or run logit verify")
        }
        return reader
    }
}

/// The rows of many shards one after another, in blocks that threads read, check and undo ahead of the query, no more than a few
/// of them: memory stays the same however long the scan is.
///
/// Plain threads, started with the second block (a query with a small LIMIT needs none) and joined when the scan is closed.
///
/// `@unchecked Sendable`: what the threads share is in `state`, behind `mutex`; `consumed` and `threads` belong to the caller.
final class Scan: @unchecked Sendable {
    private static let ahead = 8
    /// Rows of the first block, which the query waits for.
    private static let firstRows = 32

    private let units: [ScanUnit]
    private let pieces: [(unit: Int, rows: Range<Int>)]

    private struct State {
        var ready: [Int: Result<Block, LogitError>] = [:]
        var next = 1
        var limit = 1 + Scan.ahead
        var functions: [RowFunction] = []
        var jobs: [@Sendable () -> Void] = []
        var runningJobs = 0
        var isClosed = false
    }

    private var state = State()
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var consumed = 0
    private var threads: [PlainThread] = []

    init(_ units: [ScanUnit]) {
        self.units = units
        var pieces: [(unit: Int, rows: Range<Int>)] = []
        for (place, unit) in units.enumerated() {
            let step = BlockMemory.rows(classes: max(1, unit.classCount))
            var first = unit.rows.lowerBound
            while first < unit.rows.upperBound {
                let end = min(unit.rows.upperBound, pieces.isEmpty ? first + Scan.firstRows : (first / step + 1) * step)
                pieces.append((place, first..<end))
                first = end
            }
        }
        self.pieces = pieces
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        close()
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    private func locked<Value>(_ body: (inout State) -> Value) -> Value {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body(&state)
    }

    /// The next block that holds rows; nil at the end.
    /// - Parameter functions: what the threads shall compute of the rows of blocks to come.
    func next(functions: [RowFunction]) throws(LogitError) -> Block? {
        while consumed < pieces.count {
            let block = try take(consumed, functions).get()
            consumed += 1
            if !block.runs.isEmpty { return block }
        }
        return nil
    }

    private func take(_ piece: Int, _ functions: [RowFunction]) -> Result<Block, LogitError> {
        if piece == 0 || pieces.count <= 2 { return make(piece, functions) }
        if threads.isEmpty {
            threads = (0..<min(16, usableCoreCount())).map { _ in PlainThread { [unowned self] in self.work() } }
        }
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        state.limit = piece + Scan.ahead
        state.functions = functions
        pthread_cond_broadcast(changed)
        while true {
            if let block = state.ready.removeValue(forKey: piece) { return block }
            pthread_cond_wait(changed, mutex)
        }
    }

    private func make(_ piece: Int, _ functions: [RowFunction]) -> Result<Block, LogitError> {
        let unit = units[pieces[piece].unit]
        do throws(LogitError) {
            return .success(try Block(self, unit, try unit.open(), pieces[piece].rows, functions: functions))
        } catch { return .failure(error) }
    }

    private func work() {
        pthread_mutex_lock(mutex)
        while true {
            if !state.jobs.isEmpty {
                runJob()
            } else if state.isClosed {
                break
            } else if state.next < min(state.limit, pieces.count) {
                let piece = state.next
                let functions = state.functions
                state.next += 1
                pthread_mutex_unlock(mutex)
                let block = make(piece, functions)
                pthread_mutex_lock(mutex)
                state.ready[piece] = block
                pthread_cond_broadcast(changed)
            } else {
                pthread_cond_wait(changed, mutex)
            }
        }
        pthread_mutex_unlock(mutex)
    }

    /// Runs the oldest job; the mutex is held before and after.
    private func runJob() {
        let job = state.jobs.removeFirst()
        state.runningJobs += 1
        pthread_mutex_unlock(mutex)
        job()
        pthread_mutex_lock(mutex)
        state.runningJobs -= 1
        if state.jobs.isEmpty, state.runningJobs == 0 { pthread_cond_broadcast(changed) }
    }

    /// Gives the threads something to do with a block. Where there are none, or they have enough, it is done here.
    func submit(_ job: @escaping @Sendable () -> Void) {
        let isTaken = locked { state in
            guard !threads.isEmpty, state.jobs.count < Scan.ahead else { return false }
            state.jobs.append(job)
            return true
        }
        if isTaken { pthread_cond_signal(changed) } else { job() }
    }

    /// Waits until everything submitted is done.
    func drain() {
        pthread_mutex_lock(mutex)
        while !state.jobs.isEmpty || state.runningJobs > 0 {
            if state.jobs.isEmpty { pthread_cond_wait(changed, mutex) } else { runJob() }
        }
        pthread_mutex_unlock(mutex)
    }

    /// Ends the threads; what they were given to do is done.
    func close() {
        locked { $0.isClosed = true }
        pthread_cond_broadcast(changed)
        threads.forEach { $0.join() }
        threads = []
        locked { $0.ready = [:] }
    }
}
