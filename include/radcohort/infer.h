/* infer: backends behind one table, and the engine that runs a network on samples.
 *
 * Promise 1 (invariance): the output of a sample is bit-identical whatever the batch it rode in, its position, the number of threads and
 * ranks. The engine keeps it by running plans of ONE fixed batch (the backend's choice, 1 on CPUs), each sample on one thread or, where a
 * backend shows that it gives the same bits, on a team of all threads.
 */
#ifndef RADCOHORT_INFER_H
#define RADCOHORT_INFER_H

#include "radcohort/base.h"
#include "radcohort/model.h"
#include "radcohort/prepare.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rad_precision { RAD_PREC_FP32, RAD_PREC_TF32, RAD_PREC_FP16, RAD_PREC_BF16 } rad_precision;
const char *rad_precision_name(rad_precision p);
/* Errors: USAGE naming the known words. */
rad_status rad_precision_parse(const char *word, rad_precision *ret, rad_error *err) RAD_MUST_CHECK;

typedef struct rad_backend rad_backend;
typedef struct rad_engine rad_engine;

/* Names in order of preference; compiled or not. Static storage, NULL-terminated. */
const char *const *rad_backend_names(void);
/* "usable: oneDNN 2.6.3, AVX-512 ..." or "not usable: ..."; true when usable here. */
bool rad_backend_probe(const char *name, char *buf, size_t cap);
/* Errors: USAGE (unknown name), DEVICE (not compiled in or not usable here: says why; never another backend instead). */
rad_status rad_backend_open(const char *name, rad_backend **ret, rad_error *err) RAD_MUST_CHECK;
void rad_backend_close(rad_backend **be);
const char *rad_backend_name(const rad_backend *be);
/* Engine version for content keys: backend, library version, instruction set or device, and our own revision of it. Static for the
 * backend's life. */
const char *rad_backend_version(const rad_backend *be);
/* Errors: DEVICE when this precision is not to be had here: what is missing and what to take instead. */
rad_status rad_backend_check_precision(rad_backend *be, rad_precision p, rad_error *err) RAD_MUST_CHECK;
/* A device answers a known question, whose answer the reference backend has given: samples made from a volume, and a small network on them.
 * rad_backend_open has asked it once. Thread-safe. Errors: DEVICE (a wrong answer, or none), NOMEM. */
bool rad_backend_can_verify(const rad_backend *be);
rad_status rad_backend_verify(rad_backend *be, rad_error *err) RAD_MUST_CHECK;
/* Number of nodes of `g` that the backend cannot run; each is described in `why`, one line per node, when why is not NULL. */
int rad_backend_refusals(rad_backend *be, const rad_graph *g, rad_precision p, rad_buf *why);

typedef struct rad_engine_opts {
    rad_precision precision;
    int threads;        /* >= 1; samples run in parallel, one thread each; what is left over for fewer samples than threads, on all */
    const char *output; /* output tensor name, NULL = the only (or first) one */
    const char *tap;    /* also return this tensor, NULL = none */
    int64_t sample[RAD_MAX_RANK]; /* dims of one sample without batch, 0-terminated, when the file leaves them open; sample[0] = 0: take the
                                     file's */
    rad_graph **graph; /* NULL, or one that was built of this model already: taken over (and set to NULL) if it is the one that the engine
                          would build, which saves folding and hashing the weights once more */
} rad_engine_opts;

/* Builds graph and plan. Errors: MODEL (also: refused operators, by name), DEVICE, NOMEM. The model must outlive the engine. */
rad_status rad_engine_create(rad_backend *be, rad_model *m, const rad_engine_opts *opts, rad_engine **ret, rad_error *err) RAD_MUST_CHECK;
void rad_engine_destroy(rad_engine **e);
/* Shapes of one sample, without the batch dim. */
void rad_engine_get_shapes(const rad_engine *e, rad_shape *ret_input, rad_shape *ret_output, rad_shape *ret_tap);
const rad_graph *rad_engine_graph(const rad_engine *e);
/* `in` [n, sample...] float32, `out` [n, output...] float32, `tap` [n, tap...] or NULL. Any n >= 0. Calls of several threads at a time
 * share the engine's own threads: the oldest first, the next as soon as a thread has nothing left to do in it. Errors: DEVICE, NOMEM,
 * NONFINITE (an output is NaN or Inf: names the first such sample; `out` and `tap` are filled all the same, so that the caller can tell the
 * good samples from the bad ones). */
