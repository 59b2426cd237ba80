import Logits
import Platform
import Shards

/// What is wrong with a shard file, down to its rows.
enum ShardFaults {
    private static let remedy = "put back a copy, or run logit repair and then logit ingest --repair"

    /// One sentence each; empty: every row and image is as it was written.
    static func problems(_ path: String) -> [String] {
        do throws(LogitError) {
            let reader = try ShardReader(path: path, verifyEvery: true)
            var problems: [String] = []
            let damaged = failing(reader) { (rows) throws(LogitError) in _ = try reader.table(rows) }
            if !damaged.isEmpty {
                problems.append(
                    "\(rows(damaged)) of shard \(path) (\(images(damaged, reader))) fail their checksums, so the file was damaged; \(remedy)"
                )
            }
            if reader.imageFormat != nil {
                let images = failing(reader) { (rows) throws(LogitError) in _ = try reader.images(rows) }
                if !images.isEmpty {
                    problems.append(
                        "the image of \(rows(images)) of shard \(path) (\(self.images(images, reader))) fails its checksum, so the file was damaged; \(remedy)"
                    )
                }
            }
            if problems.isEmpty { try reader.verify() }
            return problems
        } catch {
            return [error.message]
        }
    }

    /// Rows of which `read` fails: whole runs first, and row by row where one does.
    static func failing(
        _ reader: ShardReader, _ read: (Range<Int>) throws(LogitError) -> Void
    ) -> [Int] {
        let step = max(1, min(256, (1 << 18) / reader.classCount))
        var found: [Int] = []
        for first in stride(from: 0, to: reader.rowCount, by: step) {
            let run = first..<min(first + step, reader.rowCount)
            if (try? read(run)) != nil { continue }
            found += run.filter { (try? read($0..<$0 + 1)) == nil }
        }
        return found
    }

    /// `row 7`, `rows 7, 12 to 40`.
    static func rows(_ rows: [Int]) -> String {
        let text = OrdinalRanges.text(rows.map(Int64.init)) ?? "\(rows[0])-\(rows[rows.count - 1])"
        let runs = text.replacing("-", with: " to ").replacing(",", with: ", ")
        return (rows.count == 1 ? "row " : "rows ") + runs
    }

    private static func images(_ rows: [Int], _ reader: ShardReader) -> String {
        let names = rows.prefix(3).map { reader.columns.image[$0] }.joined(separator: ", ")
        return (rows.count == 1 ? "image " : "images ") + names + (rows.count > 3 ? ", …" : "")
    }
}
