import FoundationEssentials
import Logits
import Platform

/// A deep check that goes on where it stopped: each round looks at every shard once, the longest unchecked first, and at the
/// catalogue and the descriptors. What it has done is kept in scrub.json.
package enum Scrub {
    /// scrub.json
    package struct State: Codable, Sendable {
        package struct Entry: Codable, Sendable {
            /// SHA-256 of the file that was checked; another file of the unit is a new one.
            package var fileDigest: String
            package var round: Int
            package var checked: String
            /// One sentence each; empty: it was as it should be.
            package var problems: [String]
        }

        package var formatVersion = 1
        package var round = 1
        package var roundBegan = ""
        /// By path; `catalog.sqlite` stands for the catalogue and everything else beside the shards.
        package var shards: [String: Entry] = [:]
    }

    package struct Report: Codable, Sendable {
        package struct Shard: Codable, Sendable {
            package var path: String
            /// When it was last checked; nil: never.
            package var checked: String?
            package var problems: [String]
        }

        package var round: Int
        package var roundBegan: String
        /// Checked now.
        package var checked = 0
        package var bytes = 0
        /// Left in this round; 0: it is finished, and the next run begins another.
        package var left = 0
        /// Of all shards, as last checked, the longest unchecked first.
        package var shards: [Shard] = []

        package var problems: [String] { shards.flatMap(\.problems) }
    }

    private static let beside = "catalog.sqlite"
    /// How many seconds of work a killed process may have to do again.
    private static let saveSeconds = 2.0

    /// - Parameters:
    ///   - limit: shards to check at most; 0 only reports.
    ///   - seconds: how long to go on; at least one shard is checked.
    ///   - progress: called on the caller's thread with (shards of the round done, shards in all).
    ///   - shouldStop: polled between shards; true ends it like a limit.
    package static func run(
        _ corpus: Corpus, limit: Int?, seconds: Double?, threads: Int? = nil, progress: (Int, Int) -> Void,
        shouldStop: () -> Bool
    ) throws(LogitError) -> Report {
        let path = corpus.layout.scrub
        var state = Files.exists(path) ? try read(path) : State()
        let shown = try corpus.units()
        let former = try Verify.formerFiles(corpus, shown)
        let units = shown + former
        let paths = Set(units.map(\.path) + [beside])
        state.shards = state.shards.filter { paths.contains($0.key) }
        var left = open(units, state)
        if left.units.isEmpty, !left.beside, limit != 0 {
            state.round += 1
            state.roundBegan = ""
            left = open(units, state)
        }
        if state.roundBegan.isEmpty { state.roundBegan = timestamp() }
        var report = Report(round: state.round, roundBegan: state.roundBegan)
        let taken = left.units.prefix(limit ?? .max)
        let clock = ContinuousClock()
        let begun = clock.now
        var saved = begun
        if limit != 0 {
            let pool = UnitCheckPool(corpus, .deep, threads: threads ?? usableCoreCount())
            var failure: LogitError?
            let known = Set(former.map(\.path))
            try pool.run(
                taken.filter { !known.contains($0.path) }, former: taken.filter { known.contains($0.path) },
                largestFirst: false, besides: left.beside ? [.all] : []
            ) { result in
                state.shards[result.unit?.path ?? beside] = State.Entry(
                    fileDigest: result.unit?.fileDigest ?? "", round: state.round, checked: timestamp(),
                    problems: result.problems)
                if let unit = result.unit {
                    report.checked += 1
                    report.bytes += unit.fileBytes
                    progress(units.count - left.units.count + report.checked, units.count)
                }
                let now = clock.now
                if now - saved > .seconds(saveSeconds) {
                    do throws(LogitError) { try save(state, path) } catch { failure = error }
                    saved = now
                }
                let isOver = seconds.map { now - begun >= .seconds($0) } ?? false
                return failure == nil && (report.checked == 0 || !(isOver || shouldStop()))
            }
            if let failure { throw failure }
            try save(state, path)
        }
        report.left = open(units, state).units.count
        report.shards = units.map { unit in
            let entry = state.shards[unit.path].flatMap { $0.fileDigest == unit.fileDigest ? $0 : nil }
            return Report.Shard(path: unit.path, checked: entry?.checked, problems: entry?.problems ?? [])
        }.sorted { ($0.checked ?? "", $0.path) < ($1.checked ?? "", $1.path) }
        if let entry = state.shards[beside] {
            report.shards.append(Report.Shard(path: beside, checked: entry.checked, problems: entry.problems))
        }
        return report
    }

    /// What this round has not looked at, the longest unchecked first.
    private static func open(_ units: [StoredUnit], _ state: State) -> (units: [StoredUnit], beside: Bool) {
        let left = units.filter { unit in
            guard let entry = state.shards[unit.path] else { return true }
            return entry.round != state.round || entry.fileDigest != unit.fileDigest
        }
        func age(_ unit: StoredUnit) -> String { state.shards[unit.path]?.checked ?? "" }
        return (
            left.sorted { (age($0), $0.path) < (age($1), $1.path) }, state.shards[beside]?.round != state.round
        )
    }

    private static func read(_ path: String) throws(LogitError) -> State {
        // A position that cannot be read is begun anew: nothing but time is lost.
        guard let state = try? JSONFile.read(State.self, from: path), (1...1 << 40).contains(state.round) else {
            return State()
        }
        return state
    }

    private static func save(_ state: State, _ path: String) throws(LogitError) {
        try Files.writeDurably(JSONFile.encode(state), to: path)
    }
}
