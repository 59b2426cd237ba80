/// The one error type of LogitCorpus: a code for programs, a sentence for people, the cause for the log.
///
/// The message names the operation or file, says what is wrong and what to do.
public struct LogitError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Code: String, Sendable {
        /// The caller's arguments contradict each other or are out of range.
        case usage
        /// A file or value from outside is not what it claims to be.
        case badInput
        /// A name, path or identifier that does not exist.
        case notFound
        /// Stored bytes fail a check.
        case corrupt
        /// Another process holds the corpus.
        case busy
        /// What is stored was made from something that has changed since.
        case stale
        /// The operating system refused a read, write, fsync or rename.
        case io
        /// A library or program that is needed is not on this machine.
        case environment
        /// Stopped on request; finished work is kept.
        case cancelled
    }

    public let code: Code
    public let message: String
    public let cause: String?

    public init(_ code: Code, _ message: String, cause: String? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    public var description: String { message }
}
