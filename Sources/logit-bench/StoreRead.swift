import ArgumentParser
import CorpusStore
import Foundation
import Logits
import Platform
import Shards
import Synchronization

/// Batches of rows drawn at random from a corpus that `store-write` made.
struct StoreReadBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store-read",
        abstract: "Read random batches of rows from a corpus in the page cache, and print seconds and rows as JSON.")

    @Option(help: "The corpus.") var folder: String
    @Option(help: "The logits it was written from, raw float32: some batches are compared.") var logits: String
    @Option(help: "Rows a batch.") var batch = 256
    @Option(help: "Seconds a measurement.") var seconds = 2.0

    func run() throws {
        let corpus = try Corpus(at: folder, .reading)
        let entries = try corpus.snapshot(nil).shards.sorted { $0.key.firstPosition < $1.key.firstPosition }
        let paths = entries.map { "\(folder)/\($0.path)" }
        for path in paths { _ = try Files.read(path) }  // into the page cache
        let source = try MappedFile(logits)
        var found: [String: StoreFigures] = [:]
        for threads in [1, 2] {
            let rows = try RandomRows(paths, batch: batch)
            found["first\(threads)"] = try rows.timing(threads: threads, seconds: nil)
            try withExtendedLifetime(source) { try rows.compare(with: source.bytes.bindMemory(to: Float.self)) }
            found["\(threads)"] = try rows.timing(threads: threads, seconds: seconds)
        }
        try printLine(found)
    }
}

/// Shards as one table whose rows are drawn at random.
private final class RandomRows: Sendable {
    private let rowGather: RowGather
    private let places: [RowPlace]
    private let batch: Int
    private var classes: Int { rowGather.readers[0].classCount }

    init(_ paths: [String], batch: Int) throws {
        rowGather = RowGather(try paths.map { try ShardReader(path: $0) })
        places = rowGather.readers.enumerated().flatMap { shard, reader in
            (0..<reader.rowCount).map { RowPlace(shard: shard, row: $0) }
        }
        self.batch = batch
        guard places.count >= batch else { throw ValidationError("the corpus has fewer rows than a batch") }
    }

    /// - Parameter seconds: until when; nil: every row once, all threads together.
    func timing(threads: Int, seconds: Double?) throws -> StoreFigures {
        let orders = (0..<threads).map { thread in
            let random = Philox(key: UInt64(thread))
            var order = Array(0..<places.count)
            for place in stride(from: order.count - 1, to: 0, by: -1) {
                order.swapAt(place, Int(random.bits(UInt64(place)) % UInt64(place + 1)))
            }
            return seconds == nil ? stride(from: thread, to: order.count, by: threads).map { order[$0] } : order
        }
        let total = Atomic(0)
        let failed = Atomic(false)
        let timing = Timing {
            let end = DispatchTime.now().uptimeNanoseconds + UInt64((seconds ?? 0) * 1e9)
            inParallel(threads) { thread in
                let done = self.read(orders[thread], until: seconds == nil ? nil : end)
                total.add(done ?? 0, ordering: .relaxed)
                if done == nil { failed.store(true, ordering: .relaxed) }
            }
        }
        guard !failed.load(ordering: .relaxed) else { throw ValidationError("a row could not be read") }
        return StoreFigures(timing, rows: total.load(ordering: .relaxed))
    }

    private func read(_ order: [Int], until end: UInt64?) -> Int? {
        let output = UnsafeMutableBufferPointer<Float>.allocate(capacity: batch * classes)
        defer { output.deallocate() }
        let scratch = RowScratch()
        var done = 0
        while true {
            for first in stride(from: 0, to: order.count - batch + 1, by: batch) {
                guard gather(order[first..<first + batch], into: output, scratch) else { return nil }
                done += batch
                if let end, DispatchTime.now().uptimeNanoseconds >= end { return done }
            }
            if end == nil { return done }
        }
    }

    private func gather(
        _ rows: ArraySlice<Int>, into output: UnsafeMutableBufferPointer<Float>, _ scratch: RowScratch
    ) -> Bool {
        do throws(LogitError) {
            try rowGather.copy(rows.map { places[$0] }, into: output, scratch: scratch)
            return true
        } catch {
            return false
        }
    }

    /// Some batches against what was written.
    func compare(with logits: UnsafeBufferPointer<Float>) throws {
        let output = UnsafeMutableBufferPointer<Float>.allocate(capacity: batch * classes)
        defer { output.deallocate() }
        for first in stride(from: 0, to: places.count - batch + 1, by: max(batch, places.count / 16)) {
            let rows = Array(first..<first + batch)
            guard gather(rows[...], into: output, RowScratch()),
                memcmp(output.baseAddress!, logits.baseAddress! + first * classes, batch * classes * 4) == 0
            else { throw ValidationError("the corpus gave other rows than were written") }
        }
    }
}
