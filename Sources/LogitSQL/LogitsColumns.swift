import CLogitSQL

/// The columns of the table `logits`, in their order.
enum LogitsColumn: Int32, CaseIterable {
    case dataset, split, ordinal, image, label, network, attack, view, prediction, status, z, snapshot

    static let declaration = """
        CREATE TABLE logits(dataset TEXT, split TEXT, ordinal INTEGER, image TEXT, label INTEGER, network TEXT, attack TEXT,
            view INTEGER, prediction INTEGER, status INTEGER, z BLOB, snapshot TEXT HIDDEN)
        """

    /// The columns that all rows of a unit share, by which units are left out and sorted.
    static let unitColumns: [LogitsColumn] = [.dataset, .split, .network, .attack, .view]

    /// In the catalogue's tables, as `CatalogueQuery` names them.
    var expression: String {
        switch self {
        case .dataset: "d.name"
        case .split: "s.name"
        case .ordinal: "i.ordinal"
        case .image: "i.image"
        case .label: "i.label"
        case .network: "n.name"
        case .attack: "a.canonical"
        case .view: "u.view"
        case .prediction: "r.prediction"
        case .status: "r.status"
        case .z, .snapshot: "NULL"
        }
    }
}

/// What SQLite asks of the table in one query: which constraints it hands over values for, in their order, and how rows are
/// sorted. It travels from `xBestIndex` to `xFilter` as text: pairs of a column's letter and an operator, `|`, pairs of a column's
/// letter and a direction.
struct LogitsPlan {
    enum Comparison: Character { case equal = "=", less = "<", lessOrEqual = "{", greater = ">", greaterOrEqual = "}" }

    var constraints: [(column: LogitsColumn, comparison: Comparison)] = []
    var order: [(column: LogitsColumn, isDescending: Bool)] = []

    init() {}

    init(_ text: String) {
        let parts = text.split(separator: "|", omittingEmptySubsequences: false).map(Array.init)
        for place in stride(from: 0, to: parts[0].count, by: 2) {
            constraints.append((LogitsPlan.column(parts[0][place]), Comparison(rawValue: parts[0][place + 1])!))
        }
        for place in stride(from: 0, to: parts[1].count, by: 2) {
            order.append((LogitsPlan.column(parts[1][place]), parts[1][place + 1] == "-"))
        }
    }

    var text: String {
        constraints.map { "\(LogitsPlan.letter($0.column))\($0.comparison.rawValue)" }.joined() + "|"
            + order.map { "\(LogitsPlan.letter($0.column))\($0.isDescending ? "-" : "+")" }.joined()
    }

    private static let letters = Array("abcdefghijkl")
    private static func letter(_ column: LogitsColumn) -> Character { letters[Int(column.rawValue)] }
    private static func column(_ letter: Character) -> LogitsColumn {
        LogitsColumn(rawValue: Int32(letters.firstIndex(of: letter)!))!
    }

    func has(_ column: LogitsColumn) -> Bool {
        constraints.contains { $0.column == column && $0.comparison == .equal }
    }

    /// Whether single rows are looked up, by their image, and not scanned.
    var isLookup: Bool { !has(.snapshot) && (has(.image) || has(.ordinal)) }
}

/// The statement over the catalogue that finds units or rows.
enum CatalogueQuery {
    private static let units = """
        JOIN main.split_index s ON s.id = u.split_id JOIN main.dataset_index d ON d.id = s.dataset_id \
        JOIN main.network_index n ON n.id = u.network_id JOIN main.attack_index a ON a.id = u.attack_id
        """
    /// Columns that place a row's logits: after those of `LogitsColumn`.
    static let pathColumn = 12
    private static let placeColumns =
        "u.path, r.shard_row, u.row_count, n.class_count, u.content_digest, u.id"
    private static var rowColumns: String {
        LogitsColumn.allCases.map(\.expression).joined(separator: ", ") + ", " + placeColumns
    }

    /// Units with their names, for a scan.
    static func scan(_ plan: LogitsPlan) -> String {
        """
        SELECT u.id, u.path, d.name, s.name, n.name, a.canonical, u.view, u.row_count, n.class_count, u.content_digest, \
        u.ordinals FROM main.unit_index u \(units)\(conditions(plan, LogitsColumn.unitColumns)) \
        ORDER BY \(order(plan))d.name, s.name, n.name, a.canonical, u.view, u.first_position, u.id
        """
    }

    /// Rows, with where their logits lie.
    static func rows(_ plan: LogitsPlan) -> String {
        let tables =
            if plan.has(.image) {
                """
                main.image_index i CROSS JOIN main.row_index r ON r.image_id = i.id \
                CROSS JOIN main.unit_index u ON u.id = r.unit_id \(units)
                """
            } else if plan.has(.ordinal) {
                """
                main.split_index s CROSS JOIN main.image_index i ON i.split_id = s.id \
                CROSS JOIN main.row_index r ON r.image_id = i.id CROSS JOIN main.unit_index u ON u.id = r.unit_id \
                JOIN main.dataset_index d ON d.id = s.dataset_id JOIN main.network_index n ON n.id = u.network_id \
                JOIN main.attack_index a ON a.id = u.attack_id
                """
            } else {
                """
                main.unit_index u \(units) CROSS JOIN main.row_index r ON r.unit_id = u.id \
                CROSS JOIN main.image_index i ON i.id = r.image_id
                """
            }
        let sort = order(plan).dropLast(2)
        return "SELECT \(rowColumns) FROM \(tables)\(conditions(plan, LogitsColumn.allCases))"
            + (sort.isEmpty ? "" : " ORDER BY \(sort)")
    }

    /// Compares as SQLite does with the values that it hands over; each constraint has a parameter, whether it is used or not.
    private static func conditions(_ plan: LogitsPlan, _ columns: [LogitsColumn]) -> String {
        var words: [String] = []
        for (place, constraint) in plan.constraints.enumerated()
        where columns.contains(constraint.column) && constraint.column != .snapshot {
            let comparison =
                switch constraint.comparison {
                case .equal: "="
                case .less: "<"
                case .lessOrEqual: "<="
                case .greater: ">"
                case .greaterOrEqual: ">="
                }
            words.append("\(constraint.column.expression) \(comparison) ?\(place + 1)")
        }
        return words.isEmpty ? "" : " WHERE " + words.joined(separator: " AND ")
    }

    private static func order(_ plan: LogitsPlan) -> String {
        plan.order.map { "\($0.column.expression)\($0.isDescending ? " DESC" : ""), " }.joined()
    }
}
