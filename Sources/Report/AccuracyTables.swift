import CorpusStore
import Defence
import Logits

/// Makes the tables of accuracies from what a corpus holds.
struct AccuracyTables {
    let facts: ReportFacts
    /// The corpus as commands name it.
    let corpus: String

    /// Networks under each attack, clean and attacked, all images and selections: the paper's Table 1.
    func table1() -> ReportTable {
        var table = table(
            "table-1", "Table 1",
            "Accuracy in percent of each network, without a defence and corrected by its defender for the attack, on clean and on attacked images."
        )
        for split in facts.reportedSplits {
            let networks = facts.networks(over: split).map(\.name)
            for attack in attacks(split) {
                var panel = TablePanel(
                    caption: "\(attack), \(split.dataset)/\(split.split)", keys: ["network", "images"],
                    columns: AccuracyTables.fourColumns)
                for network in networks {
                    for images in facts.imageSets(split, network) {
                        let subject = facts.subject(split, network)
                        if let cells = four(&table, subject, images, attack) {
                            panel.rows.append(([network, images.label], cells))
                        }
                    }
                }
                table.panels.append(panel)
            }
        }
        return table
    }

    /// Attacks on each network: the paper's Table 2.
    func table2() -> ReportTable {
        var table = table(
            "table-2", "Table 2",
            "Accuracy in percent under each attack, without a defence and corrected by the defender that was trained on the attack. An attack through a defender knows it (an adaptive attack), and that defender corrects it."
        )
        for split in facts.reportedSplits {
            for network in facts.networks(over: split).map(\.name) {
                let subject = facts.subject(split, network)
                for images in facts.imageSets(split, network) {
                    var panel = TablePanel(
                        caption: caption(subject, images), keys: ["attack"], columns: AccuracyTables.fourColumns)
                    for attack in facts.attacks(subject) {
                        if let cells = four(&table, subject, images, attack) {
                            panel.rows.append(([facts.shown(attack)], cells))
                        }
                    }
                    table.panels.append(panel)
                }
            }
        }
        return table
    }

    /// Each attack against the defender of each other: the paper's Table 3.
    func table3() -> ReportTable {
        var table = table(
            "table-3", "Table 3",
            "Accuracy in percent of attacked images after correction. Rows: the attack; columns: what the defender was trained on."
        )
        for split in facts.reportedSplits {
            for network in facts.networks(over: split).map(\.name) {
                let subject = facts.subject(split, network)
                for images in facts.imageSets(split, network) {
                    let families = facts.mixes(network, split.dataset, images).compactMap {
                        facts.mainFamily(network, split.dataset, $0, images)
                    }
                    let attacks = facts.attacks(subject)
                    guard !families.isEmpty, !attacks.isEmpty else { continue }
                    var panel = TablePanel(
                        caption: caption(subject, images), keys: ["attack"], columns: families.map(\.name))
                    for attack in attacks {
                        panel.rows.append(
                            ([facts.shown(attack)], families.map { transfer(&table, $0, subject, images, attack) }))
                    }
                    table.panels.append(panel)
                }
            }
        }
        // One defender on its own attack is in Table 1; beside a real table it says nothing.
        if table.panels.contains(where: { $0.rows.count * $0.columns.count > 1 }) {
            table.panels.removeAll { $0.rows.count * $0.columns.count == 1 }
        }
        if table.isEmpty { table.notes.append(noDefender(&table)) }
        return table
    }

