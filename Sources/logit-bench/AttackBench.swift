import ArgumentParser
import Foundation
import Images
import Ingestion
import Logits
import Networks
import Platform

/// Our side of tools/crosscheck and tools/bench-attacks: attacks images in memory, times each attack, writes raw files.
struct AttackBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attack",
        abstract:
            "Attack images, write what came of them as raw files, and print dump.json (image i has the random key i)."
    )
    @Option(help: "TorchScript module.") var module: String
    @Option(help: "Its input, for instance 3x224x224.") var shape = "3x32x32"
    @Option(help: "Images of the network's own size: a folder, tar or .bin file.") var images: String?
    @Option(help: "Instead of images: raw float32 pixels, count × 3 × height × width.") var pixels: String?
    @Option(help: "The labels of the pixels, raw int32.") var labels: String?
    @Option(help: "Only the first n images.") var limit: Int?
    @Option(help: "Attacks, separated by commas.") var attack = "fgsm,bim,pgd,mim"
    @Option(help: "Folder for the raw files.") var out: String
    @Option(help: "R,G,B means.") var mean: String?
    @Option(help: "R,G,B standard deviations.") var std: String?
    @Option(help: "Threads, each with one intra-op thread.") var workers = usableCoreCount()
    @Option(help: "Images computed at once; the default is the network's own.") var block: Int?
    @Flag(inversion: .prefixedNo, help: "Fold batch norm into convolutions.") var fold = false
    @Flag(inversion: .prefixedNo, help: "The memory layout; the default is the product's choice for the shape.")
    var channelsLast: Bool?
    @Flag(inversion: .prefixedNo, help: "Compile the module where its operators allow.") var compiled = true

    func run() throws {
        let shape = try parsedShape()
        let (mean, deviation) = (try triple(mean, "--mean"), try triple(std, "--std"))
        let found = try NetworkProbe.inspect(
            path: module, candidates: [shape], mean: mean, standardDeviation: deviation, fold: fold)
        let classifier = try TorchScriptClassifier(
            path: module, digest: "", shape: shape, classCount: found.classCount, mean: mean,
            standardDeviation: deviation, fold: fold, channelsLast: channelsLast, compiled: compiled)
        let all = try pixels == nil ? decodedImages(shape) : rawImages(shape)
        guard all.labels.allSatisfy({ $0 >= 0 && Int($0) < found.classCount }) else {
            throw LogitError(.badInput, "some labels are no class of the \(found.classCount) of \(module)")
        }
        try FileManager.default.createDirectory(atPath: out, withIntermediateDirectories: true)
        let rows = block ?? recommendedBlockRows(for: shape)
        let dump = try AttackDump(folder: out, classifier: classifier, block: all, blockRows: rows, workers: workers)
        try warmUp(classifier, all, rows)
        var parts: [AttackDump.Part] = []
        for (number, choice) in try AttackRegistry.choices(attack).enumerated() {
            parts.append(try dump.attack(choice, number: number))
        }
        try dump.describe(
            network: URL(fileURLWithPath: module).lastPathComponent, module: module, mean: mean,
            standardDeviation: deviation, fold: fold, parts: parts)
        print(try Files.readText("\(out)/dump.json"))
    }

    /// The memory of one gradient on each thread, so that the first attack timed does not pay for it alone.
    private func warmUp(_ classifier: any Classifier, _ all: AttackBlock, _ rows: Int) throws {
        let count = min(rows, all.count)
        let first = AttackBlock(
            images: Array(all.images[..<(count * classifier.inputShape.valueCount)]),
            labels: Array(all.labels[..<count]),
            count: count, randomKeys: Array(all.randomKeys[..<count]))
        let fgsm = try AttackRegistry.choice("fgsm")
        inParallel(workers) { _ in _ = try? fgsm.attacker?.run(first, on: classifier) }
    }

    private func rawImages(_ shape: ImageShape) throws -> AttackBlock {
        guard let pixels, let labels else {
            throw LogitError(.usage, "--pixels and --labels belong together; give both")
        }
        let all: (values: [Float], labels: [Int32]) = (try rawValues(pixels), try rawValues(labels))
        guard all.values.count == all.labels.count * shape.valueCount, !all.labels.isEmpty else {
            throw LogitError(
                .badInput,
                "\(pixels) holds \(all.values.count) values, but \(labels) has \(all.labels.count) labels of images \(shape); give the files of the same images"
            )
        }
        let count = min(limit ?? .max, all.labels.count)
        return block(Array(all.values[..<(count * shape.valueCount)]), Array(all.labels[..<count]))
    }

    private func rawValues<Value: BitwiseCopyable>(_ path: String) throws -> [Value] {
        let bytes = try Files.read(path)
        guard bytes.count % MemoryLayout<Value>.stride == 0 else {
            throw LogitError(.badInput, "\(path) has \(bytes.count) bytes, no whole number of \(Value.self)")
        }
        return bytes.withUnsafeBytes { raw in
            (0..<bytes.count / MemoryLayout<Value>.stride).map {
                raw.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Value>.stride, as: Value.self)
            }
        }
    }

    private func decodedImages(_ shape: ImageShape) throws -> AttackBlock {
        guard let images else { throw LogitError(.usage, "give --images, or --pixels and --labels") }
        let set = try ImageSet.open(images, classNames: nil)
        let count = min(limit ?? .max, set.entries.count)
        var values = [Float](repeating: 0, count: count * shape.valueCount)
        for ordinal in 0..<count {
            let image = try set.decode(try set.bytes(ordinal), of: ordinal)
            guard image.height == shape.height, image.width == shape.width else {
                throw LogitError(
                    .badInput, "image \(set.entries[ordinal].id) is not \(shape); give images of that size")
            }
            values.withUnsafeMutableBufferPointer {
                image.writePlanar(
                    into: UnsafeMutableBufferPointer(
                        rebasing: $0[ordinal * shape.valueCount..<(ordinal + 1) * shape.valueCount]))
            }
        }
        return block(values, set.entries[..<count].map(\.label))
    }

    private func block(_ images: [Float], _ labels: [Int32]) -> AttackBlock {
        AttackBlock(
            images: images, labels: labels, count: labels.count, randomKeys: labels.indices.map { UInt64($0) })
    }

    private func parsedShape() throws -> ImageShape {
        let sides = shape.split(separator: "x").compactMap { Int($0) }
        guard sides.count == 3, sides[0] == 3, sides[1] > 0, sides[2] > 0 else {
            throw LogitError(.usage, "--shape is \"\(shape)\"; give 3xHEIGHTxWIDTH")
        }
        return ImageShape(height: sides[1], width: sides[2])
    }

    private func triple(_ text: String?, _ option: String) throws -> [Float]? {
        guard let text else { return nil }
        let values = text.split(separator: ",").compactMap { Float(String($0)) }
        guard values.count == 3 else { throw LogitError(.usage, "\(option) is \"\(text)\"; give three numbers") }
        return values
    }
}
