import Analysis
import CorpusStore
import Defence
import Logits
import Platform

/// The parts of the report on what defenders lean on: supporting classes, and how alike they are between attacks and networks.
struct SupportSections {
    let corpus: Corpus
    let facts: ReportFacts
    let options: ReportWriter.Options
    let folder: String

    // MARK: Bhattacharyya coefficients

    func coefficients() throws(LogitError) -> (section: ReportSection, data: TextTable) {
        var section = ReportSection(id: "bhattacharyya", heading: "Bhattacharyya coefficients")
        section.paragraphs = [
            "How alike the supporting classes of two defences are (1: the same), over all classes, beside how well each one's defender corrects the other's rows (transfer)."
        ]
        var data = TextTable([
            "across", "of", "dataset", "split", "images", "first", "second", "coefficient", "mean_transfer_percent",
            "paper",
        ])
        for matrix in try matrices() {
            let of = matrix.across == .attacks ? matrix.items[0].network : matrix.items[0].attack
            let images = matrix.selection ?? "full"
            let label = "\(of), \(matrix.dataset)/\(matrix.split), \(images)"
            section.tables += [coefficients(matrix, label), transfer(matrix, label)]
            for pair in matrix.pairs {
                data.add([
                    matrix.across.rawValue, of, matrix.dataset, matrix.split, images, pair.first, pair.second,
                    pair.coefficient.formatted(6), pair.meanTransfer.map { (100 * $0).formatted(4) } ?? "",
                    PaperNumbers.bhattacharyya(pair.first, pair.second).map { $0.formatted(4) } ?? "",
                ])
            }
            if let rank = matrix.rankCorrelation {
                section.points.append(
                    "\(label): over \(matrix.rankedPairs) pairs, coefficient and mean transfer have the rank correlation \(rank.formatted(3)) (Spearman)."
                )
            }
        }
        if section.tables.isEmpty {
            section.paragraphs.append(
                "The corpus has no two defences to compare; run logit support \(MissingCells.word(options.corpus)) --defender NAME for defenders that were each trained on one attack."
            )
        } else {
            section.made =
                "Made by logit bhattacharyya \(MissingCells.word(options.corpus)) --supporting, from the analyses that logit support stored of the rows of snapshot \(facts.manifest.id.prefix(12))."
        }
        return (section, data)
    }

    /// Of every network across attacks, and of every attack across networks, wherever two or more were analysed.
    private func matrices() throws(LogitError) -> [SupportMatrix] {
        var found: [SupportMatrix] = []
        for split in facts.splits {
            let records = try corpus.analyses(ofKind: Analyses.support).map(\.record).filter {
                $0.dataset == split.dataset && $0.split == split.split
            }
            let selections = [nil] + Set(records.compactMap(\.selection)).sorted().map(Optional.some)
            for selection in selections {
                let some = records.filter { $0.selection == selection }
                for network in Set(some.map(\.network)).sorted() {
                    if let one = try matrix(.attacks, network, nil, split, selection) { found.append(one) }
                }
                for attack in Set(some.map(\.attack)).sorted() {
                    if let one = try matrix(.networks, nil, attack, split, selection) { found.append(one) }
                }
            }
        }
        return found
    }

    private func matrix(
        _ across: SupportMatrix.Axis, _ network: String?, _ attack: String?, _ split: SplitDescriptor,
        _ selection: String?
    ) throws(LogitError) -> SupportMatrix? {
        do throws(LogitError) {
            return try SupportMatrix.read(
                corpus, across: across, network: network, attacks: attack.map { [$0] }, split: split,
                selection: selection, union: false)
        } catch {
            // One defence alone has nothing to be compared with.
            guard error.code == .notFound else { throw error }
            return nil
        }
    }

