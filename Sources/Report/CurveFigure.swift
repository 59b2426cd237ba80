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

    /// Accuracies in percent against a number, with their intervals; a dashed line at a reference.
    /// - Parameter path: .svg or .png.
    static func accuracies(
        title: String, axis: String, isLogarithmic: Bool,
        series: [(name: String, points: [(x: Double, accuracy: Accuracy)])],
        reference: Double?, to path: String
    ) throws(LogitError) {
        let values = series.flatMap { $0.points.map(\.x) }
        precondition(!values.isEmpty)
        let (low, high) = (values.min() ?? 0, values.max() ?? 1)
        let isLogarithmic = isLogarithmic && low > 0
        let range =
            isLogarithmic ? (low / 1.15, high * 1.15) : (low - 0.04 * (high - low), high + 0.04 * (high - low))
        var script = """
            set title \(Gnuplot.quoted(title)) noenhanced
            set xlabel \(Gnuplot.quoted(axis)) noenhanced
            set ylabel 'accuracy, %'
            set key outside top center horizontal noenhanced
            set grid lc rgb '#dddddd'
            set border 3
            set tics nomirror
            set xrange [\(range.0):\(range.1)]
            set yrange [0:100]
            """
        if isLogarithmic { script += "\nset logscale x" }
        for (index, one) in series.enumerated() {
            script += "\n$data\(index) << EOD\n"
            for (x, accuracy) in one.points {
                script += "\(x) \(accuracy.percent) \(accuracy.low) \(accuracy.high)\n"
            }
            script += "EOD"
        }
        var lines = series.enumerated().filter { !$1.points.isEmpty }.map { index, one in
            """
            $data\(index) using 1:2:3:4 with yerrorlines lw 2 dt \(index + 1) pt \(index == 0 ? 7 : 5) \
            lc rgb '\(Gnuplot.colours[index % Gnuplot.colours.count])' title \(Gnuplot.quoted(one.name))
            """
        }
        if let reference { lines.append("\(reference) with lines dt 2 lc rgb '#666666' title 'clean, no defence'") }
        script += "\nplot \(lines.joined(separator: ", "))\n"
        try Gnuplot.draw(script, width: 800, height: 420, to: path)
    }
}
