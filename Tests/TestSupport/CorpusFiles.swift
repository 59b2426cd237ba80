import CorpusStore
import Foundation
import Logits
import Shards

/// What `SELECT …` says of a corpus, a line a row.
package func answers(_ path: String, _ sql: String, at snapshot: String? = nil) throws -> [String] {
    let corpus = try Corpus(at: path, .reading)
    let query = try ReadOnlyQuery(corpus, at: try snapshot.map { try corpus.snapshot($0) }) { false }
    var rows: [String] = []
    _ = try query.run(sql) { _, values in rows.append("\(values)") }
    return rows
}

/// All rows as the catalogue shows them, without the file that they are in.
package func indexedRows(_ path: String, at snapshot: String? = nil) throws -> [String] {
    let columns = """
        dataset, split, ordinal, image, label, network, attack, view, prediction, mean, minimum, maximum, l2, label_margin,
        label_rank, status, iterations, perturbation_l2, perturbation_linf, shard_row, status_8bit
        """
    return try answers(path, "SELECT \(columns) FROM rows ORDER BY network, attack, view, ordinal", at: snapshot)
}

/// Paths of all shard files, relative to the corpus, sorted.
package func shardFiles(_ path: String) throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: "\(path)/shards").filter { $0.hasSuffix(".h5") }
        .map { "shards/\($0)" }.sorted()
}

/// The corpus's shards as tables, by unit, as one snapshot names them.
package func tables(_ path: String, at snapshot: String? = nil) throws -> [String: RowTable] {
    let corpus = try Corpus(at: path, .reading)
    var tables: [String: RowTable] = [:]
    for entry in try corpus.snapshot(snapshot).shards {
        let reader = try ShardReader(path: "\(path)/\(entry.path)")
        tables[entry.key.canonicalText] = try reader.table(0..<reader.rowCount)
    }
    return tables
}

/// Copies a corpus with plain file tools.
package func copyCorpus(_ source: String, to target: String, without suffixes: [String] = []) throws {
    try FileManager.default.copyItem(atPath: source, toPath: target)
    for suffix in suffixes { try FileManager.default.removeItem(atPath: "\(target)/catalog.sqlite\(suffix)") }
}
