// The operators that have steps of their own. Each function returns false where the operator is another, or one that its
// step cannot do.
#include "builder.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

namespace logitcorpus {

bool PlanBuilder::convolution(const Node *node, const std::string &name) {
    if (name != "aten::_convolution" && name != "aten::conv2d") return false;
    const auto weight = argument(node, 1), stride = argument(node, 3), padding = argument(node, 4), dilation = argument(node, 5);
    const bool general = name == "aten::_convolution";
    const auto groups = argument(node, general ? 8 : 6);
    if (!weight || !weight->isTensor() || weight->toTensor().dim() != 4 || weight->toTensor().scalar_type() != at::kFloat || !stride ||
        !stride->isIntList() || !padding || !padding->isIntList() || !dilation || !dilation->isIntList() || !groups)
        return false;
    if (general && argument(node, 6)->toBool()) return false;  // transposed
    const auto *source = node->input(0);
    ConvolutionShape shape;
    shape.stride = pair(*stride), shape.dilation = pair(*dilation);
    shape.padding_before = pair(*padding), shape.padding_after = shape.padding_before;
    shape.groups = groups->toInt();
    int from = 0;
    if (const auto found = pads_.find(source); found != pads_.end()) {
        from = found->second.slot;
        const auto &sides = found->second.sides;  // left, right, top, bottom
        shape.padding_before[0] += sides[2], shape.padding_before[1] += sides[0];
        shape.padding_after[0] += sides[3], shape.padding_after[1] += sides[1];
    } else {
        from = slot(source);
    }
    const auto &layout = plan_.layouts_[static_cast<size_t>(from)];
    if (layout.dims.size() != 4) return false;
    const auto bias = argument(node, 2);
    auto step = std::make_unique<Convolution>(
        from, new_slot(), layout, weight->toTensor(), bias ? bias->toTensor() : at::Tensor(), shape);
    const Layout result = step->layout();
    add(node, std::move(step), result);
    return true;
}

bool PlanBuilder::pad(const Node *node, const std::string &name) {
    if (name != "aten::pad" && name != "aten::constant_pad_nd") return false;
    const auto sides = argument(node, 1);
    const bool general = name == "aten::pad";
    const auto value = argument(node, general ? 3 : 2);
    if (!sides || sides->toIntVector().size() != 4 || (value && value->toScalar().toDouble() != 0)) return false;
    if (general && argument(node, 2)->toStringRef() != "constant") return false;
    for (const auto side : sides->toIntVector())
        if (side < 0) return false;
    const auto &uses = node->output()->uses();
    if (uses.size() != 1 || uses[0].offset != 0) return false;
    const auto reader = kind(uses[0].user);
    if ((reader != "aten::_convolution" && reader != "aten::conv2d") || !constant(uses[0].user->input(1))) {
        // A constant weight may come later in the graph than the pad; frozen graphs have theirs first.
        return false;
    }
    if (reader == "aten::_convolution" && argument(uses[0].user, 6)->toBool()) return false;
    const auto weight = constant(uses[0].user->input(1));
    if (!weight->isTensor() || weight->toTensor().dim() != 4 || !argument(uses[0].user, 4) || !argument(uses[0].user, 4)->isIntList()) return false;
    pads_[node->output()] = {slot(node->input(0)), sides->toIntVector()};
    return true;
}

bool PlanBuilder::batch_norm(const Node *node, const std::string &name) {
    if (name != "aten::batch_norm") return false;
    const auto mean = argument(node, 3), variance = argument(node, 4), training = argument(node, 5), epsilon = argument(node, 7);
    if (!mean || !variance || !training || training->toBool() || !epsilon || !is_slot(node->input(0))) return false;
    const auto &source = layout(node->input(0));
    if (source.dims.size() < 2 || mean->toTensor().scalar_type() != at::kFloat) return false;
    const auto weight = argument(node, 1), bias = argument(node, 2);
    // In PyTorch's order of operations, so that the bits are its own: forward in float, backward from a root in double.
    std::vector<float> scale, shift, roots, weights;
    for (int64_t c = 0; c < source.channels(); c++) {
        const auto value = [c](const c10::optional<IValue> &of, float otherwise) { return of ? of->toTensor()[c].item<float>() : otherwise; };
        const float v = value(variance, 1), w = value(weight, 1);
        scale.push_back(1 / std::sqrt(v + static_cast<float>(epsilon->toDouble())) * w);
        shift.push_back(std::fmaf(-value(mean, 0), scale.back(), value(bias, 0)));
        roots.push_back(static_cast<float>(1 / std::sqrt(static_cast<double>(v) + epsilon->toDouble())));
        weights.push_back(w);
    }
    const Layout result = source;
    auto step = std::make_unique<Pointwise>(std::vector<int>{slot(node->input(0))}, new_slot(), result);
    step->set_affine(scale, shift, roots, weights);
    add(node, std::move(step), result);
    return true;
}

bool PlanBuilder::bounds(const Node *node, const std::string &name) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    float low = 0, high = infinity;
    const std::string plain = name.back() == '_' ? name.substr(0, name.size() - 1) : name;
    if (plain == "aten::relu6") high = 6;
    else if (plain == "aten::hardtanh") low = static_cast<float>(argument(node, 1)->toScalar().toDouble()), high = static_cast<float>(argument(node, 2)->toScalar().toDouble());
    else if (plain != "aten::relu") return false;
    const auto *source = node->input(0);
    const int from = slot(source);
    if (auto *step = open_pointwise(source)) {
        step->set_bounds(low, high);
        slots_[node->output()] = from;
    } else {
        const Layout result = layout(source);
        auto made = std::make_unique<Pointwise>(std::vector<int>{from}, new_slot(), result);
        made->set_bounds(low, high);
        add(node, std::move(made), result);
    }
    if (name.back() == '_') overwrite(source, node->output(), from);
    return true;
}

