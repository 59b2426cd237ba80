import Defence
import Logits

/// What the tables say of the paper's findings, whatever it is.
struct Findings {
    let tables: [ReportTable]
    let facts: ReportFacts
    /// What `logit ablate lower` found.
    let lowerings: [AnalysisResult]

    var section: ReportSection? {
        let points = ownDefender + bothWays + recovered + oneLayer + lowered
        guard !points.isEmpty else { return nil }
        var section = ReportSection(id: "findings", heading: "What carries over")
        section.paragraphs = ["The paper's findings that these figures can be held against, as they came out here."]
        section.points = points
        return section
    }

    private func panels(_ id: String) -> [TablePanel] { tables.first { $0.id == id }?.panels ?? [] }

    /// In each attack's row of Table 3 its own defender is the best, says the paper.
    private var ownDefender: [String] {
        panels("table-3").compactMap { panel in
            var (rows, best) = (0, 0)
            var others: [String] = []
            for row in panel.rows {
                let singles = row.cells.filter { $0.figure?.trainedUnder.count == 1 }
                guard singles.count > 1, let own = singles.first(where: { $0.marks.contains("own") })?.figure,
                    let top = singles.compactMap(\.figure).max(by: { $0.accuracy.percent < $1.accuracy.percent })
                else { continue }
                rows += 1
                if own.accuracy.percent >= top.accuracy.percent {
                    best += 1
                } else {
                    others.append(
                        "\(row.keys[0]): that of \(top.trainedUnder[0]) (\(top.accuracy.value) against \(own.accuracy.value))"
                    )
                }
            }
            guard rows > 0 else { return nil }
            return "Own defender best in \(best) of \(rows) attacks on \(panel.caption)"
                + (others.isEmpty ? "." : "; not in \(others.joined(separator: ", ")).")
        }
    }

    /// PGD and MIM transfer both ways, C&W to DeepFool but not back, says the paper.
    private var bothWays: [String] {
        panels("table-3").flatMap { panel in
            [("pgd", "mim"), ("cw", "deepfool")].compactMap { first, second -> String? in
                func percent(_ attack: String, _ defence: String) -> String? {
                    panel.rows.flatMap(\.cells).compactMap(\.figure).first {
                        $0.logits == attack && $0.trainedUnder == [defence]
                    }?.accuracy.value
                }
                guard let there = percent(second, first), let back = percent(first, second),
                    let own = percent(first, first), let other = percent(second, second)
                else { return nil }
                return
                    "On \(panel.caption), \(first)'s defender corrects \(there) of \(second) (whose own corrects \(other)), and \(second)'s corrects \(back) of \(first) (whose own corrects \(own))."
            }
        }
    }

    /// Attacked and corrected may beat clean without a defence: the attack leaks the label.
    private var recovered: [String] {
        var cases: [(images: String, name: String, isAbove: Bool)] = []
        for panel in panels("table-2") {
            for row in panel.rows {
                guard row.cells.count == 4, let clean = row.cells[0].figure, let attacked = row.cells[3].figure,
                    ReportFacts.defender(through: attacked.logits) == nil
                else { continue }
                cases.append(
                    (
                        "\(clean.dataset)/\(clean.split), \(clean.images)",
                        "\(clean.network) under \(attacked.logits) (\(attacked.accuracy.value) against \(clean.accuracy.value))",
                        attacked.accuracy.percent > clean.accuracy.percent
                    ))
            }
        }
        var images: [String] = []
        for one in cases where !images.contains(one.images) { images.append(one.images) }
        return images.map { set in
            let all = cases.filter { $0.images == set }
            let above = all.filter(\.isAbove).map(\.name)
            return
                "Attacked and corrected beats clean without a defence in \(above.count) of \(all.count) cases of \(set)\(above.isEmpty ? "" : ": " + above.joined(separator: ", "))."
        }
    }

    /// One layer instead of two, else alike or the nearest there is.
    private var oneLayer: [String] {
        facts.families.filter { $0.options.layers == 1 && $0.attacks.count == 1 && $0.folds == nil }.flatMap { one in
            facts.reportedSplits.filter { $0.dataset == one.dataset }.compactMap { split in
                let attack = one.attacks[0]
                let subject = facts.subject(split, one.network)
                guard let two = facts.mainFamily(one.network, one.dataset, [attack], .full), two.options.layers == 2
                else { return nil }
                func percent(_ family: DefenderFamily, _ logits: String) -> String? {
                    facts.corrected(family, subject, .full, logits)?.accuracy.value
                }
                guard let clean = percent(one, "clean"), let cleanOfTwo = percent(two, "clean"),
                    let attacked = percent(one, attack), let attackedOfTwo = percent(two, attack)
                else { return nil }
                return
                    "One layer against two on \(subject.network) under \(attack), \(subject.dataset)/\(subject.split): \(attacked) against \(attackedOfTwo) attacked, \(clean) against \(cleanOfTwo) clean."
            }
        }
    }

    /// Without the supporting classes the defender is lost, says the paper.
    private var lowered: [String] {
        lowerings.compactMap { one in
            func share(_ subject: String, _ measure: String) -> String? {
                one.figures.first { $0.subject == subject && $0.measure == measure }?.value.map {
                    (100 * $0).formatted(2)
                }
            }
            guard let kept = share("supporting", "corrected"), let random = share("random", "corrected"),
                let back = share("supporting", "at_attacked")
            else { return nil }
            return
                "With \(one.options["by"].flatMap(Double.init).map { $0.formatted(0) } ?? "some") taken from \(one.attack)'s supporting classes, \(one.defender) still corrects \(kept) % of the \(one.images.grouped) images that it corrected (\(random) % where random classes are lowered) and leaves \(back) % at the attacked class."
        }
    }
}
