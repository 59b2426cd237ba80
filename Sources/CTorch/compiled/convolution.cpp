// Convolutions and max pooling: oneDNN's primitives.
#include "steps.h"

#include <ATen/ATen.h>

#include <cstring>

namespace logitcorpus {

namespace {

using dnnl::memory;
constexpr auto f32 = memory::data_type::f32;

memory::dims dims(const std::vector<int64_t> &values) { return memory::dims(values.begin(), values.end()); }

dnnl::primitive_attr own_scratchpad() {
    // A scratchpad of the caller's: oneDNN's own belongs to the thread that made the primitive.
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    return attributes;
}

std::vector<int64_t> zero_based(const std::vector<int64_t> &dilation) {
    std::vector<int64_t> result;
    for (const auto value : dilation) result.push_back(value - 1);
    return result;
}

memory reordered(memory &from, const memory::desc &to) {
    memory result(to, cpu());
    dnnl::reorder(from, result).execute(stream(), from, result);
    return result;
}

// Where a layout is none of ours, the dense one stands in.
Layout ours(const memory::desc &chosen) {
    const Layout layout = layout_of(chosen);
    return layout.block ? layout : dense_layout(layout.dims);
}

memory over(const memory::desc &desc, const Values &values) { return memory(desc, cpu(), values.get()); }

}  // namespace

Convolution::Convolution(
    int input, int output, const Layout &source, const at::Tensor &weight, const at::Tensor &bias,
    const ConvolutionShape &shape)
    : Step({input}, output) {
    const auto kernel = weight.contiguous();
    std::vector<int64_t> weight_dims = kernel.sizes().vec();
    std::vector<int64_t> result_dims = {source.images(), weight_dims[0]};
    for (size_t i = 0; i < 2; i++) {
        const int64_t reach = shape.dilation[i] * (weight_dims[2 + i] - 1) + 1;
        const int64_t room = source.dims[2 + i] + shape.padding_before[i] + shape.padding_after[i] - reach;
        TORCH_CHECK(room >= 0, "a convolution's kernel is larger than its image");
        result_dims.push_back(room / shape.stride[i] + 1);
    }
    if (shape.groups > 1) weight_dims = {shape.groups, weight_dims[0] / shape.groups, weight_dims[1], weight_dims[2], weight_dims[3]};
    const auto any = memory::format_tag::any;
    const memory::desc source_any(dims(source.dims), f32, any), weight_any(dims(weight_dims), f32, any),
        result_any(dims(result_dims), f32, any);
    const auto bias_desc = bias.defined() ? memory::desc({result_dims[1]}, f32, memory::format_tag::a) : memory::desc();
    const auto strides = dims(shape.stride), dilates = dims(zero_based(shape.dilation)),
               before = dims(shape.padding_before), after = dims(shape.padding_after);
    const auto attributes = own_scratchpad();
    const auto algorithm = dnnl::algorithm::convolution_direct;
    forward_desc_ = {
        {dnnl::prop_kind::forward, algorithm, source_any, weight_any, bias_desc, result_any, strides, dilates, before, after},
        attributes, cpu()};
    backward_desc_ = {
        {algorithm, source_any, weight_any, result_any, strides, dilates, before, after}, attributes, cpu(), forward_desc_};
    forward_ = dnnl::convolution_forward(forward_desc_);
    backward_ = dnnl::convolution_backward_data(backward_desc_);

    const memory::desc plain(dims(weight_dims), f32, shape.groups > 1 ? memory::format_tag::goihw : memory::format_tag::oihw);
    memory given(plain, cpu(), kernel.data_ptr<float>());
    weight_forward_ = reordered(given, forward_desc_.weights_desc());
    weight_backward_ = reordered(given, backward_desc_.weights_desc());
    if (bias.defined()) {
        bias_ = memory(bias_desc, cpu());
        std::memcpy(bias_.get_data_handle(), bias.contiguous().data_ptr<float>(), sizeof(float) * static_cast<size_t>(bias.numel()));
    }
    source_ = source;
    result_ = ours(forward_desc_.dst_desc());
    TORCH_CHECK(
        result_.desc == forward_desc_.dst_desc() && layout_of(forward_desc_.src_desc()).block != 0 &&
            layout_of(backward_desc_.diff_dst_desc()).block != 0 && layout_of(backward_desc_.diff_src_desc()).block != 0,
        "oneDNN lays a convolution out in a way of its own");
    to_source_ = Converter(source, layout_of(forward_desc_.src_desc()));
    to_gradient_ = Converter(result_, layout_of(backward_desc_.diff_dst_desc()));
    from_gradient_ = Converter(layout_of(backward_desc_.diff_src_desc()), source);
}

void Convolution::forward(Group &group) const {
    const Values source = to_source_(group.values[inputs[0]]);
    const Values result = make_values(result_.floats());
    memory scratch(forward_desc_.scratchpad_desc(), cpu());
    std::unordered_map<int, memory> arguments = {
        {DNNL_ARG_SRC, over(forward_desc_.src_desc(), source)},
        {DNNL_ARG_WEIGHTS, weight_forward_},
        {DNNL_ARG_DST, over(forward_desc_.dst_desc(), result)},
        {DNNL_ARG_SCRATCHPAD, scratch}};
    if (bias_) arguments.insert({DNNL_ARG_BIAS, bias_});
    forward_.execute(stream(), arguments);
    group.values[output] = result;
}

void Convolution::backward(Group &group, Values gradient) const {
    const Values from = to_gradient_(gradient);
    const Layout source = layout_of(backward_desc_.diff_src_desc());
    const Values result = make_values(source.floats());
    memory scratch(backward_desc_.scratchpad_desc(), cpu());
    backward_.execute(
        stream(),
        {{DNNL_ARG_DIFF_DST, over(backward_desc_.diff_dst_desc(), from)},
         {DNNL_ARG_WEIGHTS, weight_backward_},
         {DNNL_ARG_DIFF_SRC, over(backward_desc_.diff_src_desc(), result)},
         {DNNL_ARG_SCRATCHPAD, scratch}});
    give(group, inputs[0], from_gradient_(result), source_.floats());
}

MaxPooling::MaxPooling(
    int input, int output, const Layout &source, const std::vector<int64_t> &kernel, const ConvolutionShape &shape,
    const std::vector<int64_t> &result)
    : Step({input}, output), source_(source) {
    const memory::desc result_any(dims(result), f32, memory::format_tag::any);
    const auto attributes = own_scratchpad();
    const auto algorithm = dnnl::algorithm::pooling_max;
    const auto strides = dims(shape.stride), window = dims(kernel), before = dims(shape.padding_before),
               after = dims(shape.padding_after);
    forward_desc_ = {
        {dnnl::prop_kind::forward_training, algorithm, source.desc, result_any, strides, window, before, after}, attributes, cpu()};
    result_ = layout_of(forward_desc_.dst_desc());
    TORCH_CHECK(result_.block != 0, "oneDNN lays a pooling out in a way of its own");
    backward_desc_ = {
        {algorithm, source.desc, result_.desc, strides, window, before, after}, attributes, cpu(), forward_desc_};
    forward_ = dnnl::pooling_forward(forward_desc_);
    backward_ = dnnl::pooling_backward(backward_desc_);
    const auto bytes = static_cast<int64_t>(forward_desc_.workspace_desc().get_size());
    TORCH_CHECK(bytes % source.images() == 0, "oneDNN's pooling keeps no bytes of each image by itself");
    workspace_bytes_ = bytes / source.images();
}

void MaxPooling::forward(Group &group) const {
    const Values result = make_values(result_.floats());
    memory scratch(forward_desc_.scratchpad_desc(), cpu()), workspace(forward_desc_.workspace_desc(), cpu());
    forward_.execute(
        stream(),
        {{DNNL_ARG_SRC, over(source_.desc, group.values[inputs[0]])},
         {DNNL_ARG_DST, over(result_.desc, result)},
         {DNNL_ARG_WORKSPACE, workspace},
         {DNNL_ARG_SCRATCHPAD, scratch}});
    if (group.kept) {
        const auto *bytes = static_cast<const uint8_t *>(workspace.get_data_handle());
        for (size_t i = 0; i < group.images.size(); i++)
            std::memcpy(group.kept->image(kept_index, group.images[i]), bytes + static_cast<int64_t>(i) * workspace_bytes_, static_cast<size_t>(workspace_bytes_));
    }
    group.values[output] = result;
}

void MaxPooling::backward(Group &group, Values gradient) const {
    const Values result = make_values(source_.floats());
    memory scratch(backward_desc_.scratchpad_desc(), cpu()), workspace(forward_desc_.workspace_desc(), cpu());
    auto *bytes = static_cast<uint8_t *>(workspace.get_data_handle());
    for (size_t i = 0; i < group.images.size(); i++)
        std::memcpy(bytes + static_cast<int64_t>(i) * workspace_bytes_, group.kept->image(kept_index, group.images[i]), static_cast<size_t>(workspace_bytes_));
    backward_.execute(
        stream(),
        {{DNNL_ARG_DIFF_DST, over(result_.desc, gradient)},
         {DNNL_ARG_DIFF_SRC, over(source_.desc, result)},
         {DNNL_ARG_WORKSPACE, workspace},
         {DNNL_ARG_SCRATCHPAD, scratch}});
    give(group, inputs[0], result, source_.floats());
}

}  // namespace logitcorpus