    /// The defender of each network on the logits of each other, under one attack.
    func acrossNetworks() -> ReportTable {
        var table = table(
            "networks", "Defenders across networks",
            "Accuracy in percent of attacked images after correction. Rows: the network attacked; columns: the network whose logits the defender was trained on."
        )
        for split in facts.reportedSplits {
            let networks = facts.networks(over: split).map(\.name)
            guard networks.count > 1 else { continue }
            for attack in attacks(split) {
                let families = networks.compactMap { facts.mainFamily($0, split.dataset, [attack], .full) }
                guard !families.isEmpty else { continue }
                var panel = TablePanel(
                    caption: "\(attack), \(split.dataset)/\(split.split), full", keys: ["network attacked"],
                    columns: families.map(\.network))
                for network in networks {
                    let subject = facts.subject(split, network)
                    guard facts.counts(subject, .full, attack) != nil else { continue }
                    let cells = families.map { family in
                        var cell = corrected(&table, family, subject, .full, attack)
                        cell.dropPaper()
                        if family.network == network { cell.marks.insert("own", at: 0) }
                        return cell
                    }
                    panel.rows.append(([network], cells))
                }
                if panel.rows.count > 1 { table.panels.append(panel) }
            }
        }
        return table
    }

    /// Defenders that are made otherwise than those of the tables above, beside them.
    func others() -> ReportTable {
        var table = table(
            "others", "Other defenders",
            "Accuracy in percent of defenders that were made otherwise than those above, on clean and on attacked images."
        )
        for split in facts.reportedSplits {
            for network in facts.networks(over: split).map(\.name) {
                let subject = facts.subject(split, network)
                var panel = TablePanel(
                    caption: caption(subject, .full), keys: ["trained on", "made with"],
                    columns: ["clean, corrected", "attacked, corrected"])
                for mix in facts.mixes(network, split.dataset, .full) where mix.count == 1 {
                    let families = facts.families.filter {
                        $0.network == network && $0.dataset == split.dataset && $0.attacks == mix && $0.folds == nil
                    }
                    guard families.count > 1, let main = DefenderFamily.main(families) else { continue }
                    for family in [main] + families.filter({ !$0.isLike(main) }) {
                        let cells = ["clean", mix[0]].map { attack in
                            var cell = corrected(&table, family, subject, .full, attack)
                            cell.dropPaper()
                            return cell
                        }
                        let made = family.difference(from: main)
                        panel.rows.append(([family.name, made.isEmpty ? "as above" : made], cells))
                    }
                }
                table.panels.append(panel)
            }
        }
        return table
    }

    // MARK: Cells

    static let fourColumns = ["clean, no defence", "clean, corrected", "attacked, no defence", "attacked, corrected"]

    private func table(_ id: String, _ title: String, _ introduction: String) -> ReportTable {
        var table = ReportTable(id: id, title: title, introduction: introduction)
        table.missing.corpus = corpus
        return table
    }

    private func caption(_ subject: Subject, _ images: ImageGroup) -> String {
        "\(subject.network), \(subject.dataset)/\(subject.split), \(images.label)"
    }

    /// Attacks of any network over a split, but those through defenders.
    private func attacks(_ split: SplitDescriptor) -> [String] {
        var found: [String] = []
        for network in facts.networks(over: split) {
            for attack in facts.attacks(facts.subject(split, network.name))
            where ReportFacts.defender(through: attack) == nil && !found.contains(attack) {
                found.append(attack)
            }
        }
        return found
    }

    /// Clean and attacked, without and with correction; nil where there is neither row nor defender.
    private func four(
        _ table: inout ReportTable, _ subject: Subject, _ images: ImageGroup, _ attack: String
    ) -> [TableCell]? {
        let family: DefenderFamily?
        if let through = ReportFacts.defender(through: attack) {
            family = facts.families.first { family in
                family.members.contains { $0.descriptor.name == through } && (family.folds == nil)
            }.map { family in
                var one = family
                one.members = family.members.filter { $0.descriptor.name == through }
                return one
            }
        } else {
            family = facts.mainFamily(subject.network, subject.dataset, [attack], images)
        }
        guard facts.counts(subject, images, attack) != nil || family != nil else { return nil }
        if case .folds = images, family == nil { return nil }
        var cells: [TableCell] = []
        for logits in ["clean", attack] {
            cells.append(plain(&table, subject, images, logits, under: attack))
            if let family {
                var cell = corrected(&table, family, subject, images, logits)
                if ReportFacts.defender(through: attack) != nil {
                    // The paper attacks no defence.
                    cell.dropPaper()
                }
                cells.append(cell)
            } else {
                if ReportFacts.defender(through: attack) == nil { table.missing.defender(subject.network, attack) }
                cells.append(paperOnly(subject, images, logits, under: attack) { $0.corrected })
            }
        }
        return cells
    }

