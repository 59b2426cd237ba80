// What holds for the whole process: the allocator, the threads, and what library this is.
#include "process.h"
#include "device.h"
#include "internal.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <dlfcn.h>
#include <limits.h>
#include <malloc.h>
#include <stdlib.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/api/include/torch/version.h>

#include <atomic>
#include <mutex>
#include <sstream>

namespace logitcorpus {

namespace {

std::atomic<int32_t> configured_threads{1};

template <typename Function>
Function symbol(const char *name) {
    return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

// LibTorch 1.13 takes its AVX2 kernels even where 2.x takes AVX-512. The order of summation in the cross-entropy decides
// the gradient's signs for images that the network is sure of, so both must use the same for attacks to agree (measured:
// resnet20, FGSM, 99.51 % of values equal across the two, 99.999 % within one). Who sets the variable keeps it.
void prefer_widest_kernels() {
#if defined(__x86_64__)
    const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma");
    if (wide) setenv("ATEN_CPU_CAPABILITY", "avx512", /*overwrite=*/0);
#endif
}

void prepare_once() {
    static std::once_flag once;
    std::call_once(once, [] {
        prefer_widest_kernels();
        // glibc maps and unmaps every large activation, and the page faults cost more than the arithmetic: keep the memory.
        mallopt(M_ARENA_MAX, 1);
        mallopt(M_MMAP_THRESHOLD, 1 << 30);
        mallopt(M_TRIM_THRESHOLD, INT_MAX);
        // No profiling runs: the first call of a module must give the same bits as the hundredth.
        torch::jit::getProfilingMode() = false;
        at::set_num_interop_threads(1);
    });
}

// The value of a line `NAME: value` in LibTorch's own description of itself.
std::string config(const std::string &all, const std::string &name) {
    const auto start = all.find(name);
    if (start == std::string::npos) return "unknown";
    const auto value = start + name.size();
    return all.substr(value, all.find_first_of("\n,", value) - value);
}

}  // namespace

void apply_threads() {
    thread_local int32_t applied = 0;
    const int32_t wanted = configured_threads.load();
    if (applied == wanted) return;
    at::set_num_threads(wanted);
    applied = wanted;
}

std::string sentence(const char *message) {
    std::string text = message ? message : "unknown failure";
    const std::string mark = "RuntimeError: ";
    if (const auto last = text.rfind(mark); last != std::string::npos) text = text.substr(last + mark.size());
    text = text.substr(0, text.find('\n'));
    if (text.size() > 300) text = text.substr(0, 300) + "…";
    return text;
}

std::string quoted(const std::string &text) {
    std::string result = "\"";
    for (char c : text)
        if (c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20) result += c;
    return result + "\"";
}

int32_t process_configure(int32_t threads, char *error) {
    return guarded(error, [&] {
        prepare_once();
        configured_threads = threads;
        apply_threads();
        if (auto set = symbol<void (*)(int)>("openblas_set_num_threads")) set(threads);
    });
}

const char *process_describe(int32_t device) {
    static std::mutex mutex;
    static std::string text;
    const std::lock_guard<std::mutex> lock(mutex);
    const auto core = symbol<char *(*)()>("openblas_get_corename");
    const auto blas = symbol<char *(*)()>("openblas_get_config");
    std::ostringstream out;
    out << "{\"libtorch\":" << quoted(TORCH_VERSION) << ",\"blas\":" << quoted(blas ? blas() : "unknown")
        << ",\"blas_kernel\":" << quoted(core ? core() : "unknown")
        << ",\"cpu_capability\":" << quoted(config(at::show_config(), "CPU capability usage: "))
        << ",\"mkldnn\":" << (at::hasMKLDNN() ? "true" : "false") << ",\"intra_op_threads\":" << configured_threads.load()
        << describe_device(device) << "}";
    text = out.str();
    return text.c_str();
}

}  // namespace logitcorpus
