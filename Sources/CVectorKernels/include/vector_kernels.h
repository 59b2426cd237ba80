#pragma once
#include <stdint.h>

/* Loops over vectors of float32 that compute in double. `count` values from `z` on; the same bits on every processor. */

/* Σ z, Σ z². */
double vector_sum(const float *z, int64_t count);
double vector_sum_squares(const float *z, int64_t count);
/* Σ a b. */
double vector_dot(const float *a, const float *b, int64_t count);
/* The largest value that is a number; −∞ where there is none. */
float vector_max(const float *z, int64_t count);
/* The first place that holds `value`; −1 where none does. */
int64_t vector_find(const float *z, int64_t count, float value);
/* Σ e^x and Σ x e^x over x = (z − top) · scale, which must not be positive; e^x below 1e−307 counts as 0. */
void vector_exp_sums(const float *z, int64_t count, double top, double scale, double *sum, double *weighted);
/* Sums, least and largest by class: of rows from `z` on that are `stride` values apart. A NaN stays. */
void vector_add_rows(double *totals, const float *z, int64_t count, int64_t rows, int64_t stride);
void vector_add_square_rows(
    double *sums, double *squares, const double *origin, const float *z, int64_t count, int64_t rows, int64_t stride);
void vector_lower(double *least, const float *z, int64_t count);
void vector_raise(double *most, const float *z, int64_t count);
