import CorpusStore
import FoundationEssentials
import Logits
import Platform

/// The list of images that one (split, network, variant, view, seed) is computed for, cut into blocks and units.
///
/// A plan is written before its first block and removed after its last unit: an ingest that is killed and started again
/// takes up the same list, hence the same blocks, hence the same bits.
package struct IngestPlan: Codable, Sendable, Descriptor {
    var formatVersion = 1
    var dataset: String
    var split: String
    var datasetDigest: String
    var network: String
    var networkDigest: String
    var preprocessing: String
    var attackName: String
    var attack: String
    var attackParameters: String
    var view: Int
    var seed: UInt64
    var blockRows: Int
    var unitRows: Int
    var ordinals: [Int]
    /// What is kept beside the logits; absent for nothing.
    var keeping: Keeping?
    /// Where the list is one unit of a longer one, to be made again: that list and the unit's place in it.
    var origin: Origin?

    struct Origin: Codable, Sendable {
        var listDigest: String
        var firstPosition: Int
    }

    package var fault: String? {
        guard (1...1 << 20).contains(blockRows), unitRows > 0, unitRows <= 1 << 26, unitRows % blockRows == 0 else {
            return "units of \(unitRows) in blocks of \(blockRows)"
        }
        guard view >= 0, !ordinals.isEmpty else { return "no images, or view \(view)" }
        return ordinals.allSatisfy { $0 >= 0 } && Set(ordinals).count == ordinals.count ? nil : "an image twice"
    }

    var variant: Variant { Variant(name: attackName, canonical: attack, parametersJSON: attackParameters) }

    /// SHA-256 over the ordinals of the whole list, one a line.
    var listDigest: String {
        origin?.listDigest ?? Digest.hex(ordinals.map(String.init).joined(separator: "\n"))
    }

    /// Place in the whole list of the first ordinal.
    private var firstPosition: Int { origin?.firstPosition ?? 0 }

    /// What two plans must share to be about the same rows.
    var subject: String {
        [dataset, split, datasetDigest, network, networkDigest, preprocessing, attack, attackParameters, "\(view)"]
            .joined(separator: "\u{1F}")
    }

    /// The units in list order.
    var units: [UnitKey] {
        let digest = listDigest
        return stride(from: 0, to: ordinals.count, by: unitRows).map { first in
            UnitKey(
                dataset: dataset, split: split, datasetDigest: datasetDigest, network: network,
                networkDigest: networkDigest, preprocessing: preprocessing, variant: variant, view: view, seed: seed,
                listDigest: digest, firstPosition: firstPosition + first,
                rowCount: min(unitRows, ordinals.count - first))
        }
    }

    /// Places in `ordinals` of a unit's blocks; only the list's last block may be short.
    func blocks(of unit: UnitKey) -> [Range<Int>] {
        let start = unit.firstPosition - firstPosition
        let end = start + unit.rowCount
        return stride(from: start, to: end, by: blockRows).map { $0..<min($0 + blockRows, end) }
    }

    // MARK: Files

    private static func folder(_ layout: Layout) -> String { "\(layout.staging)/plans" }

    private var name: String {
        "\(Digest.hex(subject).prefix(16))-\(listDigest.prefix(16))" + (origin.map { "-\($0.firstPosition)" } ?? "")
    }

    /// Where its blocks are staged: what `gc` finds there without a plan of that name belongs to nobody.
    func blocks(_ layout: Layout) -> String { "\(layout.staging)/\(name)" }

    func save(_ layout: Layout) throws(LogitError) {
        try Files.makeDirectory(IngestPlan.folder(layout))
        try Files.writeDurably(JSONFile.encode(self), to: layout.plan(name))
    }

    func remove(_ layout: Layout) throws(LogitError) {
        try Files.remove(layout.plan(name))
        try Files.removeTree(blocks(layout))
    }

    /// Plans of the same subject that were begun and not finished.
    /// - Parameter imageCount: of the split.
    static func pending(_ layout: Layout, subject: String, imageCount: Int) throws(LogitError) -> [IngestPlan] {
        guard Files.isDirectory(folder(layout)) else { return [] }
        let prefix = String(Digest.hex(subject).prefix(16))
        var plans: [IngestPlan] = []
        for name in try Files.list(folder(layout)) where name.hasPrefix(prefix) && name.hasSuffix(".json") {
            let path = "\(folder(layout))/\(name)"
            let plan = try JSONFile.read(IngestPlan.self, from: path)
            guard plan.subject == subject else { continue }
            guard plan.ordinals.allSatisfy({ $0 < imageCount }) else {
                throw LogitError(
                    .corrupt, "the plan \(path) names an image that its split has not; remove it and ingest again")
            }
            plans.append(plan)
        }
        return plans
    }
}
