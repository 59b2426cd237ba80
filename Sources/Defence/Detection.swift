import Analysis
import CorpusStore
import Logits
import Shards
import Torch

/// Telling attacked logits from clean ones.
package enum Detector: String, Sendable, CaseIterable {
    /// Whether the defender's arg max is another than the network's: 0 or 1.
    case changed
    /// The mean logit (the paper's Figure 1).
    case mean
    /// The energy score −ln Σ exp z (Liu et al., 2020).
    case energy
    /// A small network on the sorted logits, trained on other images (`LogitClassifier`).
    case classifier
}

/// Which rows are judged, and from which the classifier and the directions are learnt.
package struct DetectionRequest {
    /// The judged rows; its attack is not looked at.
    package var rows: SupportRequest
    /// Canonical names, without clean.
    package var attacks: [String]
    /// The rows to learn from; nil: no classifier, and every score in its usual direction (larger is attacked).
    package var learning: (split: SplitDescriptor, selection: SelectionFile?)?
    /// Only attacked rows that are fooled, and their clean twins.
    package var fooledOnly = false
    package var seed: UInt64 = 0

    /// The options of a result, as it tells them.
    package var asked: [String: String] {
        var options = ["fooled_only": "\(fooledOnly)", "seed": "\(seed)"]
        options["learnt_from"] = learning.map { learning in
            "\(learning.split.dataset)/\(learning.split.split)" + (learning.selection.map { ":\($0.name)" } ?? "")
        }
        return options
    }

    package init(
        rows: SupportRequest, attacks: [String], learning: (split: SplitDescriptor, selection: SelectionFile?)?
    ) {
        self.rows = rows
        self.attacks = attacks
        self.learning = learning
    }
}

package enum Detection {
    /// Rows of each variant that are learnt from, at most; evenly spread.
    private static let learningRows = 20_000

    /// Figures `auc` (area under the ROC curve, its interval over images) for each attack and detector, over the images that have a
    /// valid clean and a valid attacked row, and the curves. Where there are rows to learn from, a score counts in the direction
    /// that is right for them; the options say which (`direction.pgd.mean`: `1` or `-1`).
    /// - Throws: `usage` where images would be judged by what was learnt from themselves.
    package static func run(
        _ corpus: Corpus, _ request: DetectionRequest, defender: StoredDefender, shouldStop: () -> Bool = { false }
    ) throws(LogitError) -> AnalysisResult {
        try refuseOverlap(request)
        let judged = request.rows
        let (net, rows) = try Evaluation.subject(
            corpus, manifest: judged.manifest, split: judged.split, network: judged.network,
            attacks: ["clean"] + request.attacks, selection: judged.selection, defender: defender)
        var lessons: VariantRows?
        if let learning = request.learning {
            lessons =
                try Evaluation.subject(
                    corpus, manifest: judged.manifest, split: learning.split, network: judged.network,
                    attacks: ["clean"] + request.attacks, selection: learning.selection, defender: defender
                ).rows
            lessons?.limit = learningRows
        }
        var figures: [AnalysisFigure] = []
        var curves: [AnalysisResult.Curve] = []
        var options = request.asked
        var (images, invalid) = (0, 0)
        for attack in request.attacks {
            if shouldStop() { throw LogitError(.cancelled, "stopped; nothing is kept, run the same command again") }
            let lesson = try lessons.map { (rows) throws(LogitError) in try Lesson(rows, attack, net, request) }
            let pair = try Pairs(rows, attack, net, lesson?.classifier, fooledOnly: request.fooledOnly)
            images = max(images, pair.images)
            invalid += pair.invalid
            for detector in Detector.allCases where detector != .classifier || lesson != nil {
                let direction = lesson?.directions[detector] ?? 1
                guard let roc = pair.roc(detector, direction) else { throw nothing(attack, judged) }
                figures.append(
                    AnalysisFigure(
                        attack: attack, subject: detector.rawValue, measure: "auc", rows: pair.rows, value: roc.area,
                        low: roc.low, high: roc.high))
                curves.append(
                    AnalysisResult.Curve(
                        attack: attack, detector: detector.rawValue, falsePositives: roc.falsePositives,
                        truePositives: roc.truePositives))
                if lesson != nil { options["direction.\(attack).\(detector.rawValue)"] = "\(Int(direction))" }
            }
        }
        return judged.result(
            Analyses.detection, defender.descriptor, attacks: request.attacks, images: images, invalid: invalid,
            options: options, figures: figures, curves: curves)
    }

    private static func nothing(_ attack: String, _ rows: SupportRequest) -> LogitError {
        LogitError(
            .badInput,
            "no image of \(rows.split.dataset)/\(rows.split.split) has both a valid clean row and one under \(attack) that counts; ingest both over the same images, or leave out --fooled-only"
        )
    }

    private static func refuseOverlap(_ request: DetectionRequest) throws(LogitError) {
        let judged = request.rows
        guard let learning = request.learning, learning.split.digest == judged.split.digest else { return }
        if let first = learning.selection, let second = judged.selection,
            Set(first.ordinals).isDisjoint(with: second.ordinals)
        {
            return
        }
        throw LogitError(
            .usage,
            "the classifier would be judged on images of \(judged.split.dataset)/\(judged.split.split) that it has learnt from; give another split or selection with --learn or --learn-selection, or --no-learn for the scores alone"
        )
    }
}

