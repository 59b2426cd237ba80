import Glibc
import Logits

/// Standard output, in large pieces. A reader that goes away (`| head`) ends the process as Unix does, without a word; a full
/// disk is an error.
struct StandardOutput {
    private var pending: [UInt8] = []

    mutating func write(_ text: String) throws(LogitError) {
        pending += text.utf8
        if pending.count >= 1 << 16 { try flush() }
    }

    mutating func flush() throws(LogitError) {
        var done = 0
        while done < pending.count {
            let put = pending.withUnsafeBytes { Glibc.write(1, $0.baseAddress! + done, $0.count - done) }
            if put < 0 && errno == EINTR { continue }
            guard put >= 0 else {
                throw LogitError(.io, "cannot write the result to standard output: \(String(cString: strerror(errno)))")
            }
            done += put
        }
        pending.removeAll(keepingCapacity: true)
    }
}
