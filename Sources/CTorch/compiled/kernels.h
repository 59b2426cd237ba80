// The element-by-element work of a compiled network.
#pragma once
#include <cstdint>

namespace logitcorpus {

// What follows a convolution, on one run of values that share their channels.
struct Elementwise {
    const float *scale = nullptr, *shift = nullptr;  // 16 lanes each: x·scale + shift, fused; null: x
    const float *other = nullptr;                    // added after that; null: nothing
    bool bounded = false;                            // then clamped to [low, high]
    float low = 0, high = 0;
};

// output may be input. `mask` (null: not kept): one bit a value that the bounds let through, 16 to a word.
void elementwise_forward(
    const Elementwise &what, const float *input, float *output, uint16_t *mask, int64_t count);
// gradient·scale[0 ..< 16]·scale[16 ..< 32] where the mask has a bit, else 0; null mask: everywhere; null scale: 1. `unscaled` (null: not wanted) gets
// the same without the scale.
void elementwise_backward(
    const float *scale, const uint16_t *mask, const float *gradient, float *output, float *unscaled, int64_t count);
// Adds `more` to `sum`.
void accumulate(float *sum, const float *more, int64_t count);

// The mean over `count` places of `block` channels that lie side by side (1, 8 or 16).
void spatial_mean(const float *values, float *means, int64_t count, int64_t block);

inline int64_t mask_words(int64_t count) { return (count + 15) / 16; }

}  // namespace logitcorpus
