import Experiments
import Ingestion
import Networks
import TestSupport

extension FuzzTarget {
    static let texts = [
        FuzzTarget(
            "attack",
            seeds: {
                [
                    "clean,pgd:epsilon=8/255,steps=20,mim", "cw:confidence=1e1", "deepfool", "pgd:label=prediction",
                    "pgd:through=g@0123456789abcdef", "cifar10/test/17/resnet20/pgd:epsilon=8/255/0",
                ].map { Array($0.utf8) }
            }
        ) { bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            _ = try? RowName(text)
            for choice in try AttackRegistry.choices(text) {
                // What is stored must be understood again, as the same attack.
                let again = try AttackRegistry.choice(choice.variant.canonical)
                precondition(again.variant == choice.variant, "\(choice.variant) became \(again.variant)")
            }
        },
        FuzzTarget(
            "attack-file",
            seeds: {
                [
                    "- pgd\n- attack: pgd\n  epsilon: 8/255\n", "attacks:\n  - {attack: cw, confidence: 1}\n",
                    "[clean, 'mim:steps=3', \"bim\"]\n", "# none\n", "- |\n  long\n", "? a\n: b\n", "- &a pgd\n",
                ].map { Array($0.utf8) }
            }
        ) { bytes in
            try withFile(bytes, "attacks.yaml") { path in _ = try AttackFile(path).choices(label: nil) }
        },
        FuzzTarget(
            "recipe",
            seeds: {
                let head = "datasets: {d: {test: a.tar}}\nnetworks: {n: n.pt}\nrows: [{attacks: [clean, pgd]}]\n"
                return [
                    head, head + "defenders: [{name: '{attack}-{seed}', attacks: [pgd, [pgd, mim]], seeds: [1, 2]}]\n",
                    head + "selections: {s: {folds: 3, split: test}}\nanalyses: [{kinds: support}]\nreport: {out: r}\n",
                    head + "evaluations: [{networks: all, attacks: [{attack: pgd, epsilon: 8/255}]}]\ntitle: ${A}\n",
                ].map { Array($0.utf8) }
            }
        ) { bytes in
            try withFile(bytes, "recipe.yaml") { path in
                _ = try ExperimentPlan(try Recipe(path, variables: ["A": "/a"]))
            }
        },
        FuzzTarget(
            "software",
            seeds: { [Array("{\"program\":\"a\",\"torch\":{\"version\":\"1\",\"fold\":true,\"threads\":1.5}}".utf8)] }
        ) { bytes in
            _ = SoftwareComparison.differences(String(decoding: bytes, as: UTF8.self), "{\"program\":\"b\"}")
        },
    ]
}
