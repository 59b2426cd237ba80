import CorpusStore
import Defence
import Logits
import Shards

extension Experiment {
    /// Analyses a defender on rows of its own network, unless the corpus has that analysis of these rows and weights.
    func analyse(_ step: ExperimentStep.Analysis) throws(LogitError) -> StepReport.Outcome {
        let opened = try reading()
        let training = step.training
        let stored = try StoredDefender(opened, training.name)
        var request = SupportRequest(
            manifest: try opened.snapshot(nil), split: try opened.split(dataset: training.dataset, split: step.split),
            network: try opened.network(training.network), attack: stored.descriptor.attacks[0],
            selection: try step.selection.map { (name) throws(LogitError) in try opened.selection(name) })
        if let top = step.top { request.top = top }
        let attacks =
            switch step.kind {
            case .support, .lowering: [request.attack]
            case .precision: ["clean"] + stored.descriptor.attacks
            case .detection: stored.descriptor.attacks
            }
        guard try !isThere(step, stored.descriptor, request, attacks, in: opened) else { return .there }
        do throws(LogitError) {
            let json = try result(step, stored, request, attacks, in: opened)
            _ = try writing().addAnalysis(json: json)
            return .done
        } catch {
            // A defender that corrects no image is a result, as are logits that a precision cannot hold: no reason to stop.
            guard error.code == .badInput, step.kind != .support else { throw error }
            observer.note(error.message)
            return .nothing
        }
    }

    private func result(
        _ step: ExperimentStep.Analysis, _ stored: StoredDefender, _ request: SupportRequest, _ attacks: [String],
        in opened: Corpus
    ) throws(LogitError) -> [UInt8] {
        switch step.kind {
        case .support:
            return JSONFile.encode(
                try Support.run(
                    opened, request, defender: stored, progress: { observer.progress("support", $0, $1, $0) },
                    shouldStop: shouldStop))
        case .lowering:
            return JSONFile.encode(try Lowering.run(opened, request, defender: stored, shouldStop: shouldStop))
        case .precision:
            return JSONFile.encode(
                try PrecisionAblation.run(opened, request, attacks: attacks, defender: stored, shouldStop: shouldStop))
        case .detection:
            let asked = try detection(step, request, attacks, in: opened)
            return JSONFile.encode(try Detection.run(opened, asked, defender: stored, shouldStop: shouldStop))
        }
    }

    private func detection(
        _ step: ExperimentStep.Analysis, _ request: SupportRequest, _ attacks: [String], in opened: Corpus
    ) throws(LogitError) -> DetectionRequest {
        let learning = try opened.split(dataset: step.training.dataset, split: step.training.split)
        return DetectionRequest(
            rows: request, attacks: attacks,
            learning: learning.digest == request.split.digest ? nil : (split: learning, selection: nil))
    }

    /// Whether a stored analysis was made with the options that a step would take.
    private func isAsked(
        _ id: String, _ step: ExperimentStep.Analysis, _ request: SupportRequest, _ attacks: [String], in corpus: Corpus
    ) throws(LogitError) -> Bool {
        let asked: [String: String]
        switch step.kind {
        case .support: return true  // its one option is in the record
        case .lowering: asked = Lowering.asked(request)
        case .precision: asked = PrecisionAblation.asked()
        case .detection: asked = try detection(step, request, attacks, in: corpus).asked
        }
        return try corpus.analysis(id, as: AnalysisResult.self).asked == asked
    }

    private func isThere(
        _ step: ExperimentStep.Analysis, _ defender: DefenderDescriptor, _ request: SupportRequest, _ attacks: [String],
        in corpus: Corpus
    ) throws(LogitError) -> Bool {
        for one in try corpus.analyses(ofKind: step.kind.rawValue) {
            let record = one.record
            guard record.defender == defender.name, record.weightsDigest == defender.weightsDigest,
                record.dataset == request.split.dataset, record.split == request.split.split,
                record.network == request.network.name, record.selection == step.selection,
                record.attack == attacks.joined(separator: ","), record.correctedOnly != true,
                step.kind != .support || record.top == request.top,
                let former = try? corpus.snapshot(record.snapshot)
            else { continue }
            let isSame = attacks.allSatisfy {
                former.rowDigests(request.split, request.network, $0)
                    == request.manifest.rowDigests(request.split, request.network, $0)
            }
            if isSame, try isAsked(one.id, step, request, attacks, in: corpus) { return true }
        }
        return false
    }
}
