/* Moving the bytes of logits. */
#ifndef SHARD_KERNELS_H
#define SHARD_KERNELS_H
#include <stddef.h>
#include <stdint.h>

/* Undoes the byte shuffle of values first ..< first + count of a chunk whose planes have `plane` bytes each. */
void shard_unshuffle4(const uint8_t *planes, size_t plane, size_t first, size_t count, uint8_t *restrict values);
void shard_unshuffle2(const uint8_t *planes, size_t plane, size_t first, size_t count, uint8_t *restrict values);

/* Asks for bytes that are read soon: the beginning of a longer run, which the processor then goes on with by itself. */
static inline void shard_prefetch(const void *bytes, size_t count) {
    const size_t limit = 2048;
    for (size_t place = 0; place < count && place < limit; place += 64) {
        __builtin_prefetch((const char *)bytes + place, 0, 3);
    }
}
#endif
