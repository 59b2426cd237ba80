#ifndef SHARD_LAYOUT_H
#define SHARD_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

/// The bytes of a file that HDF5 lays out and that is not there yet: what HDF5 writes is kept in memory, but for large runs that
/// the caller announced. Those leave holes, which the caller fills from where it has the bytes already.
typedef struct shard_layout shard_layout;

/// A run of the file: kept bytes, or a hole where `bytes` is NULL.
typedef struct {
    const void *bytes;
    uint64_t count;
} shard_piece;

/// NULL where there is no memory.
shard_layout *shard_layout_create(void);
void shard_layout_destroy(shard_layout *layout);

/// Makes an HDF5 file access property list create its file in `layout`, which must outlive the file. Negative: failure.
int shard_layout_use(shard_layout *layout, int64_t access_list);

/// Announces that the next write of exactly so many bytes shall be a hole. A write of another size is kept, as always.
void shard_layout_expect(shard_layout *layout, uint64_t bytes);

/// Once HDF5 has closed the file: the runs of the file in order, without gaps.
size_t shard_layout_piece_count(const shard_layout *layout);
shard_piece shard_layout_piece(const shard_layout *layout, size_t index);

#endif
