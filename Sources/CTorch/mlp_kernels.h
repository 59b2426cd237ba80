// The element-by-element work of a defender's training step, shared by cores.
#pragma once
#include <cstdint>

namespace logitcorpus {

// A counter-based hash (splitmix64's finaliser): numbers are functions of (seed, stream, index), whatever the threads.
inline uint64_t mix(uint64_t x) {
    x += 0x9E3779B97F4A7C15ULL;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31);
}

// Constants of one Adam step: those of torch.optim.Adam after bias correction.
struct AdamStep {
    float decay, beta1, beta2, complement1, complement2, rate, root, epsilon;
};

// ReLU and inverted dropout in place: values[i] is kept where the upper half of mix(key ^ i) lies below `threshold`; 2^32
// keeps all. A NaN stays a NaN, so that the loss shows it.
void activate(float *values, int64_t count, uint64_t threshold, float scale, uint64_t key);

// gradient[i] becomes gradient[i] * scale, or 0 where the activation is 0.
void gate(float *gradient, const float *active, int64_t count, float scale);

// One Adam update with weight decay in the gradient: parameters p, gradient g, first and second moments m and v.
void adam(const AdamStep &step, float *p, const float *g, float *m, float *v, int64_t count);

}  // namespace logitcorpus
