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
    ///   - besides: what is checked first, each by one thread; a failure of it is a problem too.
    ///   - each: called on the caller's thread with each result as it comes; false ends the work after what is begun.
    func run(
        _ units: [StoredUnit], former: [StoredUnit] = [], largestFirst: Bool = true,
        besides: [Verify.Part] = [],
        each: (Result) -> Bool
    ) throws(LogitError) {
        var given = units.map { (unit: $0, isFormer: false) } + former.map { (unit: $0, isFormer: true) }
        if largestFirst { given.sort { $0.unit.fileBytes > $1.unit.fileBytes } }
        let order = given
        let count = besides.count + order.count
        let tasks = BoundedQueue<Int>(capacity: count + 1)
        (0..<count).forEach { tasks.push($0) }
        tasks.close()
        // Room for all: a thread never waits for the caller, so ending early needs no more than an empty queue of tasks.
        let results = BoundedQueue<Result>(capacity: count + 1)
        let (corpus, depth) = (corpus, depth)
        let workers = (0..<max(1, threads)).map { _ in
            PlainThread {
                let checker = UnitChecker(corpus, depth)
                while let task = tasks.pop() {
                    if task < besides.count {
                        results.push(Result(unit: nil, problems: UnitCheckPool.problems(corpus, besides[task])))
                    } else {
                        let (unit, isFormer) = order[task - besides.count]
                        let problems = isFormer ? checker.problems(former: unit) : checker.problems(unit)
                        results.push(Result(unit: unit, isFormer: isFormer, problems: problems))
                    }
                }
            }
        }
        var left = count
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

    private static func problems(_ corpus: Corpus, _ part: Verify.Part) -> [String] {
        do throws(LogitError) { return try part.problems(corpus) } catch { return [error.message] }
    }
}
