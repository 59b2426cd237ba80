import CLogitSQL
import Glibc
import Logits

/// The functions of one vector alone, which a scan's threads compute ahead for all rows where a query asks them of most rows.
enum RowFunction: Int, CaseIterable {
    case mean, l2, logsumexp, entropy, margin, argmax

    static func value(_ which: RowFunction, _ z: Vector) -> Double {
        switch which {
        case .mean: z.sum / Double(z.count)
        case .l2: z.sumOfSquares.squareRoot()
        case .logsumexp: z.logSumExp()
        case .entropy: z.entropy()
        case .margin: z.margin
        case .argmax: z.argMax.map(Double.init) ?? .nan
        }
    }

    /// The value for one argument of a call: known ahead, or computed here.
    func value(_ call: FunctionCall, _ index: Int) throws(LogitError) -> Double {
        if call.type(index) == SQLITE_BLOB {
            var known = 0.0
            let value = call.values![index]
            // The blob before its length, as SQLite wants it.
            let bytes = ls_blob(value)
            if ls_known(call.session, bytes, Int64(ls_bytes(value)), Int32(rawValue), &known) != 0 { return known }
        }
        return RowFunction.value(self, try call.vector(index))
    }

    var definition: FunctionDefinition {
        let which = self
        return FunctionDefinition("\(self)", 1...1) { (call) throws(LogitError) in
            guard !call.isNull(0) else { return call.null() }
            let value = try which.value(call, 0)
            if which == .argmax, !value.isNaN { call.result(Int(value)) } else { call.result(value) }
        }
    }
}

enum ScalarFunctions {
    static func all() -> [FunctionDefinition] {
        RowFunction.allCases.map(\.definition) + [
            scalar("logit", 2...2) { (call) throws(LogitError) in
                let z = try call.vector(0)
                call.result(z[try classIndex(call, 1, z)])
            },
            scalar("softmax", 2...3) { (call) throws(LogitError) in
                let z = try call.vector(0)
                call.result(z.softmax(try classIndex(call, 1, z), try call.temperature(2)))
            },
            scalar("logsumexp", 2...2) { (call) throws(LogitError) in
                call.result(try call.vector(0).logSumExp(try call.temperature(1)))
            },
            scalar("entropy", 2...2) { (call) throws(LogitError) in
                call.result(try call.vector(0).entropy(try call.temperature(1)))
            },
            scalar("cosine", 2...2) { (call) throws(LogitError) in
                let (a, b) = (try call.vector(0), try call.vector(1))
                guard a.count == b.count else {
                    throw LogitError(.usage, "the vectors have \(a.count) and \(b.count) values, and must have as many")
                }
                // 0 / 0 is no number: NULL.
                call.result(a.dot(b) / (a.sumOfSquares.squareRoot() * b.sumOfSquares.squareRoot()))
            },
            scalar("to_json", 1...1) { (call) throws(LogitError) in
                call.result(json: JSONValue.text(try call.vector(0).doubles))
            },
        ]
    }

    /// NULL in, NULL out.
    static func scalar(
        _ name: String, _ counts: ClosedRange<Int32>, _ body: @escaping (FunctionCall) throws(LogitError) -> Void
    ) -> FunctionDefinition {
        FunctionDefinition(name, counts) { (call) throws(LogitError) in
            if call.hasNull { call.null() } else { try body(call) }
        }
    }

    private static func classIndex(_ call: FunctionCall, _ index: Int, _ z: Vector) throws(LogitError) -> Int {
        let place = try call.integer(index, "the class")
        guard place >= 0, place < z.count else {
            throw LogitError(.usage, "there is no class \(place); the vector has classes 0 to \(z.count - 1)")
        }
        return place
    }
}
