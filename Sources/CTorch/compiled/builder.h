// From a frozen TorchScript graph to the steps of a plan. What is no tensor (sizes, flags) is worked out once, while building.
#pragma once
#include "plan.h"

#include <torch/csrc/jit/ir/ir.h>

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace logitcorpus {

using c10::IValue;
using torch::jit::Node;
using torch::jit::Value;

// The operator's name: aten::relu.
inline std::string kind(const Node *node) { return node->kind().toQualString(); }

class PlanBuilder {
  public:
    PlanBuilder(Plan &plan, const std::vector<int64_t> &input_dims) : plan_(plan) {
        plan_.layouts_.push_back(dense_layout(input_dims));
    }

    void build(const torch::jit::Graph &graph);

  private:
    // MARK: Walking

    void block(const torch::jit::Block *block);
    void visit(const Node *node);
    void choose(const Node *node);
    // Whatever has no tensor of the image among its arguments, or asks for a shape only.
    void evaluate(const Node *node);

    // MARK: Values

    bool is_slot(const Value *value) const { return slots_.count(value) != 0; }
    int slot(const Value *value) const;
    const Layout &layout(const Value *value) const { return plan_.layouts_[static_cast<size_t>(slot(value))]; }
    c10::optional<IValue> constant(const Value *value) const;
    bool all_constant(const Node *node) const;
    void alias(const Value *name, const Value *same);
    // The constant argument `i`, or none where it is not given or None.
    c10::optional<IValue> argument(const Node *node, size_t i) const;
    int new_slot() const { return static_cast<int>(plan_.layouts_.size()); }
    void add(const Node *node, std::unique_ptr<Step> step, const Layout &layout);
    // The last step, where it is a pointwise one without bounds whose value nothing but one operator reads.
    Pointwise *open_pointwise(const Value *value) const;

    // MARK: Steps

    bool convolution(const Node *node, const std::string &name);
    // Zeros around an image that only a convolution reads are that convolution's padding.
    bool pad(const Node *node, const std::string &name);
    bool batch_norm(const Node *node, const std::string &name);
    bool bounds(const Node *node, const std::string &name);
    bool sum(const Node *node, const std::string &name);
    // An operator that works in place: later readers of its input see its output. What only puts values into other
    // places may share its memory with them.
    void overwrite(const Value *before, const Value *after, int maker);
    bool concatenation(const Node *node, const std::string &name);
    bool pooling(const Node *node, const std::string &name);
    bool mean(const Node *node, const std::string &name);
    bool linear(const Node *node, const std::string &name);
    // Everything else is LibTorch's.
    void operators(const Node *node, const std::string &name);
    // The operator that makes a new tensor of what this one changes in place.
    static torch::jit::Operation out_of_place(const Node *node, const std::string &name);
    // Whether `node` is the one reader of the value that the last step made.
    bool readers_of(int slot, const Node *node) const;
    static std::vector<int64_t> pair(const IValue &value);
    void finish();

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

}  // namespace logitcorpus
