// The work of a defender's training step, in two ways: on the CPU by hand-written kernels and oneDNN's matrix products, or by
// LibTorch's operators, which run on any device. Both draw the same dropout masks and agree to float noise.
//
// oneDNN rather than LibTorch's BLAS: it makes its kernels for the processor that it finds, where OpenBLAS takes its slowest for
// one that it does not know by name.
#pragma once
#include "mlp_kernels.h"

#include <ATen/core/Tensor.h>

namespace logitcorpus {

struct Elementwise {
    // out = a b + keep out, where `a` and `b` are transposed if so said; `keep` is 0 or 1.
    void (*product)(at::Tensor &out, bool keep, const at::Tensor &a, bool a_across, const at::Tensor &b, bool b_across);
    // ReLU and inverted dropout in place (mlp_kernels.h: activate).
    void (*activate)(at::Tensor &values, uint64_t threshold, float scale, uint64_t key);
    // gradient becomes gradient * scale, or 0 where the activation is 0.
    void (*gate)(at::Tensor &gradient, const at::Tensor &active, float scale);
    // Mean cross-entropy of logits (rows x classes) with `labels` (rows, on the CPU); writes its gradient.
    double (*cross_entropy)(const at::Tensor &logits, const int32_t *labels, at::Tensor &gradient);
    // One Adam update with weight decay in the gradient.
    void (*adam)(const AdamStep &step, at::Tensor &value, const at::Tensor &slope, at::Tensor &first, at::Tensor &second);
};

extern const Elementwise by_kernels, by_operators;

}  // namespace logitcorpus
