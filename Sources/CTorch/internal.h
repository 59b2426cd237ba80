// Shared by the files of this library; nothing here is exported.
#pragma once
#include "ctorch.h"
#include <c10/util/Exception.h>
#include <cstdio>
#include <exception>

namespace logitcorpus {

void fill_modules(ctorch_api_table &table);
void fill_mlps(ctorch_api_table &table);

// Runs `body`; turns what it throws into one sentence without a stack trace.
template <typename Body>
int32_t guarded(char *error, Body body) {
    try {
        body();
        return 0;
    } catch (const c10::Error &failure) {  // first: it is a std::exception whose what() holds a back trace
        std::snprintf(error, CTORCH_ERROR_BYTES, "%s", failure.what_without_backtrace());
    } catch (const std::exception &failure) {
        std::snprintf(error, CTORCH_ERROR_BYTES, "%s", failure.what());
    } catch (...) {
        std::snprintf(error, CTORCH_ERROR_BYTES, "unknown failure in LibTorch");
    }
    return 1;
}

}  // namespace logitcorpus
