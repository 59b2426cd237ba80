import CorpusStore
import Logits
import Networks

/// What is kept of a block beside its logits and columns.
struct Keeping: Codable, Sendable, Equatable {
    /// The images that the network was given.
    var images: ImagePrecision?
    /// The outcome after rounding the attacked image to 8 bits.
    var status8bit: Bool

    static let nothing = Keeping(images: nil, status8bit: false)

    /// As a sentence's object.
    var description: String {
        switch (images, status8bit) {
        case (let images?, _): "\(images.rawValue) images"
        case (nil, true): "the 8-bit outcome, but no images"
        case (nil, false): "no images"
        }
    }
}

/// One (network, variant, view, seed): what an ingest computes block by block, and what `replay` computes again.
struct BlockComputation: Sendable {
    let work: Work
    let classifier: any Classifier
    let source: ImageSource

    /// The rows of one block and the images that the network was given for them, in [0,1].
    struct Rows: Sendable {
        var table: RowTable
        var images: [Float]
    }

    /// - Parameters:
    ///   - images: decoded, as `source.block(ordinals)` gives them.
    ///   - status8bit: judge the attacked images once more, rounded to 8 bits.
    func rows(_ ordinals: ArraySlice<Int>, images: [Float], status8bit: Bool) throws(LogitError) -> Rows {
        let listed = ordinals.map { source.listed[$0] }
        var table = RowTable(classCount: classifier.classCount)
        table.ordinal = ordinals.map(Int64.init)
        table.image = listed.map(\.id)
        table.label = listed.map(\.label)
        guard let attacker = work.choice.attacker else {
            table.logits = try logits(images, count: table.count, of: classifier)
            table.prediction = (0..<table.count).map { RowTable.cleanPrediction(table.row($0)) }
            return Rows(table: table, images: images)
        }
        let attacked = try attacker.run(
            AttackBlock(
                images: images, labels: table.label, count: table.count, randomKeys: listed.map(work.randomKey)),
            on: classifier)
        table.logits = attacked.logits
        table.prediction = attacked.prediction
        table.attack = attacked.columns
        if status8bit { table.attack?.status8bit = try rounded(attacked, by: attacker.target(classifier)) }
        return Rows(table: table, images: attacked.images)
    }

    private func logits(
        _ images: [Float], count: Int, of classifier: any Classifier
    ) throws(LogitError) -> [Float] {
        var logits = [Float](repeating: 0, count: count * classifier.classCount)
        try classifier.logits(images, count: count, into: &logits)
        return logits
    }

    /// The outcomes of the attacked images rounded to 8 bits: one pass of the whole block. What was trivial or invalid stays
    /// so.
    private func rounded(_ attacked: AttackedBlock, by classifier: any Classifier) throws(LogitError) -> [UInt8] {
        let count = attacked.prediction.count
        let logits = try logits(EightBit.rounded(attacked.images), count: count, of: classifier)
        return (0..<count).map { image in
            let status = attacked.columns.status[image]
            guard status == Outcome.fooled.rawValue || status == Outcome.failed.rawValue else { return status }
            let row = logits[image * classifier.classCount..<(image + 1) * classifier.classCount]
            guard row.allSatisfy(\.isFinite) else { return Outcome.invalid.rawValue }
            return (argMax(row) == attacked.attackedLabels[image] ? Outcome.failed : .fooled).rawValue
        }
    }
}
