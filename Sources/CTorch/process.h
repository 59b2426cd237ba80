#pragma once
#include <cstdint>

namespace logitcorpus {
int32_t process_configure(int32_t threads, char *error);
const char *process_describe(int32_t device);
}  // namespace logitcorpus
