import FoundationEssentials
import Logits

/// What two descriptions of software (the JSON that shards record) say differently.
package enum SoftwareComparison {
    /// One clause a difference, `torch.blas_kernel: SkylakeX then, Haswell now`; empty where both say the same.
    package static func differences(_ stored: String, _ present: String) -> [String] {
        guard stored != present else { return [] }
        guard let then = leaves(stored), let now = leaves(present) else {
            return ["the shard's description of its software cannot be read"]
        }
        return Set(then.keys).union(now.keys).sorted().filter { then[$0] != now[$0] }.map {
            "\($0): \(then[$0] ?? "not recorded") then, \(now[$0] ?? "not recorded") now"
        }
    }

    /// Every value by its dotted path.
    private static func leaves(_ json: String) -> [String: String]? {
        guard let value = try? JSONDecoder().decode(Value.self, from: Data(json.utf8)) else { return nil }
        var found: [String: String] = [:]
        value.collect("", &found)
        return found
    }

    private indirect enum Value: Decodable {
        case object([String: Value])
        case leaf(String)

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let members = try? container.decode([String: Value].self) {
                self = .object(members)
            } else if let text = try? container.decode(String.self) {
                self = .leaf(text)
            } else if let flag = try? container.decode(Bool.self) {
                self = .leaf("\(flag)")
            } else {
                let number = try container.decode(Double.self)
                self = .leaf(Int(exactly: number).map(String.init) ?? "\(number)")
            }
        }

        func collect(_ path: String, _ found: inout [String: String]) {
            switch self {
            case .leaf(let text): found[path] = text
            case .object(let members):
                for (name, value) in members { value.collect(path.isEmpty ? name : "\(path).\(name)", &found) }
            }
        }
    }
}
