import ArgumentParser
import CorpusStore
import Foundation

/// What `ForeignShard.check` runs in a child process.
struct ExamineShard: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: ForeignShard.command, abstract: "Read one shard under limits and say what came of it.",
        shouldDisplay: false)

    @Argument var path: String

    func run() {
        FileHandle.standardError.write(Data(ForeignShard.examine(path).utf8))
    }
}
