// A frozen TorchScript graph as steps for a group of a fixed number of images of a fixed size.
#pragma once
#include "steps.h"

#include <torch/csrc/jit/ir/ir.h>

#include <memory>
#include <unordered_map>

namespace logitcorpus {

class Plan {
  public:
    // Throws c10::Error, with the reason, where the graph holds something that no step does.
    Plan(const torch::jit::Graph &graph, const std::vector<int64_t> &input_dims);

    // Logits of a group, dense [images, classes]. `images`: dense values; `kept`: for gradients, else null.
    Values forward(const float *images, const std::vector<int64_t> &places, Kept *kept) const;
    // Gradient with respect to the images, dense, of what `cotangent` [images, classes] weighs.
    Values backward(const Values &cotangent, const std::vector<int64_t> &places, Kept &kept) const;

    const Layout &input() const { return layouts_[0]; }
    const Layout &output() const { return result_; }
    // Bytes of an image that each keeping step keeps.
    std::vector<int64_t> kept_bytes() const;

  private:
    friend class PlanBuilder;
    std::vector<std::unique_ptr<Step>> steps_;
    std::vector<Layout> layouts_;  // of each slot
    std::vector<int> readers_;     // of each slot
    int output_slot_ = 0;
    Layout result_;
    Converter to_result_, from_result_;
};

}  // namespace logitcorpus
