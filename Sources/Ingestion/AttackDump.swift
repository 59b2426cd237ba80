import CorpusStore
import Glibc
import Logits
import Networks
import Platform
import Synchronization

/// Images and what attacks make of them, as raw files that tools/crosscheck.py compares with the Python libraries.
///
/// A folder holds `dump.json`; `pixels` (float32 [count, 3, height, width]), `labels` (int32) and the clean `logits`
/// (float32 [count, classes]); and of attack number K `K.images`, `K.logits`, `K.labels` (the labels attacked), `K.status`
/// (uint8), `K.iterations` (int32), `K.l2` (float32) and, for attacks that have one, `K.cost` (float32). Little-endian.
package struct AttackDump: Sendable {
    /// One attack: how it is written and what it took, images already in memory.
    package struct Part: Encodable, Sendable {
        package var attack: String
        package var name: String
        /// JSON of all parameters.
        package var parameters: String
        package var wallSeconds: Double
        package var cpuSeconds: Double
        package var pageFaults: Int
    }

    /// What dump.json says.
    private struct Description: Encodable {
        var network: String
        var module: String
        var shape: [Int]
        var classes: Int
        var count: Int
        var mean: [Float]?
        var standardDeviation: [Float]?
        var fold: Bool
        var blockRows: Int
        var workers: Int
        /// JSON: what computed.
        var software: String
        var parts: [Part]
    }

    package let folder: String
    private let classifier: any Classifier
    private let block: AttackBlock
    private let blockRows: Int
    private let workers: Int

    /// Writes the images, their labels and clean logits.
    /// - Parameters:
    ///   - block: all images; image i of a cross-check has the random key i.
    ///   - blockRows: how many are computed at once.
    package init(
        folder: String, classifier: any Classifier, block: AttackBlock, blockRows: Int, workers: Int
    ) throws(LogitError) {
        self.folder = folder
        self.classifier = classifier
        self.block = block
        self.blockRows = blockRows
        self.workers = workers
        try write(block.images, "pixels")
        try write(block.labels, "labels")
        var logits: [Float] = []
        for part in pieces() {
            var values = [Float](repeating: 0, count: part.count * classifier.classCount)
            try classifier.logits(part.images, count: part.count, into: &values)
            logits += values
        }
        try write(logits, "logits")
    }

    /// Runs one attack over all blocks on plain threads, times it and writes what it made as number `number`.
    package func attack(_ choice: AttackChoice, number: Int) throws(LogitError) -> Part {
        guard let attacker = choice.attacker else {
            throw LogitError(.usage, "clean is no attack; name one of logit attack list")
        }
        let pieces = pieces()
        let queue = BoundedQueue<Int>(capacity: pieces.count)
        pieces.indices.forEach { queue.push($0) }
        queue.close()
        let results = Mutex([Result<AttackedBlock, LogitError>?](repeating: nil, count: pieces.count))
        let classifier = classifier
        let before = Usage.now()
        inParallel(workers) { _ in
            while let place = queue.pop() {
                let result: Result<AttackedBlock, LogitError>
                do throws(LogitError) {
                    result = .success(try attacker.run(pieces[place], on: classifier))
                } catch {
                    result = .failure(error)
                }
                results.withLock { $0[place] = result }
            }
        }
        let after = Usage.now()
        var blocks: [AttackedBlock] = []
        for result in results.withLock({ $0 }) {
            if let result { blocks.append(try result.get()) }
        }
        try write(blocks, number)
        return Part(
            attack: choice.variant.canonical, name: choice.variant.name, parameters: choice.variant.parametersJSON,
            wallSeconds: after.wall - before.wall, cpuSeconds: after.cpu - before.cpu,
            pageFaults: after.pageFaults - before.pageFaults)
    }

    /// Writes dump.json.
    package func describe(
        network: String, module: String, mean: [Float]?, standardDeviation: [Float]?, fold: Bool, parts: [Part]
    ) throws(LogitError) {
        let shape = classifier.inputShape
        let description = Description(
            network: network, module: module, shape: [shape.channels, shape.height, shape.width],
            classes: classifier.classCount, count: block.count, mean: mean, standardDeviation: standardDeviation,
            fold: fold, blockRows: blockRows, workers: workers, software: classifier.identity.softwareJSON, parts: parts
        )
        try Files.write(JSONFile.encode(description), to: "\(folder)/dump.json", sync: false)
    }

    private func pieces() -> [AttackBlock] {
        let size = classifier.inputShape.valueCount
        return stride(from: 0, to: block.count, by: blockRows).map { start in
            let end = min(start + blockRows, block.count)
            return AttackBlock(
                images: Array(block.images[start * size..<end * size]), labels: Array(block.labels[start..<end]),
                count: end - start, randomKeys: Array(block.randomKeys[start..<end]))
        }
    }

    private func write(_ blocks: [AttackedBlock], _ number: Int) throws(LogitError) {
        try write(blocks.flatMap(\.images), "\(number).images")
        try write(blocks.flatMap(\.logits), "\(number).logits")
        try write(blocks.flatMap(\.attackedLabels), "\(number).labels")
        try write(blocks.flatMap(\.columns.status), "\(number).status")
        try write(blocks.flatMap(\.columns.iterations), "\(number).iterations")
        try write(blocks.flatMap(\.columns.perturbationL2), "\(number).l2")
        let costs = blocks.flatMap { $0.columns.cost ?? [] }
        if !costs.isEmpty { try write(costs, "\(number).cost") }
    }

    private func write<Value: BitwiseCopyable>(_ values: [Value], _ name: String) throws(LogitError) {
        try Files.write(values.withUnsafeBytes { Array($0) }, to: "\(folder)/\(name)", sync: false)
    }
}

/// What the process has used so far.
private struct Usage {
    var wall: Double
    var cpu: Double
    var pageFaults: Int

    static func now() -> Usage {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return Usage(
            wall: seconds(CLOCK_MONOTONIC), cpu: seconds(CLOCK_PROCESS_CPUTIME_ID), pageFaults: Int(usage.ru_minflt))
    }

    private static func seconds(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
