import CorpusStore
import Defence
import Ingestion
import Logits
import Networks

/// What `--attack` takes: names with parameters, and YAML files of attacks, separated by commas.
package enum AttackList {
    /// The attacks of a list as typed, each once: `clean,attacks.yaml,pgd:epsilon=8/255,steps=20`.
    /// - Parameters:
    ///   - label: the label policy where an attack itself gives none.
    ///   - corpus: where an attack goes through a defender of this corpus, `pgd:through=G`, it is the defender as it is now.
    package static func choices(
        _ list: String, label: LabelPolicy? = nil, in corpus: Corpus? = nil
    ) throws(LogitError) -> [AttackChoice] {
        var choices: [AttackChoice] = []
        var typed: [Substring] = []
        func takeTyped() throws(LogitError) {
            guard !typed.isEmpty else { return }
            choices += try AttackRegistry.choices(typed.joined(separator: ","), label: label)
            typed = []
        }
        for part in list.split(separator: ",", omittingEmptySubsequences: false) {
            guard AttackFile.isNamed(part) else {
                typed.append(part)
                continue
            }
            try takeTyped()
            choices += try AttackFile(String(part)).choices(label: label)
        }
        try takeTyped()
        if let corpus {
            for index in choices.indices { choices[index] = try Through.named(choices[index], in: corpus) }
        }
        var seen: Set<String> = []
        return choices.filter { seen.insert($0.variant.canonical).inserted }
    }
}
