// Defenders: fully connected networks trained with Adam. Forward, backward and optimiser are written out over buffers that
// are made once, so a step on the CPU allocates nothing and copies nothing.
#include "device.h"
#include "internal.h"
#include "mlp_elementwise.h"

#include <ATen/ATen.h>
#include <torch/script.h>

#include <chrono>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

namespace {

struct Layer {
    at::Tensor weight, bias;                                     // out x in, out
    at::Tensor weight_gradient, bias_gradient;
    at::Tensor weight_first, bias_first, weight_second, bias_second;  // Adam's moments
    at::Tensor output, output_gradient;                          // rows x out
};

// Where the time goes: `mark` adds what has passed since the last mark.
enum Phase { products, elements, optimiser };

struct Stopwatch {
    double seconds[3] = {};
    std::chrono::steady_clock::time_point last;

    void start() { last = std::chrono::steady_clock::now(); }
    void mark(Phase phase) {
        const auto now = std::chrono::steady_clock::now();
        seconds[phase] += std::chrono::duration<double>(now - last).count();
        last = now;
    }
};

}  // namespace

struct ctorch_mlp {
    ctorch_mlp_options options;
    at::Device device{at::kCPU};
    const logitcorpus::Elementwise *elementwise = nullptr;
    std::vector<Layer> layers;
    at::Tensor input;
    int64_t rows = 0;  // what the buffers are made for
    Stopwatch watch;
};

