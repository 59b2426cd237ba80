import Analysis
import CorpusStore
import Logits
import Shards
import Torch

/// How a defender corrects the rows of one attack (paper, section 5): which classes it leans on, over many images.
package struct SupportResult: Codable, Sendable {
    /// One class: how often it is among an image's largest of S_k (support), H_ik (pull: what lifts the true class i) and
    /// −H_mean,k (push: what lowers the others), how often it is the first, and the mean over the images.
    package struct Class: Codable, Sendable, Equatable {
        package var `class`: Int
        package var name: String
        /// From 1, by count, then first, then class.
        package var rank: Int
        package var count: Int
        package var first: Int
        package var support: Double
        package var pullCount: Int
        package var pullFirst: Int
        package var pull: Double
        package var pushCount: Int
        package var pushFirst: Int
        package var push: Double
    }

    package var formatVersion = 1
    package var kind = Analyses.support
    package var defender: String
    package var weightsDigest: String
    package var snapshot: String
    package var dataset: String
    package var split: String
    package var selection: String?
    package var network: String
    package var networkDigest: String
    package var attack: String
    /// Only images that the network gets wrong and the defender right.
    package var correctedOnly: Bool
    /// Classes of an image that count.
    package var top: Int
    /// Images counted, and rows left out as invalid.
    package var images: Int
    package var invalid: Int
    /// Of those counted: the network wrong and the defender right.
    package var corrected: Int
    /// Share of images whose first supporting class is the true class, and that have it among their top.
    package var ownFirst: Proportion
    package var ownInTop: Proportion
    /// The class that is most often first, and its share of the images, first and among the first three.
    package var commonest: Int
    package var commonestFirst: Proportion
    package var commonestInThree: Proportion
    /// Every class, by rank.
    package var classes: [Class]
    package var created: String

    /// The supporting classes: the most frequent.
    package var supporting: [Class] { Array(classes.prefix(top)) }
}

/// How a defender corrects one image (paper, appendix B).
package struct InstanceSupport: Codable, Sendable {
    package struct Class: Codable, Sendable, Equatable {
        package var `class`: Int
        package var name: String
        package var support: Double
        package var pull: Double
        package var push: Double
    }

    package var image: String
    package var ordinal: Int64
    package var label: Int
    package var labelName: String
    /// Of the stored row, and of the defender on it.
    package var prediction: Int
    package var correctedPrediction: Int
    package var attack: String
    package var defender: String
    package var network: String
    /// The classes with the largest S_k, largest first.
    package var classes: [Class]
}

package struct SupportRequest {
    package var manifest: SnapshotManifest
    package var split: SplitDescriptor
    package var network: NetworkDescriptor
    /// A canonical name, or `clean`.
    package var attack: String
    package var selection: SelectionFile?
    package var top: Int
    package var correctedOnly = false

    package init(
        manifest: SnapshotManifest, split: SplitDescriptor, network: NetworkDescriptor, attack: String,
        selection: SelectionFile? = nil
    ) {
        self.manifest = manifest
        self.split = split
        self.network = network
        self.attack = attack
        self.selection = selection
        top = SupportRequest.usualTop(network.classCount)
    }

    /// The paper's 10 of an image's 1,000 classes; 3 where there are so few that 10 say nothing.
    package static func usualTop(_ classCount: Int) -> Int { classCount > 20 ? 10 : min(3, classCount) }
}

