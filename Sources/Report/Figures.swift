import Analysis
import Logits
import Platform

/// Figures, drawn by gnuplot (Debian: gnuplot-nox) as SVG or PNG.
package enum Figures {
    /// Several variants' histograms over the same edges, as in the paper's Figure 1. Colours that colour-blind readers can
    /// tell apart (Okabe and Ito), and a dash pattern each, so that nothing rests on colour alone.
    /// - Parameter path: .svg or .png.
    package static func histogram(
        title: String, axis: String, series: [(name: String, histogram: Histogram)], to path: String
    ) throws(LogitError) {
        let terminal: String
        if path.hasSuffix(".svg") {
            terminal = "svg size 800,480 dynamic font 'sans-serif,14' background rgb 'white'"
        } else if path.hasSuffix(".png") {
            terminal = "pngcairo size 1200,720 font 'sans,18'"
        } else {
            throw LogitError(.usage, "\(path) is no kind of picture we draw; name it .svg or .png")
        }
        let colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"]
        guard !path.contains(where: { $0.isNewline || $0 == "\0" }) else {
            throw LogitError(.usage, "the picture's name holds a line break; choose a name without one")
        }
        // Under another name until it is whole. Never with a leading |: gnuplot would run the rest.
        let draft = (path.hasPrefix("/") ? path : "./" + path) + ".unfinished"
        var script = """
            set encoding utf8
            set terminal \(terminal)
            set output \(quoted(draft))
            set title \(quoted(title)) noenhanced
            set xlabel \(quoted(axis)) noenhanced
            set ylabel 'images'
            set key top right noenhanced
            set grid ytics lc rgb '#dddddd'
            set border 3
            set tics nomirror
            set yrange [0:*]
            set style fill transparent solid 0.18 noborder
            """
        for (index, one) in series.enumerated() {
            script += "\n$data\(index) << EOD\n"
            let edges = one.histogram.edges
            script += "\(edges[0]) 0\n"
            for (bin, count) in one.histogram.counts.enumerated() {
                script += "\(edges[bin]) \(count)\n\(edges[bin + 1]) \(count)\n"
            }
            script += "\(edges[edges.count - 1]) 0\nEOD"
        }
        let curves = series.enumerated().map { index, one in
            let style = "lc rgb '\(colours[index % colours.count])'"
            return """
                $data\(index) using 1:2 with filledcurves y1=0 \(style) notitle, \
                $data\(index) using 1:2 with lines lw 2.5 dt \(index % 5 + 1) \(style) title \(quoted(one.name))
                """
        }
        script += "\nplot \(curves.joined(separator: ", "))\n"
        // -d: the user's own gnuplot settings do not change our figures.
        let (status, errors) = try Subprocess.run(
            ["gnuplot", "-d", "-"], remedy: "install it (apt-get install gnuplot-nox)", input: script)
        guard status == 0, Files.exists(draft) else {
            try? Files.remove(draft)
            let reason = errors.split(separator: "\n").last.map(String.init) ?? "exit status \(status)"
            throw LogitError(.io, "gnuplot could not draw \(path) (\(reason)); check that its folder can be written")
        }
        try Files.renameUnsynced(draft, to: path)
    }

    /// A gnuplot string: in single quotes, where only the quote itself is special.
    private static func quoted(_ text: String) -> String {
        "'"
            + text.filter { !$0.isNewline }.split(separator: "'", omittingEmptySubsequences: false).joined(
                separator: "''") + "'"
    }
}
