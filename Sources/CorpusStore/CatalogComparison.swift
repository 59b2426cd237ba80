import GRDB
import Logits
import Platform
import Shards

/// The catalogue's tables against the files that they index: what a repair would write, compared with what is there.
struct CatalogComparison {
    private let corpus: Corpus

    init(_ corpus: Corpus) { self.corpus = corpus }

    /// Tables that hold a line or a few of each file, and the columns that a file determines.
    private static let tables: [(name: String, query: String)] = [
        (
            "splits",
            """
            SELECT d.name, d.class_names, s.name, s.digest, s.source, s.kind, s.image_count
            FROM split_index s JOIN dataset_index d ON d.id = s.dataset_id ORDER BY d.name, s.name
            """
        ),
        (
            "classes",
            "SELECT d.name, c.label, c.name FROM class_index c JOIN dataset_index d ON d.id = c.dataset_id ORDER BY 1, 2"
        ),
        (
            "networks",
            "SELECT name, digest, preprocessing, class_count, block_rows FROM network_index ORDER BY name"
        ),
        (
            "snapshots",
            "SELECT snapshot, tree, parent, message, created, row_count FROM snapshot_index ORDER BY snapshot"
        ),
        ("tags", "SELECT name, snapshot FROM tag_index ORDER BY name"),
        ("selections", "SELECT * FROM selection_index ORDER BY name"),
        ("defenders", "SELECT * FROM defender_index ORDER BY name"),
        ("evaluations", "SELECT * FROM evaluation_index ORDER BY evaluation, attack"),
        ("analyses", "SELECT * FROM analysis_index ORDER BY analysis"),
        ("figures of analyses", "SELECT * FROM figure_index ORDER BY analysis, attack, subject, measure"),
        ("supporting classes", "SELECT * FROM support_index ORDER BY analysis, class"),
    ]

    func problems() throws(LogitError) -> [String] {
        let expected = try Catalog.inMemory()
        let images = try fill(expected)
        var problems = images
        for table in CatalogComparison.tables {
            let here = try corpus.catalog.read { db in try Row.fetchAll(db, sql: table.query) }
            let files = try expected.read { db in try Row.fetchAll(db, sql: table.query) }
            if here != files {
                problems.append(
                    "the catalogue's \(table.name) are not those of the files (\(difference(here, files))); run logit repair"
                )
            }
        }
        return try problems + attackProblems() + snapshotProblems()
    }

    /// The first line that one has and the other has not.
    private func difference(_ here: [Row], _ files: [Row]) -> String {
        let name: (Row) -> String = { row in String.fromDatabaseValue(row.first?.1 ?? .null) ?? "" }
        if let row = files.first(where: { !here.contains($0) }) { return "\(name(row)) is missing or differs" }
        if let row = here.first(where: { !files.contains($0) }) { return "\(name(row)) has no file, or differs" }
        return "they are doubled"
    }

    /// Indexes every readable file anew, and compares the images of each split on the way. What cannot be read is named by
    /// others.
    private func fill(_ expected: Catalog) throws(LogitError) -> [String] {
        var problems: [String] = []
        for split in try corpus.splits() {
            try expected.write { db in try Corpus.index(split, [], in: db) }
            guard let list = try? corpus.imageList(of: split) else { continue }
            problems += try imageProblems(split, list)
        }
        for network in try corpus.networks() { try expected.write { db in try Corpus.index(network, in: db) } }
        for id in try corpus.snapshotIDs() {
            guard let snapshot = try? corpus.manifest(id) else { continue }
            try expected.write { db in try Corpus.index(snapshot, in: db) }
        }
        for tag in try corpus.tags() { try expected.write { db in try Corpus.index(tag, in: db) } }
        for name in try corpus.jsonNames(corpus.layout.selections) {
            guard let selection = try? corpus.selection(name) else { continue }
            try expected.write { db in try Corpus.index(selection, in: db) }
        }
        for name in try corpus.defenderNames() {
            guard let (record, text) = try? corpus.defenderRecord(name) else { continue }
            try expected.write { db in try Corpus.index(record, text: text, in: db) }
        }
        for id in try corpus.jsonNames(corpus.layout.evaluations) {
            let path = "\(corpus.layout.evaluations)/\(id).json"
            guard let record = try? JSONFile.read(EvaluationRecord.self, from: path) else { continue }
            try expected.write { db in try Corpus.index(record, id: id, in: db) }
        }
        for id in try corpus.analysisIDs() {
            guard let record = try? corpus.analysisRecord(id) else { continue }
            try expected.write { db in try Corpus.index(record, id: id, in: db) }
        }
        return problems
    }

    private func imageProblems(_ split: SplitDescriptor, _ list: [UInt8]) throws(LogitError) -> [String] {
        let differing = try corpus.catalog.read { (db) -> Int? in
            let statement = try RawStatement(
                db,
                """
                SELECT i.ordinal, i.label, i.image, i.digest FROM image_index i JOIN split_index s ON s.id = i.split_id
                JOIN dataset_index d ON d.id = s.dataset_id
                WHERE d.name = \(CatalogComparison.quoted(split.dataset)) AND s.name = \(CatalogComparison.quoted(split.split))
                ORDER BY i.split_id, i.ordinal
                """)
            return try list.withUnsafeBytes { list in
                var lines = ImageListLines(list)
                var place = 0
                while try statement.step() {
                    guard let line = lines.next(), statement.integer(0) == Int64(place),
                        statement.integer(1) == Int64(line.label), statement.isEqual(2, line.id),
                        statement.isEqual(3, line.digest)
                    else { return place }
                    place += 1
                }
                return lines.isAtEnd ? nil : place
            }
        }
        return differing.map {
            [
                "the catalogue's images of \(split.dataset)/\(split.split) are not those of its list, from ordinal \($0) on; run logit repair"
            ]
        } ?? []
    }

    private static func quoted(_ text: String) -> String { "'" + text.replacing("'", with: "''") + "'" }

    /// An attack's digest covers its name and parameters.
    private func attackProblems() throws(LogitError) -> [String] {
        try corpus.catalog.read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM attack_index").compactMap { row in
                let variant = Variant(
                    name: try row.value("name"), canonical: try row.value("canonical"),
                    parametersJSON: try row.value("parameters"))
                guard let digest = try row.value("digest", as: String?.self), digest != variant.digest else {
                    return nil
                }
                return "the catalogue's parameters of \(variant) do not fit their digest; run logit repair"
            }
        }
    }

    /// Every shard of a snapshot that is committed is listed under it. A snapshot that the catalogue has not at all is told of
    /// with its table.
    private func snapshotProblems() throws(LogitError) -> [String] {
        let listed = try corpus.catalog.read { db in
            let rows = try Row.fetchAll(
                db,
                sql: """
                    SELECT s.snapshot, u.path FROM snapshot_index s LEFT JOIN snapshot_unit x ON s.id = x.snapshot_id
                    LEFT JOIN unit_index u ON u.id = x.unit_id
                    """)
            return try Dictionary(grouping: rows) { try $0.value("snapshot", as: String.self) }.mapValues {
                try Set($0.compactMap { try $0.value("path", as: String?.self) })
            }
        }
        // By content: `compact` puts a unit into another file.
        let committed = Dictionary(
            try corpus.units().map { ($0.contentDigest, $0.path) }, uniquingKeysWith: { first, _ in first })
        var problems: [String] = []
        for id in try corpus.snapshotIDs() {
            guard let present = listed[id], let snapshot = try? corpus.manifest(id) else { continue }
            let expected = Set(snapshot.shards.compactMap { committed[$0.contentDigest] })
            if present != expected {
                problems.append(
                    "the catalogue lists \(present.count) shards of snapshot \(id.prefix(12)), where \(expected.count) are there; run logit repair"
                )
            }
        }
        return problems
    }
}