bool PlanBuilder::sum(const Node *node, const std::string &name) {
    if (name != "aten::add" && name != "aten::add_") return false;
    if (!is_slot(node->input(0)) || !is_slot(node->input(1))) return false;
    const auto factor = argument(node, 2);
    const Layout result = layout(node->input(0)), other = layout(node->input(1));
    if (result.dims != other.dims || (factor && factor->toScalar().toDouble() != 1) || slot(node->input(0)) == slot(node->input(1))) return false;
    const int from = slot(node->input(0));
    if (name == "aten::add") {
        for (const size_t own : {0, 1}) {
            auto *step = open_pointwise(node->input(own));
            if (!step || step->inputs.size() != 1) continue;
            const auto *added = node->input(1 - own);
            step->inputs.push_back(slot(added));
            step->set_other(layout(added));
            slots_[node->output()] = step->output;
            return true;
        }
    }
    auto step = std::make_unique<Pointwise>(std::vector<int>{from, slot(node->input(1))}, new_slot(), result);
    step->set_other(other);
    add(node, std::move(step), result);
    if (name.back() == '_') overwrite(node->input(0), node->output(), from);
    return true;
}

bool PlanBuilder::concatenation(const Node *node, const std::string &name) {
    if (name == "prim::ListConstruct") {
        for (const auto *input : node->inputs()) slot(input);
        lists_[node->output()] = node;
        return true;
    }
    if (name != "aten::cat") return false;
    const auto found = lists_.find(node->input(0));
    const auto dimension = argument(node, 1);
    TORCH_CHECK(found != lists_.end() && dimension, "a concatenation of an unknown list");
    std::vector<int> inputs;
    std::vector<Layout> sources;
    for (const auto *input : found->second->inputs()) {
        inputs.push_back(slot(input));
        sources.push_back(layout(input));
        TORCH_CHECK(sources.back().dims.size() == 4, "a concatenation of something else than images");
    }
    const auto along = dimension->toInt();
    TORCH_CHECK(along == 1 || along == -3, "a concatenation along another dimension than channels");
    auto step = std::make_unique<Concatenation>(inputs, new_slot(), sources);
    const Layout result = step->layout();
    add(node, std::move(step), result);
    return true;
}

bool PlanBuilder::pooling(const Node *node, const std::string &name) {
    if (name != "aten::max_pool2d") return false;
    const auto kernel = argument(node, 1), stride = argument(node, 2), padding = argument(node, 3), dilation = argument(node, 4);
    TORCH_CHECK(kernel && padding && dilation, "a pooling of unknown shape");
    for (const auto step : pair(*dilation))
        if (step != 1) return false;
    const auto source = layout(node->input(0));
    ConvolutionShape shape;
    const auto window = pair(*kernel);
    shape.stride = stride && !stride->toIntVector().empty() ? pair(*stride) : window;
    shape.padding_before = pair(*padding);
    auto dims = at::max_pool2d(at::empty(source.dims), window, shape.stride, shape.padding_before, 1, argument(node, 5) && argument(node, 5)->toBool()).sizes().vec();
    for (size_t i = 0; i < 2; i++)
        shape.padding_after.push_back((dims[2 + i] - 1) * shape.stride[i] + window[i] - source.dims[2 + i] - shape.padding_before[i]);
    auto step = std::make_unique<MaxPooling>(slot(node->input(0)), new_slot(), source, window, shape, dims);
    const Layout result = step->layout();
    add(node, std::move(step), result);
    return true;
}

bool PlanBuilder::mean(const Node *node, const std::string &name) {
    const bool adaptive = name == "aten::adaptive_avg_pool2d";
    if (name != "aten::mean" && !adaptive) return false;
    const auto over = argument(node, 1);
    if (!over || !over->isIntList() || over->toIntVector().size() != 2 || layout(node->input(0)).dims.size() != 4) return false;
    const Layout source = layout(node->input(0));
    auto sides = over->toIntVector();
    if (adaptive) {
        if (sides != std::vector<int64_t>{1, 1}) return false;
    } else {
        for (auto &side : sides) side = side < 0 ? side + 4 : side;
        if (sides[0] + sides[1] != 5 || sides[0] * sides[1] != 6 || argument(node, 3)) return false;
    }
    if (source.places() > SpatialMean::most_places) return false;
    std::vector<int64_t> dims = {source.images(), source.channels()};
    if (adaptive || argument(node, 2)->toBool()) dims.insert(dims.end(), {1, 1});
    auto step = std::make_unique<SpatialMean>(slot(node->input(0)), new_slot(), source, std::move(dims));
    const Layout result = step->layout();
    add(node, std::move(step), result);
    return true;
}

bool PlanBuilder::linear(const Node *node, const std::string &name) {
    if (name != "aten::linear") return false;
    const auto weight = argument(node, 1), bias = argument(node, 2);
    const auto *input = node->input(0);
    if (!weight || !is_slot(input) || layout(input).dims.size() != 2) return false;
    const Layout source = layout(input);
    auto step = std::make_unique<Linear>(slot(input), new_slot(), source, weight->toTensor(), bias ? bias->toTensor() : at::Tensor());
    const Layout result = step->layout();
    add(node, std::move(step), result);
    return true;
}

std::vector<int64_t> PlanBuilder::pair(const IValue &value) {
    auto list = value.toIntVector();
    if (list.size() == 1) list.push_back(list[0]);
    TORCH_CHECK(list.size() == 2, "a shape of other than two dimensions");
    return list;
}

}  // namespace logitcorpus
