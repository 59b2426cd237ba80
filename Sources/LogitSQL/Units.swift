import CLogitSQL
import Glibc
import Logits
import Platform
import Shards

/// The units that a scan reads: those that the catalogue shows now, or those of a snapshot's manifest.
struct Units {
    let plan: LogitsPlan
    /// One for each of the plan's constraints.
    let values: [OpaquePointer]
    let session: Session
    let root: String

    /// In the order that the plan asks for.
    func find() throws(LogitError) -> [ScanUnit] {
        let argument = plan.constraints.firstIndex { $0.column == .snapshot }.map { values[$0] }
        let reference: String? =
            if let argument, ls_type(argument) != SQLITE_NULL { Units.text(argument) } else { session.snapshot }
        if let reference { return try ofSnapshot(try session.manifest(reference, root)) }
        return try committed()
    }

    static func text(_ value: OpaquePointer?) -> String {
        ls_value_text(value).map { String(cString: $0) } ?? ""
    }

    private func committed() throws(LogitError) -> [ScanUnit] {
        let statement = try session.statement(CatalogueQuery.scan(plan))
        defer { session.keep(statement) }
        for (place, value) in values.enumerated() { statement.bind(value, at: place + 1) }
        let wanted = bounds
        var units: [ScanUnit] = []
        while try statement.step() {
            let path = statement.text(1)
            let unit = ScanUnit(
                id: statement.integer(0), path: "\(root)/\(path)", dataset: statement.text(2),
                split: statement.text(3), network: statement.text(4), attack: statement.text(5),
                view: statement.integer(6), rowCount: statement.integer(7), classCount: statement.integer(8),
                contentDigest: statement.text(9))
            try unit.check(path)
            let ordinals = statement.isNull(10) ? nil : statement.text(10)
            if let narrowed = unit.narrowed(to: wanted, ordinals) { units.append(narrowed) }
        }
        return units
    }

    // MARK: A snapshot's

    private func ofSnapshot(_ manifest: SnapshotManifest) throws(LogitError) -> [ScanUnit] {
        let images = try imageOrdinals()
        var units: [ScanUnit] = []
        for (place, entry) in manifest.shards.enumerated() where isAsked(entry.key) {
            var wanted = bounds
            if let images {
                guard let ordinal = images["\(entry.key.dataset)/\(entry.key.split)"] else { continue }
                wanted.keep(from: ordinal, to: ordinal)
            }
            let unit = ScanUnit(
                id: place, path: "\(root)/\(entry.path)", dataset: entry.key.dataset, split: entry.key.split,
                network: entry.key.network, attack: entry.key.variant.canonical, view: entry.key.view,
                rowCount: entry.key.rowCount, classCount: entry.classCount, contentDigest: entry.contentDigest)
            if let narrowed = unit.narrowed(to: wanted, entry.details.ordinals) { units.append(narrowed) }
        }
        return units.sorted { first, second in
            for (column, isDescending) in plan.order + LogitsColumn.unitColumns.map({ ($0, false) }) {
                let (a, b) = (first.sortKey(column), second.sortKey(column))
                if a != b { return (a < b) != isDescending }
            }
            return first.id < second.id
        }
    }

    /// Whether the constraints on names leave a unit.
    private func isAsked(_ key: UnitKey) -> Bool {
        for (place, constraint) in plan.constraints.enumerated() {
            let name: String
            switch constraint.column {
            case .dataset: name = key.dataset
            case .split: name = key.split
            case .network: name = key.network
            case .attack: name = key.variant.canonical
            case .view:
                let type = ls_numeric_type(values[place])
                guard type == SQLITE_INTEGER || type == SQLITE_FLOAT, ls_double(values[place]) == Double(key.view)
                else {
                    return false
                }
                continue
            default: continue
            }
            // A number is compared as the text that it is; a blob and NULL equal no name.
            let type = ls_type(values[place])
            guard type != SQLITE_BLOB, type != SQLITE_NULL, Units.text(values[place]) == name else { return false }
        }
        return true
    }

    /// Where one image is asked for: its ordinal, by `DATASET/SPLIT`.
    private func imageOrdinals() throws(LogitError) -> [String: Int64]? {
        guard let place = plan.constraints.firstIndex(where: { $0.column == .image }) else { return nil }
        let statement = try session.statement(
            """
            SELECT d.name, s.name, i.ordinal FROM main.image_index i JOIN main.split_index s ON s.id = i.split_id
            JOIN main.dataset_index d ON d.id = s.dataset_id WHERE i.image = ?1
            """)
        defer { session.keep(statement) }
        statement.bind(values[place], at: 1)
        var found: [String: Int64] = [:]
        while try statement.step() {
            found["\(statement.text(0))/\(statement.text(1))"] = Int64(statement.integer(2))
        }
        return found
    }

