/* The element-by-element work of the attackers, one image a call: plain loops that the compiler makes wide. */
#ifndef ATTACK_KERNELS_H
#define ATTACK_KERNELS_H
#include <stdint.h>

/* x' += up·sign(direction), then x' - x clipped to ±epsilon, then x' clipped to [0,1]. sign(0) = 0; a NaN moves nothing. */
void attack_sign_step(
    float *restrict attacked, const float *restrict clean, const float *restrict direction, int64_t count, float step_size,
    float epsilon);

/* momentum = decay·momentum + gradient / max(1e-12, mean |gradient|). */
void attack_accumulate(float *restrict momentum, const float *restrict gradient, int64_t count, float decay);

/* ‖x' - x‖² in double, and max |x' - x|. */
double attack_distance(const float *restrict attacked, const float *restrict clean, int64_t count, float *restrict largest);

/* 0: a value is not finite; 1: every value is 0; 2: usable. */
int32_t attack_usable(const float *restrict gradient, int64_t count);

/* DeepFool: ‖gradient‖² in double; r += scale·gradient (r in double); x' = clip01(x + factor·r). */
double attack_square_norm(const float *restrict gradient, int64_t count);
void attack_add_scaled(double *restrict r, const float *restrict gradient, int64_t count, double scale);
void attack_apply(float *restrict attacked, const float *restrict clean, const double *restrict r, int64_t count, double factor);

/* C&W. w = atanh((2x - 1)·0.999999). */
void attack_cw_start(float *restrict w, const float *restrict clean, int64_t count);
/* x' = (tanh(w + delta) + 1)/2; returns ‖x' - origin‖² in double. */
double attack_cw_image(
    float *restrict attacked, const float *restrict w, const float *restrict delta, const float *restrict origin,
    int64_t count);

typedef struct {
    float rate;        /* learning rate / (1 - beta1^t) */
    float correction;  /* sqrt(1 - beta2^t) */
} attack_adam;

/* One Adam step (0.9, 0.999, 1e-8) on delta for the loss ‖x' - origin‖² + the network's part, whose gradient with respect to
 * x' is `gradient` (NULL: zero). */
void attack_cw_step(
    float *restrict delta, float *restrict m, float *restrict v, const float *restrict attacked, const float *restrict origin,
    const float *restrict gradient, int64_t count, attack_adam adam);

#endif
