#include "internal.h"

namespace logitcorpus {

void fill_modules(ctorch_api_table &) {}

}  // namespace logitcorpus
