// Walking the graph: constants, branches, and which step each operator becomes.
#include "builder.h"

#include <ATen/ATen.h>

#include <set>

namespace logitcorpus {

namespace {

// Operators that tell of a tensor's shape and kind only.
const std::set<std::string> shape_operators = {
    "aten::size", "aten::dim", "aten::len", "aten::numel", "aten::is_floating_point", "prim::dtype", "prim::device",
    "prim::layout", "prim::is_cuda", "prim::requires_grad"};

}  // namespace

void PlanBuilder::build(const torch::jit::Graph &graph) {
    const auto inputs = graph.inputs();
    slots_[inputs.back()] = 0;  // the module itself, where frozen graphs keep it, has no reader
    block(graph.block());
    TORCH_CHECK(graph.outputs().size() == 1 && is_slot(graph.outputs()[0]), "the module does not return one tensor");
    plan_.output_slot_ = slot(graph.outputs()[0]);
    finish();
}

void PlanBuilder::block(const torch::jit::Block *block) {
    for (const Node *node : block->nodes()) visit(node);
}

void PlanBuilder::visit(const Node *node) {
    const auto name = kind(node);
    if (node->kind() == torch::jit::prim::Constant) {
        constants_[node->output()] = torch::jit::toIValue(node->output()).value();
    } else if (name == "aten::warn") {
        // Nothing to compute.
    } else if (node->kind() == torch::jit::prim::If) {
        choose(node);
    } else if (all_constant(node) || shape_operators.count(name)) {
        evaluate(node);
    } else if (!convolution(node, name) && !pad(node, name) && !batch_norm(node, name) && !bounds(node, name) && !sum(node, name) &&
               !concatenation(node, name) && !pooling(node, name) && !mean(node, name) && !linear(node, name)) {
        operators(node, name);
    }
}

void PlanBuilder::choose(const Node *node) {
    const auto condition = constant(node->input(0));
    TORCH_CHECK(condition, "a branch depends on the image");
    const auto *taken = node->blocks()[condition->toBool() ? 0 : 1];
    block(taken);
    for (size_t i = 0; i < node->outputs().size(); i++) alias(node->outputs()[i], taken->outputs()[i]);
}

void PlanBuilder::evaluate(const Node *node) {
    const auto name = kind(node);
    TORCH_CHECK(name != "prim::RaiseException", "the module raises an exception for this input");
    torch::jit::Stack stack;
    for (const auto *input : node->inputs())
        stack.push_back(is_slot(input) ? IValue(at::zeros(layout(input).dims)) : constant(input).value());
    if (node->kind() == torch::jit::prim::ListConstruct && !stack.empty() && stack[0].isInt()) {
        c10::List<int64_t> list;
        for (const auto &value : stack) list.push_back(value.toInt());
        constants_[node->output()] = list;
        return;
    }
    auto operation = node->getOperation();
    operation(stack);
    for (size_t i = 0; i < node->outputs().size(); i++) constants_[node->outputs()[i]] = stack[i];
}

int PlanBuilder::slot(const Value *value) const {
    const auto found = slots_.find(value);
    TORCH_CHECK(found != slots_.end(), "an operator takes something that no step makes");
    return found->second;
}

c10::optional<IValue> PlanBuilder::constant(const Value *value) const {
    const auto found = constants_.find(value);
    if (found == constants_.end()) return c10::nullopt;
    return found->second;
}

bool PlanBuilder::all_constant(const Node *node) const {
    for (const auto *input : node->inputs())
        if (!constants_.count(input)) return false;
    return true;
}

void PlanBuilder::alias(const Value *name, const Value *same) {
    if (is_slot(same)) slots_[name] = slot(same);
    else if (const auto value = constant(same)) constants_[name] = *value;
    else if (pads_.count(same)) pads_[name] = pads_[same];
    else TORCH_CHECK(false, "a branch returns something that no step makes");
}

c10::optional<IValue> PlanBuilder::argument(const Node *node, size_t i) const {
    if (i >= node->inputs().size()) return c10::nullopt;
    auto value = constant(node->input(i));
    if (value && value->isNone()) return c10::nullopt;
    return value;
}

void PlanBuilder::add(const Node *node, std::unique_ptr<Step> step, const Layout &layout) {
    slots_[node->output()] = step->output;
    plan_.layouts_.push_back(layout);
    plan_.steps_.push_back(std::move(step));
}

Pointwise *PlanBuilder::open_pointwise(const Value *value) const {
    if (plan_.steps_.empty() || value->uses().size() != 1 || plan_.steps_.back()->output != slot(value)) return nullptr;
    auto *step = dynamic_cast<Pointwise *>(plan_.steps_.back().get());
    return step && !step->is_bounded() ? step : nullptr;
}

void PlanBuilder::finish() {
    int kept = 0;
    plan_.readers_.assign(plan_.layouts_.size(), 0);
    for (auto &step : plan_.steps_) {
        if (const auto *chain = dynamic_cast<Operators *>(step.get()))
            if (auto moved = chain->rearrangement()) step = std::move(moved);
        for (const int input : step->inputs) plan_.readers_[static_cast<size_t>(input)]++;
        if (step->kept_bytes() > 0) step->kept_index = kept++;
    }
    plan_.readers_[static_cast<size_t>(plan_.output_slot_)]++;
    const auto &last = plan_.layouts_[static_cast<size_t>(plan_.output_slot_)];
    plan_.result_ = dense_layout(last.dims);
    plan_.to_result_ = Converter(last, plan_.result_);
    plan_.from_result_ = Converter(plan_.result_, last);
}

Plan::Plan(const torch::jit::Graph &graph, const std::vector<int64_t> &input_dims) { PlanBuilder(*this, input_dims).build(graph); }

}  // namespace logitcorpus
