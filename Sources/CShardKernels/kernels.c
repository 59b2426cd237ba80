#include "shard_kernels.h"
#include <string.h>

/* 16 bytes wherever they lie; every processor that clang knows has shuffles of them. */
typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint16_t words16 __attribute__((vector_size(16)));

static inline bytes16 load(const uint8_t *from) {
    bytes16 value;
    memcpy(&value, from, 16);
    return value;
}

/* The lower (upper) halves of two vectors, value by value in turn. */
#define LOW8(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH8(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define LOW16(a, b) __builtin_shufflevector((words16)(a), (words16)(b), 0, 8, 1, 9, 2, 10, 3, 11)
#define HIGH16(a, b) __builtin_shufflevector((words16)(a), (words16)(b), 4, 12, 5, 13, 6, 14, 7, 15)

void shard_unshuffle4(const uint8_t *planes, size_t plane, size_t first, size_t count, uint8_t *restrict values) {
    const uint8_t *p0 = planes + first, *p1 = p0 + plane, *p2 = p1 + plane, *p3 = p2 + plane;
    size_t place = 0;
    for (; place + 16 <= count; place += 16) {
        bytes16 a = load(p0 + place), b = load(p1 + place), c = load(p2 + place), d = load(p3 + place);
        bytes16 ab = LOW8(a, b), cd = LOW8(c, d), AB = HIGH8(a, b), CD = HIGH8(c, d);
        words16 wide[4] = {LOW16(ab, cd), HIGH16(ab, cd), LOW16(AB, CD), HIGH16(AB, CD)};
        memcpy(values + 4 * place, wide, sizeof wide);
    }
    for (; place < count; place++) {
        values[4 * place] = p0[place];
        values[4 * place + 1] = p1[place];
        values[4 * place + 2] = p2[place];
        values[4 * place + 3] = p3[place];
    }
}

void shard_unshuffle2(const uint8_t *planes, size_t plane, size_t first, size_t count, uint8_t *restrict values) {
    const uint8_t *p0 = planes + first, *p1 = p0 + plane;
    size_t place = 0;
    for (; place + 16 <= count; place += 16) {
        bytes16 a = load(p0 + place), b = load(p1 + place);
        bytes16 wide[2] = {LOW8(a, b), HIGH8(a, b)};
        memcpy(values + 2 * place, wide, sizeof wide);
    }
    for (; place < count; place++) {
        values[2 * place] = p0[place];
        values[2 * place + 1] = p1[place];
    }
}
