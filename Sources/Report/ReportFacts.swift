import CorpusStore
import Defence
import Logits
import Networks
import Shards

/// The rows of one network over one split.
struct Subject: Hashable {
    let dataset: String
    let split: String
    let network: String
}

/// Over which images an accuracy is.
enum ImageGroup: Hashable {
    case full
    case selection(String)
    /// Each image corrected by a defender that has not seen it.
    case folds(Int)

    var label: String {
        switch self {
        case .full: "full"
        case .selection(let name): name
        case .folds(let count): "\(count) folds"
        }
    }

    var isSelected: Bool { if case .selection = self { true } else { false } }
}

/// What a corpus holds at a snapshot, as the tables need it: counts of rows, defenders, and evaluations that are of these
/// rows and weights.
final class ReportFacts {
    let manifest: SnapshotManifest
    let splits: [SplitDescriptor]
    let networks: [NetworkDescriptor]
    let selections: [SelectionFile]
    let families: [DefenderFamily]
    /// Evaluations left out: their defender was trained on since, or their rows are not those of the snapshot.
    private(set) var outdated = 0
    private var counts: [Subject: [String: (all: RowCounts, selected: [String: RowCounts])]] = [:]
    private var measured: [Measured: (rows: Int, correct: Int, evaluation: String)] = [:]

    private struct Measured: Hashable {
        let defender: String
        let subject: Subject
        let selection: String?
        let attack: String
    }

    init(_ corpus: Corpus, _ manifest: SnapshotManifest) throws(LogitError) {
        self.manifest = manifest
        splits = try corpus.splits()
        networks = try corpus.networks()
        selections = try corpus.selections()
        var defenders: [DefenderDescriptor] = []
        for name in try corpus.defenderNames() { defenders.append(try StoredDefender(corpus, name).descriptor) }
        families = DefenderFamily.all(defenders.filter { $0.epochsDone > 0 && !$0.attacks.isEmpty }, selections)
        try count(corpus)
        try measure(corpus, defenders)
    }

    private func count(_ corpus: Corpus) throws(LogitError) {
        for split in splits {
            let chosen = selections.filter {
                $0.dataset == split.dataset && $0.split == split.split && $0.datasetDigest == split.digest
            }
            for network in networks {
                let subject = Subject(dataset: split.dataset, split: split.split, network: network.name)
                let attacks = Set(
                    manifest.shards.filter {
                        $0.key.dataset == split.dataset && $0.key.split == split.split
                            && $0.key.network == network.name && $0.key.view == 0
                    }.map(\.key.variant.canonical))
                for attack in attacks {
                    let found = try corpus.counts(split, network.name, attack, selections: chosen, at: manifest)
                    counts[subject, default: [:]][attack] = (
                        found.all,
                        Dictionary(uniqueKeysWithValues: zip(chosen.map(\.name), found.selected))
                    )
                }
            }
        }
    }

    private func measure(_ corpus: Corpus, _ defenders: [DefenderDescriptor]) throws(LogitError) {
        var manifests: [String: SnapshotManifest?] = [manifest.id: manifest]
        for one in try StoredEvaluation.all(corpus) {
            let result = one.result
            let subject = Subject(dataset: result.dataset, split: result.split, network: result.network)
            if manifests[result.snapshot] == nil { manifests[result.snapshot] = try? corpus.snapshot(result.snapshot) }
            guard let split = splits.first(where: { $0.dataset == subject.dataset && $0.split == subject.split }),
                let network = networks.first(where: { $0.name == subject.network }),
                let former = manifests[result.snapshot] ?? nil,
                defenders.contains(where: { $0.name == result.defender && $0.weightsDigest == result.weightsDigest })
            else {
                outdated += 1
                continue
            }
            for figure in result.figures {
                guard
                    former.rowDigests(split, network, figure.attack)
                        == manifest.rowDigests(split, network, figure.attack)
                else {
                    outdated += 1
                    continue
                }
                let key = Measured(
                    defender: result.defender, subject: subject, selection: result.selection, attack: figure.attack)
                measured[key] = (figure.rows, figure.correctedCorrect, one.id)
            }
        }
    }

