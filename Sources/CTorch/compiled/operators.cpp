// Steps that LibTorch's own operators do.
#include "steps.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/variable.h>

#include <cstring>

namespace logitcorpus {

Operators::Operators(std::vector<int> inputs, int output, std::vector<Layout> sources)
    : Step(std::move(inputs), output), sources_(std::move(sources)) {
    for (const auto &source : sources_) {
        dense_.push_back(dense_layout(source.dims));
        to_dense_.emplace_back(source, dense_.back());
        from_dense_.emplace_back(dense_.back(), source);
    }
}

at::Tensor Operators::run(const std::vector<at::Tensor> &inputs) const {
    at::Tensor chain;
    for (size_t c = 0; c < calls_.size(); c++) {
        torch::jit::Stack stack;
        size_t next = 0;
        for (const auto &argument : calls_[c].arguments) {
            if (argument) stack.push_back(*argument);
            else stack.push_back(c == 0 ? inputs[next++] : chain);
        }
        calls_[c].operation(stack);
        TORCH_CHECK(stack.size() == 1 && stack[0].isTensor(), "an operator makes no single tensor");
        chain = stack[0].toTensor();
    }
    return chain;
}

void Operators::append(Call call, bool is_linear, bool moves) {
    calls_.push_back(std::move(call));
    is_linear_ = is_linear_ && is_linear;
    moves_ = moves_ && moves;
    last_moves_ = moves;
    const at::AutoGradMode silent(false);
    std::vector<at::Tensor> inputs;
    for (const auto &layout : dense_) inputs.push_back(at::zeros(layout.dims));
    const auto result = run(inputs);
    TORCH_CHECK(
        result.scalar_type() == at::kFloat && result.dim() >= 1 && result.size(0) == sources_[0].images(),
        "an operator makes no float tensor of one row an image");
    result_ = dense_layout(result.sizes().vec());
}

std::unique_ptr<Step> Operators::rearrangement() const {
    const bool images = result_.dims.size() == 4 && dense_.size() == 1 && dense_[0].dims.size() == 4;
    if (!moves_ || !images || sources_[0].image_floats() >= 1 << 24) return nullptr;
    // The chain moves places as it moves values: each carries its own place, from 1 on, which floats hold exactly.
    const at::AutoGradMode silent(false);
    const Values places = make_values(sources_[0].floats());
    const int64_t floats = sources_[0].image_floats();
    for (int64_t k = 0; k < sources_[0].floats(); k++) places.get()[k] = static_cast<float>(k % floats + 1);
    const Values dense = to_dense_[0](places);
    const auto moved = run({at::from_blob(dense.get(), dense_[0].dims, at::kFloat)}).contiguous();
    std::vector<int32_t> from;
    for (int64_t k = 0; k < result_.image_floats(); k++) from.push_back(static_cast<int32_t>(moved.data_ptr<float>()[k]) - 1);
    return std::make_unique<Rearrangement>(inputs[0], output, sources_[0], result_, std::move(from));
}

int64_t Operators::kept_bytes() const {
    int64_t floats = 0;
    if (!is_linear_)
        for (const auto &layout : dense_) floats += layout.image_floats();
    return floats * static_cast<int64_t>(sizeof(float));
}

void Operators::forward(Group &group) const {
    const at::AutoGradMode silent(false);
    std::vector<at::Tensor> tensors;
    std::vector<Values> held;
    int64_t offset = 0;
    for (size_t k = 0; k < inputs.size(); k++) {
        held.push_back(to_dense_[k](group.values[inputs[k]]));
        tensors.push_back(at::from_blob(held.back().get(), dense_[k].dims, at::kFloat));
        if (is_linear_ || !group.kept) continue;
        const int64_t floats = dense_[k].image_floats(), bytes = floats * static_cast<int64_t>(sizeof(float));
        for (size_t i = 0; i < group.images.size(); i++)
            std::memcpy(group.kept->image(kept_index, group.images[i]) + offset, held.back().get() + static_cast<int64_t>(i) * floats, static_cast<size_t>(bytes));
        offset += bytes;
    }
    // A copy where the result is a view of an input: that memory is not its own.
    auto result = run(tensors).contiguous();
    for (const auto &tensor : tensors)
        if (result.data_ptr() >= tensor.data_ptr() && result.data_ptr<float>() < tensor.data_ptr<float>() + tensor.numel()) result = result.clone();
    float *data = result.data_ptr<float>();
    group.values[output] = {std::shared_ptr<float>(data, [result](float *) {})};
}

void Operators::backward(Group &group, Values gradient) const {
    const at::AutoGradMode recording(true);
    std::vector<at::Tensor> leaves;
    int64_t offset = 0;
    for (const auto &layout : dense_) {
        auto leaf = at::zeros(layout.dims);
        if (!is_linear_) {
            const int64_t floats = layout.image_floats(), bytes = floats * static_cast<int64_t>(sizeof(float));
            for (size_t i = 0; i < group.images.size(); i++)
                std::memcpy(leaf.data_ptr<float>() + static_cast<int64_t>(i) * floats, group.kept->image(kept_index, group.images[i]) + offset, static_cast<size_t>(bytes));
            offset += bytes;
        }
        leaves.push_back(leaf.set_requires_grad(true));
    }
    const auto result = run(leaves);
    const auto given = at::from_blob(gradient.get(), result_.dims, at::kFloat);
    const auto slopes = torch::autograd::grad({result}, leaves, {given}, c10::nullopt, false, /*allow_unused=*/true);
    for (size_t k = 0; k < inputs.size(); k++) {
        if (!slopes[k].defined()) continue;
        const auto dense = slopes[k].contiguous();
        float *data = dense.data_ptr<float>();
        // A copy: the gradient may be a view of the one given.
        const Values own = make_values(dense_[k].floats());
        std::memcpy(own.get(), data, sizeof(float) * static_cast<size_t>(dense.numel()));
        give(group, inputs[k], from_dense_[k](own), sources_[k].floats());
    }
}

}  // namespace logitcorpus
