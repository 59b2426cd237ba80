#include "vector_kernels.h"
#include <math.h>
#include <string.h>

/* One body compiled for several instruction sets, chosen when the program starts. Nothing is contracted into fused
 * multiply-adds and sums go over a fixed number of lanes, so all of them give the same bits. */
#pragma STDC FP_CONTRACT OFF
#if defined(__x86_64__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif
#define LANES 32

/* Adds terms in LANES sums, then those in pairs. `TERM` is an expression in i. */
#define LANE_SUM(result, TERM)                                                    \
    double result;                                                                \
    {                                                                             \
        double sums[LANES] = {0};                                                 \
        int64_t i0 = 0;                                                           \
        for (; i0 + LANES <= count; i0 += LANES)                                  \
            for (int lane = 0; lane < LANES; lane++) {                            \
                const int64_t i = i0 + lane;                                      \
                sums[lane] += (TERM);                                             \
            }                                                                     \
        for (int64_t i = i0; i < count; i++) sums[i - i0] += (TERM);              \
        for (int width = LANES / 2; width > 0; width /= 2)                        \
            for (int lane = 0; lane < width; lane++) sums[lane] += sums[lane + width]; \
        result = sums[0];                                                         \
    }

CLONES double vector_sum(const float *z, int64_t count) {
    LANE_SUM(sum, (double)z[i])
    return sum;
}

CLONES double vector_sum_squares(const float *z, int64_t count) {
    LANE_SUM(sum, (double)z[i] * (double)z[i])
    return sum;
}

CLONES double vector_dot(const float *a, const float *b, int64_t count) {
    LANE_SUM(sum, (double)a[i] * (double)b[i])
    return sum;
}

CLONES float vector_max(const float *z, int64_t count) {
    float most[LANES];
    for (int lane = 0; lane < LANES; lane++) most[lane] = -INFINITY;
    int64_t i0 = 0;
    for (; i0 + LANES <= count; i0 += LANES)
        for (int lane = 0; lane < LANES; lane++) most[lane] = z[i0 + lane] > most[lane] ? z[i0 + lane] : most[lane];
    for (int64_t i = i0; i < count; i++) most[i - i0] = z[i] > most[i - i0] ? z[i] : most[i - i0];
    float top = -INFINITY;
    for (int lane = 0; lane < LANES; lane++) top = most[lane] > top ? most[lane] : top;
    return top;
}

CLONES int64_t vector_find(const float *z, int64_t count, float value) {
    int64_t i0 = 0;
    for (; i0 + LANES <= count; i0 += LANES) {
        int found = 0;
        for (int lane = 0; lane < LANES; lane++) found |= z[i0 + lane] == value;
        if (found) break;
    }
    for (int64_t i = i0; i < count; i++)
        if (z[i] == value) return i;
    return -1;
}

/* e^x of x ≤ 0: x = k ln 2 + r with |r| ≤ ln 2 / 2, e^r by its series up to r^13 (whose rest is below 2^-57), 2^k by the
 * exponent's bits. */
static inline double exponential(double x) {
    const double magic = 0x1.8p52;
    const double shifted = x * 0x1.71547652b82fep0 + magic;
    const double k = shifted - magic;
    const double r = (x - k * 0x1.62e42fefa0000p-1) - k * 0x1.cf79abc9e3b39p-40;
    double p = 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r * r + r + 1.0;
    uint64_t exponent, bits;
    memcpy(&exponent, &shifted, 8);
    memcpy(&bits, &p, 8);
    bits += exponent << 52;
    double value;
    memcpy(&value, &bits, 8);
    value = x < -707.0 ? 0.0 : value;
    return x != x ? x : value;
}

CLONES void vector_exp_sums(const float *z, int64_t count, double top, double scale, double *sum, double *weighted) {
    double sums[LANES] = {0}, weights[LANES] = {0};
    for (int64_t i0 = 0; i0 < count; i0 += LANES) {
        double x[LANES], e[LANES];
        const int64_t here = count - i0 < LANES ? count - i0 : LANES;
        if (here == LANES)
            for (int lane = 0; lane < LANES; lane++) x[lane] = ((double)z[i0 + lane] - top) * scale;
        else
            for (int lane = 0; lane < LANES; lane++) x[lane] = lane < here ? ((double)z[i0 + lane] - top) * scale : -1000.0;
        for (int lane = 0; lane < LANES; lane++) e[lane] = exponential(x[lane]);
        for (int lane = 0; lane < LANES; lane++) {
            sums[lane] += e[lane];
            /* Where e^x is 0, x may be −∞. */
            weights[lane] += e[lane] == 0.0 ? 0.0 : x[lane] * e[lane];
        }
    }
    double total = 0, weight = 0;
    for (int lane = 0; lane < LANES; lane++) {
        total += sums[lane];
        weight += weights[lane];
    }
    *sum = total;
    *weighted = weight;
}

/* Eight rows at a time, so that the totals are loaded and stored an eighth as often. They are added to the totals in order. */
CLONES void vector_add_rows(double *restrict totals, const float *restrict z, int64_t count, int64_t rows, int64_t stride) {
    int64_t row = 0;
    for (; row + 8 <= rows; row += 8) {
        const float *a = z + row * stride, *b = a + stride, *c = b + stride, *d = c + stride;
        const float *e = d + stride, *f = e + stride, *g = f + stride, *h = g + stride;
        for (int64_t i = 0; i < count; i++)
            totals[i] += (((double)a[i] + (double)b[i]) + ((double)c[i] + (double)d[i]))
                + (((double)e[i] + (double)f[i]) + ((double)g[i] + (double)h[i]));
    }
    for (; row < rows; row++)
        for (int64_t i = 0; i < count; i++) totals[i] += (double)z[row * stride + i];
}

CLONES void vector_add_square_rows(
    double *restrict sums, double *restrict squares, const double *restrict origin, const float *restrict z, int64_t count,
    int64_t rows, int64_t stride) {
    int64_t row = 0;
    for (; row + 4 <= rows; row += 4) {
        const float *a = z + row * stride, *b = a + stride, *c = b + stride, *d = c + stride;
        for (int64_t i = 0; i < count; i++) {
            const double s = (double)a[i] - origin[i], t = (double)b[i] - origin[i];
            const double u = (double)c[i] - origin[i], v = (double)d[i] - origin[i];
            sums[i] += (s + t) + (u + v);
            squares[i] += (s * s + t * t) + (u * u + v * v);
        }
    }
    for (; row < rows; row++)
        for (int64_t i = 0; i < count; i++) {
            const double s = (double)z[row * stride + i] - origin[i];
            sums[i] += s;
            squares[i] += s * s;
        }
}

CLONES void vector_lower(double *restrict least, const float *restrict z, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        const double value = z[i];
        least[i] = value < least[i] || value != value ? value : least[i];
    }
}

CLONES void vector_raise(double *restrict most, const float *restrict z, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        const double value = z[i];
        most[i] = value > most[i] || value != value ? value : most[i];
    }
}
