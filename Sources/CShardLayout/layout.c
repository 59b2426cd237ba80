// A driver of HDF5's virtual file layer ("HDF5 Virtual File Layer", VFD plugin interface of HDF5 1.10). Addresses are mapped to
// the kept bytes by leaving out the holes before them: HDF5 allocates upwards, so whatever lies behind a hole is written later.
#include "shard_layout.h"

#include <hdf5.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MOST_HOLES 4

typedef struct {
    haddr_t start;
    uint64_t count;
} hole;

struct shard_layout {
    unsigned char *kept;
    uint64_t capacity;
    hole holes[MOST_HOLES];
    size_t hole_count;
    uint64_t expected;
    haddr_t end;
};

typedef struct {
    H5FD_t base;
    shard_layout *layout;
    haddr_t allocated;
} layout_file;

static shard_layout *layout_of(const H5FD_t *file) { return ((const layout_file *)file)->layout; }

// Where `size` bytes from `address` lie in the kept ones; -1 where they touch a hole.
static int64_t place(const shard_layout *layout, haddr_t address, uint64_t size) {
    uint64_t before = 0;
    for (size_t index = 0; index < layout->hole_count; index++) {
        hole h = layout->holes[index];
        if (address + size <= h.start) break;
        if (address < h.start + h.count) return -1;
        before += h.count;
    }
    return (int64_t)(address - before);
}

// Room for `needed` kept bytes; new ones are zero.
static int reserve(shard_layout *layout, uint64_t needed) {
    if (needed <= layout->capacity) return 0;
    uint64_t capacity = layout->capacity + layout->capacity / 2;
    if (capacity < needed) capacity = needed;
    unsigned char *kept = realloc(layout->kept, capacity);
    if (kept == NULL) return -1;
    memset(kept + layout->capacity, 0, capacity - layout->capacity);
    layout->kept = kept;
    layout->capacity = capacity;
    return 0;
}

static H5FD_t *open_file(const char *name, unsigned flags, hid_t access_list, haddr_t most) {
    (void)name, (void)flags, (void)most;
    shard_layout *const *info = H5Pget_driver_info(access_list);
    layout_file *file = info == NULL ? NULL : calloc(1, sizeof *file);
    if (file != NULL) file->layout = *info;
    return (H5FD_t *)file;
}

static herr_t close_file(H5FD_t *file) {
    layout_of(file)->end = ((layout_file *)file)->allocated;
    int status = reserve(layout_of(file), (uint64_t)place(layout_of(file), layout_of(file)->end, 0));
    free(file);
    return status;
}

static int compare(const H5FD_t *first, const H5FD_t *second) {
    return layout_of(first) < layout_of(second) ? -1 : layout_of(first) > layout_of(second);
}

static herr_t query(const H5FD_t *file, unsigned long *flags) {
    (void)file;
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA;
    return 0;
}

static haddr_t get_allocated(const H5FD_t *file, H5FD_mem_t type) {
    (void)type;
    return ((const layout_file *)file)->allocated;
}

static herr_t set_allocated(H5FD_t *file, H5FD_mem_t type, haddr_t address) {
    (void)type;
    ((layout_file *)file)->allocated = address;
    return 0;
}

// Every allocated address can be read: what was never written is zero.
static haddr_t get_end(const H5FD_t *file, H5FD_mem_t type) { return get_allocated(file, type); }

static herr_t read_bytes(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t size, void *buffer) {
    (void)type, (void)transfer;
    shard_layout *layout = layout_of(file);
    int64_t from = place(layout, address, size);
    if (from < 0 || reserve(layout, (uint64_t)from + size) < 0) return -1;
    memcpy(buffer, layout->kept + from, size);
    return 0;
}

static herr_t write_bytes(
    H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t size, const void *buffer) {
    (void)transfer;
    shard_layout *layout = layout_of(file);
    if (type == H5FD_MEM_DRAW && size > 0 && size == layout->expected && layout->hole_count < MOST_HOLES) {
        layout->holes[layout->hole_count++] = (hole){address, size};
        layout->expected = 0;
        return 0;
    }
    int64_t to = place(layout, address, size);
    if (to < 0 || reserve(layout, (uint64_t)to + size) < 0) return -1;
    memcpy(layout->kept + to, buffer, size);
    return 0;
}

static const H5FD_class_t driver = {
    .name = "shard_layout",
    .maxaddr = INT64_MAX,
    .fc_degree = H5F_CLOSE_WEAK,
    .fapl_size = sizeof(shard_layout *),
    .open = open_file,
    .close = close_file,
    .cmp = compare,
    .query = query,
    .get_eoa = get_allocated,
    .set_eoa = set_allocated,
    .get_eof = get_end,
    .read = read_bytes,
    .write = write_bytes,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

static hid_t registered = -1;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static void register_driver(void) { registered = H5FDregister(&driver); }

shard_layout *shard_layout_create(void) { return calloc(1, sizeof(shard_layout)); }

void shard_layout_destroy(shard_layout *layout) {
    if (layout != NULL) free(layout->kept);
    free(layout);
}

int shard_layout_use(shard_layout *layout, int64_t access_list) {
    pthread_once(&once, register_driver);
    return registered < 0 ? -1 : H5Pset_driver(access_list, registered, &layout);
}

void shard_layout_expect(shard_layout *layout, uint64_t bytes) { layout->expected = bytes; }

size_t shard_layout_piece_count(const shard_layout *layout) { return 2 * layout->hole_count + 1; }

shard_piece shard_layout_piece(const shard_layout *layout, size_t index) {
    if (index % 2 == 1) return (shard_piece){NULL, layout->holes[index / 2].count};
    haddr_t start = index == 0 ? 0 : layout->holes[index / 2 - 1].start + layout->holes[index / 2 - 1].count;
    haddr_t end = index / 2 < layout->hole_count ? layout->holes[index / 2].start : layout->end;
    return (shard_piece){layout->kept + place(layout, start, 0), end - start};
}
