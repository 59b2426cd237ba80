import Logits
import Platform

/// Checks units on threads of their own, the largest first, each thread with its own connection to the catalogue.
struct UnitCheckPool {
    struct Result: Sendable {
        /// Nil for what is checked besides the units.
        let unit: StoredUnit?
        /// Whether it is a file that only snapshots hold.
        var isFormer = false
        let problems: [String]
    }

    let corpus: Corpus
    let depth: Verify.Depth
    let threads: Int

    init(_ corpus: Corpus, _ depth: Verify.Depth, threads: Int) {
        self.corpus = corpus
        self.depth = depth
        self.threads = threads
    }

    /// - Parameters:
    ///   - former: files that only snapshots hold.
    ///   - largestFirst: so that threads end together; else in the order given.
    ///   - besides: what one thread does first; a failure of it is a problem too.
    ///   - each: called on the caller's thread with each result as it comes; false ends the work after what is begun.
    func run(
        _ units: [StoredUnit], former: [StoredUnit] = [], largestFirst: Bool = true,
        besides: (@Sendable () throws(LogitError) -> [String])? = nil,
        each: (Result) -> Bool
    ) throws(LogitError) {
        var given = units.map { (unit: $0, isFormer: false) } + former.map { (unit: $0, isFormer: true) }
        if largestFirst { given.sort { $0.unit.fileBytes > $1.unit.fileBytes } }
        let order = given
        let tasks = BoundedQueue<Int>(capacity: order.count + 1)
        if besides != nil { tasks.push(-1) }
        order.indices.forEach { tasks.push($0) }
        tasks.close()
        // Room for all: a thread never waits for the caller, so ending early needs no more than an empty queue of tasks.
        let results = BoundedQueue<Result>(capacity: order.count + 1)
        let (corpus, depth) = (corpus, depth)
        let workers = (0..<max(1, threads)).map { _ in
            PlainThread {
                let checker = UnitChecker(corpus, depth)
                while let task = tasks.pop() {
                    if task < 0, let besides {
                        results.push(Result(unit: nil, problems: UnitCheckPool.problems(besides)))
                    } else {
                        let (unit, isFormer) = order[task]
                        let problems = isFormer ? checker.problems(former: unit) : checker.problems(unit)
                        results.push(Result(unit: unit, isFormer: isFormer, problems: problems))
                    }
                }
            }
        }
        var left = order.count + (besides == nil ? 0 : 1)
        while left > 0, let result = results.pop() {
            left -= 1
            if !each(result) {
                while tasks.pop() != nil {}
                break
            }
        }
        workers.forEach { $0.join() }
        results.close()
        while let result = results.pop() { _ = each(result) }
    }

    private static func problems(_ body: () throws(LogitError) -> [String]) -> [String] {
        do throws(LogitError) { return try body() } catch { return [error.message] }
    }
}
