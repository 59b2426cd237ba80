import ArgumentParser
import Foundation
import Logits
import Platform
import Shards
import Synchronization

struct GatherBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gather",
        abstract:
            "Rows of shards at random, batch by batch into memory of the caller, beside the same from plain memory.",
        discussion: """
            Prints JSON: the first touch of every row, with its check, in random order on one thread; then rounds in turn of
            the shards and of a copy of their rows in memory, the median rows/s and rows a CPU-second of each.
            Example: logit-bench gather --file corpus/shards/d/s/n/clean/view0/*.h5 --rows 256 --seconds 2 --threads 2
            """)
    @Option(parsing: .upToNextOption, help: "Shards of one class count.") var file: [String]
    @Option(help: "Rows a batch.") var rows = 256
    @Option(help: "Seconds a round.") var seconds = 1.0
    @Option(help: "Rounds.") var rounds = 5
    @Option(help: "Threads, each with batches of its own.") var threads = 1

    private struct Rate: Encodable {
        var rowsPerSecond: Double
        var rowsPerCPUSecond: Double
    }

    private struct Result: Encodable {
        var codec: String
        var precision: String
        var chunkRows: Int?
        var classes: Int
        var storedRows: Int
        var fileBytes: Int
        var batchRows: Int
        var threads: Int
        var firstTouch: Rate
        var shards: Rate
        var memory: Rate
        /// Of the rates of a round, the median.
        var ratio: Double
    }

    func run() throws {
        let readers = try file.map { try ShardReader(path: $0) }
        guard let first = readers.first, rows > 0, threads > 0, rounds > 0,
            readers.allSatisfy({ $0.classCount == first.classCount })
        else {
            throw LogitError(.usage, "give shards of one class count, and at least one row, round and thread")
        }
        let gather = RowGather(readers)
        let places = readers.enumerated().flatMap { shard, reader in
            (0..<reader.rowCount).map { RowPlace(shard: shard, row: $0) }
        }
        var random = Random(seed: 1)
        let touched = places.shuffled(using: &random)
        var memory = [Float](repeating: 0, count: places.count * first.classCount)
        let starts = readers.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.rowCount) }
        let touch = try Timing {
            try memory.withUnsafeMutableBufferPointer { all in
                let scratch = RowScratch()
                for place in touched {
                    let row = starts[Int(place.shard)] + Int(place.row)
                    let room = UnsafeMutableBufferPointer(
                        rebasing: all[row * first.classCount..<(row + 1) * first.classCount])
                    try readers[Int(place.shard)].copyLogits(row: Int(place.row), into: room, scratch: scratch)
                }
            }
        }
        var (shards, plain): ([Rate], [Rate]) = ([], [])
        for round in 0..<rounds {
            shards.append(
                try rate(round, places, first.classCount) { batch, output, scratch throws(LogitError) in
                    try gather.copy(batch.map { places[$0] }, into: output, scratch: scratch)
                })
            plain.append(
                try memory.withUnsafeBufferPointer { memory in
                    let base = Address(memory.baseAddress!)
                    return try rate(round, places, first.classCount) { batch, output, _ throws(LogitError) in
                        for (index, row) in batch.enumerated() {
                            memcpy(
                                output.baseAddress! + index * first.classCount, base.value + row * first.classCount,
                                first.classCount * 4)
                        }
                    }
                })
        }
        func middle(_ rates: [Rate]) -> Rate {
            Rate(
                rowsPerSecond: median(rates.map(\.rowsPerSecond)),
                rowsPerCPUSecond: median(rates.map(\.rowsPerCPUSecond)))
        }
        let count = Double(places.count)
        let result = Result(
            codec: first.codec.rawValue, precision: first.precision.description, chunkRows: first.encoding.chunkRows,
            classes: first.classCount, storedRows: places.count,
            fileBytes: try file.reduce(0) { try $0 + Files.size($1) }, batchRows: rows, threads: threads,
            firstTouch: Rate(rowsPerSecond: count / touch.wall, rowsPerCPUSecond: count / touch.cpu),
            shards: middle(shards), memory: middle(plain),
            ratio: median(zip(shards, plain).map { $0.rowsPerSecond / $1.rowsPerSecond }))
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        print(String(decoding: try encoder.encode(result), as: UTF8.self))
    }

    /// Batches on all threads for a while.
    private func rate(
        _ round: Int, _ places: [RowPlace], _ classCount: Int,
        _ body: @escaping @Sendable ([Int], UnsafeMutableBufferPointer<Float>, RowScratch) throws(LogitError) -> Void
    ) throws -> Rate {
        let done = Atomic(0)
        let failure = Mutex<LogitError?>(nil)
        let end = Date().addingTimeInterval(seconds)
        let (rows, count) = (rows, places.count)
        let timing = Timing {
            withoutActuallyEscaping(body) { body in
                inParallel(threads) { thread in
                    var random = Random(seed: UInt64(round * 1000 + thread))
                    let output = UnsafeMutableBufferPointer<Float>.allocate(capacity: rows * classCount)
                    defer { output.deallocate() }
                    let scratch = RowScratch()
                    while Date() < end {
                        let batch = (0..<rows).map { _ in Int.random(in: 0..<count, using: &random) }
                        do throws(LogitError) { try body(batch, output, scratch) } catch {
                            failure.withLock { $0 = error }
                            return
                        }
                        done.add(rows, ordering: .relaxed)
                    }
                }
            }
        }
        if let failure = failure.withLock({ $0 }) { throw failure }
        let total = Double(done.load(ordering: .relaxed))
        return Rate(rowsPerSecond: total / timing.wall, rowsPerCPUSecond: total / timing.cpu)
    }
}

/// `@unchecked Sendable`: the memory is only read while it is measured.
private struct Address: @unchecked Sendable {
    let value: UnsafePointer<Float>

    init(_ value: UnsafePointer<Float>) { self.value = value }
}

/// The same numbers each time: SplitMix64.
private struct Random: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
