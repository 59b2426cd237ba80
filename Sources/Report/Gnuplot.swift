import Logits
import Platform

/// gnuplot (Debian: gnuplot-nox), which draws SVG and PNG.
enum Gnuplot {
    /// Colours that colour-blind readers can tell apart (Okabe and Ito).
    static let colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"]

    /// Draws one picture, which appears whole or not at all.
    /// - Parameters:
    ///   - script: what comes after the terminal and the output.
    ///   - width: in the picture's own units, which PNG has 1.5 pixels of.
    ///   - path: .svg or .png.
    ///   - finish: given the path of the drawn picture before it gets its name.
    static func draw(
        _ script: String, width: Int, height: Int, to path: String,
        finish: (String) throws(LogitError) -> Void = { (_) throws(LogitError) in }
    ) throws(LogitError) {
        let terminal: String
        if path.hasSuffix(".svg") {
            terminal = "svg size \(width),\(height) dynamic font 'sans-serif,14' background rgb 'white'"
        } else if path.hasSuffix(".png") {
            terminal = "pngcairo size \(width * 3 / 2),\(height * 3 / 2) font 'sans,18'"
        } else {
            throw LogitError(.usage, "\(path) is no kind of picture we draw; name it .svg or .png")
        }
        guard !path.contains(where: { $0.isNewline || $0 == "\0" }) else {
            throw LogitError(.usage, "the picture's name holds a line break; choose a name without one")
        }
        // Under another name until it is whole. Never with a leading |: gnuplot would run the rest.
        let draft = (path.hasPrefix("/") ? path : "./" + path) + ".unfinished"
        let head = "set encoding utf8\nset terminal \(terminal)\nset output \(quoted(draft))\n"
        // -d: the user's own gnuplot settings do not change our figures.
        let (status, errors) = try Subprocess.run(
            ["gnuplot", "-d", "-"], remedy: "install it (apt-get install gnuplot-nox)", input: head + script)
        guard status == 0, Files.exists(draft) else {
            try? Files.remove(draft)
            let reason = errors.split(separator: "\n").last.map(String.init) ?? "exit status \(status)"
            throw LogitError(.io, "gnuplot could not draw \(path) (\(reason)); check that its folder can be written")
        }
        do throws(LogitError) { try finish(draft) } catch {
            try? Files.remove(draft)
            throw error
        }
        try Files.renameUnsynced(draft, to: path)
    }

    /// A gnuplot string: in single quotes, where only the quote itself is special.
    static func quoted(_ text: String) -> String {
        "'"
            + text.filter { !$0.isNewline }.split(separator: "'", omittingEmptySubsequences: false).joined(
                separator: "''") + "'"
    }
}
