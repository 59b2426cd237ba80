import Analysis
import ArgumentParser
import CorpusStore
import Defence
import Experiments
import Logits
import Report

struct SupportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "support",
        abstract: "Which classes a defender leans on: its supporting classes, and those of one image.",
        discussion: """
            S_k = H_ik - mean over l of H_lk at each image's logits, where H_lk is the slope of the defender's l-th output with
            respect to logit k, and i the true class. The --top largest S_k of each image are counted; the result is stored, and
            reachable by SQL in the view supporting_classes.
            Example: logit support corpus --defender g --attack pgd --split test --plot support.svg
            """)

    @Argument(help: "The corpus folder.") var corpus: String
    @Option(help: "The defender.") var defender: String
    @Option(help: "The attack, or clean; the defender's own where left out and it has one.") var attack: String?
    @Option(help: "The network; the defender's own where left out.") var network: String?
    @Option(help: "The dataset; the defender's own where left out.") var dataset: String?
    @Option(help: "The split; test where left out.") var split: String?
    @Option(help: "Only the images of this selection.") var selection: String?
    @Option(help: "Classes of an image that count, and that are shown; where left out 10, or 3 of at most 20 classes.")
    var top: Int?
    @Option(help: "One image alone, by its id or ordinal: its largest S_k.") var image: String?
    @Option(help: "The snapshot: an id, the beginning of one, a tag; head where left out.") var at: String?
    @Flag(help: "Count only images that the network gets wrong and the defender right.") var correctedOnly = false
    @Option(help: "Draw the classes into this file, .svg or .png.") var plot: String?
    @OptionGroup var output: OutputOptions

    func run() throws {
        Interrupt.listen()
        let opened = try Corpus(at: corpus, .reading)
        let stored = try StoredDefender(opened, defender)
        let split = try opened.split(dataset: dataset ?? stored.descriptor.dataset, split: split, usual: "test")
        var request = SupportRequest(
            manifest: try opened.snapshot(at), split: split,
            network: try opened.network(network ?? stored.descriptor.network),
            attack: try theAttack(stored.descriptor, opened),
            selection: try selection.map { try opened.selection($0) })
        request.correctedOnly = correctedOnly
        if let top { request.top = top }
        if let image {
            let found = try Support.instance(opened, request, defender: stored, image: image)
            if let plot { try draw(found, split, opened, to: plot) }
            output.print(found, text: text(found))
            return
        }
        let progress = Progress("rows", quiet: output.quiet)
        let result = try Support.run(opened, request, defender: stored) { done, total in
            progress.show("support", done: done, total: total)
        } shouldStop: {
            Interrupt.isAsked
        }
        if let plot { try draw(result, split, opened, to: plot) }
        try adding(to: corpus, output) { _ = try $0.addAnalysis(json: JSONFile.encode(result)) }
        output.print(result, text: text(result))
    }

    private func theAttack(_ defender: DefenderDescriptor, _ opened: Corpus) throws(LogitError) -> String {
        guard let attack else {
            guard defender.attacks.count == 1 else {
                throw LogitError(
                    .usage,
                    "defender \(defender.name) was trained on several attacks; choose one with --attack: \(defender.attacks.joined(separator: ", "))"
                )
            }
            return defender.attacks[0]
        }
        let choices = try AttackList.choices(attack, in: opened)
        guard choices.count == 1 else {
            throw LogitError(.usage, "--attack names \(choices.count) variants; name one, for instance --attack pgd")
        }
        return choices[0].variant.canonical
    }

    private func draw(_ result: SupportResult, _ split: SplitDescriptor, _ opened: Corpus, to path: String) throws {
        let shown = result.supporting
        try Figures.supportingClasses(
            title: "\(result.network) under \(result.attack): supporting classes of \(result.defender)",
            axis: "images, of \(result.images)",
            bars: shown.map { ($0.class, $0.name, Double($0.count)) },
            pictures: Thumbnails.pngs(of: shown.map(\.class), split, in: opened), to: path)
        output.note("drew \(path)")
    }

    private func draw(_ found: InstanceSupport, _ split: SplitDescriptor, _ opened: Corpus, to path: String) throws {
        try Figures.supportingClasses(
            title: "\(found.network) under \(found.attack): \(found.image), class \(found.label) (\(found.labelName))",
            axis: "S of \(found.defender)", bars: found.classes.map { ($0.class, $0.name, $0.support) },
            pictures: Thumbnails.pngs(of: found.classes.map(\.class), split, in: opened), to: path)
        output.note("drew \(path)")
    }

    private func text(_ result: SupportResult) -> String {
        var table = TextTable(["class", "name", "images", "first", "mean S", "by H_ik", "by -H_mean"])
        let (pulls, pushes) = (
            result.classes.sorted { ($1.pullCount, $0.class) < ($0.pullCount, $1.class) },
            result.classes.sorted { ($1.pushCount, $0.class) < ($0.pushCount, $1.class) }
        )
        for (place, one) in result.supporting.enumerated() {
            table.add([
                "\(one.class)", one.name, "\(one.count)", "\(one.first)", one.support.formatted(4),
                "\(pulls[place].class) (\(pulls[place].pullCount))",
                "\(pushes[place].class) (\(pushes[place].pushCount))",
            ])
        }
        let commonest = result.classes.first { $0.class == result.commonest }
        return """
            \(result.defender) on \(result.network) under \(result.attack) over \(result.dataset)/\(result.split)\
            \(result.selection.map { ", selection \($0)" } ?? ""): \(result.images.grouped) images\
            \(result.correctedOnly ? " that it corrects" : ", \(result.corrected.grouped) of them corrected")

            \(table.text)

            the largest S is the true class's for \(percent(result.ownFirst)) of the images (among the \(result.top) largest: \
            \(percent(result.ownInTop)))
            class \(result.commonest) (\(commonest?.name ?? "")) has it most often: \(percent(result.commonestFirst)), \
            one of the three largest for \(percent(result.commonestInThree))
            """
    }

    private func text(_ found: InstanceSupport) -> String {
        var table = TextTable(["class", "name", "S", "H_ik", "-H_mean"])
        for one in found.classes {
            table.add([
                "\(one.class)", one.name, one.support.formatted(5), one.pull.formatted(5), one.push.formatted(5),
            ])
        }
        return """
            \(found.image) (ordinal \(found.ordinal)), class \(found.label) \(found.labelName): under \(found.attack) \
            \(found.network) says \(found.prediction), \(found.defender) corrects it to \(found.correctedPrediction)

            \(table.text)
            """
    }

    private func percent(_ share: Proportion) -> String {
        share.value.map { "\((100 * $0).formatted(1)) %" } ?? "-"
    }
}
