#include "mlp_elementwise.h"

#include <ATen/ATen.h>
#include <dnnl.h>

#include <algorithm>
#include <cmath>

namespace logitcorpus {

namespace {

namespace kernels {

void product(at::Tensor &out, bool keep, const at::Tensor &a, bool a_across, const at::Tensor &b, bool b_across) {
    const int64_t inner = a.size(a_across ? 0 : 1);
    const auto status = dnnl_sgemm(
        a_across ? 'T' : 'N', b_across ? 'T' : 'N', out.size(0), out.size(1), inner, 1, a.data_ptr<float>(), a.size(1),
        b.data_ptr<float>(), b.size(1), keep ? 1 : 0, out.data_ptr<float>(), out.size(1));
    TORCH_CHECK(status == dnnl_success, "oneDNN cannot multiply matrices (status ", static_cast<int>(status), ")");
}

void activate(at::Tensor &values, uint64_t threshold, float scale, uint64_t key) {
    logitcorpus::activate(values.data_ptr<float>(), values.numel(), threshold, scale, key);
}

void gate(at::Tensor &gradient, const at::Tensor &active, float scale) {
    logitcorpus::gate(gradient.data_ptr<float>(), active.data_ptr<float>(), gradient.numel(), scale);
}

double cross_entropy(const at::Tensor &logits, const int32_t *labels, at::Tensor &gradient) {
    const int64_t rows = logits.size(0), classes = logits.size(1);
    double total = 0;
    for (int64_t r = 0; r < rows; r++) {
        const float *z = logits.data_ptr<float>() + r * classes;
        float *g = gradient.data_ptr<float>() + r * classes;
        float high = z[0];
        for (int64_t k = 1; k < classes; k++) high = std::max(high, z[k]);
        double sum = 0;
        for (int64_t k = 0; k < classes; k++) sum += g[k] = std::exp(z[k] - high);
        const float scale = static_cast<float>(1 / (sum * static_cast<double>(rows)));
        for (int64_t k = 0; k < classes; k++) g[k] *= scale;
        g[labels[r]] -= 1 / static_cast<float>(rows);
        total += std::log(sum) + high - z[labels[r]];
    }
    return total / static_cast<double>(rows);
}

void adam(const AdamStep &step, at::Tensor &value, const at::Tensor &slope, at::Tensor &first, at::Tensor &second) {
    logitcorpus::adam(
        step, value.data_ptr<float>(), slope.data_ptr<float>(), first.data_ptr<float>(), second.data_ptr<float>(),
        value.numel());
}

}  // namespace kernels

namespace operators {

void product(at::Tensor &out, bool keep, const at::Tensor &a, bool a_across, const at::Tensor &b, bool b_across) {
    const auto left = a_across ? a.t() : a, right = b_across ? b.t() : b;
    if (keep) {
        out.addmm_(left, right);
    } else {
        at::mm_out(out, left, right);
    }
}

void activate(at::Tensor &values, uint64_t threshold, float scale, uint64_t key) {
    values.relu_().mul_(scale);
    if (threshold >> 32) return;
    // The kernel on ones, on the CPU: 1 where a value is kept.
    auto kept = at::ones(values.sizes());
    logitcorpus::activate(kept.data_ptr<float>(), kept.numel(), threshold, 1, key);
    values.mul_(kept.to(values.device()));
}

void gate(at::Tensor &gradient, const at::Tensor &active, float scale) { gradient.mul_(scale).mul_(active.gt(0)); }

double cross_entropy(const at::Tensor &logits, const int32_t *labels, at::Tensor &gradient) {
    const auto on_cpu = at::from_blob(const_cast<int32_t *>(labels), {logits.size(0)}, at::kInt);
    const auto y = on_cpu.to(logits.device(), at::kLong);
    const auto logs = at::log_softmax(logits, 1);
    gradient.copy_(logs.exp()).sub_(at::one_hot(y, logits.size(1))).div_(logits.size(0));
    return -logs.gather(1, y.unsqueeze(1)).mean(at::kDouble).item<double>();
}

void adam(const AdamStep &step, at::Tensor &value, const at::Tensor &slope, at::Tensor &first, at::Tensor &second) {
    const auto g = at::add(slope, value, step.decay);
    first.mul_(step.beta1).add_(g, step.complement1);
    second.mul_(step.beta2).addcmul_(g, g, step.complement2);
    value.addcdiv_(first, second.sqrt().div_(step.root).add_(step.epsilon), -step.rate);
}

}  // namespace operators

}  // namespace

const Elementwise by_kernels = {
    kernels::product, kernels::activate, kernels::gate, kernels::cross_entropy, kernels::adam};
const Elementwise by_operators = {
    operators::product, operators::activate, operators::gate, operators::cross_entropy, operators::adam};

}  // namespace logitcorpus
