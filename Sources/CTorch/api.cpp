#include "ctorch.h"
extern "C" __attribute__((visibility("default"))) const ctorch_api_table *ctorch_api(void) { return nullptr; }
