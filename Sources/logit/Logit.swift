import ArgumentParser
import Foundation
import Logits

@main
struct Logit: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logit",
        abstract: "The store for logit corpora: build, version, query, and train defenders from them.",
        discussion: """
            A first corpus:
              logit init corpus
              logit dataset add corpus digits --images train/ --split train
              logit network add corpus net --module net.pt
              logit ingest corpus --attack clean,pgd
            """,
        version: "0.1.0",
        subcommands: [
            Init.self, DatasetCommand.self, NetworkCommand.self, AttackCommand.self, IngestCommand.self, Status.self,
            VerifyCommand.self, ReplayCommand.self, RepairCommand.self, ScrubCommand.self, CompactCommand.self,
            GarbageCommand.self, SnapshotCommand.self, Select.self, SQL.self,
            HistogramCommand.self, BhattacharyyaCommand.self, Sample.self, Train.self, Evaluate.self,
            SupportCommand.self, Ablate.self, Detect.self,
            ReportCommand.self, ExperimentCommand.self,
            DefenderCommand.self, ExamineShard.self,
        ])

    /// Parses and runs; every failure becomes one sentence on standard error and an exit status: 64 for usage, else 1.
    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let error as LogitError {
            fail(error.message, status: error.code == .usage ? 64 : 1)
        } catch {
            let status = exitCode(for: error).rawValue
            if status == 0 { exit(withError: error) }
            let message = message(for: error).split(separator: "\n").joined(separator: " ")
            fail(message.isEmpty ? fullMessage(for: error) : message + "; see --help", status: status)
        }
    }

    private static func fail(_ message: String, status: Int32) -> Never {
        FileHandle.standardError.write(Data("logit: \(message)\n".utf8))
        Foundation.exit(status)
    }
}