    private func plain(
        _ table: inout ReportTable, _ subject: Subject, _ images: ImageGroup, _ logits: String, under attack: String
    ) -> TableCell {
        var cell = paperOnly(subject, images, logits, under: attack) { $0.plain }
        guard let accuracy = Accuracy(facts.counts(subject, images, logits)) else {
            if ReportFacts.defender(through: logits) == nil { table.missing.rows(subject, logits) }
            return cell
        }
        cell.figure = TableFigure(
            table: table.id, dataset: subject.dataset, split: subject.split, images: images.label,
            network: subject.network, logits: logits, defence: "none", accuracy: accuracy, paper: cell.paper)
        return cell
    }

    private func corrected(
        _ table: inout ReportTable, _ family: DefenderFamily, _ subject: Subject, _ images: ImageGroup, _ logits: String
    ) -> TableCell {
        var cell = TableCell(figure: nil)
        if family.attacks.count == 1 {
            cell = paperOnly(subject, images, logits, under: family.attacks[0]) { $0.corrected }
        }
        if facts.isInSample(family, subject, images) { cell.marks.append("trained on these images") }
        guard let found = facts.corrected(family, subject, images, logits) else {
            guard facts.counts(subject, images, logits) != nil else { return cell }
            for seed in family.seeds {
                for one in facts.members(family, images, seed: seed) {
                    table.missing.evaluation(
                        one.member.descriptor.name, subject, selection: one.selection, logits)
                }
            }
            return cell
        }
        cell.figure = TableFigure(
            table: table.id, dataset: subject.dataset, split: subject.split, images: images.label,
            network: subject.network, logits: logits, defence: "corrected",
            defenders: found.defenders, trainedOn: family.network, trainedUnder: family.attacks,
            accuracy: found.accuracy, paper: cell.paper, evaluations: found.evaluations)
        return cell
    }

    private func transfer(
        _ table: inout ReportTable, _ family: DefenderFamily, _ subject: Subject, _ images: ImageGroup, _ attack: String
    ) -> TableCell {
        var cell = corrected(&table, family, subject, images, attack)
        cell.paper = nil
        if PaperNumbers.network(like: subject.network) == "ResNet-50", images.isSelected, family.attacks.count == 1 {
            cell.paper = PaperNumbers.transfer(attack: attack, defence: family.attacks[0])
            cell.paperNetwork = "ResNet-50"
        }
        cell.figure?.paper = cell.paper
        if family.attacks == [attack] { cell.marks.insert("own", at: 0) }
        return cell
    }

    private func paperOnly(
        _ subject: Subject, _ images: ImageGroup, _ logits: String, under attack: String,
        _ part: (PaperNumbers.Pair) -> Double
    ) -> TableCell {
        var cell = TableCell(figure: nil)
        if let network = PaperNumbers.network(like: subject.network),
            let pair = PaperNumbers.pair(network, logits, defence: attack, isSelected: images.isSelected)
        {
            (cell.paper, cell.paperNetwork) = (part(pair), network)
        }
        return cell
    }

    private func noDefender(_ table: inout ReportTable) -> String {
        for split in facts.reportedSplits {
            for network in facts.networks(over: split).map(\.name) {
                for attack in facts.attacks(facts.subject(split, network))
                where ReportFacts.defender(through: attack) == nil {
                    table.missing.defender(network, attack)
                }
            }
        }
        return "The corpus has no defender whose evaluations this table could show."
    }
}
