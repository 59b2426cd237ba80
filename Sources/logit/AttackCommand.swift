import ArgumentParser
import Logits
import Networks
import Report

struct AttackCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attack", abstract: "The attacks and their parameters.",
        subcommands: [List.self, Show.self, AttackCheckCommand.self])

    private struct Entry: Encodable {
        struct Parameter: Encodable {
            var name: String
            var preset: String
            var meaning: String
        }
        var name: String
        var summary: String
        var parameters: [Parameter]

        init(_ definition: AttackDefinition) {
            name = definition.name
            summary = definition.summary
            parameters = definition.parameters.map { .init(name: $0.name, preset: $0.preset.text, meaning: $0.meaning) }
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "All attacks with their presets.", discussion: "Example: logit attack list")
        @OptionGroup var output: OutputOptions

        func run() throws {
            let entries = AttackRegistry.all.map(Entry.init)
            var table = TextTable(["attack", "preset", "what it is"])
            for entry in entries {
                let preset = entry.parameters.map { "\($0.name)=\($0.preset)" }.joined(separator: ",")
                table.add([entry.name, preset, entry.summary])
            }
            output.print(entries, text: table.text)
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "One attack: its parameters and its canonical name.",
            discussion: "Example: logit attack show pgd:epsilon=8/255,steps=20")
        @Argument(help: "An attack, with parameters or without.") var attack: String
        @OptionGroup var output: OutputOptions

        private struct Result: Encodable {
            var attack: String
            var parameters: String
            var definition: Entry
        }

        func run() throws {
            let choice = try AttackRegistry.choice(attack)
            guard !choice.variant.isClean else {
                throw LogitError(.usage, "clean is no attack: it is the image as it is; name one of logit attack list")
            }
            let definition = try AttackRegistry.definition(choice.variant.name)
            let entry = Entry(definition)
            var table = TextTable(["parameter", "preset", "meaning"])
            for parameter in entry.parameters { table.add([parameter.name, parameter.preset, parameter.meaning]) }
            let result = Result(
                attack: choice.variant.canonical, parameters: choice.variant.parametersJSON, definition: entry)
            output.print(
                result,
                text:
                    "\(choice.variant.canonical): \(entry.summary)\nall parameters: \(choice.variant.parametersJSON)\n\n\(table.text)"
            )
        }
    }
}
