import ArgumentParser
import CorpusStore
import Images
import Ingestion
import Logits
import Networks

struct DatasetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dataset", abstract: "Image sets of a corpus.", subcommands: [Add.self])

    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Add the images of one split; they stay where they are, and the corpus keeps their ids and digests.",
            discussion: """
                A folder with one folder a class (JPEG, PNG), a tar of such a folder, or a CIFAR-10 binary file (.bin). With
                --labels, a folder or tar of images as they lie. A label is a class index from 0 or a class name.
                Example: logit dataset add corpus cifar10 --images test_batch.bin --split test
                Example: logit dataset add corpus imagenet --images val --labels val.txt --classes synsets.txt --split test
                """)

        @Argument(help: "The corpus folder.") var corpus: String
        @Argument(help: "The dataset's name.") var name: String
        @Option(help: "Folder, tar or .bin file.") var images: String
        @Option(help: "The split these images are, for instance train or test.") var split = "train"
        @Option(help: "A file with one class name a line, in class order.") var classes: String?
        @Option(help: "A file with a line `name label` for each image (or `name,label`, or a label alone).")
        var labels: String?
        @OptionGroup var waiting: WaitOption
        @OptionGroup var output: OutputOptions

        func run() throws {
            Interrupt.listen()
            let opened = try Corpus(at: corpus, .writing, patience: try waiting.patience(output))
            let progress = Progress("images", quiet: output.quiet)
            let report = try DatasetImport.run(
                opened, dataset: name, split: split, source: images,
                classNames: try classes.map { try ClassNames.read($0) },
                labels: labels, progress: { progress.show("reading", done: $0, total: $1) },
                shouldStop: { Interrupt.isAsked })
            let size = report.height.map { "\($0)×\(report.width ?? 0)" } ?? "of several sizes"
            let skipped = report.skippedFiles > 0 ? "; \(report.skippedFiles) other files passed over" : ""
            output.print(
                report,
                text:
                    "added \(report.dataset)/\(report.split): \(report.images.grouped) images \(size), \(report.classes) classes\(skipped)"
            )
        }
    }
}

struct NetworkCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "network", abstract: "Classifiers of a corpus.", subcommands: [Add.self])

    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add a TorchScript classifier; it is run once, copied into the corpus and known by its digest.",
            discussion: """
                Without --input the size of the corpus's images is tried, then 3x224x224. The module gets float32 RGB in [0,1].
                --resize and --crop make of images what torchvision's Resize and CenterCrop make of PIL images; attacks work
                on what comes out.
                Example: logit network add corpus resnet20 --module resnet20.pt
                Example: logit network add corpus squeezenet --module squeezenet.pt --resize 256 --crop 224
                """)

        @Argument(help: "The corpus folder.") var corpus: String
        @Argument(help: "The network's name.") var name: String
        @Option(help: "The TorchScript file.") var module: String
        @Option(help: "Input size, for instance 3x32x32.") var input: String?
        @Option(help: "Resize images: 256 for the shorter side, 224x224 for height and width.") var resize: String?
        @Option(help: "Then crop about the centre: 224, or 224x288; smaller images get a black border.")
        var crop: String?
        @Option(help: "R,G,B means, subtracted after the attacked image.") var mean: String?
        @Option(help: "R,G,B standard deviations, divided by after the means.") var std: String?
        @Flag(
            inversion: .prefixedNo,
            help: "Fold batch norm into convolutions: faster, but attacks agree less with other libraries.")
        var fold = false
        @OptionGroup var waiting: WaitOption
        @OptionGroup var output: OutputOptions

        func run() throws {
            let opened = try Corpus(at: corpus, .writing, patience: try waiting.patience(output))
            let report = try NetworkImport.run(
                opened, name: name, module: module, input: input, resize: resize, crop: crop,
                mean: try triple(mean, "--mean"),
                standardDeviation: try triple(std, "--std"), fold: fold)
            output.print(
                report,
                text:
                    "added network \(name): input \(report.preprocessing), \(report.classCount) classes, blocks of \(report.blockRows), digest \(report.digest.prefix(12))"
            )
        }

        private func triple(_ text: String?, _ option: String) throws -> [Float]? {
            guard let text else { return nil }
            let values = text.split(separator: ",", omittingEmptySubsequences: false).map { Float(String($0)) }
            guard values.count == 3, values.allSatisfy({ $0?.isFinite == true }),
                option != "--std" || values.allSatisfy({ $0! > 0 })
            else {
                throw LogitError(
                    .usage,
                    "\(option) is \"\(text)\"; give three numbers for R, G and B, for instance 0.485,0.456,0.406")
            }
            return values.compactMap { $0 }
        }
    }
}
