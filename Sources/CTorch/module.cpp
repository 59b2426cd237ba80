// Classifiers: TorchScript modules, frozen, with gradients with respect to their input only.
#include "compiled/engine.h"
#include "device.h"
#include "internal.h"
#include "process.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/script.h>

struct ctorch_module {
    torch::jit::Module module;
    at::Device device{at::kCPU};
    bool channels_last = false;
    at::Tensor mean, deviation;  // undefined: the module normalises itself
    std::unique_ptr<logitcorpus::Engine> engine;  // null: LibTorch runs the module
    std::string way = "libtorch: not compiled";   // how it runs
};

struct ctorch_pass {
    ctorch_module *module;
    int64_t count;
    at::Tensor images, logits;  // of LibTorch's pass; of a compiled one the logits alone
    logitcorpus::Kept kept;     // of a compiled pass
};

namespace logitcorpus {

namespace {

at::Tensor input_of(const ctorch_module &module, ctorch_shape shape, const float *images) {
    const auto dense = at::from_blob(
        const_cast<float *>(images), {shape.count, shape.channels, shape.height, shape.width}, at::kFloat);
    return dense.clone(module.channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous).to(module.device);
}

at::Tensor run(ctorch_module &module, const at::Tensor &input) {
    const auto x = module.mean.defined() ? (input - module.mean) / module.deviation : input;
    const auto output = module.module.forward({x});
    TORCH_CHECK(
        output.isTensor(), "the module returns ", output.tagKind(), ", not one tensor of logits; export it so that it does");
    return output.toTensor();
}

at::Tensor logits_of(ctorch_module &module, const at::Tensor &input, int64_t classes) {
    const auto output = run(module, input);
    TORCH_CHECK(
        output.dim() == 2 && output.size(0) == input.size(0) && output.size(1) == classes, "the module returns a tensor of ",
        output.sizes(), " for ", input.size(0), " images, not [", input.size(0), ", ", classes, "]");
    return output.to(at::kFloat);
}

void copy_out(const at::Tensor &from, float *to) {
    const auto dense = from.detach().to(at::kCPU).contiguous();
    std::memcpy(to, dense.data_ptr<float>(), sizeof(float) * static_cast<size_t>(dense.numel()));
}

int32_t module_load(const char *path, const ctorch_module_options *options, ctorch_module **result, char *error) {
    return guarded(error, [&] {
        auto loaded = std::make_unique<ctorch_module>();
        loaded->device = device_of(options->device);
        loaded->module = torch::jit::load(path, loaded->device);
        TORCH_CHECK(loaded->module.find_method("forward"), "the module has no method forward");
        loaded->module.eval();
        loaded->channels_last = options->channels_last;
        for (auto parameter : loaded->module.parameters()) {
            parameter.set_requires_grad(false);
            if (options->channels_last && parameter.dim() == 4 && parameter.is_floating_point())
                parameter.set_data(parameter.contiguous(at::MemoryFormat::ChannelsLast));
        }
        // Frozen either way, for speed; only folding changes the arithmetic.
        loaded->module = torch::jit::freeze(loaded->module, {}, /*optimize_numerics=*/options->fold != 0);
        if (options->normalise) {
            loaded->mean = at::tensor(at::ArrayRef<float>(options->mean, 3)).view({1, 3, 1, 1}).to(loaded->device);
            loaded->deviation = at::tensor(at::ArrayRef<float>(options->deviation, 3)).view({1, 3, 1, 1}).to(loaded->device);
        }
        *result = loaded.release();
    });
}

void module_free(ctorch_module *module) { delete module; }

// The gradient of LibTorch's own pass for a cotangent, dense.
at::Tensor libtorch_gradient(const at::Tensor &images, const at::Tensor &logits, const at::Tensor &cotangent) {
    return torch::autograd::grad({logits}, {images}, {cotangent}, /*retain_graph=*/true)[0].contiguous();
}

double relative_error(const at::Tensor &value, const at::Tensor &expected) {
    return ((value - expected).norm() / expected.norm()).item<double>();
}

// Compares the engine with LibTorch on three random images; throws where they do not agree.
void check_engine(ctorch_module &module, const Engine &engine, ctorch_shape shape, int64_t classes) {
    const at::AutoGradMode recording(true);
    shape.count = 3;
    TORCH_CHECK(engine.classes() == classes, "it has another number of classes when compiled");
    auto generator = at::detail::createCPUGenerator(20190613);
    const auto x = at::rand({shape.count, shape.channels, shape.height, shape.width}, generator);
    const auto cotangent = at::randn({shape.count, classes}, generator);
    const auto images = input_of(module, shape, x.data_ptr<float>()).set_requires_grad(true);
    const auto logits = logits_of(module, images, classes);
    TORCH_CHECK(logits.requires_grad(), "its logits do not depend on the image");
    const auto expected = libtorch_gradient(images, logits, cotangent);
    Kept kept;
    const auto z = at::empty({shape.count, classes}), gradient = at::empty_like(x);
    engine.forward(x.data_ptr<float>(), shape.count, z.data_ptr<float>(), &kept);
    engine.backward(cotangent.data_ptr<float>(), shape.count, kept, gradient.data_ptr<float>());
    const double of_logits = relative_error(z, logits.detach()), of_gradient = relative_error(gradient, expected);
    // A value at a corner of a ReLU may fall to the other side: gradients agree less than logits.
    TORCH_CHECK(
        of_logits < 1e-4 && of_gradient < 2e-2, "compiled it differs from LibTorch by ", of_logits, " in logits and ",
        of_gradient, " in gradients");
}

const char *module_compile(ctorch_module *module, ctorch_shape shape, int64_t classes) {
    char error[CTORCH_ERROR_BYTES];
    const int32_t failed = guarded(error, [&] {
        TORCH_CHECK(module->device.is_cpu(), "it runs on a GPU");
        auto engine = std::make_unique<Engine>(
            module->module.get_method("forward").graph(), ImageShape{shape.channels, shape.height, shape.width}, module->mean,
            module->deviation);
        check_engine(*module, *engine, shape, classes);
        module->engine = std::move(engine);
    });
    module->way = failed ? std::string("libtorch: ") + error : "compiled";
    return module->way.c_str();
}

int32_t module_probe(ctorch_module *module, ctorch_shape shape, int64_t *rank, int64_t *dimensions, char *error) {
    return guarded(error, [&] {
        const c10::InferenceMode inference;
        const std::vector<float> zeros(static_cast<size_t>(shape.count * shape.channels * shape.height * shape.width));
        const auto output = run(*module, input_of(*module, shape, zeros.data()));
        TORCH_CHECK(output.is_floating_point(), "the module returns whole numbers, not logits");
        TORCH_CHECK(output.dim() <= 8, "the module returns a tensor of rank ", output.dim());
        *rank = output.dim();
        for (int64_t i = 0; i < output.dim(); i++) dimensions[i] = output.size(i);
    });
}

int32_t module_logits(
    ctorch_module *module, ctorch_shape shape, const float *images, int64_t classes, float *logits, char *error) {
    return guarded(error, [&] {
        if (module->engine) return module->engine->forward(images, shape.count, logits, nullptr);
        const c10::InferenceMode inference;
        copy_out(logits_of(*module, input_of(*module, shape, images), classes), logits);
    });
}

int32_t pass_begin(
    ctorch_module *module, ctorch_shape shape, const float *images, int64_t classes, float *logits, ctorch_pass **result,
    char *error) {
    return guarded(error, [&] {
        const at::AutoGradMode recording(true);
        auto pass = std::make_unique<ctorch_pass>(ctorch_pass{module, shape.count, {}, {}, {}});
        if (module->engine) {
            module->engine->forward(images, shape.count, logits, &pass->kept);
            pass->logits = at::from_blob(logits, {shape.count, classes}, at::kFloat).clone();
        } else {
            pass->images = input_of(*module, shape, images).set_requires_grad(true);
            pass->logits = logits_of(*module, pass->images, classes);
            copy_out(pass->logits, logits);
        }
        *result = pass.release();
    });
}

// d loss / d logits.
at::Tensor cotangent_of(const at::Tensor &logits, ctorch_loss loss, const int32_t *labels, const float *cotangent) {
    if (loss == CTORCH_LOSS_COTANGENT)
        return at::from_blob(const_cast<float *>(cotangent), logits.sizes(), at::kFloat).to(logits.device());
    const auto z = logits.detach().set_requires_grad(true);
    const auto y = at::from_blob(const_cast<int32_t *>(labels), {z.size(0)}, at::kInt).to(logits.device(), at::kLong);
    const auto value = at::nll_loss(at::log_softmax(z, 1), y, {}, at::Reduction::Sum);
    return torch::autograd::grad({value}, {z})[0].contiguous();
}

int32_t pass_gradient(
    ctorch_pass *pass, ctorch_loss loss, const int32_t *labels, const float *cotangent, float *gradient, char *error) {
    return guarded(error, [&] {
        const at::AutoGradMode recording(true);
        const auto slope = cotangent_of(pass->logits, loss, labels, cotangent);
        if (pass->module->engine) {
            pass->module->engine->backward(slope.data_ptr<float>(), pass->count, pass->kept, gradient);
        } else if (pass->logits.requires_grad()) {
            copy_out(libtorch_gradient(pass->images, pass->logits, slope), gradient);
        } else {  // the output does not depend on the input: the gradient is zero everywhere
            std::memset(gradient, 0, sizeof(float) * static_cast<size_t>(pass->images.numel()));
        }
    });
}

void pass_free(ctorch_pass *pass) { delete pass; }

}  // namespace

void fill_modules(ctorch_api_table &table) {
    table.configure = process_configure;
    table.describe = process_describe;
    table.device_check = device_check;
    table.module_load = module_load;
    table.module_free = module_free;
    table.module_compile = module_compile;
    table.module_probe = module_probe;
    table.module_logits = module_logits;
    table.pass_begin = pass_begin;
    table.pass_gradient = pass_gradient;
    table.pass_free = pass_free;
}

}  // namespace logitcorpus