    private func coefficients(_ matrix: SupportMatrix, _ label: String) -> ReportSection.Grid {
        ReportSection.Grid(
            label: "Coefficients: \(label)", keys: [matrix.across == .attacks ? "attack" : "network"],
            columns: matrix.items.map(\.name),
            rows: matrix.items.enumerated().map { place, item in
                (
                    [item.name],
                    matrix.coefficients[place].enumerated().map { column, value in
                        let paper = PaperNumbers.bhattacharyya(item.name, matrix.items[column].name)
                        return .init(
                            value: value.formatted(4), lines: paper.map { [("paper: \($0.formatted(4))", false)] } ?? []
                        )
                    }
                )
            })
    }

    private func transfer(_ matrix: SupportMatrix, _ label: String) -> ReportSection.Grid {
        ReportSection.Grid(
            label: "Transfer, corrected accuracy in percent (rows: whose logits; columns: whose defender): \(label)",
            keys: ["rows of"], columns: matrix.items.map(\.name),
            rows: matrix.items.enumerated().map { place, item in
                ([item.name], matrix.transfer[place].map { ReportSection.Grid.Cell($0) })
            })
    }

    // MARK: Supporting classes

    func classes() throws(LogitError) -> (section: ReportSection, data: TextTable) {
        var section = ReportSection(id: "supporting-classes", heading: "Supporting classes")
        section.paragraphs = [
            "Which classes a defender leans on. S_k is the slope of the defender's output for the true class with respect to logit k, less the mean of the slopes of all outputs; the classes with the largest S_k of each image are counted."
        ]
        var data = TextTable([
            "analysis", "defender", "network", "attack", "dataset", "split", "images_of", "images", "class", "name",
            "rank", "count", "first", "mean_support", "pull_count", "push_count",
        ])
        for (id, one) in try newest() {
            section.figures.append(try figure(one))
            section.points.append(told(one))
            for place in one.supporting {
                data.add([
                    id, one.defender, one.network, one.attack, one.dataset, one.split, one.selection ?? "full",
                    "\(one.images)", "\(place.class)", name(place.class, place.name, of: one.classes.count),
                    "\(place.rank)", "\(place.count)",
                    "\(place.first)", place.support.formatted(6), "\(place.pullCount)", "\(place.pushCount)",
                ])
            }
        }
        if section.figures.isEmpty {
            section.paragraphs.append(
                "The corpus has no such analysis; run logit support \(MissingCells.word(options.corpus)) --defender NAME."
            )
        } else {
            section.tables = [summary(data)]
        }
        return (section, data)
    }

    /// The newest analysis of each network, attack and set of images, of a defender with the weights of now on its own rows.
    private func newest() throws(LogitError) -> [(id: String, result: SupportResult)] {
        var found: [String: (id: String, result: SupportResult)] = [:]
        let now = Dictionary(
            facts.families.flatMap(\.members).map { ($0.descriptor.name, $0.descriptor) },
            uniquingKeysWith: { first, _ in first })
        for one in try corpus.analyses(ofKind: Analyses.support) {
            let record = one.record
            guard let defender = now[record.defender], defender.weightsDigest == record.weightsDigest,
                facts.isOfTheseRows(record, corpus), defender.network == record.network, record.correctedOnly != true,
                facts.mainFamily(defender.network, defender.dataset, defender.attacks, .full)?.members.contains(where: {
                    $0.descriptor.name == defender.name
                }) ?? false
            else { continue }
            let key = [record.network, record.dataset, record.split, record.selection ?? "", record.attack]
            found[key.joined(separator: "\u{1F}")] = (one.id, try corpus.analysis(one.id, as: SupportResult.self))
        }
        return found.sorted { $0.key < $1.key }.map(\.value)
    }

