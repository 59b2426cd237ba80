// A network compiled for the CPU: its frozen graph as steps over groups of images.
//
// It computes what PyTorch computes with dense images, with the same oneDNN kernels, but keeps oneDNN's layout from one
// convolution to the next, goes over the values between two of them once, and keeps one bit a value for the gradient.
#pragma once
#include "plan.h"

#include <map>
#include <mutex>

namespace logitcorpus {

struct ImageShape {
    int64_t channels, height, width;
    int64_t floats() const { return channels * height * width; }
};

class Engine {
  public:
    // `mean` and `deviation`: [1, 3, 1, 1] or undefined. Throws where the graph cannot be compiled for such images.
    Engine(std::shared_ptr<torch::jit::Graph> graph, ImageShape shape, at::Tensor mean, at::Tensor deviation);

    int64_t classes() const { return classes_; }
    // logits: count * classes. With `kept`, gradients of the pass can be asked for.
    void forward(const float *images, int64_t count, float *logits, Kept *kept) const;
    // Gradient with respect to the images of what `cotangent` (count * classes) weighs; an image whose cotangent is zero
    // has a gradient of zero, which costs nothing.
    void backward(const float *cotangent, int64_t count, Kept &kept, float *gradient) const;

  private:
    const Plan &plan(int64_t images) const;

    std::shared_ptr<torch::jit::Graph> graph_;
    ImageShape shape_;
    at::Tensor mean_, deviation_;
    int64_t group_, classes_ = 0;
    mutable std::mutex mutex_;
    mutable std::map<int64_t, std::unique_ptr<Plan>> plans_;  // by images in a group
};

}  // namespace logitcorpus
