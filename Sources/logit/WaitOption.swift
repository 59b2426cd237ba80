import ArgumentParser
import CorpusStore
import Logits

/// The option of every command that writes a corpus.
struct WaitOption: ParsableArguments {
    @Option(
        name: .long, defaultAsFlag: Double.infinity,
        help: "Wait for another writer, so many seconds; without a number until it has finished.")
    var wait: Double?

    /// Waits as asked; Ctrl-C ends it where the command listens.
    func patience(_ output: OutputOptions) throws(LogitError) -> Patience {
        let seconds = wait ?? 0
        guard seconds >= 0 else {
            throw LogitError(.usage, "--wait is \(seconds); give a number of seconds, or none to wait until it is free")
        }
        return Patience(seconds: seconds) {
            output.note($0)
        } shouldStop: {
            Interrupt.isAsked
        }
    }
}
