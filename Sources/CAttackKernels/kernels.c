#include "attack_kernels.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

/* One body compiled for several instruction sets, chosen when the program starts. Nothing is contracted into fused
 * multiply-adds and sums go over a fixed number of lanes, so all of them give the same bits. */
#pragma STDC FP_CONTRACT OFF
#if defined(__x86_64__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif
#define LANES 16

static inline float clamped(float value, float low, float high) {
    value = value < low ? low : value;
    return value > high ? high : value;
}

CLONES void attack_sign_step(
    float *restrict attacked, const float *restrict clean, const float *restrict direction, int64_t count, float step_size,
    float epsilon) {
    for (int64_t i = 0; i < count; i++) {
        const float up = direction[i] > 0 ? step_size : 0.0f;
        const float down = direction[i] < 0 ? step_size : 0.0f;
        const float change = clamped(attacked[i] + up - down - clean[i], -epsilon, epsilon);
        attacked[i] = clamped(clean[i] + change, 0, 1);
    }
}

/* Adds terms in LANES sums, then those in order. `TERM` is an expression in i. */
#define LANE_SUM(result, TERM)                                                       \
    double sums[LANES] = {0};                                                        \
    int64_t i0 = 0;                                                                  \
    for (; i0 + LANES <= count; i0 += LANES)                                         \
        for (int lane = 0; lane < LANES; lane++) {                                   \
            const int64_t i = i0 + lane;                                             \
            sums[lane] += (TERM);                                                    \
        }                                                                            \
    for (int64_t i = i0; i < count; i++) sums[i - i0] += (TERM);                     \
    double result = 0;                                                               \
    for (int lane = 0; lane < LANES; lane++) result += sums[lane];

CLONES void attack_accumulate(float *restrict momentum, const float *restrict gradient, int64_t count, float decay) {
    LANE_SUM(total, (double)fabsf(gradient[i]))
    const float mean = (float)(total / (double)count);
    const float scale = mean > 1e-12f ? mean : 1e-12f;
    for (int64_t i = 0; i < count; i++) momentum[i] = decay * momentum[i] + gradient[i] / scale;
}

CLONES double attack_distance(
    const float *restrict attacked, const float *restrict clean, int64_t count, float *restrict largest) {
    /* Magnitudes in the order of their bits: a loop over integers becomes wide. A NaN is the largest. */
    uint32_t most = 0;
    for (int64_t i = 0; i < count; i++) {
        const float change = fabsf(attacked[i] - clean[i]);
        uint32_t bits;
        memcpy(&bits, &change, sizeof bits);
        most = bits > most ? bits : most;
    }
    memcpy(largest, &most, sizeof most);
    LANE_SUM(squares, (double)(attacked[i] - clean[i]) * (double)(attacked[i] - clean[i]))
    return squares;
}

CLONES int32_t attack_usable(const float *restrict gradient, int64_t count) {
    uint32_t any = 0, infinite = 0;
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &gradient[i], sizeof bits);
        bits &= 0x7fffffffu;
        any |= bits;
        infinite |= bits >= 0x7f800000u;
    }
    return infinite ? 0 : any ? 2 : 1;
}

CLONES double attack_square_norm(const float *restrict gradient, int64_t count) {
    LANE_SUM(squares, (double)gradient[i] * (double)gradient[i])
    return squares;
}

CLONES void attack_add_scaled(double *restrict r, const float *restrict gradient, int64_t count, double scale) {
    for (int64_t i = 0; i < count; i++) r[i] += scale * (double)gradient[i];
}

CLONES void attack_apply(
    float *restrict attacked, const float *restrict clean, const double *restrict r, int64_t count, double factor) {
    for (int64_t i = 0; i < count; i++) {
        const double value = (double)clean[i] + factor * r[i];
        attacked[i] = (float)(value < 0 ? 0 : value > 1 ? 1 : value);
    }
}

/* e^x for -88 < x <= 0 to 2 units in the last place: Cody and Waite's reduction, Cephes' polynomial. */
static inline float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
    const float k = rintf(x * 1.44269504088896341f);
    float r = x - k * 0.693359375f;
    r = r - k * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    int32_t bits;
    memcpy(&bits, &p, sizeof bits);
    bits += (int32_t)k * (1 << 23);
    memcpy(&p, &bits, sizeof p);
    return p;
}

CLONES void attack_cw_start(float *restrict w, const float *restrict clean, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        const float t = (clean[i] * 2 - 1) * 0.999999f;
        w[i] = 0.5f * (log1pf(t) - log1pf(-t));
    }
}

CLONES double attack_cw_image(
    float *restrict attacked, const float *restrict w, const float *restrict delta, const float *restrict origin,
    int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        const float u = w[i] + delta[i];
        /* (tanh(u) + 1)/2 = 1/(1 + e^-2u), written for e^-2|u|, which cannot overflow. */
        const float e = exponential(-2 * fabsf(u));
        const float small = e / (1 + e);
        attacked[i] = u >= 0 ? 1 / (1 + e) : small;
    }
    LANE_SUM(squares, (double)(attacked[i] - origin[i]) * (double)(attacked[i] - origin[i]))
    return squares;
}

CLONES void attack_cw_step(
    float *restrict delta, float *restrict m, float *restrict v, const float *restrict attacked, const float *restrict origin,
    const float *restrict gradient, int64_t count, attack_adam adam) {
    for (int64_t i = 0; i < count; i++) {
        const float outer = 2 * (attacked[i] - origin[i]) + (gradient ? gradient[i] : 0.0f);
        const float t = 2 * attacked[i] - 1;
        const float g = outer * (0.5f * (1 - t * t));
        m[i] = 0.9f * m[i] + (1 - 0.9f) * g;
        v[i] = 0.999f * v[i] + (1 - 0.999f) * g * g;
        delta[i] -= adam.rate * m[i] / (__builtin_elementwise_sqrt(v[i]) / adam.correction + 1e-8f);
    }
}