/// What other images teach about one attack.
private struct Lesson {
    let classifier: LogitClassifier
    /// 1 or −1.
    let directions: [Detector: Double]

    init(
        _ rows: VariantRows, _ attack: String, _ net: DefenderNet, _ request: DetectionRequest
    ) throws(LogitError) {
        var logits: [[Float]] = []
        for variant in ["clean", attack] {
            var values: [Float] = []
            try rows.visit(variant, batchRows: Evaluation.batchRows) { (table) throws(LogitError) in
                for row in 0..<table.count where !table.isInvalid(row) { values += table.row(row) }
            }
            logits.append(values)
        }
        classifier = try LogitClassifier(
            clean: logits[0], attacked: logits[1], classCount: net.options.classCount, seed: request.seed)
        let pair = try Pairs(rows, attack, net, nil, fooledOnly: request.fooledOnly)
        var directions: [Detector: Double] = [.changed: 1, .classifier: 1]
        for detector in [Detector.mean, .energy] {
            directions[detector] = (pair.roc(detector, 1)?.area ?? 1) < 0.5 ? -1 : 1
        }
        self.directions = directions
    }
}

/// The scores of the images that have both rows.
private struct Pairs {
    private var clean: [Int64: [Detector: Double]] = [:]
    private var attacked: [Int64: [Detector: Double]] = [:]
    private(set) var invalid = 0

    init(
        _ rows: VariantRows, _ attack: String, _ net: DefenderNet, _ classifier: LogitClassifier?, fooledOnly: Bool
    ) throws(LogitError) {
        for variant in ["clean", attack] {
            var found: [Int64: [Detector: Double]] = [:]
            var skipped = 0
            try rows.visit(variant, batchRows: Evaluation.batchRows) { (table) throws(LogitError) in
                let valid = (0..<table.count).filter { !table.isInvalid($0) }
                skipped += table.count - valid.count
                let counted = valid.filter { row in
                    !fooledOnly || table.attack.map { $0.status[row] == Outcome.fooled.rawValue } ?? true
                }
                guard !counted.isEmpty else { return }
                let part = table.picking(counted)
                let corrected = PrecisionAblation.predictions(try net.correct(part.logits), part.classCount)
                let odds = try classifier?.scores(part.logits)
                for row in 0..<part.count { found[part.ordinal[row]] = scores(part, row, corrected[row], odds?[row]) }
            }
            invalid += skipped
            if variant == "clean" { clean = found } else { attacked = found }
        }
        let both = Set(clean.keys).intersection(attacked.keys)
        clean = clean.filter { both.contains($0.key) }
        attacked = attacked.filter { both.contains($0.key) }
    }

    var images: Int { clean.count }
    var rows: Int { clean.count + attacked.count }

    func roc(_ detector: Detector, _ direction: Double) -> ROC? {
        func rows(_ scores: [Int64: [Detector: Double]]) -> [ROC.Row] {
            scores.sorted { $0.key < $1.key }.compactMap { image, values in
                values[detector].map { ROC.Row(image: image, score: direction * $0) }
            }
        }
        return ROC(positives: rows(attacked), negatives: rows(clean))
    }
}

