/// PIL's antialiased bilinear resampling (`Image.resize` with `BILINEAR`), pixel by pixel.
///
/// A triangle filter as wide as the scale in double precision, its weights rounded to 22 fractional bits; along the rows and
/// along the columns, each rounded to 8 bits. The order of the two decides last bits: Pillow 13 goes down the columns first
/// where that saves more than twice the pixels, older versions never do.
extension RGBImage {
    /// Some rows and columns of the image resized to `size`: rows × columns × 3.
    func resampled(to size: PixelSize, rows: Range<Int>, columns: Range<Int>) -> [UInt8] {
        let down = Taps(from: height, to: size.height, keeping: rows)
        let across = Taps(from: width, to: size.width, keeping: columns)
        let whole = Part(rows: 0..<height, columns: 0..<width, pixels: pixels)
        if size.height < height, height - size.height > 2 * (width - size.width) {
            return across.blendColumns(of: down.blendRows(of: whole, columns: across.needed), rows: rows).pixels
        }
        return down.blendRows(of: across.blendColumns(of: whole, rows: down.needed), columns: columns).pixels
    }
}

/// Some rows and columns of an image: rows × columns × 3.
private struct Part {
    let rows: Range<Int>
    let columns: Range<Int>
    let pixels: [UInt8]
}

/// The weights of one direction: output place i is a sum over inputs `starts[i]..<starts[i] + counts[i]`.
///
/// Sums stay below 2^31: the weights of a place add up to about 2^22.
private struct Taps {
    /// The output places.
    let kept: Range<Int>
    let starts: [Int]
    let counts: [Int]
    /// `stride` a place.
    let weights: [Int32]
    let stride: Int

    private static let fractionBits: Int32 = 22
    private static let half: Int32 = 1 << (fractionBits - 1)

    init(from inputCount: Int, to outputCount: Int, keeping kept: Range<Int>) {
        let scale = Double(inputCount) / Double(outputCount)
        let support = max(scale, 1)
        stride = Int(support.rounded(.up)) * 2 + 1
        var starts: [Int] = []
        var counts: [Int] = []
        var weights = [Int32](repeating: 0, count: stride * kept.count)
        for (row, place) in kept.enumerated() {
            let centre = (Double(place) + 0.5) * scale
            let start = max(0, Int(centre - support + 0.5))
            let count = min(inputCount, Int(centre + support + 0.5)) - start
            let inverse = 1 / support
            let exact = (0..<count).map { max(0, 1 - abs((Double($0 + start) - centre + 0.5) * inverse)) }
            let sum = exact.reduce(0, +)
            for tap in 0..<count {
                weights[row * stride + tap] = Int32(0.5 + exact[tap] / sum * Double(1 << Taps.fractionBits))
            }
            starts.append(start)
            counts.append(count)
        }
        self.kept = kept
        self.starts = starts
        self.counts = counts
        self.weights = weights
    }

    /// The inputs that any place uses; both ends of the ranges rise with the place.
    var needed: Range<Int> { starts[0]..<starts[starts.count - 1] + counts[counts.count - 1] }

    private static func rounded(_ sum: Int32) -> UInt8 { UInt8(truncatingIfNeeded: min(255, sum >> fractionBits)) }

    /// Blends each of some rows along itself.
    func blendColumns(of part: Part, rows: Range<Int>) -> Part {
        let lineBytes = 3 * part.columns.count
        var output = [UInt8](repeating: 0, count: 3 * rows.count * kept.count)
        output.withUnsafeMutableBufferPointer { output in
            part.pixels.withUnsafeBufferPointer { input in
                weights.withUnsafeBufferPointer { weights in
                    var target = 0
                    for row in rows {
                        let line = (row - part.rows.lowerBound) * lineBytes - 3 * part.columns.lowerBound
                        for place in 0..<starts.count {
                            var sum = SIMD4<Int32>(repeating: Taps.half)
                            var source = line + 3 * starts[place]
                            for tap in place * stride..<place * stride + counts[place] {
                                let pixel = SIMD4(input[source], input[source + 1], input[source + 2], 0)
                                sum &+= SIMD4<Int32>(truncatingIfNeeded: pixel) &* weights[tap]
                                source += 3
                            }
                            for channel in 0..<3 { output[target + channel] = Taps.rounded(sum[channel]) }
                            target += 3
                        }
                    }
                }
            }
        }
        return Part(rows: rows, columns: kept, pixels: output)
    }

    /// Blends whole rows with each other, at some of their columns.
    func blendRows(of part: Part, columns: Range<Int>) -> Part {
        let inputBytes = 3 * part.columns.count
        let outputBytes = 3 * columns.count
        let skipped = 3 * (columns.lowerBound - part.columns.lowerBound)
        var output = [UInt8](repeating: 0, count: kept.count * outputBytes)
        var sums = [Int32](repeating: 0, count: outputBytes)
        output.withUnsafeMutableBufferPointer { output in
            part.pixels.withUnsafeBufferPointer { input in
                sums.withUnsafeMutableBufferPointer { sums in
                    for place in 0..<starts.count {
                        sums.update(repeating: Taps.half)
                        for tap in 0..<counts[place] {
                            let weight = weights[place * stride + tap]
                            let line = (starts[place] + tap - part.rows.lowerBound) * inputBytes + skipped
                            for index in 0..<outputBytes { sums[index] &+= Int32(input[line + index]) &* weight }
                        }
                        for index in 0..<outputBytes {
                            output[place * outputBytes + index] = Taps.rounded(sums[index])
                        }
                    }
                }
            }
        }
        return Part(rows: kept, columns: columns, pixels: output)
    }
}
