import Defence
import Logits
import Shards

/// An experiment as a file tells it: what there is, what is computed, trained, measured and reported.
///
/// Names of the keys are those of the command line's options, with underscores. docs/experiments.md has them all.
package struct Recipe: Sendable {
    package struct Split: Sendable {
        package var name: String
        package var images: String
        package var labels: String?
    }

    package struct DatasetEntry: Sendable {
        package var name: String
        package var classes: String?
        package var splits: [Split]
    }

    package struct NetworkEntry: Sendable {
        package var name: String
        package var module: String
        package var input: String?
        package var resize: String?
        package var crop: String?
        package var mean: [Float]?
        package var standardDeviation: [Float]?
        package var fold = false
    }

    /// Rows to compute: networks × attacks over images of one split.
    package struct Rows: Sendable {
        package var dataset: String
        package var split: String
        package var networks: [String]
        /// As typed, `clean` among them.
        package var attacks: [String]
        package var limit: Int?
        package var perClass: Int?
        package var seed: UInt64 = 0
        package var views = 1
        package var codec = Codec.raw
        package var precision = Precision.float32
        package var keepImages: ImagePrecision?
        package var block: Int?
        /// The defender that the attacks go through; may hold {network} and {attack}.
        package var through: String?
    }

    package struct SelectionEntry: Sendable {
        package enum Kind: Sendable, Equatable {
            /// For each class the first `perClass` images that the network gets right.
            case correct(by: String, perClass: Int)
            /// NAME-0 … and NAME-0-rest …: every k-th image, and the others.
            case folds(Int)
            /// So many images drawn by a seed.
            case random(Int, seed: UInt64)
        }
        package var name: String
        package var dataset: String
        package var split: String
        package var kind: Kind
    }

    /// Defenders to train: networks × attacks × options × selections × seeds × folds.
    package struct DefenderEntry: Sendable {
        /// With {network}, {attack}, {seed}, {fold}, {selection}, and the options' names as {p} and {hidden}.
        package var name: String
        package var dataset: String
        package var split: String
        package var networks: [String]
        /// Each a mix; one defender for each.
        package var mixes: [[String]]
        package var seeds: [UInt64]
        /// Each a selection, the name of folds, or nil for all images.
        package var selections: [String?]
        package var options: [DefenderOptions]
    }

    /// What is evaluated.
    package struct EvaluationEntry: Sendable {
        package enum Over: Sendable, Equatable {
            /// The defender's own network; all that the recipe has rows of; these.
            case own, all, named([String])
        }
        /// Of defender entries, by their name as written there; nil: all.
        package var defenders: [String]?
        package var networks: Over
        /// Nil: all that the recipe has rows of.
        package var attacks: [String]?
        package var dataset: String?
        package var split: String?
        /// `full` for all images; nil: full and every selection of the split.
        package var selections: [String]?
    }

    /// What is asked of defenders besides their accuracy.
    package struct AnalysisEntry: Sendable {
        package enum Kind: String, Sendable, CaseIterable { case support, lowering, precision, detection }
        package var kinds: [Kind]
        /// Of defender entries, by their name as written there; nil: all but those of folds.
        package var defenders: [String]?
        /// Nil: all.
        package var seeds: [UInt64]?
        package var split: String?
        /// `full` for all images.
        package var selections: [String]
        /// Supporting classes of an image that count; nil: the command's default.
        package var top: Int?
    }

    /// What one recipe may ask for: many times what the largest of ours does, and little enough to be listed at once.
    static let mostDefenders = 2000
    static let mostEvaluations = 20_000
    static let mostNetworks = 100
    static let mostEntries = 200

    package var file: String
    package var title: String
    package var datasets: [DatasetEntry] = []
    package var networks: [NetworkEntry] = []
    package var rows: [Rows] = []
    package var selections: [SelectionEntry] = []
    package var defenders: [DefenderEntry] = []
    package var evaluations: [EvaluationEntry] = []
    package var analyses: [AnalysisEntry] = []
    package var report = ReportEntry()

    package struct ReportEntry: Sendable {
        /// Nil: CORPUS-report.
        package var out: String?
        package var classNames: String?
    }
}
