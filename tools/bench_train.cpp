// The C++ side of tools/bench-train: a plain training loop of LibTorch (torch::nn, torch::optim::Adam) at a defender's size, on
// batches that lie in memory. Each line of standard input asks for so many steps; one line of JSON comes back.
#include <torch/torch.h>

#include <dlfcn.h>
#include <sys/resource.h>

#include <chrono>
#include <ctime>
#include <iostream>
#include <string>
#include <vector>

static double wall() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

static double cpu() {
    timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec + 1e-9 * time.tv_nsec;
}

int main(int count, char **arguments) {
    if (count != 7) {
        std::cerr << "usage: bench_train CLASSES HIDDEN LAYERS DROPOUT BATCH THREADS\n";
        return 64;
    }
    const int64_t classes = std::stoll(arguments[1]), hidden = std::stoll(arguments[2]), layers = std::stoll(arguments[3]);
    const double dropout = std::stod(arguments[4]);
    const int64_t batch = std::stoll(arguments[5]);
    torch::set_num_threads(std::stoi(arguments[6]));
    using Set = void (*)(int);
    if (auto set = reinterpret_cast<Set>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"))) set(std::stoi(arguments[6]));

    torch::nn::Sequential net;
    for (int64_t l = 0; l < layers; l++) {
        net->push_back(torch::nn::Linear(l == 0 ? classes : hidden, l == layers - 1 ? classes : hidden));
        if (l < layers - 1) {
            net->push_back(torch::nn::ReLU());
            net->push_back(torch::nn::Dropout(dropout));
        }
    }
    torch::optim::Adam adam(net->parameters(), torch::optim::AdamOptions(5e-5).weight_decay(1e-4));
    std::vector<torch::Tensor> inputs, labels;
    for (int i = 0; i < 16; i++) {
        inputs.push_back(torch::randn({batch, classes}) * 3);
        labels.push_back(torch::randint(classes, {batch}));
    }
    // The matrix products of a step alone, into memory that is there.
    std::vector<torch::Tensor> weights, outputs, gradients;
    for (auto &p : net->parameters())
        if (p.dim() == 2) weights.push_back(p.detach().clone());
    for (auto &w : weights) {
        outputs.push_back(torch::randn({batch, w.size(0)}));
        gradients.push_back(torch::empty_like(w));
    }
    std::vector<torch::Tensor> below;
    for (auto &w : weights) below.push_back(torch::empty({batch, w.size(1)}));
    const auto products = [&] {
        const torch::NoGradGuard none;
        for (size_t l = 0; l < weights.size(); l++) {
            const auto &x = l == 0 ? inputs[0] : outputs[l - 1];
            auto out = torch::empty({batch, weights[l].size(0)});
            at::mm_out(out, x, weights[l].t());
            at::mm_out(gradients[l], outputs[l].t(), x);
            if (l > 0) at::mm_out(below[l], outputs[l], weights[l]);
        }
    };

    int64_t steps = 0;
    const auto step = [&](double &passes, double &optimiser, double &loss) {
        const double begin = wall();
        adam.zero_grad();
        auto value = torch::nn::functional::cross_entropy(net->forward(inputs[steps % 16]), labels[steps % 16]);
        value.backward();
        const double between = wall();
        adam.step();
        optimiser += wall() - between;
        passes += between - begin;
        loss = value.item<double>();
        steps++;
    };
    double passes = 0, optimiser = 0, loss = 0;
    step(passes, optimiser, loss);
    products();
    using Name = char *(*)();
    const auto core = reinterpret_cast<Name>(dlsym(RTLD_DEFAULT, "openblas_get_corename"));
    std::cout << "{\"ready\": true, \"blas_kernel\": \"" << (core ? core() : "unknown") << "\"}" << std::endl;
    for (std::string line; std::getline(std::cin, line);) {
        const int wanted = std::stoi(line);
        passes = optimiser = 0;
        const double begin = wall(), used = cpu();
        for (int i = 0; i < wanted; i++) step(passes, optimiser, loss);
        const double seconds = wall() - begin, spent = cpu() - used;
        const double start = wall();
        for (int i = 0; i < wanted; i++) products();
        const double alone = wall() - start;
        rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        std::cout << "{\"steps\": " << wanted << ", \"wall\": " << seconds << ", \"cpu\": " << spent << ", \"passes\": " << passes
                  << ", \"optimiser\": " << optimiser << ", \"products\": " << alone << ", \"loss\": " << loss
                  << ", \"memory\": " << usage.ru_maxrss * 1024 << "}" << std::endl;
    }
}
