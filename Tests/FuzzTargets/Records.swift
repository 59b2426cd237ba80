import CorpusStore
import Defence
import FoundationEssentials
import Ingestion
import Logits
import TestSupport

extension FuzzTarget {
    private static let digest = String(repeating: "a", count: 64)

    static let records = [
        FuzzTarget("descriptor", seeds: { descriptors.map { Array($0.utf8) } }) { bytes in
            try withFile(bytes, "record.json") { path in
                let types: [any Descriptor.Type] = [
                    CorpusDescriptor.self, SplitDescriptor.self, NetworkDescriptor.self, DefenderRecord.self,
                    EvaluationRecord.self, AnalysisRecord.self, DefenderDescriptor.self, IngestPlan.self,
                ]
                for type in types { read(type, path) }
            }
        },
        FuzzTarget("staged-block", seeds: { stagedBlocks }) { bytes in
            guard let block = StagedBlock.decode(bytes) else { throw LogitError(.corrupt, "no block") }
            // Nothing is passed over: what was read is what was written.
            precondition(block.encode() == bytes)
        },
        FuzzTarget("safetensors", seeds: { [tensors(notes: [:]), tensors(notes: ["step": "3", "digest": "x"])] }) {
            bytes in
            try withFile(bytes, "checkpoint.safetensors") { path in
                for tensor in try Safetensors.read(path).tensors.values {
                    precondition(tensor.shape.reduce(1, *) == tensor.values.count)
                }
                _ = try? Checkpoint.read(String(path.dropLast("/checkpoint.safetensors".count)))
            }
        },
    ]

    private static func read(_ type: any Descriptor.Type, _ path: String) {
        func open<Value: Descriptor>(_ type: Value.Type) {
            guard let value = try? JSONFile.read(type, from: path) else { return }
            precondition(value.fault == nil)
        }
        open(type)
    }

    private static func tensors(notes: [String: String]) -> [UInt8] {
        Safetensors.encode(
            ["parameters", "first_moments", "second_moments"].map {
                .init(name: $0, shape: [2, 3], values: [0, 1, 2, 3, 4, 5])
            },
            metadata: notes)
    }

    /// Clean and attacked, with and without images: what `StagedBlock.encode` writes.
    private static var stagedBlocks: [[UInt8]] {
        let attacked = exampleTable(rows: 3, classes: 4, attacked: true, cost: true, status8bit: true)
        return [
            StagedBlock(table: exampleTable(rows: 2, classes: 3), images: nil).encode(),
            StagedBlock(table: attacked, images: exampleImages(rows: 3, .eightBit)).encode(),
            StagedBlock(table: attacked, images: exampleImages(rows: 3, .float)).encode(),
        ]
    }

    private static var descriptors: [String] {
        [
            "{\"format_version\":1,\"id\":\"x\",\"created\":\"2026\"}",
            """
            {"format_version":1,"dataset":"d","split":"s","source":"/d","kind":"tar","class_names":["a","b"],
            "image_count":2,"digest":"\(digest)","height":2,"width":3,"created":"2026"}
            """,
            """
            {"format_version":1,"name":"n","digest":"\(digest)","format":"torchscript","channels":3,"height":32,"width":32,
            "class_count":10,"mean":[0,0.5,1e-3],"standard_deviation":[1,1,1],"block_rows":64,"fold":true,"source":"/n",
            "created":"2026"}
            """,
            """
            {"format_version":1,"name":"g","snapshot":"s","tree":"t","dataset":"d","split":"s","network":"n",
            "network_digest":"x","attacks":["pgd"],"class_count":10,"options":{"hidden":10,"layers":2,"dropout":0.5,"epochs":1,
            "batch":2,"learning_rate":1e-3,"weight_decay":0,"clean_probability":0.3,"seed":0,"failed_twins":"keep",
            "invalid_twins":"skip"},"images":4,"epochs_done":1,"history":[],"weights_digest":"w","created":"2026",
            "software":"{}"}
            """,
            """
            {"defender":"g","snapshot":"s","dataset":"d","split":"s","network":"n","figures":[{"attack":"pgd","rows":4,
            "undefended_correct":1,"corrected_correct":2}],"created":"2026"}
            """,
            """
            {"format_version":1,"kind":"support","defender":"g","weights_digest":"w","snapshot":"s","dataset":"d","split":"s",
            "network":"n","attack":"pgd","images":2,"top":1,"corrected_only":false,"created":"2026","classes":[
            {"class":1,"name":"b","rank":1,"count":2,"first":1,"support":0.5,"pull_count":1,"pull_first":0,"pull":1e-3,
            "push_count":2,"push_first":2,"push":-0.25},{"class":0,"name":"a","rank":2,"count":0,"first":0,"support":-1,
            "pull_count":1,"pull_first":2,"pull":1,"push_count":0,"push_first":0,"push":0}]}
            """,
            """
            {"format_version":1,"kind":"detection","defender":"g","weights_digest":"w","snapshot":"s","dataset":"d","split":"s",
            "network":"n","attack":"pgd,mim","images":2,"created":"2026","figures":[{"attack":"pgd","subject":"energy",
            "measure":"auc","rows":4,"value":0.5,"low":0,"high":1},{"attack":"pgd","subject":"float16","measure":"corrected",
            "rows":4,"count":1,"value":0.25,"low":0.1,"high":0.5}]}
            """,
            """
            {"format_version":1,"dataset":"d","split":"s","dataset_digest":"x","network":"n","network_digest":"y",
            "preprocessing":"p","attack_name":"pgd","attack":"pgd","attack_parameters":"{}","view":0,"seed":0,"block_rows":2,
            "unit_rows":4,"ordinals":[0,1,2,7]}
            """,
        ]
    }
}
