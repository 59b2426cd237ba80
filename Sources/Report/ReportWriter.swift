import CorpusStore
import Defence
import Logits
import Platform
import Shards

/// Writes the report of a corpus: one page, and each table as text, CSV and LaTeX.
package enum ReportWriter {
    package struct Options: Sendable {
        /// The corpus as commands name it.
        package var corpus: String
        package var title: String?
        /// A snapshot, a tag; nil: the head.
        package var at: String?
        /// One name a class, for people, in class order.
        package var classNames: [String]?
        /// report.pdf beside the page.
        package var hasPDF = false

        package init(corpus: String) { self.corpus = corpus }
    }

    /// What was written.
    package struct Written: Encodable {
        package var folder: String
        package var snapshot: String
        package var files: [String]
        package var commandsForEmptyCells: Int
        var figures: [TableFigure]
        var meanLogit: [MeanLogitFigures.Rise]
    }

    /// - Parameter folder: made if absent; files of a former report there are replaced.
    /// - Throws: `notFound` where the corpus has no snapshot, `usage` where the folder is a corpus or no folder.
    package static func write(
        _ corpus: Corpus, _ options: Options, into folder: String, progress: (String) -> Void = { _ in }
    ) throws(LogitError) -> Written {
        let manifest = try corpus.snapshot(options.at)
        try prepare(folder)
        progress("counting rows")
        let facts = try ReportFacts(corpus, manifest)
        let classCounts = Set(facts.splits.map(\.classNames.count))
        if let names = options.classNames, !classCounts.contains(names.count) {
            throw LogitError(
                .badInput,
                "there are \(names.count) class names, and the corpus's datasets have \(classCounts.sorted().map(String.init).joined(separator: " or ")) classes; give one name for each, in class order"
            )
        }
        let tables = AccuracyTables(facts: facts, corpus: options.corpus)
        let made = [tables.table1(), tables.table2(), tables.table3(), tables.acrossNetworks(), tables.others()]
            .filter { !$0.isEmpty || $0.id.hasPrefix("table-") }
        progress("drawing")
        let means = try MeanLogitFigures(corpus: corpus, facts: facts, name: options.corpus).all(into: folder)
        var files = ["index.html"] + means.figures.map { "\($0.id).svg" }
        for table in made {
            for (ending, text) in [("txt", table.text), ("csv", table.csv), ("tex", table.latex)] {
                try Files.writeDurably(Array(text.utf8), to: "\(folder)/\(table.id).\(ending)")
                files.append("\(table.id).\(ending)")
            }
        }
        let again = command(options, manifest)
        progress("reading analyses")
        let support = SupportSections(corpus: corpus, facts: facts, options: options, folder: folder)
        let sweeps = SweepSection(facts: facts, options: options, folder: folder)
        let ablations = AblationSection(corpus: corpus, facts: facts, options: options, folder: folder)
        let findings = Findings(tables: made, facts: facts, lowerings: try ablations.lowerings())
        var sections = [findings.section].compactMap(\.self)
        sections += made.filter { $0.id.hasPrefix("table-") }.map { ReportSection($0, made: source(again, facts)) }
        sections.append(meanLogit(means, facts))
        sections += made.filter { !$0.id.hasPrefix("table-") }.map { ReportSection($0, made: source(again, facts)) }
        let parts = [
            try support.coefficients(), try support.classes(), try sweeps.section(), try ablations.section(),
        ]
        for part in parts.compactMap(\.self) {
            var section = part.section
            files += try section.write(part.data, into: folder) + section.figures.map { "\($0.id).svg" }
            sections.append(section)
        }
        let page = ReportPage(
            title: options.title
                ?? "Defending by correcting logits: \(Files.absolute(options.corpus).split(separator: "/").last ?? "corpus")",
            lead: lead(facts), snapshot: manifest.id, created: manifest.created, corpusID: corpus.descriptor.id,
            command: again, sections: sections)
        try Files.writeDurably(Array(page.html.utf8), to: "\(folder)/index.html")
        if options.hasPDF {
            progress("printing")
            try PrintedPage.pdf(of: "\(folder)/index.html", to: "\(folder)/report.pdf")
            files.append("report.pdf")
        }
        return Written(
            folder: folder, snapshot: manifest.id, files: files,
            commandsForEmptyCells: made.reduce(0) { $0 + $1.missing.commands.count },
            figures: made.flatMap(\.figures), meanLogit: means.rises)
    }

    private static func prepare(_ folder: String) throws(LogitError) {
        guard !Files.exists("\(folder)/corpus.json") else {
            throw LogitError(.usage, "\(folder) is a corpus; name another folder for the report")
        }
        guard !Files.exists(folder) || Files.isDirectory(folder) else {
            throw LogitError(.usage, "\(folder) is a file; name a folder for the report")
        }
        let page = "\(folder)/index.html"
        if Files.exists(page), let text = try? Files.readText(page, limit: 1 << 30), !text.contains("LogitCorpus"),
            !text.contains("logit report")
        {
            throw LogitError(.usage, "\(page) is a page of something else; name another folder for the report")
        }
        try Files.makeDirectory(folder)
    }

    private static func command(_ options: Options, _ manifest: SnapshotManifest) -> String {
        "logit report \(MissingCells.word(options.corpus)) --out DIR --at \(manifest.id.prefix(12))"
    }

    private static func source(_ again: String, _ facts: ReportFacts) -> String {
        var text =
            "Made by \(again), from the rows of snapshot \(facts.manifest.id.prefix(12)) and the evaluations of these rows."
        if facts.outdated > 0 {
            text += " \(facts.outdated) stored figures are of other rows or former weights and are left out."
        }
        return text
    }

    /// What the corpus is, in one sentence.
    private static func lead(_ facts: ReportFacts) -> String {
        let rows = facts.manifest.shards.reduce(0) { $0 + $1.key.rowCount }
        let attacks = Set(facts.manifest.shards.map(\.key.variant.canonical)).subtracting(["clean"]).map(facts.shown)
        let defenders = facts.families.reduce(0) { $0 + $1.members.count }
        let networks = facts.networks.map(\.name).joined(separator: ", ")
        return
            "\(rows.grouped) rows of logits: networks \(networks); \(attacks.isEmpty ? "no attack" : "attacks \(attacks.sorted().joined(separator: ", "))"); \(defenders == 0 ? "no defender yet" : "\(defenders) defenders"). Accuracies are in percent with their 95 % Wilson interval. Figures marked “paper” are those of Li et al. (2019) for their ImageNet networks: shown beside ours, not as a target."
    }

    private static func meanLogit(
        _ means: (figures: [ReportFigure], rises: [MeanLogitFigures.Rise]), _ facts: ReportFacts
    ) -> ReportSection {
        var section = ReportSection(id: "figure-1", heading: "Figure 1")
        section.paragraphs = [
            "The mean over an image's logits, one value an image, clean and attacked, in \(MeanLogitFigures.bins) bins with the same edges."
        ]
        section.figures = means.figures
        guard !means.rises.isEmpty else {
            section.paragraphs.append(
                "The corpus has no network with clean and attacked rows over one split; run logit ingest with --attack clean,pgd."
            )
            return section
        }
        section.tables = [
            ReportSection.Grid(
                label: "Share of images whose mean logit rises under the attack",
                keys: ["network", "images", "attack"],
                columns: ["mean, clean", "mean, attacked", "rose", "Bhattacharyya of the histograms"],
                rows: means.rises.map { rise in
                    let share = rise.rose
                    return (
                        [rise.network, "\(rise.dataset)/\(rise.split)", rise.attack],
                        [
                            .init(value: rise.meanClean.formatted(4)), .init(value: rise.meanAttacked.formatted(4)),
                            .init(
                                value: share.value.map { "\((100 * $0).formatted(2)) %" } ?? "–",
                                lines: [
                                    ("\(share.count.grouped) of \(share.total.grouped)", false),
                                    (
                                        "95 %: \((100 * (share.low ?? 0)).formatted(2))–\((100 * (share.high ?? 1)).formatted(2))",
                                        false
                                    ),
                                ]),
                            .init(value: rise.coefficient.map { $0.formatted(4) } ?? "–"),
                        ]
                    )
                })
        ]
        return section
    }
}