namespace logitcorpus {

namespace {

// Between dense values in the CPU's memory and a tensor on any device.
void copy_out(const at::Tensor &from, float *to) { at::from_blob(to, from.sizes(), at::kFloat).copy_(from); }

void copy_in(at::Tensor &to, const float *from) {
    to.copy_(at::from_blob(const_cast<float *>(from), to.sizes(), at::kFloat));
}

void make_parameters(ctorch_mlp &mlp) {
    const auto &options = mlp.options;
    for (int64_t l = 0; l < options.layers; l++) {
        const int64_t in = l == 0 ? options.classes : options.hidden;
        const int64_t out = l == options.layers - 1 ? options.outputs : options.hidden;
        Layer layer;
        layer.weight = at::empty({out, in});
        layer.bias = at::empty({out});
        const double bound = 1 / std::sqrt(static_cast<double>(in));
        int stream = 0;
        for (auto *values : {&layer.weight, &layer.bias}) {
            const uint64_t key = mix(mix(options.seed) ^ static_cast<uint64_t>(2 * l + stream++));
            float *data = values->data_ptr<float>();
            for (int64_t i = 0; i < values->numel(); i++) {
                const double uniform = static_cast<double>(mix(key ^ static_cast<uint64_t>(i)) >> 11) * 0x1p-53;
                data[i] = static_cast<float>((2 * uniform - 1) * bound);
            }
            *values = values->to(mlp.device);
        }
        layer.weight_gradient = at::zeros_like(layer.weight);
        layer.bias_gradient = at::zeros_like(layer.bias);
        layer.weight_first = at::zeros_like(layer.weight);
        layer.weight_second = at::zeros_like(layer.weight);
        layer.bias_first = at::zeros_like(layer.bias);
        layer.bias_second = at::zeros_like(layer.bias);
        mlp.layers.push_back(std::move(layer));
    }
}

// Takes a mini-batch, which must outlive what is done with it, and sizes the buffers for it. On the CPU it is used where it lies.
void load(ctorch_mlp &mlp, int64_t rows, const float *logits) {
    mlp.watch.start();
    if (mlp.rows != rows) {
        if (!mlp.device.is_cpu()) mlp.input = at::empty({rows, mlp.options.classes}, mlp.device);
        for (auto &layer : mlp.layers) {
            layer.output = at::empty({rows, layer.weight.size(0)}, mlp.device);
            layer.output_gradient = at::empty({rows, layer.weight.size(0)}, mlp.device);
        }
        mlp.rows = rows;
    }
    if (mlp.device.is_cpu()) {
        mlp.input = at::from_blob(const_cast<float *>(logits), {rows, mlp.options.classes}, at::kFloat);
    } else {
        copy_in(mlp.input, logits);
    }
    mlp.watch.mark(elements);
}

// The corrected logits stay in the last layer's `output`. `step` < 0: dropout off.
void forward(ctorch_mlp &mlp, int64_t step) {
    const at::Tensor *x = &mlp.input;
    const double keep = step < 0 ? 1 : 1 - mlp.options.dropout;
    for (size_t l = 0; l < mlp.layers.size(); l++) {
        auto &layer = mlp.layers[l];
        layer.output.copy_(layer.bias.expand_as(layer.output));
        mlp.elementwise->product(layer.output, true, *x, false, layer.weight, true);
        mlp.watch.mark(products);
        if (l + 1 < mlp.layers.size()) {
            const uint64_t key = mix(mix(mix(~mlp.options.seed) ^ static_cast<uint64_t>(step)) ^ l);
            mlp.elementwise->activate(
                layer.output, static_cast<uint64_t>(keep * 4294967296.0), static_cast<float>(1 / keep), key);
            mlp.watch.mark(elements);
        }
        x = &layer.output;
    }
}

// From the last layer's `output_gradient` to the first layer's; parameter gradients on the way if asked for.
void backward(ctorch_mlp &mlp, float scale, bool parameters, at::Tensor *input_gradient) {
    const auto product = mlp.elementwise->product;
    for (size_t l = mlp.layers.size(); l-- > 0;) {
        auto &layer = mlp.layers[l];
        const auto &x = l == 0 ? mlp.input : mlp.layers[l - 1].output;
        if (parameters) {
            product(layer.weight_gradient, false, layer.output_gradient, true, x, false);
            mlp.watch.mark(products);
            at::sum_out(layer.bias_gradient, layer.output_gradient, 0);
            mlp.watch.mark(elements);
        }
        if (l == 0) {
            if (input_gradient) product(*input_gradient, false, layer.output_gradient, false, layer.weight, false);
            mlp.watch.mark(products);
            return;
        }
        auto &below = mlp.layers[l - 1].output_gradient;
        product(below, false, layer.output_gradient, false, layer.weight, false);
        mlp.watch.mark(products);
        mlp.elementwise->gate(below, x, scale);
        mlp.watch.mark(elements);
    }
}

// The constants of step `step` (1 for the first), as torch.optim.Adam computes them.
AdamStep adam_step(const ctorch_mlp_options &o, int64_t step) {
    const double correction1 = 1 - std::pow(o.beta1, static_cast<double>(step));
    const double correction2 = std::sqrt(1 - std::pow(o.beta2, static_cast<double>(step)));
    return {
        static_cast<float>(o.weight_decay), static_cast<float>(o.beta1), static_cast<float>(o.beta2),
        static_cast<float>(1 - o.beta1), static_cast<float>(1 - o.beta2),
        static_cast<float>(o.learning_rate / correction1), static_cast<float>(correction2),
        static_cast<float>(o.epsilon)};
}

int32_t mlp_create(const ctorch_mlp_options *options, ctorch_mlp **result, char *error) {
    return guarded(error, [&] {
        auto made = std::make_unique<ctorch_mlp>();
        made->options = *options;
        made->device = device_of(options->device);
        made->elementwise = options->device == CTORCH_DEVICE_CPU ? &by_kernels : &by_operators;
        const c10::InferenceMode inference;
        make_parameters(*made);
        *result = made.release();
    });
}

void mlp_free(ctorch_mlp *mlp) { delete mlp; }

int32_t mlp_step(
    ctorch_mlp *mlp, int64_t step, int64_t count, const float *logits, const int32_t *labels, double *loss, char *error) {
    return guarded(error, [&] {
        const c10::InferenceMode inference;
        load(*mlp, count, logits);
        forward(*mlp, step);
        auto &last = mlp->layers.back();
        *loss = mlp->elementwise->cross_entropy(last.output, labels, last.output_gradient);
        TORCH_CHECK(std::isfinite(*loss), "the loss is no longer a number");
        mlp->watch.mark(elements);
        backward(*mlp, static_cast<float>(1 / (1 - mlp->options.dropout)), true, nullptr);
        const auto constants = adam_step(mlp->options, step);
        for (auto &layer : mlp->layers) {
            const auto adam = mlp->elementwise->adam;
            adam(constants, layer.weight, layer.weight_gradient, layer.weight_first, layer.weight_second);
            adam(constants, layer.bias, layer.bias_gradient, layer.bias_first, layer.bias_second);
        }
        mlp->watch.mark(optimiser);
    });
}

int32_t mlp_forward(ctorch_mlp *mlp, int64_t count, const float *logits, float *corrected, char *error) {
    return guarded(error, [&] {
        const c10::InferenceMode inference;
        load(*mlp, count, logits);
        forward(*mlp, -1);
        copy_out(mlp->layers.back().output, corrected);
    });
}

int32_t mlp_gradient(
    ctorch_mlp *mlp, int64_t count, const float *logits, const float *cotangent, float *corrected, float *gradient,
    char *error) {
    return guarded(error, [&] {
        const c10::InferenceMode inference;
        load(*mlp, count, logits);
        forward(*mlp, -1);
        copy_out(mlp->layers.back().output, corrected);
        copy_in(mlp->layers.back().output_gradient, cotangent);
        auto slope = at::empty({count, mlp->options.classes}, mlp->device);
        backward(*mlp, 1, false, &slope);
        copy_out(slope, gradient);
    });
}

int32_t mlp_support(
    ctorch_mlp *mlp, int64_t count, const float *logits, const int32_t *labels, float *corrected, float *support,
    float *mean, char *error) {
    return guarded(error, [&] {
        const c10::InferenceMode inference;
        load(*mlp, count, logits);
        forward(*mlp, -1);
        copy_out(mlp->layers.back().output, corrected);
        auto &cotangent = mlp->layers.back().output_gradient;
        auto slope = at::empty({count, mlp->options.classes}, mlp->device);
        const auto on_cpu = at::from_blob(const_cast<int32_t *>(labels), {count, 1}, at::kInt);
        const auto own = on_cpu.to(mlp->device, at::kLong);
        const double share = 1 / static_cast<double>(mlp->options.outputs);
        cotangent.fill_(-share).scatter_(1, own, 1 - share);
        backward(*mlp, 1, false, &slope);
        copy_out(slope, support);
        cotangent.fill_(share);
        backward(*mlp, 1, false, &slope);
        copy_out(slope, mean);
    });
}

template <typename Visit>
void each_part(ctorch_mlp &mlp, int32_t part, Visit visit) {
    for (auto &layer : mlp.layers) {
        visit(part == 0 ? layer.weight : part == 1 ? layer.weight_first : layer.weight_second);
        visit(part == 0 ? layer.bias : part == 1 ? layer.bias_first : layer.bias_second);
    }
}

int64_t mlp_parameter_count(ctorch_mlp *mlp) {
    int64_t total = 0;
    for (auto &layer : mlp->layers) total += layer.weight.numel() + layer.bias.numel();
    return total;
}

int32_t mlp_get(ctorch_mlp *mlp, int32_t part, float *values, char *error) {
    return guarded(error, [&] {
        const c10::InferenceMode inference;
        each_part(*mlp, part, [&](at::Tensor &tensor) {
            copy_out(tensor, values);
            values += tensor.numel();
        });
    });
}

int32_t mlp_set(ctorch_mlp *mlp, int32_t part, const float *values, char *error) {
    return guarded(error, [&] {
        const c10::InferenceMode inference;
        each_part(*mlp, part, [&](at::Tensor &tensor) {
            copy_in(tensor, values);
            values += tensor.numel();
        });
    });
}

void mlp_seconds(ctorch_mlp *mlp, double seconds[3]) {
    for (int phase = 0; phase < 3; phase++) seconds[phase] = mlp->watch.seconds[phase];
}

int32_t mlp_export(ctorch_mlp *mlp, const char *path, char *error) {
    return guarded(error, [&] {
        torch::jit::Module module("Defender");
        std::string body = "def forward(self, z):\n";
        for (size_t l = 0; l < mlp->layers.size(); l++) {
            const auto name = std::to_string(l);
            // Inference tensors cannot be saved: plain copies can.
            auto weight = at::empty(mlp->layers[l].weight.sizes()), bias = at::empty(mlp->layers[l].bias.sizes());
            copy_out(mlp->layers[l].weight, weight.data_ptr<float>());
            copy_out(mlp->layers[l].bias, bias.data_ptr<float>());
            module.register_parameter("weight" + name, weight, false);
            module.register_parameter("bias" + name, bias, false);
            body += "    z = torch.linear(z, self.weight" + name + ", self.bias" + name + ")\n";
            if (l + 1 < mlp->layers.size()) body += "    z = torch.relu(z)\n";
        }
        module.define(body + "    return z\n");
        module.eval();
        module.save(path);
    });
}

}  // namespace

void fill_mlps(ctorch_api_table &table) {
    table.mlp_create = mlp_create;
    table.mlp_free = mlp_free;
    table.mlp_step = mlp_step;
    table.mlp_forward = mlp_forward;
    table.mlp_gradient = mlp_gradient;
    table.mlp_support = mlp_support;
    table.mlp_parameter_count = mlp_parameter_count;
    table.mlp_get = mlp_get;
    table.mlp_set = mlp_set;
    table.mlp_seconds = mlp_seconds;
    table.mlp_export = mlp_export;
}

}  // namespace logitcorpus
