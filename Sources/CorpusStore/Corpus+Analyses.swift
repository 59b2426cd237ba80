import GRDB
import Logits
import Platform

/// Kinds of analyses.
package enum Analyses {
    package static let support = "support"
    package static let lowering = "lowering"
    package static let precision = "precision"
    package static let detection = "detection"
}

/// One figure of an analysis: what was measured (`corrected`, `auc`) of what (`supporting`, `float16`, `energy`), on the rows of
/// one variant.
package struct AnalysisFigure: Codable, Sendable, Equatable {
    package var attack: String
    package var subject: String
    package var measure: String
    package var rows: Int
    /// Where the figure is a share of the rows.
    package var count: Int?
    /// Nil where there are no rows; with its 95 % interval.
    package var value: Double?
    package var low: Double?
    package var high: Double?

    package init(
        attack: String, subject: String, measure: String, rows: Int, count: Int? = nil, value: Double?, low: Double?,
        high: Double?
    ) {
        self.attack = attack
        self.subject = subject
        self.measure = measure
        self.rows = rows
        self.count = count
        self.value = value
        self.low = low
        self.high = high
    }
}

/// The parts of analyses/ID.json that the catalogue indexes; the file holds more. One form for all kinds: what a kind has not is
/// absent.
package struct AnalysisRecord: Codable, Sendable, Descriptor {
    /// One class of a `support` analysis.
    package struct Class: Codable, Sendable {
        package var `class`: Int
        package var name: String
        package var rank: Int
        package var count: Int
        package var first: Int
        package var support: Double
        package var pullCount: Int
        package var pullFirst: Int
        package var pull: Double
        package var pushCount: Int
        package var pushFirst: Int
        package var push: Double
    }

    package var kind: String
    package var defender: String
    package var weightsDigest: String
    package var snapshot: String
    package var dataset: String
    package var split: String
    package var selection: String?
    package var network: String
    /// A canonical name, or several with commas.
    package var attack: String
    package var images: Int
    package var created: String
    package var top: Int?
    package var correctedOnly: Bool?
    package var classes: [Class]?
    package var figures: [AnalysisFigure]?
}

extension AnalysisRecord {
    package var fault: String? {
        guard !kind.isEmpty, kind.utf8.count <= 100 else { return "its kind is none" }
        guard images >= 0 else { return "\(images) images" }
        let keys = (figures ?? []).map { [$0.attack, $0.subject, $0.measure] }
        guard Set(keys).count == keys.count,
            (figures ?? []).allSatisfy({ $0.rows >= 0 && (0...$0.rows).contains($0.count ?? 0) })
        else { return "a figure that is there twice, or counts more than its rows" }
        guard let classes else { return kind == Analyses.support ? "it has no classes" : nil }
        guard (2...DescriptorLimits.classes).contains(classes.count), Set(classes.map(\.class)).count == classes.count,
            classes.allSatisfy({ (0..<classes.count).contains($0.class) && (1...classes.count).contains($0.rank) })
        else { return "\(classes.count) classes that are not numbered from 0" }
        let counts = classes.flatMap { [$0.count, $0.first, $0.pullCount, $0.pullFirst, $0.pushCount, $0.pushFirst] }
        return counts.allSatisfy((0...images).contains)
            ? nil : "a class that is counted more often than there are images"
    }
}

/// An analysis with its id.
package struct StoredAnalysis: Sendable {
    package let id: String
    package let record: AnalysisRecord
}

extension Corpus {
    /// Writes an analysis as analyses/ID.json, where ID is the beginning of the file's digest, and indexes it.
    package func addAnalysis(json: [UInt8]) throws(LogitError) -> String {
        requireWriting()
        let id = String(Digest.hex(json).prefix(16))
        let path = layout.analysis(id)
        try Files.makeDirectory(layout.analyses)
        try Files.writeDurably(json, to: path)
        let record = try analysisRecord(id)
        try catalog.write { db in try Corpus.index(record, id: id, in: db) }
        return id
    }

    /// A corpus of a former version has no folder of them.
    package func analysisIDs() throws(LogitError) -> [String] {
        Files.exists(layout.analyses) ? try jsonNames(layout.analyses) : []
    }

    /// - Throws: `corrupt` where the file is not what its name says.
    package func analysis<Value: Decodable>(_ id: String, as type: Value.Type) throws(LogitError) -> Value {
        let path = layout.analysis(id)
        guard Digest.hex(try Files.read(path, limit: DescriptorLimits.bytes)).hasPrefix(id) else {
            throw LogitError(
                .corrupt,
                "the analysis \(path) is not what its name says; put back a copy, or remove it and analyse again")
        }
        return try JSONFile.read(type, from: path)
    }

    func analysisRecord(_ id: String) throws(LogitError) -> AnalysisRecord {
        try JSONFile.read(AnalysisRecord.self, from: layout.analysis(id))
    }

    /// All analyses of a kind, the newest last.
    package func analyses(ofKind kind: String) throws(LogitError) -> [StoredAnalysis] {
        var found: [StoredAnalysis] = []
        for id in try analysisIDs() {
            let record = try analysisRecord(id)
            if record.kind == kind { found.append(StoredAnalysis(id: id, record: record)) }
        }
        return found.sorted { ($0.record.created, $0.id) < ($1.record.created, $1.id) }
    }

    static func index(_ analysis: AnalysisRecord, id: String, in db: Database) throws {
        try db.execute(
            sql: "INSERT OR REPLACE INTO analysis_index VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            arguments: [
                id, analysis.kind, analysis.defender, analysis.weightsDigest, analysis.snapshot, analysis.dataset,
                analysis.split, analysis.selection, analysis.network, analysis.attack, analysis.images, analysis.top,
                analysis.correctedOnly, analysis.created,
            ])
        for one in analysis.figures ?? [] {
            try db.execute(
                sql: "INSERT OR REPLACE INTO figure_index VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                arguments: [
                    id, one.attack, one.subject, one.measure, one.rows, one.count, one.value, one.low, one.high,
                ])
        }
        let insert = try db.makeStatement(
            sql: "INSERT OR REPLACE INTO support_index VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        for one in analysis.classes ?? [] {
            try insert.execute(arguments: [
                id, one.class, one.name, one.rank, one.count, one.first, one.support, one.pullCount, one.pullFirst,
                one.pull, one.pushCount, one.pushFirst, one.push,
            ])
        }
    }
}
