// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target: Swift 6 language mode, warnings as errors.
let strict: [SwiftSetting] = [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)]

func swift(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ subject: String, _ dependencies: [Target.Dependency], data: [String] = []) -> Target {
    .testTarget(name: "\(subject)Tests", dependencies: dependencies, exclude: data, swiftSettings: strict)
}

let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let sqlite = Target.Dependency.product(name: "GRDBSQLite", package: "GRDB.swift")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let mustache = Target.Dependency.product(name: "Mustache", package: "swift-mustache")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let package = Package(
    name: "LogitCorpus",
    products: [
        .executable(name: "logit", targets: ["logit"]),
        // The only library over LibTorch: `logit` opens it on first use (see Sources/Torch/TorchLibrary.swift).
        .library(name: "LogitTorch", type: .dynamic, targets: ["CTorch"]),
        // HDF5's filter 32015 for stock tools (tools/install-plugin); nothing of ours loads it.
        .library(name: "H5Zzstd", type: .dynamic, targets: ["CH5Plugin"]),
        // The extension that any SQLite loads (`.load ./liblogitsql`).
        .library(name: "logitsql", type: .dynamic, targets: ["CLogitSQLLibrary"]),
    ],
    dependencies: [
        .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", exact: "2.1.1"),
    ],
    targets: [
        // Layer 0: C. System libraries and thin shims, no logic of ours.
        .systemLibrary(name: "CHDF5", pkgConfig: "hdf5", providers: [.apt(["libhdf5-dev"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(name: "CXXHash", pkgConfig: "libxxhash", providers: [.apt(["libxxhash-dev"])]),
        .target(name: "CImageCodecs", linkerSettings: [.linkedLibrary("jpeg"), .linkedLibrary("png")]),
        .target(name: "CShardLayout", dependencies: ["CHDF5"]),
        .target(name: "CH5Zstd", linkerSettings: [.linkedLibrary("zstd")]),
        .target(
            name: "CH5Plugin", dependencies: ["CH5Zstd"],
            // Loaded by programs that know no Swift: without its start-up code and library.
            linkerSettings: [.unsafeFlags(["-nostartfiles", "-static-stdlib"])]),
        .target(name: "CAttackKernels"),
        .target(name: "CVectorKernels"),
        .target(name: "CLogitSQL"),
        .target(
            name: "CLogitSQLLibrary", dependencies: ["LogitSQL"], exclude: ["exports.map"],
            linkerSettings: [
                // Hosts close what they load while threads of ours may run: it stays loaded.
                .unsafeFlags([
                    "-static-stdlib", "-Xlinker", "-z", "-Xlinker", "nodelete", "-Xlinker", "-z", "-Xlinker", "defs",
                    "-Xlinker", "--version-script=\(Context.packageDirectory)/Sources/CLogitSQLLibrary/exports.map",
                ]),
                // What FoundationEssentials rests on where it is linked into the library.
                .linkedLibrary("_FoundationCollections"), .linkedLibrary("_FoundationCShims"),
            ]),
        .target(name: "CShardKernels"),
        .target(name: "CTorchAPI"),
        .target(
            name: "CTorch", dependencies: ["CTorchAPI"],
            linkerSettings: [
                .linkedLibrary("torch"), .linkedLibrary("torch_cpu"), .linkedLibrary("c10"), .linkedLibrary("dnnl"),
            ]),

        // Layer 1: vocabulary and owners of C handles.
        swift("Logits", []),
        swift("Platform", ["Logits"]),
        swift("Torch", ["Logits", "CTorchAPI"]),
        swift("Images", ["Logits", "Platform", "CImageCodecs"]),

        // Layer 2
        swift("Shards", ["Logits", "Platform", "CHDF5", "CShardLayout", "CZstd", "CXXHash", "CShardKernels"]),
        swift("Networks", ["Logits", "Torch", "CAttackKernels"]),
        swift("Analysis", ["Logits"]),

        // Layer 3
        .target(
            name: "CorpusStore", dependencies: ["Logits", "Platform", "Shards", grdb, sqlite, crypto],
            resources: (1...5).map { .embedInCode("Resources/catalog-v\($0).sql") },
            swiftSettings: strict),

        // Layer 4
        swift("Ingestion", ["Logits", "Platform", "Networks", "Images", "Shards", "CorpusStore", yams]),
        swift("Sampling", ["Logits", "Platform", "Shards"]),

        // Layer 5
        swift("Defence", ["Logits", "Platform", "Torch", "Shards", "Sampling", "CorpusStore", "Networks", "Analysis"]),

        // Layer 6
        .target(
            name: "Report",
            dependencies: [
                "Logits", "Platform", "Shards", "Networks", "Defence", "Analysis", "CorpusStore", "Images", mustache,
            ], resources: [.embedInCode("Resources/report.mustache")], swiftSettings: strict),

        // Layer 7
        swift(
            "Experiments",
            [
                "Logits", "Platform", "Images", "Shards", "Networks", "CorpusStore", "Ingestion", "Sampling", "Defence",
                "Report", yams,
            ]),

        // Layer 8: entry points, thin.
        swift("LogitSQL", ["Logits", "Platform", "Shards", "Analysis", "CLogitSQL", "CVectorKernels"]),
        .executableTarget(
            name: "logit",
            dependencies: [
                "Logits", "Platform", "Torch", "Images", "Shards", "Networks", "Analysis", "CorpusStore", "Ingestion",
                "Sampling", "Defence", "Report", "Experiments", "LogitSQL", arguments,
            ], swiftSettings: strict),

        .executableTarget(
            name: "logit-bench",
            dependencies: [
                "Logits", "Platform", "Torch", "Images", "Shards", "Networks", "CorpusStore", "Ingestion", "Sampling",
                arguments,
            ],
            swiftSettings: strict),

        // Tests mirror the sources; TestSupport is theirs alone.
        .target(
            name: "TestSupport",
            dependencies: ["Logits", "Platform", "Networks", "Images", "Shards", "CorpusStore", "Ingestion"],
            path: "Tests/TestSupport", swiftSettings: strict),
        // What tools/fuzz and a test feed with bytes that nobody wrote.
        .target(
            name: "FuzzTargets",
            dependencies: [
                "Logits", "Platform", "Images", "Shards", "Networks", "CorpusStore", "Ingestion", "Defence",
                "Experiments", "CH5Zstd", "TestSupport", "LogitSQL", sqlite,
            ], path: "Tests/FuzzTargets", swiftSettings: strict),
        tests("Fuzz", ["FuzzTargets", "TestSupport"], data: ["Cases"]),
        tests("Logits", ["Logits"]),
        tests(
            "Torch", ["Logits", "Platform", "Torch", "TestSupport"],
            data: ["make_reference.py", "reference.json", "make_support.py", "support.json"]),
        tests("Images", ["Logits", "Images", "TestSupport"], data: ["framing.py", "make_pictures.py", "Pictures"]),
        tests("Shards", ["Logits", "Shards", "TestSupport"], data: ["bend.py", "Former"]),
        tests("Networks", ["Logits", "Networks", "TestSupport"], data: ["make_reference.py", "reference.json"]),
        tests("Analysis", ["Analysis", "TestSupport"], data: ["make_roc.py", "roc.json"]),
        tests("Report", ["Logits", "Analysis", "Report", "TestSupport"]),
        tests(
            "CorpusStore", ["Logits", "Platform", "Shards", "CorpusStore", "Ingestion", "TestSupport", grdb],
            data: ["views.py"]),
        tests(
            "Ingestion", ["Logits", "Networks", "Shards", "CorpusStore", "Ingestion", "Sampling", "TestSupport"],
            data: ["make_networks.py", "Networks"]),
        tests("Sampling", ["Logits", "Shards", "Sampling", "TestSupport"]),
        tests("Defence", ["Logits", "Torch", "Networks", "Shards", "CorpusStore", "Defence", "TestSupport"]),
        tests(
            "LogitSQL", ["Logits", "Shards", "CorpusStore", "LogitSQL", "TestSupport", grdb],
            data: ["make_reference.py", "reference.json", "reference.py", "threads.py"]),
        tests("Experiments", ["Logits", "CorpusStore", "Defence", "Experiments", "TestSupport"]),
        tests("Command", ["logit", "TestSupport"], data: ["browse.py", "histograms.py"]),
        tests("Tidy", ["TestSupport"]),
    ],
    cxxLanguageStandard: .cxx17
)

// Links libFuzzer, so only where tools/fuzz builds it.
if Context.environment["LOGITCORPUS_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "logit-fuzz", dependencies: ["FuzzTargets"], path: "Tests/Fuzzer", swiftSettings: strict))
}
