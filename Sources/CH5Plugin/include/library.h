#include <hdf5_plugin.h>
