// Shared by the files of this library; nothing here is exported.
#pragma once
#include "ctorch.h"
#include <c10/util/Exception.h>
#include <cstdio>
#include <exception>
#include <string>

namespace logitcorpus {

void fill_modules(ctorch_api_table &table);
void fill_mlps(ctorch_api_table &table);

// Intra-op threads are a setting of each calling thread: applied at the start of every call.
void apply_threads();

// The line of a LibTorch message that says what is wrong: without the interpreter's trace.
std::string sentence(const char *message);

// A JSON string.
std::string quoted(const std::string &text);

// Runs `body`; turns what it throws into one sentence without a stack trace.
template <typename Body>
int32_t guarded(char *error, Body body) {
    try {
        apply_threads();
        body();
        return 0;
    } catch (const c10::Error &failure) {  // first: it is a std::exception whose what() holds a back trace
        std::snprintf(error, CTORCH_ERROR_BYTES, "%s", sentence(failure.what_without_backtrace()).c_str());
    } catch (const std::exception &failure) {
        std::snprintf(error, CTORCH_ERROR_BYTES, "%s", sentence(failure.what()).c_str());
    } catch (...) {
        std::snprintf(error, CTORCH_ERROR_BYTES, "unknown failure in LibTorch");
    }
    return 1;
}

}  // namespace logitcorpus
