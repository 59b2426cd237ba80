import Defence
import Logits

extension Figures {
    /// ROC curves, each with its own colour and dash pattern, and the diagonal of chance.
    /// - Parameter path: .svg or .png.
    package static func curves(title: String, curves: [AnalysisResult.Curve], to path: String) throws(LogitError) {
        precondition(!curves.isEmpty)
        var script = """
            set title \(Gnuplot.quoted(title)) noenhanced
            set xlabel 'share of clean rows taken for attacked'
            set ylabel 'share of attacked rows found'
            set key outside right top noenhanced
            set size square
            set grid lc rgb '#dddddd'
            set border 3
            set tics nomirror
            set xrange [0:1]
            set yrange [0:1]
            """
        for (index, curve) in curves.enumerated() {
            script += "\n$data\(index) << EOD\n"
            for (x, y) in zip(curve.falsePositives, curve.truePositives) { script += "\(x) \(y)\n" }
            script += "EOD"
        }
        let lines = curves.enumerated().map { index, curve in
            """
            $data\(index) using 1:2 with lines lw 2 dt \(index % 5 + 1) \
            lc rgb '\(Gnuplot.colours[index % Gnuplot.colours.count])' \
            title \(Gnuplot.quoted("\(curve.attack) \(curve.detector)"))
            """
        }
        script += "\nplot x with lines lc rgb '#999999' notitle, \(lines.joined(separator: ", "))\n"
        try Gnuplot.draw(script, width: 800, height: 520, to: path)
    }
}
