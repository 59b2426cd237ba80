/// Where networks and defenders compute.
public enum Device: String, Sendable, CaseIterable {
    case cpu
    /// The first GPU that the process may use, where LibTorch has CUDA.
    case cuda
}
