import FoundationEssentials
import GRDB
import Logits
import Platform
import Shards

extension Corpus {
    // MARK: Selections

    package func addSelection(_ selection: SelectionFile) throws(LogitError) {
        requireWriting()
        try Layout.check(name: selection.name, of: "selection")
        let path = layout.selection(selection.name)
        guard !Files.exists(path) else {
            throw LogitError(.usage, "selection \(selection.name) exists already; choose another name")
        }
        try Files.writeDurably(Manifests.encode(selection), to: path)
        try catalog.write { db in try Corpus.index(selection, in: db) }
    }

    static func index(_ selection: SelectionFile, in db: Database) throws {
        try db.execute(
            sql: "INSERT OR REPLACE INTO selection_index VALUES (?, ?, ?, ?, ?, ?)",
            arguments: [
                selection.name, selection.dataset, selection.split, selection.ordinals.count, selection.provenance,
                selection.created,
            ])
    }

    package func selection(_ name: String) throws(LogitError) -> SelectionFile {
        let path = layout.selection(name)
        guard Files.exists(path) else {
            let known = try Files.list(layout.selections).filter { $0.hasSuffix(".json") }.map {
                String($0.dropLast(5))
            }
            let choices = known.isEmpty ? "make one with logit select" : "there is \(known.joined(separator: ", "))"
            throw LogitError(.notFound, "there is no selection \(name); \(choices)")
        }
        let file = try Manifests.readSelection(path)
        guard file.name == name else {
            throw LogitError(
                .corrupt,
                "\(path) holds the selection \(file.name); give the file its name back, or select the images again")
        }
        return file
    }

    /// For each class the first `perClass` images, in ordinal order, that the network gets right when clean.
    package func correctImages(
        of split: SplitDescriptor, by network: String, perClass: Int
    ) throws(LogitError) -> (ordinals: [Int64], images: [String]) {
        let found = try catalog.read { db in
            let rows = try Row.fetchAll(
                db,
                sql: """
                    SELECT ordinal, image, label, correct FROM rows
                    WHERE dataset = ? AND split = ? AND network = ? AND attack = 'clean' AND view = 0 ORDER BY ordinal
                    """, arguments: [split.dataset, split.split, network])
            return try rows.map { row in
                (
                    ordinal: try row.value("ordinal", as: Int64.self), image: try row.value("image", as: String.self),
                    label: try row.value("label", as: Int.self), isCorrect: try row.value("correct", as: Bool.self)
                )
            }
        }
        guard !found.isEmpty else {
            throw LogitError(
                .notFound,
                "there are no clean rows of network \(network) over \(split.dataset)/\(split.split); run logit ingest with --attack clean first"
            )
        }
        var taken: [Int: Int] = [:]
        var ordinals: [Int64] = []
        var images: [String] = []
        for row in found where row.isCorrect && taken[row.label, default: 0] < perClass {
            taken[row.label, default: 0] += 1
            ordinals.append(row.ordinal)
            images.append(row.image)
        }
        return (ordinals, images)
    }

    // MARK: Defenders and evaluations: files written by Defence, indexed here

    package func indexDefender(_ name: String) throws(LogitError) {
        requireWriting()
        let (record, text) = try defenderRecord(name)
        try catalog.write { db in try Corpus.index(record, text: text, in: db) }
    }

    func defenderRecord(_ name: String) throws(LogitError) -> (DefenderRecord, String) {
        let path = "\(layout.defenders)/\(name)/defender.json"
        return (try JSONFile.read(DefenderRecord.self, from: path), try Files.readText(path, limit: 1 << 26))
    }

    static func index(_ defender: DefenderRecord, text: String, in db: Database) throws {
        let options = try String.fetchOne(db, sql: "SELECT json_extract(?, '$.options')", arguments: [text]) ?? "{}"
        try db.execute(
            sql: "INSERT OR REPLACE INTO defender_index VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            arguments: [
                defender.name, defender.snapshot, defender.dataset, defender.split, defender.network,
                defender.attacks.joined(separator: ","), defender.selection, defender.classCount, options,
                defender.epochsDone, defender.weightsDigest, defender.created,
            ])
    }

    /// Names of the defenders that have a descriptor.
    package func defenderNames() throws(LogitError) -> [String] {
        try Files.list(layout.defenders).filter { Files.exists("\(layout.defenders)/\($0)/defender.json") }
    }

    /// Writes an evaluation as evaluations/ID.json, where ID is the digest of the file, and indexes it.
    package func addEvaluation(json: [UInt8]) throws(LogitError) -> String {
        requireWriting()
        let id = String(Digest.hex(json).prefix(16))
        let path = "\(layout.evaluations)/\(id).json"
        try Files.writeDurably(json, to: path)
        let record = try JSONFile.read(EvaluationRecord.self, from: path)
        try catalog.write { db in try Corpus.index(record, id: id, in: db) }
        return id
    }

    static func index(_ evaluation: EvaluationRecord, id: String, in db: Database) throws {
        for figure in evaluation.figures {
            try db.execute(
                sql: "INSERT OR REPLACE INTO evaluation_index VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                arguments: [
                    id, evaluation.defender, evaluation.snapshot, evaluation.dataset, evaluation.split,
                    evaluation.selection, evaluation.network, figure.attack, figure.rows, figure.undefendedCorrect,
                    figure.correctedCorrect, evaluation.created,
                ])
        }
    }
}
