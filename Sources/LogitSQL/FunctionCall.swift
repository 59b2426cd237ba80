import CLogitSQL
import Logits

/// One call of a function from SQL: its arguments and where its result goes.
struct FunctionCall {
    let context: OpaquePointer
    let values: UnsafeMutablePointer<OpaquePointer?>?
    let count: Int
    let session: UnsafeMutablePointer<ls_session>

    func type(_ index: Int) -> Int32 { ls_type(values![index]) }
    func isNull(_ index: Int) -> Bool { type(index) == SQLITE_NULL }
    /// Whether any argument is NULL, which makes the result NULL as with SQLite's own functions.
    var hasNull: Bool { (0..<count).contains(where: isNull) }

    /// A whole number; a text that is one counts.
    func integer(_ index: Int, _ name: String) throws(LogitError) -> Int {
        switch ls_numeric_type(values![index]) {
        case SQLITE_INTEGER: return Int(ls_int(values![index]))
        case SQLITE_FLOAT:
            if let whole = Int(exactly: ls_double(values![index])) { return whole }
        default: break
        }
        throw LogitError(.usage, "\(name) is \(described(index)), and must be a whole number")
    }

    /// A finite number.
    func real(_ index: Int, _ name: String) throws(LogitError) -> Double {
        switch ls_numeric_type(values![index]) {
        case SQLITE_INTEGER, SQLITE_FLOAT:
            let value = ls_double(values![index])
            if value.isFinite { return value }
        default: break
        }
        throw LogitError(.usage, "\(name) is \(described(index)), and must be a finite number")
    }

    /// The softmax's temperature: 1 where it is left out.
    func temperature(_ index: Int) throws(LogitError) -> Double {
        guard index < count else { return 1 }
        let value = try real(index, "the temperature")
        guard value > 0 else { throw LogitError(.usage, "the temperature is \(value), and must be above 0") }
        return value
    }

    func vector(_ index: Int) throws(LogitError) -> Vector { try Vector(values![index], name: "the vector") }

    func text(_ index: Int) -> String {
        let bytes = ls_value_text(values![index])
        return bytes.map { String(cString: $0) } ?? ""
    }

    /// A value in words, for messages.
    private func described(_ index: Int) -> String {
        switch type(index) {
        case SQLITE_BLOB: "a blob of \(ls_bytes(values![index])) bytes"
        case SQLITE_NULL: "NULL"
        case SQLITE_TEXT: "the text '\(text(index).prefix(40))'"
        default: text(index)
        }
    }

    // MARK: Results

    func null() { ls_result_null(context) }
    func result(_ value: Int) { ls_result_int(context, Int64(value)) }
    /// NULL where the value is not a number.
    func result(_ value: Double) { ls_result_double(context, value) }
    func result(_ text: String) { ls_result_text(context, text, Int64(text.utf8.count)) }
    func result(json text: String) {
        ls_result_json(context, text, Int64(text.utf8.count))
    }
}

/// A function that SQL can call.
final class FunctionDefinition {
    enum Body {
        case scalar((FunctionCall) throws(LogitError) -> Void)
        case aggregate(() -> Aggregate)
    }

    let name: String
    let counts: ClosedRange<Int32>
    let body: Body
    /// Other calls with the same arguments may give other results: what depends on the connection.
    var isPure = true
    fileprivate var session: UnsafeMutablePointer<ls_session>!

    init(_ name: String, _ counts: ClosedRange<Int32>, _ body: @escaping (FunctionCall) throws(LogitError) -> Void) {
        self.name = name
        self.counts = counts
        self.body = .scalar(body)
    }

    init(_ name: String, _ counts: ClosedRange<Int32>, aggregate: @escaping () -> Aggregate) {
        self.name = name
        self.counts = counts
        body = .aggregate(aggregate)
    }

    /// Adds the function to a connection, which then owns it.
    func register(_ db: OpaquePointer, _ session: UnsafeMutablePointer<ls_session>) -> Int32 {
        self.session = session
        var isAggregate = false
        if case .aggregate = body { isAggregate = true }
        let flags = isPure ? SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS : SQLITE_DIRECTONLY
        // SQLITE_RESULT_SUBTYPE, of SQLite 3.45: earlier ones pass over it.
        let subtype: Int32 = 0x100_0000
        for count in counts {
            let status = ls_create_function(
                db, name, count, flags | subtype, Unmanaged.passRetained(self).toOpaque(),
                isAggregate ? nil : callScalar, isAggregate ? stepAggregate : nil, isAggregate ? endAggregate : nil,
                { Unmanaged<FunctionDefinition>.fromOpaque($0!).release() })
            guard status == SQLITE_OK else { return status }
        }
        return SQLITE_OK
    }

    fileprivate func fail(_ context: OpaquePointer, _ error: LogitError) {
        ls_result_error(context, "\(name): \(error.message)")
    }
}

/// What an aggregate holds while its rows come. A class, since a protocol's calls cost more than many an aggregate's work.
class Aggregate {
    /// Takes one row's arguments.
    func step(_ call: FunctionCall) throws(LogitError) {}
    /// Gives the result over the rows so far.
    func finish(_ call: FunctionCall) throws(LogitError) {}
}

private func definition(_ context: OpaquePointer) -> Unmanaged<FunctionDefinition> {
    Unmanaged<FunctionDefinition>.fromOpaque(ls_user_data(context)!)
}

private func callScalar(
    _ context: OpaquePointer?, _ count: Int32, _ values: UnsafeMutablePointer<OpaquePointer?>?
) {
    definition(context!)._withUnsafeGuaranteedRef { definition in
        guard case .scalar(let body) = definition.body else { return }
        do throws(LogitError) {
            try body(
                FunctionCall(context: context!, values: values, count: Int(count), session: definition.session))
        } catch { definition.fail(context!, error) }
    }
}

private func stepAggregate(
    _ context: OpaquePointer?, _ count: Int32, _ values: UnsafeMutablePointer<OpaquePointer?>?
) {
    definition(context!)._withUnsafeGuaranteedRef { definition in
        guard case .aggregate(let make) = definition.body,
            let memory = ls_aggregate(context, Int32(MemoryLayout<Unmanaged<Aggregate>?>.size))
        else { return ls_result_error(context, "out of memory") }
        let place = memory.assumingMemoryBound(to: Unmanaged<Aggregate>?.self)
        if place.pointee == nil { place.pointee = Unmanaged.passRetained(make()) }
        let call = FunctionCall(context: context!, values: values, count: Int(count), session: definition.session)
        do throws(LogitError) {
            try place.pointee!.takeUnretainedValue().step(call)
        } catch { definition.fail(context!, error) }
    }
}

private func endAggregate(_ context: OpaquePointer?) {
    definition(context!)._withUnsafeGuaranteedRef { definition in
        guard let memory = ls_aggregate(context, 0) else { return ls_result_null(context) }
        let place = memory.assumingMemoryBound(to: Unmanaged<Aggregate>?.self)
        guard let object = place.pointee else { return ls_result_null(context) }
        place.pointee = nil
        let aggregate = object.takeRetainedValue()
        do throws(LogitError) {
            try aggregate.finish(FunctionCall(context: context!, values: nil, count: 0, session: definition.session))
        } catch { definition.fail(context!, error) }
    }
}
