#include "plan.h"

#include <ATen/ATen.h>

namespace logitcorpus {

Values Plan::forward(const float *images, const std::vector<int64_t> &places, Kept *kept) const {
    // Two references, so that no step writes into the caller's images.
    const Values input{std::shared_ptr<float>(const_cast<float *>(images), [](float *) {})};
    Group group{places, kept, std::vector<Values>(layouts_.size()), readers_};
    group.values[0] = input;
    for (const auto &step : steps_) {
        step->forward(group);
        for (const int slot : step->inputs)
            if (--group.readers_left[slot] == 0) group.values[slot] = {};
    }
    return to_result_(group.values[output_slot_]);
}

Values Plan::backward(const Values &cotangent, const std::vector<int64_t> &places, Kept &kept) const {
    Group group{places, &kept, std::vector<Values>(layouts_.size()), {}};
    group.values[output_slot_] = from_result_(cotangent);
    for (size_t s = steps_.size(); s-- > 0;) {
        Values gradient = std::move(group.values[steps_[s]->output]);
        group.values[steps_[s]->output] = {};
        if (gradient) steps_[s]->backward(group, std::move(gradient));
    }
    if (group.values[0]) return group.values[0];
    const Values zeros = make_values(layouts_[0].floats());  // the logits do not depend on the images
    std::fill_n(zeros.get(), layouts_[0].floats(), 0.0f);
    return zeros;
}

std::vector<int64_t> Plan::kept_bytes() const {
    std::vector<int64_t> bytes;
    for (const auto &step : steps_)
        if (step->kept_index >= 0) bytes.push_back(step->kept_bytes());
    return bytes;
}

}  // namespace logitcorpus
