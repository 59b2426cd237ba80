import CTorchAPI
import Glibc
import Logits

/// libLogitTorch.so, opened on first use from the folder of the running executable.
///
/// `@unchecked Sendable`: the table is constant after loading and its functions lock where they must.
package final class TorchLibrary: @unchecked Sendable {
    let api: ctorch_api_table

    /// The library, opened once a process.
    /// - Throws: `environment` where the file or LibTorch itself is missing.
    package static func shared() throws(LogitError) -> TorchLibrary { try opened.get() }

    private static let opened: Result<TorchLibrary, LogitError> = {
        do throws(LogitError) { return .success(try TorchLibrary()) } catch { return .failure(error) }
    }()

    private init() throws(LogitError) {
        let path = "\(TorchLibrary.executableFolder())/libLogitTorch.so"
        guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
            let reason = dlerror().map { String(cString: $0) } ?? "unknown reason"
            throw LogitError(
                .environment,
                "cannot open \(path), which runs networks: \(reason); install libtorch-dev and build again (./tools/setup, swift build -c release)"
            )
        }
        guard let symbol = dlsym(handle, "ctorch_api") else {
            throw LogitError(.environment, "\(path) is not LogitCorpus's library; build again (swift build -c release)")
        }
        typealias Entry = @convention(c) () -> UnsafePointer<ctorch_api_table>?
        guard let table = unsafeBitCast(symbol, to: Entry.self)(),
            table.pointee.abi_version == UInt32(CTORCH_ABI_VERSION)
        else {
            throw LogitError(
                .environment, "\(path) is of another version than this program; build again (swift build -c release)")
        }
        api = table.pointee
    }

    /// Fixes the threads of one operation (BLAS included) for this and every later call of any thread.
    package func configure(intraOpThreads: Int) throws(LogitError) {
        try call {
            api.configure(Int32(intraOpThreads), $0)
        } failing: {
            LogitError(.environment, "LibTorch cannot start: \($0)")
        }
    }

    /// Refuses a device that this LibTorch or this machine does not have, before anything is computed or written.
    package func check(_ device: Device) throws(LogitError) {
        try call {
            api.device_check(device.c, $0)
        } failing: { reason in
            LogitError(.environment, "--device \(device.rawValue) cannot be used: \(reason); or leave out --device")
        }
    }

    /// JSON: library versions, BLAS kernel, instruction set, intra-op threads, and the GPU where that is the device. What the
    /// last bits of a result depend on.
    package func description(on device: Device = .cpu) -> String {
        api.describe(device.c).map { String(cString: $0) } ?? "{}"
    }

    /// Runs a call of the table and turns its message into an error.
    func call(
        _ body: (UnsafeMutablePointer<CChar>) -> Int32, failing: (String) -> LogitError
    ) throws(LogitError) {
        var message = [CChar](repeating: 0, count: Int(CTORCH_ERROR_BYTES))
        let status = message.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
        guard status == 0 else {
            throw failing(String(decoding: message.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
        }
    }

    static func executableFolder() -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let length = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        guard length > 0 else { return "." }
        let path = String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return String(path[..<slash])
    }
}

extension Device {
    var c: Int32 {
        switch self {
        case .cpu: Int32(CTORCH_DEVICE_CPU.rawValue)
        case .cuda: Int32(CTORCH_DEVICE_CUDA.rawValue)
        }
    }
}
