#include "engine.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

namespace logitcorpus {

namespace {

// Images that go through the steps together: enough that the work of a step hides what it costs to begin one, and that the
// weights of a large fully connected layer are read once for many (docs/measurements.md).
int64_t group_of(const ImageShape &shape) { return shape.height * shape.width <= 64 * 64 ? 32 : 8; }

}  // namespace

Engine::Engine(std::shared_ptr<torch::jit::Graph> graph, ImageShape shape, at::Tensor mean, at::Tensor deviation)
    : graph_(std::move(graph)), shape_(shape), mean_(std::move(mean)), deviation_(std::move(deviation)), group_(group_of(shape)) {
    const auto &dims = plan(group_).output().dims;
    TORCH_CHECK(dims.size() == 2, "the module does not return [images, classes]");
    classes_ = dims[1];
}

const Plan &Engine::plan(int64_t images) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    auto &found = plans_[images];
    if (!found) found = std::make_unique<Plan>(*graph_, std::vector<int64_t>{images, shape_.channels, shape_.height, shape_.width});
    return *found;
}

void Engine::forward(const float *images, int64_t count, float *logits, Kept *kept) const {
    if (kept) {
        kept->bytes = plan(group_).kept_bytes();
        kept->steps.resize(kept->bytes.size());
        for (size_t s = 0; s < kept->bytes.size(); s++) kept->steps[s].resize(static_cast<size_t>(kept->bytes[s] * count));
    }
    for (int64_t first = 0; first < count; first += group_) {
        const int64_t n = std::min(group_, count - first);
        std::vector<int64_t> places;
        for (int64_t i = 0; i < n; i++) places.push_back(first + i);
        const float *group = images + first * shape_.floats();
        at::Tensor normalised;
        if (mean_.defined()) {
            const auto dense = at::from_blob(const_cast<float *>(group), {n, shape_.channels, shape_.height, shape_.width}, at::kFloat);
            normalised = (dense - mean_) / deviation_;
            group = normalised.data_ptr<float>();
        }
        const Values values = plan(n).forward(group, places, kept);
        std::memcpy(logits + first * classes_, values.get(), sizeof(float) * static_cast<size_t>(n * classes_));
    }
}

void Engine::backward(const float *cotangent, int64_t count, Kept &kept, float *gradient) const {
    const int64_t floats = shape_.floats();
    std::vector<int64_t> asked;
    for (int64_t i = 0; i < count; i++) {
        const float *row = cotangent + i * classes_;
        if (std::any_of(row, row + classes_, [](float value) { return value != 0; })) asked.push_back(i);
        else std::fill_n(gradient + i * floats, floats, 0.0f);
    }
    for (size_t first = 0; first < asked.size(); first += static_cast<size_t>(group_)) {
        const auto n = std::min(static_cast<size_t>(group_), asked.size() - first);
        const std::vector<int64_t> places(asked.begin() + static_cast<int64_t>(first), asked.begin() + static_cast<int64_t>(first + n));
        const Values rows = make_values(static_cast<int64_t>(n) * classes_);
        for (size_t i = 0; i < n; i++)
            std::memcpy(rows.get() + static_cast<int64_t>(i) * classes_, cotangent + places[i] * classes_, sizeof(float) * static_cast<size_t>(classes_));
        const Values slope = plan(static_cast<int64_t>(n)).backward(rows, places, kept);
        if (deviation_.defined())
            at::from_blob(slope.get(), {static_cast<int64_t>(n), shape_.channels, shape_.height, shape_.width}, at::kFloat).div_(deviation_);
        for (size_t i = 0; i < n; i++)
            std::memcpy(gradient + places[i] * floats, slope.get() + static_cast<int64_t>(i) * floats, sizeof(float) * static_cast<size_t>(floats));
    }
}

}  // namespace logitcorpus
