// Pointwise steps, concatenation, means, fully connected layers, values in other places.
#include "steps.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

namespace logitcorpus {

void give(Group &group, int slot, Values gradient, int64_t floats) {
    Values &sum = group.values[slot];
    if (!sum) {
        sum = std::move(gradient);
        return;
    }
    if (sum.is_shared()) {
        const Values own = make_values(floats);
        std::memcpy(own.get(), sum.get(), sizeof(float) * static_cast<size_t>(floats));
        sum = own;
    }
    accumulate(sum.get(), gradient.get(), floats);
}

// MARK: Pointwise

void Pointwise::set_affine(
    const std::vector<float> &scale, const std::vector<float> &shift, const std::vector<float> &root, const std::vector<float> &weight) {
    // 16 lanes a run: one channel of the dense layout, else a block of 16 or twice one of 8; padding stays zero.
    const int64_t block = layout_.block, runs = layout_.padded_channels() / block;
    for (int64_t run = 0; run < runs; run++) {
        const auto lanes = [&](const std::vector<float> &from, std::vector<float> &to) {
            for (int64_t lane = 0; lane < 16; lane++) {
                const auto channel = static_cast<size_t>(run * block + lane % block);
                to.push_back(channel < from.size() ? from[channel] : 0);
            }
        };
        lanes(scale, scale_);
        lanes(shift, shift_);
        lanes(root, slope_);
        lanes(weight, slope_);
    }
}

void Pointwise::forward(Group &group) const {
    Values other;
    if (inputs.size() > 1) other = to_layout_(group.values[inputs[1]]);
    // In place where nobody else reads the input.
    const Values &input = group.values[inputs[0]];
    const bool last = group.readers_left[inputs[0]] == 1 && !input.is_shared();
    const Values result = last ? input : make_values(layout_.floats());
    const int64_t run = run_floats(), count = runs();
    Elementwise what;
    what.bounded = bounded_, what.low = low_, what.high = high_;
    for (size_t i = 0; i < group.images.size(); i++) {
        auto *mask = bounded_ && group.kept ? reinterpret_cast<uint16_t *>(group.kept->image(kept_index, group.images[i])) : nullptr;
        for (int64_t r = 0; r < count; r++) {
            const int64_t place = (static_cast<int64_t>(i) * count + r) * run;
            if (!scale_.empty()) what.scale = &scale_[r * 16], what.shift = &shift_[r * 16];
            if (other) what.other = other.get() + place;
            elementwise_forward(what, input.get() + place, result.get() + place, mask ? mask + r * mask_words(run) : nullptr, run);
        }
    }
    group.values[output] = result;
}

void Pointwise::backward(Group &group, Values gradient) const {
    const int64_t run = run_floats(), count = runs(), floats = layout_.floats();
    const bool scaled = !scale_.empty(), summed = inputs.size() > 1;
    if (!bounded_ && !scaled) {  // a sum alone
        give(group, inputs[1], from_layout_(gradient), other_floats_);
        return give(group, inputs[0], std::move(gradient), floats);
    }
    // The other term's gradient is that of the sum, before the scale.
    const Values unscaled = summed && scaled ? make_values(floats) : Values();
    const Values result = gradient.is_shared() ? make_values(floats) : gradient;
    for (size_t i = 0; i < group.images.size(); i++) {
        const auto *mask = bounded_ ? reinterpret_cast<uint16_t *>(group.kept->image(kept_index, group.images[i])) : nullptr;
        for (int64_t r = 0; r < count; r++) {
            const int64_t place = (static_cast<int64_t>(i) * count + r) * run;
            elementwise_backward(
                scaled ? &slope_[static_cast<size_t>(r) * 32] : nullptr, mask ? mask + r * mask_words(run) : nullptr, gradient.get() + place,
                result.get() + place, unscaled ? unscaled.get() + place : nullptr, run);
        }
    }
    if (summed) give(group, inputs[1], from_layout_(unscaled ? unscaled : result), other_floats_);
    give(group, inputs[0], result, floats);
}

// MARK: Concatenation

Concatenation::Concatenation(std::vector<int> inputs, int output, const std::vector<Layout> &sources)
    : Step(std::move(inputs), output), sources_(sources) {
    const int64_t block = sources[0].block;
    const bool fits = std::all_of(sources.begin(), sources.end(), [&](const Layout &source) {
        return source.block == block && source.channels() % block == 0;
    });
    std::vector<int64_t> dims = sources[0].dims;
    dims[1] = 0;
    for (const auto &source : sources) {
        dims[1] += source.channels();
        parts_.push_back(fits ? source : dense_layout(source.dims));
        to_part_.emplace_back(source, parts_.back());
        from_part_.emplace_back(parts_.back(), source);
    }
    result_ = dense_layout(dims);
    if (fits && block > 1) {
        const auto tag = block == 16 ? dnnl::memory::format_tag::nChw16c : dnnl::memory::format_tag::nChw8c;
        result_ = layout_of(dnnl::memory::desc(dnnl::memory::dims(dims.begin(), dims.end()), dnnl::memory::data_type::f32, tag));
    }
}

void Concatenation::forward(Group &group) const {
    const Values result = make_values(result_.floats());
    int64_t place = 0;
    for (size_t k = 0; k < inputs.size(); k++) {
        const Values part = to_part_[k](group.values[inputs[k]]);
        const int64_t floats = parts_[k].image_floats();
        for (size_t i = 0; i < group.images.size(); i++)
            std::memcpy(result.get() + static_cast<int64_t>(i) * result_.image_floats() + place, part.get() + static_cast<int64_t>(i) * floats, sizeof(float) * static_cast<size_t>(floats));
        place += floats;
    }
    group.values[output] = result;
}

void Concatenation::backward(Group &group, Values gradient) const {
    int64_t place = 0;
    for (size_t k = 0; k < inputs.size(); k++) {
        const int64_t floats = parts_[k].image_floats();
        const Values part = make_values(parts_[k].floats());
        for (size_t i = 0; i < group.images.size(); i++)
            std::memcpy(part.get() + static_cast<int64_t>(i) * floats, gradient.get() + static_cast<int64_t>(i) * result_.image_floats() + place, sizeof(float) * static_cast<size_t>(floats));
        give(group, inputs[k], from_part_[k](part), sources_[k].floats());
        place += floats;
    }
}

// MARK: Means and places

void SpatialMean::forward(Group &group) const {
    const Values result = make_values(result_.floats());
    const int64_t block = source_.block, runs = source_.padded_channels() / block, channels = source_.channels();
    float means[16];
    for (int64_t i = 0; i < source_.images(); i++)
        for (int64_t r = 0; r < runs; r++) {
            spatial_mean(group.values[inputs[0]].get() + (i * runs + r) * source_.places() * block, means, source_.places(), block);
            std::copy_n(means, std::min(block, channels - r * block), result.get() + i * channels + r * block);
        }
    group.values[output] = result;
}

void SpatialMean::backward(Group &group, Values gradient) const {
    const Values result = make_values(source_.floats());
    const int64_t block = source_.block, runs = source_.padded_channels() / block, channels = source_.channels(), places = source_.places();
    for (int64_t i = 0; i < source_.images(); i++)
        for (int64_t r = 0; r < runs; r++) {
            float *to = result.get() + (i * runs + r) * places * block;
            for (int64_t c = 0; c < block; c++) {
                const int64_t channel = r * block + c;
                const float slope = channel < channels ? gradient.get()[i * channels + channel] / static_cast<float>(places) : 0;
                for (int64_t p = 0; p < places; p++) to[p * block + c] = slope;
            }
        }
    give(group, inputs[0], result, source_.floats());
}

Linear::Linear(int input, int output, const Layout &source, at::Tensor weight, at::Tensor bias)
    : Step({input}, output), source_(source), result_(dense_layout({source.images(), weight.size(0)})),
      weight_(std::move(weight)), bias_(std::move(bias)) {
    TORCH_CHECK(weight_.dim() == 2 && weight_.size(1) == source.channels(), "a fully connected layer does not fit its input");
}

void Linear::forward(Group &group) const {
    const at::AutoGradMode silent(false);
    const Values result = make_values(result_.floats());
    auto to = at::from_blob(result.get(), result_.dims, at::kFloat);
    const auto from = at::from_blob(group.values[inputs[0]].get(), source_.dims, at::kFloat);
    if (bias_.defined()) at::addmm_out(to, bias_, from, weight_.t());
    else at::mm_out(to, from, weight_.t());
    group.values[output] = result;
}

void Linear::backward(Group &group, Values gradient) const {
    const at::AutoGradMode silent(false);
    const Values result = make_values(source_.floats());
    auto to = at::from_blob(result.get(), source_.dims, at::kFloat);
    at::mm_out(to, at::from_blob(gradient.get(), result_.dims, at::kFloat), weight_);
    give(group, inputs[0], result, source_.floats());
}

void Rearrangement::forward(Group &group) const {
    const Values result = make_values(result_.floats());
    const auto count = static_cast<int64_t>(places_.size());
    for (int64_t i = 0; i < source_.images(); i++) {
        const float *from = group.values[inputs[0]].get() + i * source_.image_floats();
        float *to = result.get() + i * count;
        for (int64_t k = 0; k < count; k++) to[k] = places_[static_cast<size_t>(k)] < 0 ? 0 : from[places_[static_cast<size_t>(k)]];
    }
    group.values[output] = result;
}

void Rearrangement::backward(Group &group, Values gradient) const {
    const Values result = make_values(source_.floats());
    std::fill_n(result.get(), source_.floats(), 0.0f);
    const auto count = static_cast<int64_t>(places_.size());
    for (int64_t i = 0; i < source_.images(); i++) {
        float *to = result.get() + i * source_.image_floats();
        const float *from = gradient.get() + i * count;
        for (int64_t k = 0; k < count; k++)
            if (places_[static_cast<size_t>(k)] >= 0) to[places_[static_cast<size_t>(k)]] += from[k];
    }
    give(group, inputs[0], result, source_.floats());
}

}  // namespace logitcorpus
