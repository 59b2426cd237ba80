import FuzzTargets
import Glibc
import Logits
import Platform

/// libFuzzer's loop: it takes its options out of the arguments and returns when the time is up.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<Int32>,
    _ values: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

/// logit-fuzz                               lists the parsers
/// logit-fuzz PARSER seeds FOLDER           writes the seeds of one
/// logit-fuzz PARSER [FOLDER …] [-OPTION …] fuzzes it; the options are libFuzzer's
@main
struct Main {
    nonisolated(unsafe) private static var target: FuzzTarget?
    private static let variable = "LOGITCORPUS_FUZZ_PARSER"

    static func main() throws {
        var arguments = CommandLine.arguments
        // libFuzzer starts this program again with its own options alone.
        if let name = getenv(Main.variable) { arguments.insert(String(cString: name), at: 1) }
        guard arguments.count > 1 else {
            for target in FuzzTarget.all { print(target.name) }
            return
        }
        guard let chosen = FuzzTarget.all.first(where: { $0.name == arguments[1] }) else {
            throw LogitError(.usage, "there is no parser \(arguments[1]); logit-fuzz alone lists them")
        }
        if arguments.count == 4, arguments[2] == "seeds" {
            for (place, seed) in try chosen.seeds().enumerated() {
                if try !chosen.run(seed) { print("\(chosen.name): seed \(place) is refused") }
                try Files.write(seed, to: "\(arguments[3])/seed\(place)", sync: false)
            }
            return
        }
        target = chosen
        setenv(Main.variable, chosen.name, 1)
        arguments.remove(at: 1)
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var count = Int32(arguments.count)
        let status = words.withUnsafeMutableBufferPointer { buffer in
            var values = buffer.baseAddress!
            return runDriver(&count, &values) { bytes, size in
                do {
                    try Main.target?.run(Array(UnsafeBufferPointer(start: bytes, count: size)))
                    return 0
                } catch {
                    fatalError("\(error)")
                }
            }
        }
        exit(status)
    }
}
