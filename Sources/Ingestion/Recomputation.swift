import CorpusStore
import Images
import Logits
import Networks
import Shards

/// One block as its shard holds it: the fixed run of rows that the network computed at once.
struct StoredBlock: Sendable {
    let unit: StoredUnit
    let header: ShardHeader
    /// Rows of the shard.
    let rows: Range<Int>
    let table: RowTable
    let images: KeptImages?
    let precision: Precision

    var ordinals: [Int] { table.ordinal.map(Int.init) }

    /// The block that holds a row of a shard: a unit is a whole number of blocks, so blocks begin at multiples of their size.
    init(_ unit: StoredUnit, row: Int, in corpus: Corpus) throws(LogitError) {
        let reader = try ShardReader(path: corpus.layout.absolute(unit.path))
        let size = reader.header.blockRows
        guard reader.header.key == unit.key, (0..<reader.rowCount).contains(row), size >= 1 else {
            throw LogitError(
                .corrupt,
                "shard \(reader.path) is not what the catalogue says, or tells no block size; run logit verify and logit repair"
            )
        }
        let first = row / size * size
        rows = first..<(size < reader.rowCount - first ? first + size : reader.rowCount)
        table = try reader.table(rows)
        images = reader.imageFormat == nil ? nil : try reader.images(rows)
        header = reader.header
        precision = reader.precision
        self.unit = unit
    }
}

/// Opens what an attack needs beside the network: the defender it goes through.
package typealias AttackOpening = (AttackChoice, NetworkDescriptor) throws(LogitError) -> AttackChoice

/// For attacks that need nothing: one that does says so when it runs.
package func openingNothing(
    _ choice: AttackChoice, _ network: NetworkDescriptor
) throws(LogitError) -> AttackChoice { choice }

/// Makes stored blocks again from index, images and modules. Image sets and networks are opened once each.
final class Recomputer {
    private let corpus: Corpus
    private var sources: [String: ImageSource] = [:]
    private var classifiers: [String: any Classifier] = [:]
    private let opening: AttackOpening
    private let device: Device

    init(_ corpus: Corpus, opening: @escaping AttackOpening, device: Device = .cpu) {
        self.corpus = corpus
        self.opening = opening
        self.device = device
    }

    /// Everything that makes rows like those of a unit.
    /// - Throws: `stale` or `notFound` where images, module or attack are no longer those that the rows were made with.
    func computation(_ key: UnitKey) throws(LogitError) -> BlockComputation {
        let name = key.variant.canonical
        let choice: AttackChoice
        do throws(LogitError) {
            choice = try AttackRegistry.choice(name)
        } catch {
            throw stale("the attack \(name), which this program does not have (\(error.message))")
        }
        guard choice.variant == key.variant else {
            throw stale(
                "the attack \(name) with other parameters than it has now (\(choice.variant.difference(from: key.variant)))"
            )
        }
        let split = try corpus.split(dataset: key.dataset, split: key.split)
        let network = try corpus.network(key.network)
        guard split.digest == key.datasetDigest else {
            throw stale(
                "another image list of \(key.dataset)/\(key.split) (digest \(key.datasetDigest.prefix(12)), now \(split.digest.prefix(12)))"
            )
        }
        guard network.digest == key.networkDigest, network.preprocessing == key.preprocessing else {
            throw stale(
                "another module or preprocessing of network \(key.network) (\(key.networkDigest.prefix(12)), \(key.preprocessing); now \(network.digest.prefix(12)), \(network.preprocessing))"
            )
        }
        return BlockComputation(
            work: Work(choice: try opening(choice, network), view: key.view, seed: key.seed),
            classifier: try classifier(network),
            source: try source(split, network))
    }

    private func stale(_ what: String) -> LogitError {
        LogitError(
            .stale,
            "the rows were made with \(what), so they cannot be made again; use the program and files that made them")
    }

    private func classifier(_ network: NetworkDescriptor) throws(LogitError) -> any Classifier {
        if let known = classifiers[network.name] { return known }
        let opened = try Ingest.openClassifier(network, corpus, device: device)
        classifiers[network.name] = opened
        return opened
    }

    private func source(_ split: SplitDescriptor, _ network: NetworkDescriptor) throws(LogitError) -> ImageSource {
        let name = "\(split.dataset)/\(split.split)/\(network.name)"
        if let known = sources[name] { return known }
        let opened = try ImageSource(split, try corpus.images(of: split), network)
        sources[name] = opened
        return opened
    }

    /// The rows of some images, computed anew.
    /// - Parameters:
    ///   - like: the stored rows: whether there is an 8-bit outcome, and their precision, which the rows are rounded to.
    ///   - chunk: images computed at once; nil: all, as a block is.
    func rows(
        _ ordinals: [Int], like block: StoredBlock, by computation: BlockComputation, chunk: Int? = nil
    ) throws(LogitError) -> BlockComputation.Rows {
        precondition(!ordinals.isEmpty)
        guard ordinals.allSatisfy({ computation.source.listed.indices.contains($0) }) else {
            throw stale("an image list of another length")
        }
        let step = chunk ?? ordinals.count
        var all: BlockComputation.Rows?
        for first in stride(from: 0, to: ordinals.count, by: step) {
            let part = ordinals[first..<min(first + step, ordinals.count)]
            let rows = try computation.rows(
                part, images: try computation.source.block(part), status8bit: block.table.attack?.status8bit != nil)
            guard all != nil else {
                all = rows
                continue
            }
            all?.table.append(rows.table)
            all?.images += rows.images
        }
        guard var all else { preconditionFailure("no rows") }
        all.table = try all.table.rounded(to: block.precision).table
        return all
    }
}
