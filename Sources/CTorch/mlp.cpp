#include "internal.h"

namespace logitcorpus {

void fill_mlps(ctorch_api_table &) {}

}  // namespace logitcorpus