    // MARK: Asking

    /// Whether an analysis is of rows that the snapshot has as they were.
    func isOfTheseRows(_ record: AnalysisRecord, _ corpus: Corpus) -> Bool {
        guard let split = splits.first(where: { $0.dataset == record.dataset && $0.split == record.split }),
            let network = networks.first(where: { $0.name == record.network }),
            let former = record.snapshot == manifest.id ? manifest : try? corpus.snapshot(record.snapshot)
        else { return false }
        return record.attack.split(separator: ",").allSatisfy {
            former.rowDigests(split, network, String($0)) == manifest.rowDigests(split, network, String($0))
        }
    }

    /// Splits that tables are of: those with evaluations; without any, test, or whatever has rows.
    var reportedSplits: [SplitDescriptor] {
        func keep(_ test: (SplitDescriptor) -> Bool) -> [SplitDescriptor] { splits.filter(test) }
        let evaluated = keep { split in
            measured.keys.contains { $0.subject.dataset == split.dataset && $0.subject.split == split.split }
        }
        if !evaluated.isEmpty { return evaluated }
        let withRows = keep { split in
            counts.keys.contains { $0.dataset == split.dataset && $0.split == split.split }
        }
        let test = withRows.filter { $0.split == "test" }
        return test.isEmpty ? withRows : test
    }

    /// Networks with rows over a split.
    func networks(over split: SplitDescriptor) -> [NetworkDescriptor] {
        networks.filter { counts[subject(split, $0.name)] != nil }
    }

    func subject(_ split: SplitDescriptor, _ network: String) -> Subject {
        Subject(dataset: split.dataset, split: split.split, network: network)
    }

    /// Stored variants but clean, in the registry's order, attacks through defenders last.
    func attacks(_ subject: Subject) -> [String] {
        return (counts[subject] ?? [:]).keys.filter { $0 != "clean" }.sorted {
            (ReportFacts.defender(through: $0) == nil ? 0 : 1, ReportFacts.place($0), $0)
                < (ReportFacts.defender(through: $1) == nil ? 0 : 1, ReportFacts.place($1), $1)
        }
    }

    /// Of an attack in the registry's order.
    private static func place(_ attack: String) -> Int {
        let names = AttackRegistry.all.map(\.name)
        return names.firstIndex { $0 == attack.prefix { $0 != ":" } } ?? names.count
    }

    /// An attack's name as tables show it: `pgd through g`, where its canonical name is `pgd:through=g@0123456789abcdef`.
    func shown(_ attack: String) -> String {
        guard let name = ReportFacts.defender(through: attack) else { return attack }
        let parts = attack.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let settings = parts[1].split(separator: ",")
        let others = settings.filter { !$0.hasPrefix("through=") }.joined(separator: ",")
        let digest = settings.first { $0.hasPrefix("through=") }?.split(separator: "@").last ?? ""
        let now = families.flatMap(\.members).first { $0.descriptor.name == name }?.descriptor.weightsDigest
        let isNow = now?.hasPrefix(digest) ?? false
        return "\(parts[0])\(others.isEmpty ? "" : ":" + others) through \(name)\(isNow ? "" : " (former weights)")"
    }

    /// The defender that an attack goes through.
    static func defender(through attack: String) -> String? {
        guard attack.contains(":"), let start = attack.firstRange(of: "through=") else { return nil }
        return String(attack[start.upperBound...].prefix { $0 != "@" && $0 != "," })
    }

    /// Full, the selections of a split, and folds where defenders are of any.
    func imageSets(_ split: SplitDescriptor, _ network: String) -> [ImageGroup] {
        let names = selections.filter {
            $0.dataset == split.dataset && $0.split == split.split && $0.datasetDigest == split.digest && $0.fold == nil
        }.map(\.name)
        let folds = families.filter {
            $0.network == network && $0.dataset == split.dataset && $0.split == split.split
        }.compactMap(\.folds)
        return [.full] + names.map { .selection($0) } + Array(Set(folds)).sorted().map { .folds($0) }
    }

