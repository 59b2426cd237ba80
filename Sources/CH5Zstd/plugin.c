#include "hdf5_plugin.h"
#include <stdlib.h>
#include <zstd.h>

/* The registered HDF5 filter 32015 (zstd), for stock tools that read our shards: one frame a chunk, which must carry its
 * content size. schema/shard-format.md has the limit: the largest chunk of a shard is one kept image of float32. */
#define CHUNK_BYTES ((unsigned long long)4096 * 4096 * 3 * 4)
#define DEFAULT_LEVEL 3

static size_t undo(const void *frame, size_t frame_bytes, void **result) {
    const unsigned long long size = ZSTD_getFrameContentSize(frame, frame_bytes);
    /* Unknown and damaged are the two largest values. */
    if (size == 0 || size > CHUNK_BYTES) return 0;
    /* What follows the frame would be passed over in silence. */
    if (ZSTD_findFrameCompressedSize(frame, frame_bytes) != frame_bytes) return 0;
    *result = malloc((size_t)size);
    return *result && ZSTD_decompress(*result, (size_t)size, frame, frame_bytes) == size ? (size_t)size : 0;
}

static size_t apply(const void *bytes, size_t byte_count, int level, size_t *room, void **result) {
    if (byte_count == 0 || byte_count > CHUNK_BYTES) return 0;
    *room = ZSTD_compressBound(byte_count);
    *result = malloc(*room);
    if (!*result) return 0;
    const size_t size = ZSTD_compress(*result, *room, bytes, byte_count, level);
    return ZSTD_isError(size) ? 0 : size;
}

/* The buffer is HDF5's, made and freed by malloc and free; on failure (0) it stays as it is. */
static size_t filter(unsigned flags, size_t parameter_count, const unsigned parameters[], size_t byte_count,
                     size_t *buffer_size, void **buffer) {
    void *result = NULL;
    size_t room = 0;
    size_t size;
    if (flags & FLAG_REVERSE) {
        size = room = undo(*buffer, byte_count, &result);
    } else {
        const int level = parameter_count ? (int)parameters[0] : DEFAULT_LEVEL;
        size = apply(*buffer, byte_count, level, &room, &result);
    }
    if (size == 0) {
        free(result);
        return 0;
    }
    free(*buffer);
    *buffer = result;
    *buffer_size = room;
    return size;
}

int H5PLget_plugin_type(void) { return PLUGIN_FILTER; }

const void *H5PLget_plugin_info(void) {
    static const struct filter_class zstd = {
        CLASS_VERSION, 32015, 1, 1, "Zstandard (LogitCorpus)", NULL, NULL, filter,
    };
    return &zstd;
}
