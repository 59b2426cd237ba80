/* What HDF5 (1.8.11 and later) asks of a filter plugin: H5PLextern.h and H5Zpublic.h, of which only this is needed. Spelled out
 * here so that the plugin needs no HDF5 to build, and calls none: it loads into whichever library the reader has, Debian's, the
 * one inside pip's h5py, R's or MATLAB's. */
#ifndef HDF5_PLUGIN_H
#define HDF5_PLUGIN_H
#include <stddef.h>

enum { PLUGIN_FILTER = 0 };    /* H5PL_TYPE_FILTER */
enum { CLASS_VERSION = 1 };    /* H5Z_CLASS_T_VERS */
enum { FLAG_REVERSE = 0x0100 }; /* H5Z_FLAG_REVERSE: undo */

/* H5Z_class2_t. The two callbacks that take identifiers stay NULL here. */
struct filter_class {
    int version;
    int id;
    unsigned encoder_present, decoder_present;
    const char *name;
    void (*can_apply)(void), (*set_local)(void);
    size_t (*filter)(unsigned flags, size_t parameter_count, const unsigned parameters[], size_t byte_count,
                     size_t *buffer_size, void **buffer);
};

int H5PLget_plugin_type(void);
const void *H5PLget_plugin_info(void);

#endif