rad_status rad_engine_run(rad_engine *e, const float *in, int64_t n, float *out, float *tap, rad_error *err) RAD_MUST_CHECK;
/* `n` samples [n, sample...] that lie in one piece. */
typedef struct rad_host_run {
    const float *data;
    int64_t n;
} rad_host_run;
/* As rad_engine_run on the samples of `run` [n_run], one piece after the other: nothing is copied together. */
rad_status rad_engine_run_parts(rad_engine *e, const rad_host_run *run, int64_t n_run, float *out, float *tap,
                                rad_error *err) RAD_MUST_CHECK;
size_t rad_engine_describe(const rad_engine *e, char *buf, size_t cap); /* per node: implementation, for --verbose and benches */

/* ---------------------------------------------------------------- samples made on the device
 *
 * A GPU makes the samples of a case itself, from its voxels, and keeps them until the networks have seen them: the same arithmetic as
 * rad_prepare_case, the same bits. Which inputs it makes is decided by the spec alone. */

typedef struct rad_samples rad_samples;

/* *ret_why (may be NULL) gets a literal text when not. */
bool rad_backend_makes_samples(const rad_backend *be, const rad_input_spec *spec, const char **ret_why);
/* As rad_prepare_case, with the pixels on the backend's device: `ret->data` is NULL, *ret_samples holds them. Only for specs of which
 * rad_backend_makes_samples says so. Errors: as rad_prepare_case; DEVICE. Thread-safe for distinct outputs. */
rad_status rad_backend_prepare(rad_backend *be, const rad_input_spec *spec, const rad_volume *const *volume, const rad_roi *roi,
                               rad_prepared *ret, rad_samples **ret_samples, rad_error *err) RAD_MUST_CHECK;
/* NULL is fine. Not while an engine runs on them. */
void rad_samples_destroy(rad_backend *be, rad_samples **s);

/* `n` samples of a case, from `first` on. */
typedef struct rad_sample_run {
    const rad_samples *samples;
    int64_t first, n;
} rad_sample_run;
/* As rad_engine_run on the samples of `run` [n_run], one after the other, each of the engine's input shape. */
rad_status rad_engine_run_samples(rad_engine *e, const rad_sample_run *run, int64_t n_run, float *out, float *tap,
                                  rad_error *err) RAD_MUST_CHECK;

/* Runs a graph of any inputs and outputs once on a backend (node tests, parity checks). `in`/`out` in graph order; out data allocated by
 * the caller. */
rad_status rad_backend_run_graph(rad_backend *be, const rad_graph *g, rad_precision p, const rad_tensor *in, rad_tensor *out,
                                 rad_error *err) RAD_MUST_CHECK;

/* ---------------------------------------------------------------- class activation maps
 *
 * Zhou B et al. Learning Deep Features for Discriminative Localization. CVPR 2016. A network that ends in a global average over the
 * positions of its last feature map f [K, (D,) H, W] and in linear layers has, before any softmax or sigmoid, the output
 *     logit[c] = bias[c] + sum_k weight[c][k] * mean_p f[k][p]  =  bias[c] + mean_p map[c][p],   map[c][p] = sum_k weight[c][k] * f[k][p]
 * so that map[c] says exactly what each position adds to class c: no gradients, no approximation. `f` is what enters the pooling: after
 * the activation that was fused into the last convolution.
 *
 *     rad_cam_create(model, &opts, &cam, err);  opts.tap = rad_cam_tap(cam);  rad_engine_create(be, model, &opts, &engine, err);
 *     rad_engine_run(engine, in, n, out, tap, err);  rad_cam_compute(cam, class, tap + sample * tap_count, map, err);
 *
 * A map has the bits of the tap, so promise 1 covers it; tapping does not change the score. */

#define RAD_MAX_CAM_WEIGHTS ((int64_t)1 << 24) /* n_class * n_channel */
#define RAD_CAM_RANK 3                         /* spatial axes of a map, at most */