package enum Support {
    /// Counts the supporting classes of a defender over the valid rows of an attack.
    /// - Parameters:
    ///   - progress: called with (rows done, rows in all).
    ///   - shouldStop: polled between batches; true throws `cancelled`.
    /// - Throws: `badInput` or `stale` where the defender is not for these rows, `notFound` where there are none.
    package static func run(
        _ corpus: Corpus, _ request: SupportRequest, defender: StoredDefender,
        progress: (Int, Int) -> Void = { _, _ in },
        shouldStop: () -> Bool = { false }
    ) throws(LogitError) -> SupportResult {
        let (net, rows) = try subject(corpus, request, defender)
        var tally = SupportTally(classCount: request.network.classCount, top: request.top)
        let total = request.selection?.ordinals.count ?? request.split.imageCount
        var done = 0
        try rows.visit(request.attack, batchRows: Evaluation.batchRows) { (table) throws(LogitError) in
            done += table.count
            let valid = (0..<table.count).filter { !table.isInvalid($0) }
            tally.invalid += table.count - valid.count
            let part = valid.count == table.count ? table : table.picking(valid)
            guard part.count > 0 else { return }
            tally.add(part, try net.support(part.logits, labels: part.label), correctedOnly: request.correctedOnly)
            progress(min(done, total), total)
            if shouldStop() { throw LogitError(.cancelled, "stopped; nothing is kept, run the same command again") }
        }
        guard tally.support.images > 0 else {
            throw LogitError(
                .badInput,
                request.correctedOnly
                    ? "defender \(defender.descriptor.name) corrects no image of \(request.split.dataset)/\(request.split.split) under \(request.attack), so there is nothing to count; leave out --corrected-only"
                    : "there is no valid row of \(request.network.name) under \(request.attack) among the images chosen; choose another selection"
            )
        }
        guard tally.isFinite else {
            throw LogitError(
                .badInput,
                "the slopes of defender \(defender.descriptor.name) are not finite; train it again with a smaller --lr")
        }
        return tally.result(request, defender.descriptor)
    }

    /// The largest S_k of one image.
    /// - Parameter image: its id, or its ordinal.
    package static func instance(
        _ corpus: Corpus, _ request: SupportRequest, defender: StoredDefender, image: String
    ) throws(LogitError) -> InstanceSupport {
        let images = try corpus.images(of: request.split)
        guard
            let ordinal = images.firstIndex(where: { $0.id == image })
                ?? Int(image).flatMap({
                    images.indices.contains($0) ? $0 : nil
                })
        else {
            throw LogitError(
                .notFound,
                "there is no image \(image) in \(request.split.dataset)/\(request.split.split); give its id, or its ordinal from 0 to \(images.count - 1)"
            )
        }
        var one = request
        one.selection = SelectionFile(
            formatVersion: 1, name: "image", dataset: request.split.dataset, split: request.split.split,
            datasetDigest: request.split.digest, ordinals: [Int64(ordinal)], images: [images[ordinal].id],
            provenance: "", created: "")
        let (net, rows) = try subject(corpus, one, defender)
        var found: InstanceSupport?
        try rows.visit(request.attack, batchRows: Evaluation.batchRows) { (table) throws(LogitError) in
            guard !table.isInvalid(0) else { return }
            let support = try net.support(table.logits, labels: table.label)
            found = Support.instance(table, support, request, defender.descriptor)
        }
        guard let found else {
            throw LogitError(
                .notFound,
                "image \(images[ordinal].id) has no valid row of \(request.network.name) under \(request.attack); choose another image"
            )
        }
        return found
    }

    static func subject(
        _ corpus: Corpus, _ request: SupportRequest, _ defender: StoredDefender
    ) throws(LogitError) -> (net: DefenderNet, rows: VariantRows) {
        guard (1...request.network.classCount).contains(request.top) else {
            throw LogitError(
                .usage,
                "--top is \(request.top); give a whole number from 1 to \(request.network.classCount), the classes")
        }
        guard request.split.classNames.count == request.network.classCount else {
            throw LogitError(
                .badInput,
                "network \(request.network.name) has \(request.network.classCount) classes but dataset \(request.split.dataset) has \(request.split.classNames.count); choose rows of a network for these classes"
            )
        }
        return try Evaluation.subject(
            corpus, manifest: request.manifest, split: request.split, network: request.network,
            attacks: [request.attack], selection: request.selection, defender: defender)
    }

    private static func instance(
        _ table: RowTable, _ support: DefenderNet.Support, _ request: SupportRequest, _ defender: DefenderDescriptor
    ) -> InstanceSupport {
        let names = request.split.classNames
        let best = support.support.withUnsafeBufferPointer { topClasses($0, request.top) }
        let label = Int(table.label[0])
        return InstanceSupport(
            image: table.image[0], ordinal: table.ordinal[0], label: label, labelName: names[label],
            prediction: Int(table.prediction[0]), correctedPrediction: Int(argMax(support.corrected)),
            attack: request.attack, defender: defender.name, network: request.network.name,
            classes: best.map {
                InstanceSupport.Class(
                    class: $0, name: names[$0], support: Double(support.support[$0]),
                    pull: Double(support.support[$0] + support.mean[$0]), push: Double(-support.mean[$0]))
            })
    }
}

