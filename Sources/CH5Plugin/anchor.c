/* The library libH5Zzstd.so is CH5Zstd, linked as HDF5 programs want it; this file is what the build system asks of a target. */
#include "library.h"
