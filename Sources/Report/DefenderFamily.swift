import CorpusStore
import Defence
import Logits
import Shards

/// Defenders that differ in their seed alone, or are the parts of one cross-validation.
struct DefenderFamily {
    struct Member {
        let descriptor: DefenderDescriptor
        /// Of the fold that it has not seen.
        let fold: Int?
    }

    /// What its members share.
    let dataset: String
    let split: String
    let network: String
    let attacks: [String]
    var options: DefenderOptions
    var selection: String?
    let folds: Int?
    var members: [Member]

    var name: String { attacks.joined(separator: " + ") }
    var seeds: [UInt64] { Array(Set(members.map(\.descriptor.options.seed))).sorted() }

    /// In what it differs from another, for a heading: `1 layer, p 0.5`; empty where in nothing.
    func difference(from other: DefenderFamily) -> String {
        var words: [String] = []
        let (mine, theirs) = (options, other.options)
        if mine.layers != theirs.layers { words.append(mine.layers == 1 ? "1 layer" : "\(mine.layers) layers") }
        if mine.layers > 1, mine.hidden != theirs.hidden { words.append("D \(mine.hidden)") }
        if mine.layers > 1, mine.dropout != theirs.dropout { words.append("dropout \(mine.dropout)") }
        if mine.cleanProbability != theirs.cleanProbability { words.append("p \(mine.cleanProbability)") }
        if mine.learningRate != theirs.learningRate { words.append("rate \(mine.learningRate)") }
        if mine.weightDecay != theirs.weightDecay { words.append("decay \(mine.weightDecay)") }
        if mine.epochs != theirs.epochs { words.append("\(mine.epochs) epochs") }
        if mine.batch != theirs.batch { words.append("batch \(mine.batch)") }
        if mine.failedTwins != theirs.failedTwins { words.append("failed rows \(mine.failedTwins.rawValue)") }
        if mine.invalidTwins != theirs.invalidTwins { words.append("invalid rows \(mine.invalidTwins.rawValue)") }
        if split != other.split || dataset != other.dataset { words.append("trained on \(dataset)/\(split)") }
        if folds != other.folds { words.append(folds.map { "\($0) folds" } ?? "no folds") }
        if folds == nil, selection != other.selection { words.append(selection.map { "on \($0)" } ?? "on all images") }
        return words.joined(separator: ", ")
    }

    /// In how much its make differs from the paper's, for choosing the family that the paper's tables show.
    var strangeness: Int {
        let paper = DefenderOptions()
        return (options.layers != paper.layers ? 4 : 0) + (options.dropout != paper.dropout ? 2 : 0)
            + (options.cleanProbability != paper.cleanProbability ? 2 : 0)
            + (options.failedTwins != paper.failedTwins ? 1 : 0) + (options.invalidTwins != paper.invalidTwins ? 1 : 0)
            + (selection != nil && folds == nil ? 1 : 0)
    }

    /// All of a corpus, as they were first trained.
    static func all(
        _ defenders: [DefenderDescriptor], _ selections: [SelectionFile]
    ) -> [DefenderFamily] {
        var families: [DefenderFamily] = []
        for one in defenders.sorted(by: { ($0.created, $0.name) < ($1.created, $1.name) }) {
            let fold = selections.first { $0.name == one.selection }?.fold.flatMap { $0.isRest ? $0 : nil }
            var options = one.options
            options.seed = 0
            let family = DefenderFamily(
                dataset: one.dataset, split: one.split, network: one.network, attacks: one.attacks, options: options,
                selection: fold == nil ? one.selection : nil, folds: fold?.count,
                members: [Member(descriptor: one, fold: fold?.index)])
            if let place = families.firstIndex(where: { $0.isLike(family) }) {
                families[place].members += family.members
            } else {
                families.append(family)
            }
        }
        return families
    }

    /// The family that the tables of the paper show, of those for one network and attacks.
    static func main(_ families: [DefenderFamily]) -> DefenderFamily? {
        families.min { ($0.strangeness, -$0.members.count) < ($1.strangeness, -$1.members.count) }
    }

    func isLike(_ other: DefenderFamily) -> Bool {
        dataset == other.dataset && split == other.split && network == other.network && attacks == other.attacks
            && options == other.options && selection == other.selection && folds == other.folds
    }
}
