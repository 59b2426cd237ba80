/// The figures of Li et al., “Defending Adversarial Attacks by Correcting Logits” (2019), in percent.
///
/// Of ImageNet networks on 50,000 validation images (full) or 1,000 that ResNet-50 gets right (selected): to be shown beside
/// ours, as what was seen there and never as what must come out here.
enum PaperNumbers {
    /// Without and with correction.
    struct Pair: Equatable {
        let plain: Double
        let corrected: Double

        init(_ plain: Double, _ corrected: Double) {
            self.plain = plain
            self.corrected = corrected
        }
    }

    /// The paper's network of a network's family; nil where it has none.
    static func network(like name: String) -> String? {
        let plain = name.lowercased().filter { $0.isLetter || $0.isNumber }
        if plain.contains("vgg") { return "VGG-16" }
        if plain.contains("densenet") || plain == "dense" { return "DenseNet-121" }
        return plain.contains("resnet") || plain.contains("residual") ? "ResNet-50" : nil
    }

    /// Table 1 and, for ResNet-50 on selected images, Table 2.
    /// - Parameters:
    ///   - network: as `network(like:)` says.
    ///   - attack: `clean` or an attack's name at its preset.
    ///   - defence: the attack that the defender was trained on.
    static func pair(_ network: String, _ attack: String, defence: String, isSelected: Bool) -> Pair? {
        if isSelected, network == "ResNet-50", let row = table2[defence] {
            return attack == "clean" ? row.clean : attack == defence ? row.attacked : nil
        }
        guard defence == "pgd", let row = table1[network] else { return nil }
        switch (attack, isSelected) {
        case ("clean", false): return row.cleanFull
        case ("pgd", false): return row.pgdFull
        case ("clean", true): return row.cleanSelected
        case ("pgd", true): return row.pgdSelected
        default: return nil
        }
    }

    /// Table 3: ResNet-50, selected images, corrected.
    static func transfer(attack: String, defence: String) -> Double? {
        guard let row = table3[attack], let column = table3Columns.firstIndex(of: defence) else { return nil }
        return row[column]
    }

    private static let table1 = [
        "VGG-16": (
            cleanFull: Pair(73.48, 69.43), pgdFull: Pair(0.04, 67.47), cleanSelected: Pair(94.7, 90.8),
            pgdSelected: Pair(0.0, 71.8)
        ),
        "ResNet-50": (
            cleanFull: Pair(76.13, 73.85), pgdFull: Pair(0.00, 72.39), cleanSelected: Pair(100.0, 96.5),
            pgdSelected: Pair(0.0, 75.4)
        ),
        "DenseNet-121": (
            cleanFull: Pair(74.47, 72.20), pgdFull: Pair(0.01, 88.29), cleanSelected: Pair(100.0, 95.3),
            pgdSelected: Pair(0.0, 90.5)
        ),
    ]

    private static let table2 = [
        "pgd": (clean: Pair(100.0, 96.5), attacked: Pair(0.0, 75.4)),
        "mim": (clean: Pair(100.0, 96.3), attacked: Pair(0.1, 87.8)),
        "deepfool": (clean: Pair(100.0, 97.0), attacked: Pair(0.0, 76.1)),
        "cw": (clean: Pair(100.0, 82.8), attacked: Pair(0.0, 66.8)),
    ]

    private static let table3Columns = ["pgd", "mim", "deepfool", "cw"]
    private static let table3 = [
        "pgd": [75.4, 70.3, 0.0, 4.4],
        "mim": [85.7, 87.8, 0.1, 5.2],
        "deepfool": [54.5, 52.7, 76.1, 73.5],
        "cw": [10.3, 9.1, 19.2, 66.8],
    ]

    /// Table of section 5.3: over unordered pairs of attacks.
    static func bhattacharyya(_ first: String, _ second: String) -> Double? {
        coefficients[[first, second].sorted().joined(separator: " ")]
    }

    private static let coefficients = [
        "mim pgd": 0.9662, "cw deepfool": 0.9222, "deepfool pgd": 0.9004, "cw pgd": 0.8623,
    ]
}
