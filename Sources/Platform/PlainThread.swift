import Glibc
import Synchronization

/// A joinable pthread. Work that blocks in C (LibTorch, HDF5) or must survive a fork in a host process uses these, not
/// tasks: Swift's cooperative pool has one thread a core and hangs in a forked child.
public final class PlainThread: Sendable {
    private let handle: pthread_t

    /// Starts `body` on a thread with an 8 MiB stack.
    public init(_ body: @escaping @Sendable () -> Void) {
        let box = Unmanaged.passRetained(Box(body))
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, 8 << 20)
        var thread = pthread_t()
        let status = pthread_create(
            &thread, &attributes,
            { argument in
                Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue().body()
                return nil
            }, box.toOpaque())
        pthread_attr_destroy(&attributes)
        precondition(status == 0, "the system has no room for another thread")
        handle = thread
    }

    /// Waits for the end.
    public func join() { pthread_join(handle, nil) }

    private final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}

extension PlainThread {
    /// Lets it run on its own.
    public func detach() { pthread_detach(handle) }
}

/// Runs `body(0) … body(count − 1)`, each on a thread of its own (the last on the caller's), and waits for all.
public func inParallel(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    let others = (0..<max(0, count - 1)).map { index in PlainThread { body(index) } }
    if count > 0 { body(count - 1) }
    others.forEach { $0.join() }
}

/// `body(0) … body(count − 1)` in this order, computed by a thread a core, each a run of them.
public func mapInParallel<Value: Sendable>(_ count: Int, _ body: @escaping @Sendable (Int) -> Value) -> [Value] {
    let threads = max(1, min(usableCoreCount(), count))
    let parts = Mutex([[Value]](repeating: [], count: threads))
    inParallel(threads) { thread in
        let part = (thread * count / threads..<(thread + 1) * count / threads).map(body)
        parts.withLock { $0[thread] = part }
    }
    return parts.withLock { Array($0.joined()) }
}

/// Cores this process may run on.
public func usableCoreCount() -> Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }
