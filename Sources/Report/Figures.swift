import Analysis
import Logits

/// Figures, drawn by gnuplot (Debian: gnuplot-nox) as SVG or PNG.
package enum Figures {
    /// Several variants' histograms over the same edges, as in the paper's Figure 1. Colours that colour-blind readers can
    /// tell apart (Okabe and Ito), and a dash pattern each, so that nothing rests on colour alone.
    /// - Parameter path: .svg or .png.
    package static func histogram(
        title: String, axis: String, series: [(name: String, histogram: Histogram)], to path: String
    ) throws(LogitError) {
        var script = """
            set title \(Gnuplot.quoted(title)) noenhanced
            set xlabel \(Gnuplot.quoted(axis)) noenhanced
            set ylabel 'images'
            set key outside top center horizontal noenhanced
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
            let style = "lc rgb '\(Gnuplot.colours[index % Gnuplot.colours.count])'"
            return """
                $data\(index) using 1:2 with filledcurves y1=0 \(style) notitle, \
                $data\(index) using 1:2 with lines lw 2.5 dt \(index % 5 + 1) \(style) title \(Gnuplot.quoted(one.name))
                """
        }
        script += "\nplot \(curves.joined(separator: ", "))\n"
        try Gnuplot.draw(script, width: 800, height: 480, to: path)
    }
}