    // MARK: Ordinals

    /// The ordinals that the constraints leave. What is no number is left to SQLite, which compares each row again.
    private var bounds: OrdinalBounds {
        var bounds = OrdinalBounds()
        for (place, constraint) in plan.constraints.enumerated() where constraint.column == .ordinal {
            let value: Double
            switch ls_numeric_type(values[place]) {
            case SQLITE_INTEGER:
                bounds.apply(constraint.comparison, ls_int(values[place]))
                continue
            case SQLITE_FLOAT: value = ls_double(values[place])
            default: continue
            }
            switch constraint.comparison {
            case .equal:
                if let whole = Int64(exactly: value) {
                    bounds.keep(from: whole, to: whole)
                } else {
                    bounds.keep(from: 1, to: 0)
                }
            case .less, .lessOrEqual:
                if value < 9e18 { bounds.apply(.lessOrEqual, Int64(max(-9e18, value.rounded(.up)))) }
            case .greater, .greaterOrEqual:
                if value > -9e18 { bounds.apply(.greaterOrEqual, Int64(min(9e18, value.rounded(.down)))) }
            }
        }
        return bounds
    }
}

/// Ordinals from `lower` to `upper`; none where `upper` is the smaller.
struct OrdinalBounds: Sendable, Equatable {
    private(set) var lower = Int64.min
    private(set) var upper = Int64.max

    var isAll: Bool { self == OrdinalBounds() }
    func contains(_ ordinal: Int64) -> Bool { ordinal >= lower && ordinal <= upper }

    mutating func keep(from first: Int64, to last: Int64) {
        lower = max(lower, first)
        upper = min(upper, last)
    }

    mutating func apply(_ comparison: LogitsPlan.Comparison, _ value: Int64) {
        switch comparison {
        case .equal: keep(from: value, to: value)
        case .less: if value == .min { keep(from: 1, to: 0) } else { keep(from: .min, to: value - 1) }
        case .lessOrEqual: keep(from: .min, to: value)
        case .greater: if value == .max { keep(from: 1, to: 0) } else { keep(from: value + 1, to: .max) }
        case .greaterOrEqual: keep(from: value, to: .max)
        }
    }

    /// The rows that may have these ordinals, of rows whose ordinals are such a text: `0-4,1300-1304,7`. Nil where the text is
    /// none.
    func rows(_ text: String) -> Range<Int>? {
        var (first, last, place) = (Int?.none, 0, 0)
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int64($0) }
            guard (1...2).contains(ends.count), let begin = ends[0], let end = ends[ends.count - 1], begin >= 0,
                begin <= end, end - begin < 1 << 40
            else { return nil }
            let (from, to) = (max(begin, lower), min(end, upper))
            if from <= to {
                if first == nil { first = place + Int(from - begin) }
                last = place + Int(to - begin) + 1
            }
            place += Int(end - begin) + 1
        }
        return (first ?? 0)..<last
    }
}

extension ScanUnit {
    /// Refuses what a catalogue may say of a shard and no shard of a corpus can be.
    /// - Parameter path: as the catalogue has it.
    func check(_ path: String) throws(LogitError) {
        guard Manifests.isInside(path) else {
            throw LogitError(
                .corrupt,
                "the catalogue names the shard “\(path.prefix(200))”, which cannot be of this corpus; run logit repair")
        }
        guard Manifests.isPossible(rows: rowCount, classes: classCount) else {
            throw LogitError(
                .corrupt,
                "the catalogue tells of \(rowCount) rows of \(classCount) classes in shard \(path), which no shard can hold; run logit repair"
            )
        }
    }

    /// With the rows alone that may have such ordinals; nil where there are none.
    func narrowed(to bounds: OrdinalBounds, _ ordinals: String?) -> ScanUnit? {
        if bounds.isAll { return self }
        var unit = self
        unit.ordinals = bounds
        if let rows = ordinals.flatMap(bounds.rows) { unit.rows = rows.clamped(to: 0..<rowCount) }
        return unit.rows.isEmpty ? nil : unit
    }

    /// Text by its bytes, as SQLite compares it.
    fileprivate func sortKey(_ column: LogitsColumn) -> SortKey {
        switch column {
        case .dataset: SortKey(text: dataset)
        case .split: SortKey(text: split)
        case .network: SortKey(text: network)
        case .attack: SortKey(text: attack)
        default: SortKey(number: view)
        }
    }
}

private struct SortKey: Comparable {
    var number = 0
    var text = ""

    static func < (a: SortKey, b: SortKey) -> Bool {
        a.number != b.number ? a.number < b.number : a.text.utf8.lexicographicallyPrecedes(b.text.utf8)
    }
}
