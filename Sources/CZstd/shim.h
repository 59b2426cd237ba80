/* For the name of one parameter: whether literals are Huffman coded where the search for matches is off (1: yes). */
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

static inline ZSTD_cParameter lc_literal_compression(void) { return ZSTD_c_literalCompressionMode; }
