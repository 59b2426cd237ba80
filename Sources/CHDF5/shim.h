#include <hdf5.h>

/* Swift cannot import macros that call H5open() and read a global, or that cast: one function each. */
static inline hid_t lc_native_float(void) { return H5T_NATIVE_FLOAT; }
static inline hid_t lc_native_double(void) { return H5T_NATIVE_DOUBLE; }
static inline hid_t lc_native_uint8(void) { return H5T_NATIVE_UINT8; }
static inline hid_t lc_native_int32(void) { return H5T_NATIVE_INT32; }
static inline hid_t lc_native_int64(void) { return H5T_NATIVE_INT64; }
static inline hid_t lc_native_uint64(void) { return H5T_NATIVE_UINT64; }
static inline hid_t lc_file_float(void) { return H5T_IEEE_F32LE; }
static inline hid_t lc_file_double(void) { return H5T_IEEE_F64LE; }
static inline hid_t lc_file_uint8(void) { return H5T_STD_U8LE; }
static inline hid_t lc_file_int32(void) { return H5T_STD_I32LE; }
static inline hid_t lc_file_int64(void) { return H5T_STD_I64LE; }
static inline hid_t lc_file_uint64(void) { return H5T_STD_U64LE; }
static inline hid_t lc_c_string(void) { return H5T_C_S1; }
static inline hid_t lc_file_create(void) { return H5P_FILE_CREATE; }
static inline hid_t lc_file_access(void) { return H5P_FILE_ACCESS; }
static inline hid_t lc_dataset_create(void) { return H5P_DATASET_CREATE; }
static inline hid_t lc_default(void) { return H5P_DEFAULT; }
static inline unsigned lc_truncate(void) { return H5F_ACC_TRUNC; }
static inline unsigned lc_read_only(void) { return H5F_ACC_RDONLY; }
/* Errors come back as statuses; the library's own printing is off, which is a setting of each thread. */
static inline void lc_silence(void) { H5Eset_auto2(H5E_DEFAULT, NULL, NULL); }