    private func figure(_ one: SupportResult) throws(LogitError) -> ReportFigure {
        let images = one.selection.map { ", \($0)" } ?? ""
        let of = "\(one.network) under \(one.attack)"
        let id = ["support", one.network, one.dataset, one.split, one.selection ?? "full", one.attack].joined(
            separator: "-"
        ).map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "." || $0 == "_") ? $0 : "-" }
        let path = "\(folder)/\(String(id)).svg"
        let split = facts.splits.first { $0.dataset == one.dataset && $0.split == one.split }
        let shown = one.supporting
        try Figures.supportingClasses(
            title: "\(of): supporting classes of \(one.defender)", axis: "images, of \(one.images)",
            bars: shown.map { ($0.class, name($0.class, $0.name, of: one.classes.count), Double($0.count)) },
            pictures: split.map { Thumbnails.pngs(of: shown.map(\.class), $0, in: corpus) } ?? [:], to: path)
        var data = TextTable(["class", "name", "images", "first", "mean S"])
        for place in shown {
            data.add([
                "\(place.class)", name(place.class, place.name, of: one.classes.count), "\(place.count)",
                "\(place.first)",
                place.support.formatted(4),
            ])
        }
        return ReportFigure(
            id: String(id),
            caption: "Supporting classes: \(of), \(one.dataset)/\(one.split)\(images), defender \(one.defender).",
            description:
                "The \(one.top) largest S_k of each of \(one.images.grouped) images, counted; the most frequent are \(shown.prefix(3).map { "\(name($0.class, $0.name, of: one.classes.count)) (\($0.count.grouped))" }.joined(separator: ", ")).",
            svg: try InlineSVG.read(path, id: String(id), label: "Bars of the supporting classes, \(of)"),
            command:
                "logit support \(MissingCells.word(options.corpus)) --defender \(one.defender) --network \(one.network) --dataset \(one.dataset) --split \(one.split)\(one.selection.map { " --selection \($0)" } ?? "") --attack \(MissingCells.word(one.attack)) --top \(one.top) --at \(one.snapshot.prefix(12)) --plot \(String(id)).svg",
            data: data)
    }

    /// The paper's instance level, over all images.
    private func told(_ one: SupportResult) -> String {
        let commonest = one.classes.first { $0.class == one.commonest }
        return
            "\(one.network) under \(one.attack)\(one.selection.map { ", \($0)" } ?? ""): the largest S_k is the true class's for \(percent(one.ownFirst)) of the images; the class that most often has it is \(name(one.commonest, commonest?.name ?? "", of: one.classes.count)), for \(percent(one.commonestFirst)), and among the three largest for \(percent(one.commonestInThree))."
    }

    private func summary(_ data: TextTable) -> ReportSection.Grid {
        let columns = [11, 12, 13, 14, 15]
        return ReportSection.Grid(
            label: "Supporting classes by count, with the counts by H_ik (pull) and by −H_mean,k (push)",
            keys: ["network", "attack", "images", "class"],
            columns: ["in the top", "first", "mean S", "by pull", "by push"],
            rows: data.rows.map { row in
                ([row[2], row[3], row[6], "\(row[8]) \(row[9])"], columns.map { .init(value: row[$0]) })
            })
    }

    /// A class's name for people.
    /// - Parameter classes: how many there are; the names given may be of another dataset's.
    private func name(_ place: Int, _ stored: String, of classes: Int) -> String {
        guard let names = options.classNames, names.count == classes else { return stored }
        return names[place]
    }

    private func percent(_ share: Proportion) -> String { share.value.map { "\((100 * $0).formatted(1)) %" } ?? "none" }
}

extension ReportSection.Grid.Cell {
    /// A share in percent with its counts and interval; a dash for nil.
    init(_ share: Proportion?) {
        guard let share, let value = share.value, let low = share.low, let high = share.high else {
            self.init(value: "–")
            return
        }
        self.init(
            value: (100 * value).formatted(2),
            lines: [
                ("\(share.count.grouped) of \(share.total.grouped)", false),
                ("95 %: \((100 * low).formatted(2))–\((100 * high).formatted(2))", false),
            ])
    }
}
