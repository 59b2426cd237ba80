// Threads of our own: at::parallel_for runs on one core in code compiled without OpenMP, which clang here lacks.
#include "mlp_kernels.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <system_error>
#include <thread>
#include <vector>

// One body compiled for several instruction sets, chosen when the library is opened. Without contraction into fused
// multiply-adds all of them give the same bits.
#if defined(__x86_64__)
#define LOGITCORPUS_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define LOGITCORPUS_CLONES
#endif

namespace logitcorpus {

namespace {

// Below this many values a core starting up costs more than it saves.
constexpr int64_t values_per_thread = 1 << 17;

// Runs body(begin, end) over 0 ..< count on up to the intra-op thread count; results do not depend on it.
template <typename Body>
void share(int64_t count, Body body) {
    const int64_t threads = std::max<int64_t>(1, std::min<int64_t>(at::get_num_threads(), count / values_per_thread));
    // Cuts at multiples of a cache line's 16 floats.
    const auto cut = [&](int64_t part) { return part == threads ? count : count * part / threads / 16 * 16; };
    std::vector<std::thread> others;
    others.reserve(static_cast<size_t>(threads));
    int64_t given = 1;
    try {
        for (; given < threads; given++) others.emplace_back(body, cut(given), cut(given + 1));
    } catch (const std::system_error &) {
        // No more threads to be had: the rest is done here.
    }
    body(0, cut(1));
    if (given < threads) body(cut(given), count);
    for (auto &thread : others) thread.join();
}

LOGITCORPUS_CLONES void activate_range(
    float *values, int64_t begin, int64_t end, uint64_t threshold, float scale, uint64_t key) {
    for (int64_t i = begin; i < end; i++) {
        const bool drop = (mix(key ^ static_cast<uint64_t>(i)) >> 32) >= threshold;
        values[i] = drop || values[i] <= 0 ? 0 : values[i] * scale;
    }
}

LOGITCORPUS_CLONES void rectify_range(float *values, int64_t begin, int64_t end, float scale) {
    for (int64_t i = begin; i < end; i++) values[i] = values[i] <= 0 ? 0 : values[i] * scale;
}

LOGITCORPUS_CLONES void gate_range(float *gradient, const float *active, int64_t begin, int64_t end, float scale) {
    for (int64_t i = begin; i < end; i++) gradient[i] = active[i] > 0 ? gradient[i] * scale : 0;
}

LOGITCORPUS_CLONES void adam_range(
    const AdamStep &step, float *__restrict p, const float *__restrict g, float *__restrict m, float *__restrict v,
    int64_t begin, int64_t end) {
#pragma clang fp contract(off)
    const AdamStep s = step;
    for (int64_t i = begin; i < end; i++) {
        const float gradient = g[i] + s.decay * p[i];
        m[i] = s.beta1 * m[i] + s.complement1 * gradient;
        v[i] = s.beta2 * v[i] + s.complement2 * gradient * gradient;
        // The builtin is a plain square root: std::sqrt would set errno, which keeps the loop from being vectorised.
        p[i] -= s.rate * m[i] / (__builtin_elementwise_sqrt(v[i]) / s.root + s.epsilon);
    }
}

}  // namespace

void activate(float *values, int64_t count, uint64_t threshold, float scale, uint64_t key) {
    share(count, [=](int64_t begin, int64_t end) {
        if (threshold >> 32) {
            rectify_range(values, begin, end, scale);
        } else {
            activate_range(values, begin, end, threshold, scale, key);
        }
    });
}

void gate(float *gradient, const float *active, int64_t count, float scale) {
    share(count, [=](int64_t begin, int64_t end) { gate_range(gradient, active, begin, end, scale); });
}

void adam(const AdamStep &step, float *p, const float *g, float *m, float *v, int64_t count) {
    share(count, [=](int64_t begin, int64_t end) { adam_range(step, p, g, m, v, begin, end); });
}

}  // namespace logitcorpus
