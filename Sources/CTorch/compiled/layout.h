// Activations of a compiled network: where their values lie, and how they change places.
#pragma once
#include <dnnl.hpp>

#include <cstdint>
#include <memory>
#include <vector>

namespace logitcorpus {

// Images [n, channels, height, width] (or [n, channels] with one place). `block` channels lie side by side for each place:
// 1 is the dense layout, 8 and 16 are oneDNN's, padded with channels of zeros.
struct Layout {
    std::vector<int64_t> dims;  // as PyTorch gives them
    dnnl::memory::desc desc;
    int64_t block = 1;

    int64_t images() const { return dims[0]; }
    int64_t channels() const { return dims.size() > 1 ? dims[1] : 1; }
    int64_t padded_channels() const { return (channels() + block - 1) / block * block; }
    int64_t places() const;
    int64_t image_floats() const { return padded_channels() * places(); }
    int64_t floats() const { return images() * image_floats(); }
    bool operator==(const Layout &other) const { return dims == other.dims && block == other.block; }
};

// The dense layout of some dimensions.
Layout dense_layout(std::vector<int64_t> dims);
// The layout of a description that oneDNN chose for four dimensions; block 0 where it is none of ours.
Layout layout_of(const dnnl::memory::desc &desc);

// Values in memory; shared where two readers have the same.
struct Values {
    std::shared_ptr<float> data;
    explicit operator bool() const { return data != nullptr; }
    bool is_shared() const { return data.use_count() > 1; }
    float *get() const { return data.get(); }
};

Values make_values(int64_t floats);

// Changes a layout into another of the same dimensions.
class Converter {
  public:
    Converter() = default;
    Converter(const Layout &from, const Layout &to);
    Values operator()(const Values &values) const;

  private:
    bool identical_ = true;
    dnnl::memory::desc from_, to_;
    int64_t floats_ = 0;
    dnnl::reorder reorder_;
};

const dnnl::engine &cpu();
dnnl::stream &stream();  // this thread's

}  // namespace logitcorpus
