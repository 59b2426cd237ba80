import Foundation
import Synchronization

/// A progress bar with rate and time left on a terminal; plain lines every few seconds elsewhere; nothing when quiet.
final class Progress: Sendable {
    private let unit: String
    private let isQuiet: Bool
    private let isTerminal = isatty(2) == 1
    private let begun = Date()
    private let lastShown = Mutex(Date.distantPast)

    init(_ unit: String, quiet: Bool) {
        self.unit = unit
        isQuiet = quiet
    }

    /// - Parameter computed: how much of `done` took time, which is what the rate is made of.
    func show(_ label: String, done: Int, total: Int, computed: Int? = nil) {
        guard !isQuiet, total > 0 else { return }
        let now = Date()
        let isLast = done >= total
        let isDue = lastShown.withLock { last in
            guard isLast || now.timeIntervalSince(last) >= (isTerminal ? 0.1 : 5) else { return false }
            last = now
            return true
        }
        guard isDue else { return }
        let seconds = max(now.timeIntervalSince(begun), 1e-3)
        let rate = Double(computed ?? done) / seconds
        let left = rate > 0 ? Double(total - done) / rate : 0
        let numbers = "\(done.grouped)/\(total.grouped) \(unit)  \(rate.formatted(rate < 10 ? 1 : 0)) \(unit)/s"
        let time = isLast ? "\(duration(seconds))" : "\(duration(left)) left"
        var line = "\(label)  \(numbers)  \(time)"
        if isTerminal {
            let filled = 24 * done / total
            line =
                "\r\u{1B}[K[\(String(repeating: "#", count: filled))\(String(repeating: ".", count: 24 - filled))] \(line)"
            if isLast { line += "\n" }
        } else {
            line += "\n"
        }
        FileHandle.standardError.write(Data(line.utf8))
    }

    private func duration(_ seconds: Double) -> String {
        let whole = Int(seconds.rounded(.up))
        if whole < 60 { return seconds < 10 ? "\(seconds.formatted(1)) s" : "\(whole) s" }
        return whole < 3600 ? "\(whole / 60) min \(whole % 60) s" : "\(whole / 3600) h \(whole % 3600 / 60) min"
    }
}

/// Ctrl-C: the first asks the work to stop at the next safe place, the second ends the process at once.
enum Interrupt {
    private static let asked = Atomic<Bool>(false)

    static func listen() {
        signal(SIGINT) { _ in Interrupt.ask() }
        signal(SIGTERM) { _ in Interrupt.ask() }
        // A parent may have blocked them for its own thread, which a child inherits.
        var both = sigset_t()
        sigemptyset(&both)
        sigaddset(&both, SIGINT)
        sigaddset(&both, SIGTERM)
        pthread_sigmask(SIG_UNBLOCK, &both, nil)
    }

    private static func ask() {
        if asked.exchange(true, ordering: .relaxed) { _exit(130) }
    }

    static var isAsked: Bool { asked.load(ordering: .relaxed) }
}