    func counts(_ subject: Subject, _ images: ImageGroup, _ attack: String) -> RowCounts? {
        let found = counts[subject]?[attack]
        if case .selection(let name) = images { return found?.selected[name] }
        return found?.all
    }

    /// A family's accuracy, the mean over its seeds; nil where nothing is evaluated.
    func corrected(
        _ family: DefenderFamily, _ subject: Subject, _ images: ImageGroup, _ attack: String
    ) -> (accuracy: Accuracy, evaluations: [String], defenders: [String])? {
        var correct: [Int] = []
        var defenders: [String] = []
        var rows: Set<Int> = []
        var evaluations: [String] = []
        for seed in family.seeds {
            let judged = members(family, images, seed: seed)
            let found = judged.map {
                measured[
                    Measured(
                        defender: $0.member.descriptor.name, subject: subject, selection: $0.selection, attack: attack)]
            }
            guard !found.isEmpty, found.allSatisfy({ $0 != nil }) else { continue }
            correct.append(found.reduce(0) { $0 + ($1?.correct ?? 0) })
            rows.insert(found.reduce(0) { $0 + ($1?.rows ?? 0) })
            evaluations += found.compactMap { $0?.evaluation }
            defenders += judged.map(\.member.descriptor.name)
        }
        guard rows.count == 1, let accuracy = Accuracy(correct, of: rows.first ?? 0) else { return nil }
        return (accuracy, evaluations, defenders)
    }

    /// The defenders whose evaluations make a cell, and the selection that each is evaluated on.
    func members(
        _ family: DefenderFamily, _ images: ImageGroup, seed: UInt64
    ) -> [(member: DefenderFamily.Member, selection: String?)] {
        let ofSeed = family.members.filter { $0.descriptor.options.seed == seed }
        switch images {
        case .full: return family.folds == nil ? ofSeed.map { ($0, nil) } : []
        case .selection(let name): return family.folds == nil ? ofSeed.map { ($0, name) } : []
        case .folds(let count):
            guard family.folds == count, ofSeed.count == count else { return [] }
            return ofSeed.compactMap { member in
                selections.first {
                    $0.dataset == family.dataset && $0.split == family.split && $0.fold?.isRest == false
                        && $0.fold?.count == count && $0.fold?.index == member.fold
                }.map { (member, $0.name) }
            }
        }
    }

    /// Whether a family was trained on the images that it is measured on.
    func isInSample(_ family: DefenderFamily, _ subject: Subject, _ images: ImageGroup) -> Bool {
        family.folds == nil && family.dataset == subject.dataset && family.split == subject.split
    }

    /// The family that the paper's tables show for a network and the attacks trained on.
    func mainFamily(_ network: String, _ dataset: String, _ attacks: [String], _ images: ImageGroup) -> DefenderFamily?
    {
        var fitting = families.filter { $0.network == network && $0.dataset == dataset && $0.attacks == attacks }
        if case .folds(let count) = images {
            fitting = fitting.filter { $0.folds == count }
        } else {
            fitting = fitting.filter { $0.folds == nil }
        }
        return DefenderFamily.main(fitting)
    }

    /// The mixes that any defender of a network was trained on: single attacks first.
    func mixes(_ network: String, _ dataset: String, _ images: ImageGroup) -> [[String]] {
        let isFolded = if case .folds = images { true } else { false }
        let found = Set(
            families.filter { $0.network == network && $0.dataset == dataset && ($0.folds != nil) == isFolded }
                .map(\.attacks))
        return found.sorted {
            ($0.count, ReportFacts.place($0[0]), $0.joined(separator: ","))
                < ($1.count, ReportFacts.place($1[0]), $1.joined(separator: ","))
        }
    }
}
