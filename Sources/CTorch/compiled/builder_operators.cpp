// The operators that are left to LibTorch, and those that work in place.
#include "builder.h"

#include <ATen/ATen.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <set>

namespace logitcorpus {

namespace {

// Operators whose gradient does not depend on the values they are given, where their other arguments are constants.
const std::set<std::string> linear_operators = {
    "aten::sub", "aten::div", "aten::mul", "aten::add", "aten::flatten", "aten::view", "aten::reshape", "aten::slice",
    "aten::select", "aten::pad", "aten::constant_pad_nd", "aten::mean", "aten::avg_pool2d", "aten::adaptive_avg_pool2d",
    "aten::linear", "aten::dropout", "aten::feature_dropout", "aten::squeeze", "aten::unsqueeze", "aten::permute",
    "aten::transpose", "aten::contiguous", "aten::upsample_bilinear2d", "aten::upsample_nearest2d", "aten::neg",
    "aten::_convolution", "aten::conv2d", "aten::batch_norm"};
// Those of them that only put values into other places, or zeros between them.
const std::set<std::string> moving_operators = {
    "aten::flatten", "aten::view", "aten::reshape", "aten::slice", "aten::select", "aten::pad", "aten::constant_pad_nd",
    "aten::squeeze", "aten::unsqueeze", "aten::permute", "aten::transpose", "aten::contiguous"};
const std::set<std::string> heavy_operators = {
    "aten::linear", "aten::matmul", "aten::bmm", "aten::baddbmm", "aten::addmm", "aten::mm", "aten::einsum", "aten::layer_norm",
    "aten::scaled_dot_product_attention", "aten::_native_multi_head_attention"};

}  // namespace

void PlanBuilder::operators(const Node *node, const std::string &name) {
    TORCH_CHECK(node->outputs().size() == 1 && node->maybeOperator(), "there is no step for ", name);
    TORCH_CHECK(node->output()->type()->kind() == c10::TypeKind::TensorType, "there is no step for ", name);
    // Their forward pass, which an `Operators` step runs again for the gradient, is most of a transformer's work.
    TORCH_CHECK(!heavy_operators.count(name), "LibTorch itself is faster at ", name);
    Operators::Call call{name.back() == '_' ? out_of_place(node, name) : node->getOperation(), {}};
    std::vector<int> inputs;
    std::vector<Layout> sources;
    for (const auto *input : node->inputs()) {
        if (is_slot(input)) {
            inputs.push_back(slot(input));
            sources.push_back(layout(input));
            call.arguments.emplace_back(c10::nullopt);
        } else {
            const auto value = constant(input);
            TORCH_CHECK(value, "there is no step for ", name);
            call.arguments.emplace_back(*value);
        }
    }
    const bool linear = linear_operators.count(name) != 0 && inputs.size() == 1 && is_slot(node->input(0)) &&
        !(name.find("dropout") != std::string::npos && argument(node, 2) && argument(node, 2)->toBool());
    const auto filling = argument(node, name == "aten::pad" ? 3 : 2);
    const bool fills = name.find("pad") != std::string::npos && filling && filling->isScalar() && filling->toScalar().toDouble() != 0;
    const bool moves = linear && !fills && moving_operators.count(name) != 0;
    const auto *source = inputs.size() == 1 && !plan_.steps_.empty() ? dynamic_cast<Operators *>(plan_.steps_.back().get()) : nullptr;
    if (name.back() != '_' && source && source->output == inputs[0] && readers_of(inputs[0], node)) {
        auto *chain = dynamic_cast<Operators *>(plan_.steps_.back().get());
        chain->append(std::move(call), linear, moves);
        plan_.layouts_.back() = chain->layout();
        slots_[node->output()] = inputs[0];
        return;
    }
    auto step = std::make_unique<Operators>(inputs, new_slot(), sources);
    step->append(std::move(call), linear, moves);
    const Layout result = step->layout();
    add(node, std::move(step), result);
    if (name.back() == '_') overwrite(node->input(0), node->output(), inputs[0]);
}

torch::jit::Operation PlanBuilder::out_of_place(const Node *node, const std::string &name) {
    const auto symbol = c10::Symbol::fromQualString(name.substr(0, name.size() - 1));
    const auto &schema = node->schema();
    for (const auto &candidate : torch::jit::getAllOperatorsFor(symbol)) {
        const auto &other = candidate->schema();
        bool same = other.overload_name() == schema.overload_name() && other.arguments().size() == schema.arguments().size();
        for (size_t i = 0; same && i < other.arguments().size(); i++) same = *other.arguments()[i].type() == *schema.arguments()[i].type();
        if (same) return candidate->getOperation();
    }
    TORCH_CHECK(false, "there is no step for ", name);
}

bool PlanBuilder::readers_of(int slot, const Node *node) const {
    for (const auto *input : node->inputs())
        if (is_slot(input) && this->slot(input) == slot) return input->uses().size() == 1;
    return false;
}

void PlanBuilder::overwrite(const Value *before, const Value *after, int maker) {
    for (const auto &step : plan_.steps_)
        if (step->output == maker) {
            const auto *chain = dynamic_cast<Operators *>(step.get());
            TORCH_CHECK(!chain || !chain->may_be_view(), "an operator works in place on what may be a view");
        }
    TORCH_CHECK(maker != 0, "an operator works in place on the image");
    slots_[before] = slot(after);
}

}  // namespace logitcorpus
