import Foundation
import Logits
import Platform

extension Figures {
    /// Bars of the most frequent supporting classes, named, with a picture of the class above each (the paper's Figure 2).
    /// - Parameters:
    ///   - bars: in the order drawn; `value` is a count, or S_k where one image is shown.
    ///   - axis: what the values are.
    ///   - pictures: PNG files by class, drawn in .svg alone.
    ///   - path: .svg or .png.
    package static func supportingClasses(
        title: String, axis: String, bars: [(class: Int, name: String, value: Double)], pictures: [Int: [UInt8]],
        to path: String
    ) throws(LogitError) {
        precondition(!bars.isEmpty)
        let frame = Frame(bars.map(\.value), hasPictures: path.hasSuffix(".svg") && !pictures.isEmpty)
        var script = """
            set title \(Gnuplot.quoted(title)) noenhanced
            set ylabel \(Gnuplot.quoted(axis)) noenhanced
            unset key
            set grid ytics lc rgb '#dddddd'
            set border 3
            set tics nomirror
            set style fill solid 0.85 noborder
            set boxwidth 0.7
            set lmargin at screen \(Frame.left)
            set rmargin at screen \(Frame.right)
            set tmargin at screen \(Frame.top)
            set bmargin at screen \(Frame.bottom)
            set xrange [-0.6:\(Double(bars.count) - 0.4)]
            set yrange [\(frame.low):\(frame.high)]
            set xtics rotate by 35 right noenhanced

            """
        let names = bars.enumerated().map { place, bar in "\(Gnuplot.quoted(label(bar.name, bar.class))) \(place)" }
        script += "set xtics (\(names.joined(separator: ", ")))\n$bars << EOD\n"
        for (place, bar) in bars.enumerated() { script += "\(place) \(bar.value)\n" }
        script += "EOD\nplot $bars using 1:2 with boxes lc rgb '\(Gnuplot.colours[0])'\n"
        try Gnuplot.draw(script, width: Frame.width, height: Frame.height, to: path) { (draft) throws(LogitError) in
            guard frame.hasPictures else { return }
            let images = bars.enumerated().compactMap { place, bar in
                pictures[bar.class].map { frame.image($0, bar.name, place, of: bars.count, value: bar.value) }
            }
            var text = try Files.readText(draft, limit: 1 << 28)
            guard let end = text.range(of: "</svg>", options: .backwards) else {
                throw LogitError(.io, "gnuplot has drawn no whole SVG into \(path); draw it again")
            }
            text.insert(contentsOf: images.joined(separator: "\n") + "\n", at: end.lowerBound)
            try Files.write(Array(text.utf8), to: draft, sync: false)
        }
    }

    /// `640: manhole cover`, not too long to stand under a bar.
    private static func label(_ name: String, _ number: Int) -> String {
        let short = name.count > 24 ? name.prefix(23) + "…" : name[...]
        return short == "\(number)" ? "\(number)" : "\(number): \(short)"
    }
}

/// Where gnuplot is told to put the axes, so that pictures can be put above the bars.
private struct Frame {
    static let width = 900
    static let height = 560
    static let left = 0.09
    static let right = 0.98
    static let top = 0.92
    static let bottom = 0.30
    private static let side = 56.0

    let low: Double
    let high: Double
    let hasPictures: Bool

    init(_ values: [Double], hasPictures: Bool) {
        let largest = max(0, values.max() ?? 0)
        let least = min(0, values.min() ?? 0)
        let span = largest > least ? largest - least : 1
        low = least
        // Room for a picture above the highest bar.
        let room = hasPictures ? (Frame.side + 12) / ((Frame.top - Frame.bottom) * Double(Frame.height)) : 0.05
        high = least + span / (1 - room)
        self.hasPictures = hasPictures
    }

    /// The SVG element of a picture above a bar.
    func image(_ png: [UInt8], _ name: String, _ place: Int, of count: Int, value: Double) -> String {
        let (width, height) = (Double(Frame.width), Double(Frame.height))
        let step = (Frame.right - Frame.left) * width / (Double(count) + 0.2)
        let side = min(Frame.side, step * 0.9)
        let x = Frame.left * width + (Double(place) + 0.6) * step - side / 2
        let share = (max(0, value) - low) / (high - low)
        let y = height * (1 - Frame.bottom - share * (Frame.top - Frame.bottom)) - side - 5
        let escaped = name.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing("\"", with: "&quot;")
        return
            "<image x=\"\(x)\" y=\"\(y)\" width=\"\(side)\" height=\"\(side)\" href=\"data:image/png;base64,\(Data(png).base64EncodedString())\"><title>\(escaped)</title></image>"
    }
}
