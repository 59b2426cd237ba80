// Where tensors live. All that is said of GPUs to LibTorch is in device.cpp; other files only ask for a device.
#pragma once
#include <c10/core/Device.h>
#include <cstdint>
#include <string>

namespace logitcorpus {

// LibTorch's name for a ctorch_device. For a GPU: throws one sentence where there is none to be had, and sees to it that the
// same operation gives the same bits each time.
at::Device device_of(int32_t device);

// What the bits of a result depend on beside the CPU's libraries, as members of a JSON object that begin with a comma;
// nothing for the CPU.
std::string describe_device(int32_t device);

// Table functions.
int32_t device_check(int32_t device, char *error);

}  // namespace logitcorpus