/// The counts of a run.
private struct SupportTally {
    var support: ClassTally
    var pull: ClassTally
    var push: ClassTally
    var invalid = 0
    private var corrected = 0
    private var ownFirst = 0
    private var ownInTop = 0
    /// Images that have a class among their first three.
    private var inThree: [Int]

    init(classCount: Int, top: Int) {
        support = ClassTally(classCount: classCount, top: top)
        (pull, push) = (support, support)
        inThree = [Int](repeating: 0, count: classCount)
    }

    var isFinite: Bool { (support.sums + pull.sums + push.sums).allSatisfy(\.isFinite) }

    /// Adds valid rows.
    mutating func add(_ table: RowTable, _ found: DefenderNet.Support, correctedOnly: Bool) {
        let pulls = zip(found.support, found.mean).map { $0 + $1 }
        let pushes = found.mean.map { -$0 }
        for row in 0..<table.count {
            let range = row * table.classCount..<(row + 1) * table.classCount
            let label = table.label[row]
            let isCorrected = table.prediction[row] != label && argMax(found.corrected[range]) == label
            guard isCorrected || !correctedOnly else { continue }
            if isCorrected { corrected += 1 }
            let best = found.support.withUnsafeBufferPointer { support.add(UnsafeBufferPointer(rebasing: $0[range])) }
            pulls.withUnsafeBufferPointer { _ = pull.add(UnsafeBufferPointer(rebasing: $0[range])) }
            pushes.withUnsafeBufferPointer { _ = push.add(UnsafeBufferPointer(rebasing: $0[range])) }
            if best.first == Int(label) { ownFirst += 1 }
            if best.contains(Int(label)) { ownInTop += 1 }
            for place in best.prefix(3) { inThree[place] += 1 }
        }
    }

    func result(_ request: SupportRequest, _ defender: DefenderDescriptor) -> SupportResult {
        let images = support.images
        let commonest = support.firsts.indices.max { (support.firsts[$0], $1) < (support.firsts[$1], $0) } ?? 0
        let mean = { (sum: Double) in sum / Double(images) }
        let classes = support.order.enumerated().map { place, k in
            SupportResult.Class(
                class: k, name: request.split.classNames[k], rank: place + 1, count: support.counts[k],
                first: support.firsts[k], support: mean(support.sums[k]), pullCount: pull.counts[k],
                pullFirst: pull.firsts[k], pull: mean(pull.sums[k]), pushCount: push.counts[k],
                pushFirst: push.firsts[k], push: mean(push.sums[k]))
        }
        return SupportResult(
            defender: defender.name, weightsDigest: defender.weightsDigest, snapshot: request.manifest.id,
            dataset: request.split.dataset, split: request.split.split, selection: request.selection?.name,
            network: request.network.name, networkDigest: request.network.digest, attack: request.attack,
            correctedOnly: request.correctedOnly, top: request.top, images: images, invalid: invalid,
            corrected: corrected, ownFirst: Proportion(ownFirst, of: images),
            ownInTop: Proportion(ownInTop, of: images),
            commonest: commonest, commonestFirst: Proportion(support.firsts[commonest], of: images),
            commonestInThree: Proportion(inThree[commonest], of: images), classes: classes, created: timestamp())
    }
}
