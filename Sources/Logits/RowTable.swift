/// Rows of logits with everything that is stored beside them, column by column.
///
/// All columns have `count` entries; `logits` has `count × classCount`, row-major.
public struct RowTable: Sendable, Equatable {
    public let classCount: Int
    public var logits: [Float]
    public var ordinal: [Int64]
    public var image: [String]
    public var label: [Int32]
    public var prediction: [Int32]
    /// Present for every variant but `clean`.
    public var attack: AttackColumns?

    public init(
        classCount: Int, logits: [Float] = [], ordinal: [Int64] = [], image: [String] = [], label: [Int32] = [],
        prediction: [Int32] = [], attack: AttackColumns? = nil
    ) {
        self.classCount = classCount
        self.logits = logits
        self.ordinal = ordinal
        self.image = image
        self.label = label
        self.prediction = prediction
        self.attack = attack
    }

    public var count: Int { ordinal.count }

    /// Adds the rows of `other`, which must have the same classes and the same columns.
    public mutating func append(_ other: RowTable) {
        precondition(classCount == other.classCount, "rows of different class counts")
        precondition((attack == nil) == (other.attack == nil) || count == 0, "rows of different variants")
        if count == 0 {
            self = other
            return
        }
        logits += other.logits
        ordinal += other.ordinal
        image += other.image
        label += other.label
        prediction += other.prediction
        if let columns = other.attack { attack?.append(columns) }
    }

    /// Some rows, in the order given.
    public func picking(_ rows: [Int]) -> RowTable {
        RowTable(
            classCount: classCount, logits: rows.flatMap { row($0) }, ordinal: rows.map { ordinal[$0] },
            image: rows.map { image[$0] }, label: rows.map { label[$0] }, prediction: rows.map { prediction[$0] },
            attack: attack.map { columns in
                AttackColumns(
                    cleanPrediction: rows.map { columns.cleanPrediction[$0] }, status: rows.map { columns.status[$0] },
                    iterations: rows.map { columns.iterations[$0] },
                    perturbationL2: rows.map { columns.perturbationL2[$0] },
                    perturbationLinf: rows.map { columns.perturbationLinf[$0] },
                    cost: columns.cost.map { cost in rows.map { cost[$0] } },
                    status8bit: columns.status8bit.map { status in rows.map { status[$0] } })
            })
    }

    /// Whether a row is left out of statistics and training: by its status, where it is attacked; a clean row by its
    /// prediction, which is −1 where a logit is not finite.
    public func isInvalid(_ row: Int) -> Bool {
        attack.map { $0.status[row] == Outcome.invalid.rawValue } ?? (prediction[row] < 0)
    }

    /// The prediction that a clean row records: the arg max, or −1 where a logit is NaN or infinite.
    /// Inlinable, as `argMax` is.
    @inlinable
    public static func cleanPrediction(_ logits: some Collection<Float>) -> Int32 {
        logits.allSatisfy(\.isFinite) ? argMax(logits) : -1
    }

    /// The logits of one row.
    public func row(_ index: Int) -> ArraySlice<Float> {
        logits[index * classCount..<(index + 1) * classCount]
    }
}

/// The columns that only attacked rows have.
public struct AttackColumns: Sendable, Equatable {
    public var cleanPrediction: [Int32]
    public var status: [UInt8]
    /// Gradient evaluations.
    public var iterations: [Int32]
    /// ‖x' − x‖₂ over the image in [0,1].
    public var perturbationL2: [Float]
    /// max |x' − x| over the image in [0,1].
    public var perturbationLinf: [Float]
    /// C&W's final c; absent for every other attack.
    public var cost: [Float]?
    /// The outcome after the attacked image was rounded to 8 bits; absent unless asked for.
    public var status8bit: [UInt8]?

    public init(
        cleanPrediction: [Int32] = [], status: [UInt8] = [], iterations: [Int32] = [], perturbationL2: [Float] = [],
        perturbationLinf: [Float] = [], cost: [Float]? = nil, status8bit: [UInt8]? = nil
    ) {
        self.cleanPrediction = cleanPrediction
        self.status = status
        self.iterations = iterations
        self.perturbationL2 = perturbationL2
        self.perturbationLinf = perturbationLinf
        self.cost = cost
        self.status8bit = status8bit
    }

    public mutating func append(_ other: AttackColumns) {
        precondition((cost == nil) == (other.cost == nil), "rows of different attacks")
        precondition((status8bit == nil) == (other.status8bit == nil), "rows with and without an 8-bit outcome")
        cleanPrediction += other.cleanPrediction
        status += other.status
        iterations += other.iterations
        perturbationL2 += other.perturbationL2
        perturbationLinf += other.perturbationLinf
        if let more = other.cost { cost?.append(contentsOf: more) }
        if let more = other.status8bit { status8bit?.append(contentsOf: more) }
    }
}
