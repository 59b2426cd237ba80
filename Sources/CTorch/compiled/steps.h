// The steps of a compiled network. What a gradient needs of the forward pass is kept in bytes of each image by itself, so
// that gradients can be taken of any of the images in any grouping.
#pragma once
#include "kernels.h"
#include "layout.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/stack.h>

#include <optional>
#include <string>
#include <vector>

namespace logitcorpus {

// What forward passes keep: for each step that keeps something, `bytes` of each image of the pass.
struct Kept {
    std::vector<std::vector<uint8_t>> steps;
    std::vector<int64_t> bytes;

    uint8_t *image(int step, int64_t image) { return steps[step].data() + image * bytes[step]; }
};

// A group of images on its way through the steps: `images[i]` is the place in the pass of the group's i-th image.
struct Group {
    const std::vector<int64_t> &images;
    Kept *kept;  // null: logits only
    std::vector<Values> values;     // forward: of each slot; backward: gradients
    std::vector<int> readers_left;  // forward: of each slot
};

class Step {
  public:
    Step(std::vector<int> inputs, int output) : inputs(std::move(inputs)), output(output) {}
    virtual ~Step() = default;
    virtual void forward(Group &group) const = 0;
    // Takes the gradient of `output`, gives those of `inputs`.
    virtual void backward(Group &group, Values gradient) const = 0;
    // Bytes of an image that the forward pass keeps.
    virtual int64_t kept_bytes() const { return 0; }

    std::vector<int> inputs;
    int output;
    int kept_index = -1;  // into Kept, where kept_bytes() > 0
};

// Adds a gradient to a slot's.
void give(Group &group, int slot, Values gradient, int64_t floats);

struct ConvolutionShape {
    std::vector<int64_t> stride, dilation, padding_before, padding_after;
    int64_t groups = 1;
};

// oneDNN's direct convolution, the one that PyTorch takes for dense images, with weights laid out once.
class Convolution final : public Step {
  public:
    Convolution(
        int input, int output, const Layout &source, const at::Tensor &weight, const at::Tensor &bias,
        const ConvolutionShape &shape);
    const Layout &layout() const { return result_; }
    void forward(Group &group) const override;
    void backward(Group &group, Values gradient) const override;

  private:
    Layout source_, result_;
    dnnl::convolution_forward forward_;
    dnnl::convolution_backward_data backward_;
    dnnl::convolution_forward::primitive_desc forward_desc_;
    dnnl::convolution_backward_data::primitive_desc backward_desc_;
    dnnl::memory weight_forward_, weight_backward_, bias_;
    Converter to_source_, to_gradient_, from_gradient_;
};

// Batch norm in evaluation, a sum of two, and bounds (ReLU, ReLU6), in this order, each optional: one way over the values.
class Pointwise final : public Step {
  public:
    Pointwise(std::vector<int> inputs, int output, Layout layout) : Step(std::move(inputs), output), layout_(std::move(layout)) {}
    const Layout &layout() const { return layout_; }
    // Forward x·scale + shift; backward gradient·root·weight, as PyTorch multiplies.
    void set_affine(
        const std::vector<float> &scale, const std::vector<float> &shift, const std::vector<float> &root, const std::vector<float> &weight);
    void set_other(const Layout &other) { to_layout_ = Converter(other, layout_), from_layout_ = Converter(layout_, other), other_floats_ = other.floats(); }
    void set_bounds(float low, float high) { bounded_ = true, low_ = low, high_ = high; }
    bool is_bounded() const { return bounded_; }
    void forward(Group &group) const override;
    void backward(Group &group, Values gradient) const override;
    int64_t kept_bytes() const override { return bounded_ ? runs() * mask_words(run_floats()) * 2 : 0; }

  private:
    // Values that share their channels: all of an image where there is no affine part.
    int64_t run_floats() const { return scale_.empty() ? layout_.image_floats() : layout_.places() * layout_.block; }
    int64_t runs() const { return layout_.image_floats() / run_floats(); }

    Layout layout_;
    std::vector<float> scale_, shift_;  // 16 lanes a run
    std::vector<float> slope_;          // 32 lanes a run: root, weight
    Converter to_layout_, from_layout_;
    int64_t other_floats_ = 0;
    bool bounded_ = false;
    float low_ = 0, high_ = 0;
};

// Concatenation of channels.
class Concatenation final : public Step {
  public:
    Concatenation(std::vector<int> inputs, int output, const std::vector<Layout> &sources);
    const Layout &layout() const { return result_; }
    void forward(Group &group) const override;
    void backward(Group &group, Values gradient) const override;

