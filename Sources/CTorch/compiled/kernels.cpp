// Vectors of 16 floats, whatever the processor: the compiler splits them where its own are shorter.
#include "kernels.h"

#include <cstring>

#if defined(__x86_64__)
#define LOGITCORPUS_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define LOGITCORPUS_CLONES
#endif
#define ALWAYS_INLINE static inline __attribute__((always_inline))

namespace logitcorpus {

namespace {

typedef float Lanes __attribute__((ext_vector_type(16), aligned(4)));
typedef bool Bits __attribute__((ext_vector_type(16)));

ALWAYS_INLINE void load(Lanes &lanes, const float *from, int64_t count) {
    if (count >= 16) {
        std::memcpy(&lanes, from, sizeof lanes);
    } else {
        lanes = 0.0f;
        std::memcpy(&lanes, from, sizeof(float) * static_cast<size_t>(count));
    }
}

ALWAYS_INLINE void store(const Lanes &lanes, float *to, int64_t count) {
    std::memcpy(to, &lanes, count >= 16 ? sizeof lanes : sizeof(float) * static_cast<size_t>(count));
}

template <bool scaled, bool added, bool bounded>
ALWAYS_INLINE void forward(
    const Elementwise &what, const float *input, float *output, uint16_t *mask, int64_t count) {
    Lanes scale = 1.0f, shift = 0.0f;
    if (scaled) {
        load(scale, what.scale, 16);
        load(shift, what.shift, 16);
    }
    const Lanes low = what.low, high = what.high;
    for (int64_t i = 0; i < count; i += 16) {
        Lanes x;
        load(x, input + i, count - i);
        if (scaled) x = __builtin_elementwise_fma(x, scale, shift);
        if (added) {
            Lanes y;
            load(y, what.other + i, count - i);
            x += y;
        }
        if (bounded) {
            // A NaN is in no comparison: it stays, and lets its gradient through.
            if (mask) {
                const Bits stopped = __builtin_convertvector((x <= low) | (x >= high), Bits);
                uint16_t word;
                std::memcpy(&word, &stopped, sizeof word);
                mask[i / 16] = static_cast<uint16_t>(~word);
            }
            x = x < low ? low : x;
            x = x > high ? high : x;
        }
        store(x, output + i, count - i);
    }
}

template <bool scaled, bool masked, bool twice>
ALWAYS_INLINE void backward(
    const float *scale_lanes, const uint16_t *mask, const float *gradient, float *output, float *unscaled, int64_t count) {
    Lanes first = 1.0f, second = 1.0f;
    if (scaled) {
        load(first, scale_lanes, 16);
        load(second, scale_lanes + 16, 16);
    }
    const Lanes zero = 0.0f;
    for (int64_t i = 0; i < count; i += 16) {
        Lanes g;
        load(g, gradient + i, count - i);
        if (masked) {
            Bits passed;
            std::memcpy(&passed, &mask[i / 16], sizeof(uint16_t));
            g = __builtin_convertvector(passed, decltype(g < zero)) != 0 ? g : zero;
        }
        if (twice) store(g, unscaled + i, count - i);
        if (scaled) g = g * first * second;
        store(g, output + i, count - i);
    }
}

// PyTorch's order: 4 vectors of 8 places, whole vectors beyond into the first; then the rest, then the 8 places in turn.
template <int block>
ALWAYS_INLINE void mean(const float *values, float *means, int64_t count) {
    float sums[32][block] = {};
    const int64_t rounds = count / 32 * 32, vectors = count / 8 * 8;
    for (int64_t p = 0; p < rounds; p += 32)
        for (int place = 0; place < 32; place++)
            for (int c = 0; c < block; c++) sums[place][c] += values[(p + place) * block + c];
    for (int64_t p = rounds; p < vectors; p += 8)
        for (int place = 0; place < 8; place++)
            for (int c = 0; c < block; c++) sums[place][c] += values[(p + place) * block + c];
    for (int c = 0; c < block; c++) {
        float total = 0;
        for (int64_t p = vectors; p < count; p++) total += values[p * block + c];
        for (int place = 0; place < 8; place++)
            total += ((sums[place][c] + sums[8 + place][c]) + sums[16 + place][c]) + sums[24 + place][c];
        means[c] = total / static_cast<float>(count);
    }
}

}  // namespace

LOGITCORPUS_CLONES void spatial_mean(const float *values, float *means, int64_t count, int64_t block) {
    if (block == 16) return mean<16>(values, means, count);
    if (block == 8) return mean<8>(values, means, count);
    return mean<1>(values, means, count);
}

LOGITCORPUS_CLONES void elementwise_forward(
    const Elementwise &what, const float *input, float *output, uint16_t *mask, int64_t count) {
    if (what.scale) {
        if (what.other) {
            if (what.bounded) return forward<true, true, true>(what, input, output, mask, count);
            return forward<true, true, false>(what, input, output, mask, count);
        }
        if (what.bounded) return forward<true, false, true>(what, input, output, mask, count);
        return forward<true, false, false>(what, input, output, mask, count);
    }
    if (what.other) {
        if (what.bounded) return forward<false, true, true>(what, input, output, mask, count);
        return forward<false, true, false>(what, input, output, mask, count);
    }
    return forward<false, false, true>(what, input, output, mask, count);
}

LOGITCORPUS_CLONES void elementwise_backward(
    const float *scale, const uint16_t *mask, const float *gradient, float *output, float *unscaled, int64_t count) {
    if (unscaled) {
        if (mask) return backward<true, true, true>(scale, mask, gradient, output, unscaled, count);
        return backward<true, false, true>(scale, mask, gradient, output, unscaled, count);
    }
    if (!scale) return backward<false, true, false>(scale, mask, gradient, output, unscaled, count);
    if (mask) return backward<true, true, false>(scale, mask, gradient, output, unscaled, count);
    return backward<true, false, false>(scale, mask, gradient, output, unscaled, count);
}

LOGITCORPUS_CLONES void accumulate(float *sum, const float *more, int64_t count) {
    for (int64_t i = 0; i < count; i++) sum[i] += more[i];
}

}  // namespace logitcorpus