private func scores(_ table: RowTable, _ row: Int, _ corrected: Int32, _ odds: Double?) -> [Detector: Double] {
    let logits = table.row(row)
    let sum = logits.reduce(0.0) { $0 + Double($1) }
    let energy = logits.withUnsafeBufferPointer { -logSumExp($0) }
    var scores: [Detector: Double] = [
        .changed: corrected == argMax(logits) ? 0 : 1, .mean: sum / Double(table.classCount), .energy: energy,
    ]
    scores[.classifier] = odds
    return scores
}

/// A small network C → 128 → 2 over the sorted logits, each place standardised by the rows that it learns from.
package final class LogitClassifier {
    private let net: DefenderNet
    private let classCount: Int
    private let mean: [Double]
    private let scale: [Double]

    private static let batch = 256
    private static let steps = 1500

    /// - Parameters:
    ///   - clean: rows × classCount; `attacked` likewise.
    ///   - seed: of the first weights and of the order of the rows.
    package init(clean: [Float], attacked: [Float], classCount: Int, seed: UInt64) throws(LogitError) {
        let rows = (clean.count + attacked.count) / classCount
        guard !clean.isEmpty, !attacked.isEmpty else {
            throw LogitError(
                .badInput,
                "there are no valid rows to learn from; ingest clean and the attack over the split of --learn")
        }
        self.classCount = classCount
        let sorted = LogitClassifier.sorted(clean + attacked, classCount)
        (mean, scale) = LogitClassifier.moments(sorted, classCount)
        var options = DefenderNetOptions(classCount: classCount, outputCount: 2)
        (options.hidden, options.dropout, options.learningRate, options.weightDecay, options.seed) = (
            128, 0, 1e-3, 1e-4, seed
        )
        net = try DefenderNet(options)
        let inputs = LogitClassifier.standardised(sorted, mean, scale)
        let first = clean.count / classCount
        let random = Philox(key: seed)
        for step in 1...LogitClassifier.steps {
            let places = (0..<LogitClassifier.batch).map { place in
                Int(random.bits(UInt64(place), stream: UInt64(step)).multipliedFullWidth(by: UInt64(rows)).high)
            }
            _ = try net.train(
                step: step, logits: places.flatMap { inputs[$0 * classCount..<($0 + 1) * classCount] },
                labels: places.map { $0 < first ? 0 : 1 })
        }
    }

    /// The log odds that each row is attacked.
    package func scores(_ logits: [Float]) throws(LogitError) -> [Double] {
        let outputs = try net.correct(
            LogitClassifier.standardised(LogitClassifier.sorted(logits, classCount), mean, scale))
        return stride(from: 0, to: outputs.count, by: 2).map { Double(outputs[$0 + 1]) - Double(outputs[$0]) }
    }

    /// Each row from its largest logit on.
    private static func sorted(_ logits: [Float], _ classCount: Int) -> [Float] {
        var all = logits
        all.withUnsafeMutableBufferPointer { buffer in
            for row in 0..<buffer.count / classCount {
                var part = UnsafeMutableBufferPointer(rebasing: buffer[row * classCount..<(row + 1) * classCount])
                part.sort(by: >)
            }
        }
        return all
    }

    private static func moments(_ values: [Float], _ classCount: Int) -> (mean: [Double], scale: [Double]) {
        var (sums, squares) = ([Double](repeating: 0, count: classCount), [Double](repeating: 0, count: classCount))
        let rows = Double(values.count / classCount)
        for row in 0..<values.count / classCount {
            for k in 0..<classCount { sums[k] += Double(values[row * classCount + k]) }
        }
        let mean = sums.map { $0 / rows }
        for row in 0..<values.count / classCount {
            for k in 0..<classCount {
                let distance = Double(values[row * classCount + k]) - mean[k]
                squares[k] += distance * distance
            }
        }
        return (mean, squares.map { max(($0 / rows).squareRoot(), 1e-6) })
    }

    private static func standardised(_ values: [Float], _ mean: [Double], _ scale: [Double]) -> [Float] {
        var all = values
        for place in all.indices {
            let k = place % mean.count
            all[place] = Float((Double(all[place]) - mean[k]) / scale[k])
        }
        return all
    }
}
