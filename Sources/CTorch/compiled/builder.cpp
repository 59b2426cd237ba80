// From a frozen TorchScript graph to the steps of a plan. What is no tensor (sizes, flags) is worked out here, once.
#include "plan.h"

#include <ATen/ATen.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <cmath>
#include <set>
#include <string>

namespace logitcorpus {

namespace {

using torch::jit::Node;
using torch::jit::Value;
using c10::IValue;

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
// Operators that tell of a tensor's shape and kind only.
const std::set<std::string> shape_operators = {
    "aten::size", "aten::dim", "aten::len", "aten::numel", "aten::is_floating_point", "prim::dtype", "prim::device",
    "prim::layout", "prim::is_cuda", "prim::requires_grad"};

std::string kind(const Node *node) { return node->kind().toQualString(); }

}  // namespace

class PlanBuilder {
  public:
    PlanBuilder(Plan &plan, const std::vector<int64_t> &input_dims) : plan_(plan) {
        plan_.layouts_.push_back(dense_layout(input_dims));
    }

    void build(const torch::jit::Graph &graph) {
        const auto inputs = graph.inputs();
        slots_[inputs.back()] = 0;  // the module itself, where frozen graphs keep it, has no reader
        block(graph.block());
        TORCH_CHECK(graph.outputs().size() == 1 && is_slot(graph.outputs()[0]), "the module does not return one tensor");
        plan_.output_slot_ = slot(graph.outputs()[0]);
        finish();
    }

  private:
    // MARK: Walking

    void block(const torch::jit::Block *block) {
        for (const Node *node : block->nodes()) visit(node);
    }

    void visit(const Node *node) {
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

    void choose(const Node *node) {
        const auto condition = constant(node->input(0));
        TORCH_CHECK(condition, "a branch depends on the image");
        const auto *taken = node->blocks()[condition->toBool() ? 0 : 1];
        block(taken);
        for (size_t i = 0; i < node->outputs().size(); i++) alias(node->outputs()[i], taken->outputs()[i]);
    }

    // Whatever has no tensor of the image among its arguments, or asks for a shape only.
    void evaluate(const Node *node) {
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

    // MARK: Values

    bool is_slot(const Value *value) const { return slots_.count(value) != 0; }

    int slot(const Value *value) const {
        const auto found = slots_.find(value);
        TORCH_CHECK(found != slots_.end(), "an operator takes something that no step makes");
        return found->second;
    }

    const Layout &layout(const Value *value) const { return plan_.layouts_[static_cast<size_t>(slot(value))]; }

    c10::optional<IValue> constant(const Value *value) const {
        const auto found = constants_.find(value);
        if (found == constants_.end()) return c10::nullopt;
        return found->second;
    }

    bool all_constant(const Node *node) const {
        for (const auto *input : node->inputs())
            if (!constants_.count(input)) return false;
        return true;
    }

    void alias(const Value *name, const Value *same) {
        if (is_slot(same)) slots_[name] = slot(same);
        else if (const auto value = constant(same)) constants_[name] = *value;
        else if (pads_.count(same)) pads_[name] = pads_[same];
        else TORCH_CHECK(false, "a branch returns something that no step makes");
    }

    // The constant argument `i`, or none where it is not given or None.
    c10::optional<IValue> argument(const Node *node, size_t i) const {
        if (i >= node->inputs().size()) return c10::nullopt;
        auto value = constant(node->input(i));
        if (value && value->isNone()) return c10::nullopt;
        return value;
    }

    int new_slot() const { return static_cast<int>(plan_.layouts_.size()); }

    void add(const Node *node, std::unique_ptr<Step> step, const Layout &layout) {
        slots_[node->output()] = step->output;
        plan_.layouts_.push_back(layout);
        plan_.steps_.push_back(std::move(step));
    }

    // The last step, where it is a pointwise one without bounds whose value nothing but one operator reads.
    Pointwise *open_pointwise(const Value *value) const {
        if (plan_.steps_.empty() || value->uses().size() != 1 || plan_.steps_.back()->output != slot(value)) return nullptr;
        auto *step = dynamic_cast<Pointwise *>(plan_.steps_.back().get());
        return step && !step->is_bounded() ? step : nullptr;
    }

    // MARK: Steps

    bool convolution(const Node *node, const std::string &name) {
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

    // Zeros around an image that only a convolution reads are that convolution's padding.
    bool pad(const Node *node, const std::string &name) {
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

    bool batch_norm(const Node *node, const std::string &name) {
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

    bool bounds(const Node *node, const std::string &name) {
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

    bool sum(const Node *node, const std::string &name) {
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

    // An operator that works in place: later readers of its input see its output. What only puts values into other
    // places may share its memory with them.
    void overwrite(const Value *before, const Value *after, int maker) {
        for (const auto &step : plan_.steps_)
            if (step->output == maker) {
                const auto *chain = dynamic_cast<Operators *>(step.get());
                TORCH_CHECK(!chain || !chain->may_be_view(), "an operator works in place on what may be a view");
            }
        TORCH_CHECK(maker != 0, "an operator works in place on the image");
        slots_[before] = slot(after);
    }

    bool concatenation(const Node *node, const std::string &name) {
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

    bool pooling(const Node *node, const std::string &name) {
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

    bool mean(const Node *node, const std::string &name) {
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

    bool linear(const Node *node, const std::string &name) {
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

    // Everything else is LibTorch's.
    void operators(const Node *node, const std::string &name) {
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

    // The operator that makes a new tensor of what this one changes in place.
    static torch::jit::Operation out_of_place(const Node *node, const std::string &name) {
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

    // Whether `node` is the one reader of the value that the last step made.
    bool readers_of(int slot, const Node *node) const {
        for (const auto *input : node->inputs())
            if (is_slot(input) && this->slot(input) == slot) return input->uses().size() == 1;
        return false;
    }

    static std::vector<int64_t> pair(const IValue &value) {
        auto list = value.toIntVector();
        if (list.size() == 1) list.push_back(list[0]);
        TORCH_CHECK(list.size() == 2, "a shape of other than two dimensions");
        return list;
    }

    void finish() {
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

    struct Pad {
        int slot;
        std::vector<int64_t> sides;
    };

    Plan &plan_;
    std::unordered_map<const Value *, int> slots_;
    std::unordered_map<const Value *, IValue> constants_;
    std::unordered_map<const Value *, const Node *> lists_;
    std::unordered_map<const Value *, Pad> pads_;
};

Plan::Plan(const torch::jit::Graph &graph, const std::vector<int64_t> &input_dims) { PlanBuilder(*this, input_dims).build(graph); }

}  // namespace logitcorpus
