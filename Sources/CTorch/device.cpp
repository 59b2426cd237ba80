// Asked for through ATen's hooks and the CUDA driver's C interface: this file builds without CUDA's headers, against any
// LibTorch.
#include "device.h"
#include "internal.h"

#include <ATen/Context.h>
#include <ATen/Version.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <torch/csrc/api/include/torch/version.h>

#include <mutex>

namespace torch::jit {
TORCH_API void overrideCanFuseOnGPU(bool value);  // LibTorch 1.13 exports it but does not install its header
}

namespace logitcorpus {

namespace {

// Rows must be reproducible on one kind of GPU: the algorithm must depend on nothing but the operation and its shape.
void prepare_cuda() {
    static std::once_flag once;
    std::call_once(once, [] {
        auto &context = at::globalContext();
        setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
        context.setDeterministicCuDNN(true);
        context.setBenchmarkCuDNN(false);
        context.setAllowTF32CuDNN(false);
        context.setAllowTF32CuBLAS(false);
        // Takes an operator's deterministic form where it has one; where it has none LibTorch warns and names it.
        context.setDeterministicAlgorithms(true, /*warn_only=*/true);
        torch::jit::overrideCanFuseOnGPU(false);
    });
}

void check_cuda() {
    TORCH_CHECK(
        at::globalContext().hasCUDART(), "LibTorch ", TORCH_VERSION,
        " is built without CUDA; rebuild libLogitTorch.so against one that has it (tools/torch-library PYTHON, see README.md)");
    TORCH_CHECK(
        at::hasCUDA() && at::getNumGPUs() > 0, "LibTorch ", TORCH_VERSION,
        " finds no GPU that it can use; see what nvidia-smi and CUDA_VISIBLE_DEVICES say");
}

// The name of the first GPU that the process may use.
std::string gpu_name() {
    void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!driver) return "unknown";
    const auto start = reinterpret_cast<int (*)(unsigned)>(dlsym(driver, "cuInit"));
    const auto name = reinterpret_cast<int (*)(char *, int, int)>(dlsym(driver, "cuDeviceGetName"));
    char text[256] = "";
    if (!start || !name || start(0) != 0 || name(text, sizeof text, 0) != 0) return "unknown";
    return text;
}

}  // namespace

at::Device device_of(int32_t device) {
    if (device != CTORCH_DEVICE_CUDA) return at::Device(at::kCPU);
    check_cuda();
    prepare_cuda();
    return at::Device(at::kCUDA, 0);
}

std::string describe_device(int32_t device) {
    if (device != CTORCH_DEVICE_CUDA || !at::globalContext().hasCUDART()) return "";
    return ",\"device\":\"cuda\",\"gpu\":" + quoted(gpu_name()) +
        ",\"cuda\":" + std::to_string(at::globalContext().versionCUDART()) +
        ",\"cudnn\":" + std::to_string(at::globalContext().versionCuDNN());
}

int32_t device_check(int32_t device, char *error) {
    return guarded(error, [&] { device_of(device); });
}

}  // namespace logitcorpus
