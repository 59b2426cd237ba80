/* The C face of LibTorch: everything that LogitCorpus asks of it.
 *
 * libLogitTorch.so exports one function, ctorch_api(), which returns this table. `logit` opens the library on first
 * use, so a machine without LibTorch can still store, query, sample and verify.
 *
 * Every call returns 0, or another value after writing one sentence (UTF-8, no stack trace) into `error`, which has
 * room for CTORCH_ERROR_BYTES. No exception leaves the library. Tensors are dense row-major float32: images NCHW. */
#ifndef CTORCH_H
#define CTORCH_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CTORCH_ABI_VERSION 4
#define CTORCH_ERROR_BYTES 1024

typedef struct ctorch_module ctorch_module;
typedef struct ctorch_pass ctorch_pass;
typedef struct ctorch_mlp ctorch_mlp;

/* Where a module or defender computes. What goes in and out of every call lies in the CPU's memory all the same. */
typedef enum {
    CTORCH_DEVICE_CPU = 0,
    CTORCH_DEVICE_CUDA = 1,          /* the first GPU that the process may use */
    CTORCH_DEVICE_CPU_OPERATORS = 2, /* the CPU, but defenders train by the operators that a GPU runs: for tests */
} ctorch_device;

typedef struct {
    int32_t device;        /* ctorch_device */
    int32_t fold;          /* freeze: fold batch norm into convolutions */
    int32_t channels_last; /* parameters and input of rank 4 in channels-last layout */
    int32_t normalise;     /* (x - mean) / deviation before the module */
    float mean[3], deviation[3];
} ctorch_module_options;

typedef enum {
    CTORCH_LOSS_CROSS_ENTROPY = 0, /* sum over the batch, of `labels` */
    CTORCH_LOSS_COTANGENT = 1,     /* sum of cotangent * logits: a vector-Jacobian product */
} ctorch_loss;

typedef struct {
    int64_t count, channels, height, width;
} ctorch_shape;

typedef struct {
    int64_t classes;   /* C, the inputs */
    int64_t outputs;   /* C for a defender, 2 for a detector */
    int64_t hidden;    /* D */
    int64_t layers;    /* 1: linear C -> outputs; 2: C -> D -> outputs; more: further D -> D */
    double dropout;    /* probability of dropping, after ReLU, hidden layers only */
    double learning_rate, weight_decay, beta1, beta2, epsilon; /* Adam, weight decay in the gradient */
    uint64_t seed;
    int32_t device; /* ctorch_device */
} ctorch_mlp_options;

typedef struct {
    uint32_t abi_version;

    /* Process: before the first tensor. Tunes the allocator (no page faults for every activation) and fixes the
     * intra-op threads, BLAS threads included. May be called again to change the thread count. */
    int32_t (*configure)(int32_t intra_op_threads, char *error);
    /* JSON object: libtorch, blas, blas_kernel, cpu_capability, mkldnn, intra_op_threads; of a GPU also device, gpu, cuda,
     * cudnn. Valid until the next call. */
    const char *(*describe)(int32_t device);
    /* Fails where this LibTorch or this machine does not have the device. */
    int32_t (*device_check)(int32_t device, char *error);

    /* Modules. Calls on one module from several threads are allowed. */
    int32_t (*module_load)(const char *path, const ctorch_module_options *options, ctorch_module **result, char *error);
    void (*module_free)(ctorch_module *module);
    /* Compiles the module for images of this size (see Sources/CTorch/compiled), where its operators allow and the result
     * agrees with LibTorch's. Returns how it will run: `compiled`, or `libtorch: REASON`; valid as long as the module. */
    const char *(*module_compile)(ctorch_module *module, ctorch_shape shape, int64_t classes);
    /* Runs once on zeros; writes the output's rank and dimensions (at most 8). */
    int32_t (*module_probe)(ctorch_module *module, ctorch_shape shape, int64_t *rank, int64_t *dimensions, char *error);
    /* logits: count * classes. */
    int32_t (*module_logits)(
        ctorch_module *module, ctorch_shape shape, const float *images, int64_t classes, float *logits, char *error);
    /* A forward pass (logits: count * classes) of which gradients with respect to the images can be asked for, any number
     * of times: of the cross-entropy of `labels` (count), or of a vector-Jacobian product with `cotangent`
     * (count * classes); the other is NULL. One thread at a time; freed before its module. */
    int32_t (*pass_begin)(
        ctorch_module *module, ctorch_shape shape, const float *images, int64_t classes, float *logits,
        ctorch_pass **result, char *error);
    int32_t (*pass_gradient)(
        ctorch_pass *pass, ctorch_loss loss, const int32_t *labels, const float *cotangent, float *gradient, char *error);
    void (*pass_free)(ctorch_pass *pass);

    /* Defenders: fully connected networks with Adam. Not for use from two threads at once. */
    int32_t (*mlp_create)(const ctorch_mlp_options *options, ctorch_mlp **result, char *error);
    void (*mlp_free)(ctorch_mlp *mlp);
    /* One optimiser step on a mini-batch; the dropout mask is a function of (seed, step). loss: mean cross-entropy. */
    int32_t (*mlp_step)(
        ctorch_mlp *mlp, int64_t step, int64_t count, const float *logits, const int32_t *labels, double *loss, char *error);
    /* Corrected logits, dropout off. */
    int32_t (*mlp_forward)(ctorch_mlp *mlp, int64_t count, const float *logits, float *corrected, char *error);
    /* Gradient of sum(cotangent * g(z)) with respect to z, dropout off. */
    int32_t (*mlp_gradient)(
        ctorch_mlp *mlp, int64_t count, const float *logits, const float *cotangent, float *corrected, float *gradient,
        char *error);
    /* Of each row z with class i (labels, outputs = classes), dropout off, ReLU'(0) = 0: the slopes with respect to z of
     * g_i - mean over l of g_l (support) and of mean over l of g_l (mean), each count * classes, and g (corrected). */
    int32_t (*mlp_support)(
        ctorch_mlp *mlp, int64_t count, const float *logits, const int32_t *labels, float *corrected, float *support,
        float *mean, char *error);
    /* Parameters in order W1 (out x in), b1, W2, b2, ...; `part` 0 parameters, 1 Adam's first moments, 2 second. */
    int64_t (*mlp_parameter_count)(ctorch_mlp *mlp);
    int32_t (*mlp_get)(ctorch_mlp *mlp, int32_t part, float *values, char *error);
    int32_t (*mlp_set)(ctorch_mlp *mlp, int32_t part, const float *values, char *error);
    /* Wall seconds since it was made: of matrix products, of element-by-element work, of the optimiser. */
    void (*mlp_seconds)(ctorch_mlp *mlp, double seconds[3]);
    /* A TorchScript file that maps [n, C] to [n, C], readable by any PyTorch. */
    int32_t (*mlp_export)(ctorch_mlp *mlp, const char *path, char *error);
} ctorch_api_table;

/* The only exported symbol. */
const ctorch_api_table *ctorch_api(void);

#ifdef __cplusplus
}
#endif
#endif
