// The one exported symbol: a table filled by module.cpp (classifiers) and mlp.cpp (defenders).
#include "internal.h"

extern "C" __attribute__((visibility("default"))) const ctorch_api_table *ctorch_api(void) {
    static const ctorch_api_table table = [] {
        ctorch_api_table filled{};
        filled.abi_version = CTORCH_ABI_VERSION;
        logitcorpus::fill_modules(filled);
        logitcorpus::fill_mlps(filled);
        return filled;
    }();
    return &table;
}
