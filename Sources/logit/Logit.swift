import ArgumentParser

@main
struct Logit: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logit", abstract: "The store for logit corpora.", version: "0.1.0")
}