typedef struct rad_cam rad_cam;

/* Finds the head of output `output` (NULL: the first) of a built graph and composes its layers into one [n_class, n_channel] matrix, in
 * double. Taken for the pooling: GlobalAveragePool; ReduceMean over all spatial axes, also one after another or over flattened positions,
 * channels first or last; AveragePool whose window is the whole map. For the layers: Gemm, MatMul, 1x1 Conv, BatchNormalization, sums and
 * products with constants; in between whatever only changes the shape, Dropout, Identity; at the end Softmax, LogSoftmax, Sigmoid, Tanh.
 * The graph is only read and may be destroyed afterwards. Errors: MODEL, saying why this network has no such map (a hidden layer with an
 * activation, a dense layer over a flattened map, another pooling, several branches, normalisation per sample ...); LIMIT; NOMEM. */
rad_status rad_cam_create_from_graph(const rad_graph *g, const char *output, rad_cam **ret, rad_error *err) RAD_MUST_CHECK;
/* The same for the graph that rad_engine_create builds from these options (`output` and `sample` are read). */
rad_status rad_cam_create(rad_model *m, const rad_engine_opts *opts, rad_cam **ret, rad_error *err) RAD_MUST_CHECK;
void rad_cam_destroy(rad_cam **c);
/* Name of the tensor f, to be given as rad_engine_opts.tap. Lives as long as the rad_cam. */
const char *rad_cam_tap(const rad_cam *c);
int64_t rad_cam_class_count(const rad_cam *c);
int64_t rad_cam_channel_count(const rad_cam *c);
/* Shape of one map: [W], [H, W] or [D, H, W]. */
void rad_cam_get_shape(const rad_cam *c, rad_shape *ret);
/* [n_class, n_channel] and [n_class]; borrowed. */
const double *rad_cam_weights(const rad_cam *c);
const double *rad_cam_bias(const rad_cam *c);
/* "class maps [7, 7] from tensor 'x' (2048 channels), 2 classes"; snprintf's contract. */
size_t rad_cam_describe(const rad_cam *c, char *buf, size_t cap);
/* The map of class `cls` for one sample. `tap`: that sample's tapped tensor as rad_engine_run fills it. `ret_map`: row-major, shape of
 * rad_cam_get_shape. Summed in double over channels in their order and rounded once: bits depend on the tap alone. Any sign; not
 * normalised. Thread-safe for one rad_cam. Errors: USAGE (no such class). */
rad_status rad_cam_compute(const rad_cam *c, int64_t cls, const float *tap, float *ret_map, rad_error *err) RAD_MUST_CHECK;

/* `from` [.., H, W] to `to` of the same rank (1 to 3), linear along each axis with half-pixel centres: output index i reads the input at
 * x = (i + 0.5) * n_from / n_to - 0.5, clamped to [0, n_from - 1], between floor(x) and its neighbour. It is ONNX Resize linear/half_pixel
 * and PyTorch interpolate(align_corners=False, antialias=False). In double, last axis first. Errors: SHAPE (rank, a dim below 1), LIMIT. */
rad_status rad_cam_resize(const float *map, const rad_shape *from, const rad_shape *to, float *ret, rad_error *err) RAD_MUST_CHECK;
/* The same between positions: output index i of axis d reads the input at first[d] + i * step[d], clamped and interpolated as there.
 * Errors: SHAPE, LIMIT. */
rad_status rad_cam_sample(const float *map, const rad_shape *from, const rad_shape *to, const double first[RAD_CAM_RANK],
                          const double step[RAD_CAM_RANK], float *ret, rad_error *err) RAD_MUST_CHECK;
/* Index of the largest value along each axis of a finite map; the first in row-major order when several are equal. Returns the value. */
float rad_cam_peak(const float *map, const rad_shape *shape, int64_t ret_index[RAD_CAM_RANK]);
/* Where the centre of cell `index` of an axis of n_from cells lies on the same axis of n_to pixels, 0 = centre of the first pixel:
 * (index + 0.5) * n_to / n_from - 0.5. */
double rad_cam_position(int64_t index, int64_t n_from, int64_t n_to);

#ifdef __cplusplus
}
#endif
#endif
