/* What the build system asks of a target. */
#include "library.h"
