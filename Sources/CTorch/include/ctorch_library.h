/* The dynamic library's own header: see CTorchAPI/ctorch.h. */
#include "ctorch.h"
