/* SwiftPM wants one source file in a C target; this one is a header. */
#include "ctorch.h"
