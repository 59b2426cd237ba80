import FoundationEssentials
import Logits
import Platform

/// A JSON file of a corpus whose values have bounds: whoever reads it gets none that is beyond them.
package protocol Descriptor: Decodable {
    /// The newest version that this program reads.
    static var currentVersion: Int { get }
    /// What is wrong with the values; nil if nothing is.
    var fault: String? { get }
}

extension Descriptor {
    package static var currentVersion: Int { 1 }
}

/// corpus.json
package struct CorpusDescriptor: Codable, Sendable, Descriptor {
    package static let currentVersion = 1

    package var formatVersion: Int
    package var id: String
    package var created: String

    package var fault: String? { (1...200).contains(id.utf8.count) ? nil : "its id is empty or long" }
}

/// datasets/NAME/SPLIT.json; the images themselves are listed in SPLIT.images.tsv beside it.
package struct SplitDescriptor: Codable, Sendable, Descriptor {
    package var formatVersion = 1
    package var dataset: String
    package var split: String
    /// Absolute path of the folder, tar or .bin file when it was added. The corpus holds no images.
    package var source: String
    package var kind: String
    /// Absolute path of the label file when the split was added; absent: folders or records say the classes. What it said
    /// is in the image list.
    package var labels: String?
    package var classNames: [String]
    package var imageCount: Int
    /// SHA-256 of the image list: ids, labels and image digests in ordinal order.
    package var digest: String
    /// Of every image, where all have one size.
    package var height: Int?
    package var width: Int?
    package var created: String

    package init(
        dataset: String, split: String, source: String, kind: String, labels: String? = nil, classNames: [String],
        imageCount: Int, digest: String, height: Int?, width: Int?, created: String
    ) {
        self.dataset = dataset
        self.split = split
        self.source = source
        self.kind = kind
        self.labels = labels
        self.classNames = classNames
        self.imageCount = imageCount
        self.digest = digest
        self.height = height
        self.width = width
        self.created = created
    }
}

/// One line of an image list; its ordinal is its place.
package struct ListedImage: Sendable, Equatable {
    package let id: String
    package let label: Int32
    /// SHA-256 of the encoded image.
    package let digest: String

    package init(id: String, label: Int32, digest: String) {
        self.id = id
        self.label = label
        self.digest = digest
    }
}

/// networks/NAME.json; the module itself is networks/DIGEST.pt.
package struct NetworkDescriptor: Codable, Sendable, Descriptor {
    package var formatVersion = 1
    package var name: String
    /// SHA-256 of the module file.
    package var digest: String
    package var format = "torchscript"
    package var channels = 3
    package var height: Int
    package var width: Int
    package var classCount: Int
    /// `256` (the shorter side) or `256x320`, and `224` or `224x288`, as the options spell them; absent: images of the
    /// network's own size.
    package var resize: String?
    package var crop: String?
    /// Between the attacked image in [0,1] and the module; absent: the module normalises itself.
    package var mean: [Float]?
    package var standardDeviation: [Float]?
    package var blockRows: Int
    /// Whether batch norm is folded into convolutions when the module is loaded.
    package var fold: Bool
    package var source: String
    package var created: String

    package init(
        name: String, digest: String, height: Int, width: Int, classCount: Int, resize: String? = nil,
        crop: String? = nil, mean: [Float]?, standardDeviation: [Float]?, blockRows: Int, fold: Bool, source: String,
        created: String
    ) {
        self.name = name
        self.digest = digest
        self.height = height
        self.width = width
        self.classCount = classCount
        self.resize = resize
        self.crop = crop
        self.mean = mean
        self.standardDeviation = standardDeviation
        self.blockRows = blockRows
        self.fold = fold
        self.source = source
        self.created = created
    }

    /// One line that determines how an image becomes the module's input: part of every row's key.
    package var preprocessing: String {
        var text = "\(channels)x\(height)x\(width)"
        if let resize { text += ";resize=\(resize)" }
        if let crop { text += ";crop=\(crop)" }
        if let mean, let standardDeviation {
            text += ";mean=" + mean.map { "\($0)" }.joined(separator: ",")
            text += ";std=" + standardDeviation.map { "\($0)" }.joined(separator: ",")
        }
        return text
    }
}

/// The parts of defenders/NAME/defender.json that the catalogue indexes; the file holds more.
package struct DefenderRecord: Codable, Sendable, Descriptor {
    package var name: String
    package var snapshot: String
    package var dataset: String
    package var split: String
    package var network: String
    package var attacks: [String]
    package var selection: String?
    package var classCount: Int
    package var epochsDone: Int
    package var weightsDigest: String
    package var created: String
}

/// The parts of evaluations/ID.json that the catalogue indexes; the file holds more.
package struct EvaluationRecord: Codable, Sendable, Descriptor {
    package struct Figure: Codable, Sendable {
        package var attack: String
        package var rows: Int
        package var undefendedCorrect: Int
        package var correctedCorrect: Int
    }

    package var defender: String
    package var snapshot: String
    package var dataset: String
    package var split: String
    package var selection: String?
    package var network: String
    package var figures: [Figure]
    package var created: String
}

/// JSON files of a corpus: snake_case keys, sorted, indented, so that equal values are equal bytes.
package enum JSONFile {
    package static func encode(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        // Values of ours that cannot be encoded (a NaN in a descriptor) are a programming mistake.
        guard let data = try? encoder.encode(value) else { preconditionFailure("a descriptor that JSON cannot hold") }
        return Array(data) + [0x0A]
    }

    package static func read<Value: Decodable>(_ type: Value.Type, from path: String) throws(LogitError) -> Value {
        try decode(path) { decoder, data in try decoder.decode(type, from: data) }
    }

    private struct Version: Decodable { let formatVersion: Int? }

    /// - Throws: `environment` where a newer program wrote the file, `corrupt` where it is not what it should be or holds a
    ///   value that it cannot.
    package static func read<Value: Descriptor>(_ type: Value.Type, from path: String) throws(LogitError) -> Value {
        try decode(path) { decoder, data in
            // First and alone: a newer version may hold what this one cannot read.
            let version = try decoder.decode(Version.self, from: data).formatVersion ?? 1
            guard version <= type.currentVersion else {
                throw LogitError(
                    .environment,
                    "\(path) was written by a newer LogitCorpus (format version \(version), this program knows \(type.currentVersion)); use the newer program"
                )
            }
            let value = try decoder.decode(type, from: data)
            guard let fault = version < 1 ? "its format version is \(version)" : value.fault else { return value }
            throw LogitError(.corrupt, "\(path) is damaged or was changed (\(fault)); put back a copy of it")
        }
    }

    private static func decode<Value>(_ path: String, _ body: (JSONDecoder, Data) throws -> Value) throws(LogitError)
        -> Value
    {
        let data = Data(try Files.read(path, limit: DescriptorLimits.bytes))
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            return try body(decoder, data)
        } catch let error as LogitError {
            throw error
        } catch {
            throw LogitError(
                .corrupt, "\(path) is damaged or not a file of this corpus; put back a copy of it and run logit repair",
                cause: "\(error)")
        }
    }
}

/// Now, as RFC 3339 in UTC with seconds.
package func timestamp() -> String { Date().formatted(.iso8601) }