  private:
    Layout result_;
    std::vector<Layout> sources_, parts_;
    std::vector<Converter> to_part_, from_part_;
};

// Max pooling by oneDNN, which keeps the place of each maximum.
class MaxPooling final : public Step {
  public:
    MaxPooling(
        int input, int output, const Layout &source, const std::vector<int64_t> &kernel, const ConvolutionShape &shape,
        const std::vector<int64_t> &result);
    const Layout &layout() const { return result_; }
    void forward(Group &group) const override;
    void backward(Group &group, Values gradient) const override;
    int64_t kept_bytes() const override { return workspace_bytes_; }

  private:
    Layout source_, result_;
    int64_t workspace_bytes_ = 0;
    dnnl::pooling_forward forward_;
    dnnl::pooling_backward backward_;
    dnnl::pooling_forward::primitive_desc forward_desc_;
    dnnl::pooling_backward::primitive_desc backward_desc_;
};

// The mean over all places of each channel, added in the order of PyTorch 2's kernel: what a network is sure of hangs on the
// last bits of its logits.
class SpatialMean final : public Step {
  public:
    static constexpr int64_t most_places = 511;  // beyond, PyTorch adds in stages

    SpatialMean(int input, int output, Layout source, std::vector<int64_t> dims)
        : Step({input}, output), source_(std::move(source)), result_(dense_layout(std::move(dims))) {}
    const Layout &layout() const { return result_; }
    void forward(Group &group) const override;
    void backward(Group &group, Values gradient) const override;

  private:
    Layout source_, result_;
};

// A fully connected layer, by LibTorch's matrix products.
class Linear final : public Step {
  public:
    Linear(int input, int output, const Layout &source, at::Tensor weight, at::Tensor bias);
    const Layout &layout() const { return result_; }
    void forward(Group &group) const override;
    void backward(Group &group, Values gradient) const override;

  private:
    Layout source_, result_;
    at::Tensor weight_, bias_;  // [out, in]; bias undefined: none
};

// Values in other places: slices, zero padding, shuffled channels. `places`: for each value of the result, padding of its
// layout included, the place of the source's that it is, or -1 for a zero.
class Rearrangement final : public Step {
  public:
    Rearrangement(int input, int output, Layout source, Layout result, std::vector<int32_t> places)
        : Step({input}, output), source_(std::move(source)), result_(std::move(result)), places_(std::move(places)) {}
    void forward(Group &group) const override;
    void backward(Group &group, Values gradient) const override;

  private:
    Layout source_, result_;
    std::vector<int32_t> places_;  // within an image
};

// A chain of LibTorch's own operators, each of one tensor that the one before made. Its gradient runs the chain again: on
// what it kept of its input or, where the chain is linear, on nothing in particular.
class Operators final : public Step {
  public:
    struct Call {
        mutable torch::jit::Operation operation;  // calling it is not const, though it changes nothing
        std::vector<c10::optional<c10::IValue>> arguments;  // none: the next tensor input; later calls: the chain's tensor
    };

    Operators(std::vector<int> inputs, int output, std::vector<Layout> sources);
    // Appends a call; runs the chain once to know its layout. Throws where it does not make one float tensor a batch.
    // `moves`: the call only puts values into other places.
    void append(Call call, bool is_linear, bool moves);
    const Layout &layout() const { return result_; }
    // Whether the result may share the memory of what the chain was given.
    bool may_be_view() const { return last_moves_; }
    // The same as a rearrangement, where that is all it is.
    std::unique_ptr<Step> rearrangement() const;
    void forward(Group &group) const override;
    void backward(Group &group, Values gradient) const override;
    int64_t kept_bytes() const override;

  private:
    at::Tensor run(const std::vector<at::Tensor> &inputs) const;

    std::vector<Layout> sources_, dense_;
    std::vector<Converter> to_dense_, from_dense_;
    std::vector<Call> calls_;
    bool is_linear_ = true, moves_ = true, last_moves_ = true;
    Layout result_;
};

}  // namespace logitcorpus
