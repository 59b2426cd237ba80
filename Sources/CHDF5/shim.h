#include <hdf5.h>

/* Swift cannot import the H5T_* and H5P_* macros: they call H5open() and read a global. */
static inline hid_t lc_h5t_native_float(void) { return H5T_NATIVE_FLOAT; }
