#include "layout.h"

#include <cstdlib>
#include <new>

namespace logitcorpus {

int64_t Layout::places() const {
    int64_t count = 1;
    for (size_t i = 2; i < dims.size(); i++) count *= dims[i];
    return count;
}

Layout dense_layout(std::vector<int64_t> dims) {
    Layout layout;
    dnnl::memory::dims strides(dims.size());
    int64_t stride = 1;
    for (size_t i = dims.size(); i-- > 0;) {
        strides[i] = stride;
        stride *= dims[i];
    }
    layout.desc = dnnl::memory::desc(dnnl::memory::dims(dims.begin(), dims.end()), dnnl::memory::data_type::f32, strides);
    layout.dims = std::move(dims);
    return layout;
}

Layout layout_of(const dnnl::memory::desc &desc) {
    const auto dims = desc.dims();
    Layout dense = dense_layout(std::vector<int64_t>(dims.begin(), dims.end()));
    if (desc == dense.desc) return dense;
    for (const auto &[tag, block] : {std::pair{dnnl::memory::format_tag::nChw16c, 16}, std::pair{dnnl::memory::format_tag::nChw8c, 8}}) {
        if (dims.size() != 4 || desc != dnnl::memory::desc(dims, dnnl::memory::data_type::f32, tag)) continue;
        dense.desc = desc;
        dense.block = block;
        return dense;
    }
    dense.block = 0;
    return dense;
}

Values make_values(int64_t floats) {
    void *memory = nullptr;
    const size_t bytes = (static_cast<size_t>(floats) * sizeof(float) + 63) / 64 * 64 + 64;
    if (posix_memalign(&memory, 64, bytes) != 0) throw std::bad_alloc();
    return {std::shared_ptr<float>(static_cast<float *>(memory), std::free)};
}

Converter::Converter(const Layout &from, const Layout &to)
    : identical_(from.desc == to.desc), from_(from.desc), to_(to.desc), floats_(to.floats()) {
    if (!identical_) reorder_ = dnnl::reorder(dnnl::reorder::primitive_desc(cpu(), from_, cpu(), to_));
}

Values Converter::operator()(const Values &values) const {
    if (identical_) return values;
    const Values result = make_values(floats_);
    dnnl::memory from(from_, cpu(), values.get()), to(to_, cpu(), result.get());
    reorder_.execute(stream(), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
    return result;
}

const dnnl::engine &cpu() {
    static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    return engine;
}

dnnl::stream &stream() {
    thread_local dnnl::stream stream(cpu());
    return stream;
}

}  // namespace logitcorpus
