/* cudnn_module.c: the cuDNN backend as this program sees it: a module that is opened at run time, so that a machine without CUDA libraries
 * or driver starts, and says why the GPU cannot be used.
 *
 * Before a device gets work it answers a known question: it makes samples from a small volume and runs a small network on them; the CPU's
 * preparation and the reference backend have given the answer. Again whenever the farm asks (rad_backend_verify), and every KNOWN_EVERY
 * batches of each stream. A wrong answer is a DEVICE error: the rank stops taking work.
 */
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend.h"
#include "gpu_module.h"

enum { KNOWN_EVERY = 512, KNOWN_C = 16, KNOWN_SIDE = 9, KNOWN_OUT = 10, KNOWN_X = 23, KNOWN_Y = 17, PATH_CAP = 4096 };
/* float32 sums of 144 products in another order than the reference's double: 144 * 2^-24 is 9e-6. */
#define KNOWN_LIMIT 2e-5f

/* ---------------------------------------------------------------- the known question */

/* Conv 3x3 + Relu, MaxPool, Conv 1x1 + residual + Relu, GlobalAveragePool, Flatten, Gemm. Everything it needs, in one place. */
struct known {
    rad_graph g;
    rad_value value[14];
    rad_node node[6];
    int in[6][3], out[6][1];
    rad_attr attr[6][2];
    int64_t three[2], two[2], ones[4];
    float w1[KNOWN_C * 3 * 9], b1[KNOWN_C], w2[KNOWN_C * KNOWN_C], b2[KNOWN_C], w3[KNOWN_OUT * KNOWN_C], b3[KNOWN_OUT];
    int input, output;
    float *x, *want, *got; /* [batch, ...] */
    size_t n_in, n_out;
    rad_input_spec spec;
    rad_volume volume; /* borrows `voxel` */
    int16_t *voxel;
    rad_prepare_plan *planned;
    rad_plan *plan;
    rad_exec *exec;
    pthread_mutex_t lock;
    bool lock_made;
};

/* -1 .. 1 in steps of 1/128, by a linear congruence (Numerical Recipes): exact in every float type but bfloat16's sums. */
static void fill(float *x, size_t n, uint32_t *seed, float scale) {
    for (size_t i = 0; i < n; i++) {
        *seed = *seed * 1664525u + 1013904223u;
        x[i] = ((float)(*seed >> 24) - 128.0f) / 128.0f * scale;
    }
}

static void set_value(struct known *k, int v, const char *name, int rank, int64_t d0, int64_t d1, int64_t d2, const void *data,
                      int producer) {
    k->value[v] = (rad_value){.name = name,
                              .dtype = RAD_DT_F32,
                              .shape = {.rank = rank, .dim = {d0, d1, d2, d2}},
                              .data = data,
                              .producer = producer,
                              .n_use = 1};
}

static void set_node(struct known *k, int i, const char *op, const char *name, int n_input, const int *input, int output, int n_attr) {
    for (int j = 0; j < n_input; j++)
        k->in[i][j] = input[j];
    k->out[i][0] = output;
    k->node[i] = (rad_node){.op = rad_op_find(op, ""),
                            .name = name,
                            .n_input = n_input,
                            .n_output = 1,
                            .input = k->in[i],
                            .output = k->out[i],
                            .n_attr = n_attr,
                            .attr = k->attr[i],
                            .opset = 17,
                            .residual = -1};
}

static void make_graph(struct known *k, int64_t batch) {
    const int64_t side = KNOWN_SIDE, half = (KNOWN_SIDE - 3) / 2 + 1;
    uint32_t seed = 1;
    fill(k->w1, sizeof k->w1 / sizeof *k->w1, &seed, 0.25f);
    fill(k->b1, KNOWN_C, &seed, 0.5f);
    fill(k->w2, sizeof k->w2 / sizeof *k->w2, &seed, 0.25f);
    fill(k->b2, KNOWN_C, &seed, 0.5f);
    fill(k->w3, sizeof k->w3 / sizeof *k->w3, &seed, 0.5f);
    fill(k->b3, KNOWN_OUT, &seed, 1.0f);
    k->three[0] = k->three[1] = 3;
    k->two[0] = k->two[1] = 2;
    for (int i = 0; i < 4; i++)
        k->ones[i] = 1;
    set_value(k, 0, "x", 4, batch, 3, side, NULL, -1);
    set_value(k, 1, "w1", 4, KNOWN_C, 3, 3, k->w1, -1);
    set_value(k, 2, "b1", 1, KNOWN_C, 0, 0, k->b1, -1);
    set_value(k, 3, "conv1", 4, batch, KNOWN_C, side, NULL, 0);
    set_value(k, 4, "pool", 4, batch, KNOWN_C, half, NULL, 1);
    set_value(k, 5, "w2", 4, KNOWN_C, KNOWN_C, 1, k->w2, -1);
    set_value(k, 6, "b2", 1, KNOWN_C, 0, 0, k->b2, -1);
    set_value(k, 7, "conv2", 4, batch, KNOWN_C, half, NULL, 2);
    set_value(k, 8, "mean", 4, batch, KNOWN_C, 1, NULL, 3);
    set_value(k, 9, "flat", 2, batch, KNOWN_C, 0, NULL, 4);
    set_value(k, 10, "w3", 2, KNOWN_OUT, KNOWN_C, 0, k->w3, -1);
    set_value(k, 11, "b3", 1, KNOWN_OUT, 0, 0, k->b3, -1);
    set_value(k, 12, "y", 2, batch, KNOWN_OUT, 0, NULL, 5);
    k->value[4].n_use = 2;
    k->attr[0][0] = (rad_attr){.name = "pads", .kind = RAD_ATTR_INTS, .n = 4, .ints = k->ones};
    k->attr[1][0] = (rad_attr){.name = "kernel_shape", .kind = RAD_ATTR_INTS, .n = 2, .ints = k->three};
    k->attr[1][1] = (rad_attr){.name = "strides", .kind = RAD_ATTR_INTS, .n = 2, .ints = k->two};
    k->attr[5][0] = (rad_attr){.name = "transB", .kind = RAD_ATTR_INT, .i = 1};
    set_node(k, 0, "Conv", "conv1", 3, (const int[]){0, 1, 2}, 3, 1);
    set_node(k, 1, "MaxPool", "pool", 1, (const int[]){3}, 4, 2);
    set_node(k, 2, "Conv", "conv2", 3, (const int[]){4, 5, 6}, 7, 0);
    set_node(k, 3, "GlobalAveragePool", "mean", 1, (const int[]){7}, 8, 0);
    set_node(k, 4, "Flatten", "flat", 1, (const int[]){8}, 9, 0);
    set_node(k, 5, "Gemm", "fc", 3, (const int[]){9, 10, 11}, 12, 1);
    k->node[0].act = k->node[2].act = RAD_FUSE_RELU;
    k->node[2].residual = 4;
    k->input = 0;
    k->output = 12;
    k->g = (rad_graph){.n_value = 13,
                       .value = k->value,
                       .n_node = 6,
                       .node = k->node,
                       .n_input = 1,
                       .n_output = 1,
                       .input = &k->input,
                       .output = &k->output,
                       .batch = batch,
                       .hash = "known answer 1"};
}

static void known_destroy(struct known *k, const rad_backend_ops *ops) {
    if (k == NULL)
        return;
    if (k->exec != NULL)
        ops->exec_destroy(k->exec);
    if (k->plan != NULL)
        ops->plan_destroy(k->plan);
    if (k->lock_made)
        (void)pthread_mutex_destroy(&k->lock);
    rad_prepare_plan_destroy(&k->planned);
    free(k->voxel);
    free(k->x);
    free(k->want);
    free(k->got);
    free(k);
}

/* A volume of as many slices as the plan has places, and an input with a neighbour on each side, a window, a zero edge, an antialiased
 * reduction and a normalisation; samples of the network's size. */
static rad_status make_volume(struct known *k, int64_t batch, rad_error *err) {
    static char name[] = "known", sequence[] = "known";
    const size_t n = (size_t)batch * KNOWN_X * KNOWN_Y;
    uint32_t seed = 7;
    k->voxel = rad_malloc(n * sizeof *k->voxel);
    if (k->voxel == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for the known-answer test");
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        k->voxel[i] = (int16_t)((int)(seed >> 20) - 2048);
    }
    k->volume = (rad_volume){.info = {.n_dim = 3,
                                      .dim = {KNOWN_X, KNOWN_Y, batch, 1, 1, 1, 1},
                                      .spacing = {1, 1, 1},
                                      .affine = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}},
                                      .sform_code = 1,
                                      .type = RAD_VOX_I16,
                                      .slope = 0.75,
                                      .inter = 10},
                             .voxel = k->voxel,
                             .bytes = n * sizeof *k->voxel};
    k->spec = (rad_input_spec){.name = name,
                               .n_channel = 1,
                               .channel[0] = {.sequence = sequence, .n_offset = 3, .offset = {-1, 0, 1}},
                               .n_plane = 3,
                               .orientation = "LPS",
                               .slices = RAD_SLICES_VOLUME_ALL,
                               .edge = RAD_EDGE_ZERO,
                               .region = {.from = RAD_REGION_WHOLE},
                               .window = {.on = true, .low = -900, .high = 1100},
                               .resize = {.method = RAD_RESIZE_BILINEAR, .antialias = true, .height = KNOWN_SIDE, .width = KNOWN_SIDE},
                               .normalise = {.n = 1, .mean = {0.5}, .std = {0.5}}};
    const rad_volume *volume[1] = {&k->volume};
    rad_prepared p = {0};
    rad_status st = RAD_OK;
    RAD_TRY(rad_prepare_case(&k->spec, volume, NULL, &p, err));
    memcpy(k->x, p.data, k->n_in * sizeof *k->x);
    st = rad_prepare_plan_make(&k->spec, volume, NULL, &k->planned, err);
out:
    rad_prepared_release(&p);
    return st;
}

/* The whole network on one backend, once. */
static rad_status run_once(const rad_backend_ops *ops, void *state, struct known *k, float *out, rad_plan **plan, rad_exec **exec,
                           rad_error *err) {
    const rad_tensor x = {.dtype = RAD_DT_F32, .shape = k->value[k->input].shape, .data = k->x};
    rad_tensor y = {.dtype = RAD_DT_F32, .shape = k->value[k->output].shape, .data = out};
    rad_status st = RAD_OK;
    if (*plan == NULL)
        RAD_TRY(ops->plan_create(state, &k->g, RAD_PREC_FP32, plan, err));
    if (*exec == NULL)
        RAD_TRY(ops->exec_create(*plan, exec, err));
    st = ops->exec_run(*exec, &x, &y, err);
out:
    return st;
}

/* The same on samples that the device makes. */
static rad_status run_made(const rad_backend_ops *ops, void *state, struct known *k, rad_error *err) {
    const int64_t batch = k->value[k->input].shape.dim[0];
    rad_tensor y = {.dtype = RAD_DT_F32, .shape = k->value[k->output].shape, .data = k->got};
    rad_samples *made = NULL;
    rad_status st = ops->samples->prepare(state, k->planned, &made, err);
    rad_sample_place *place = rad_calloc((size_t)batch, sizeof *place);
    if (st == RAD_OK && place == NULL)
        st = rad_error_set(err, RAD_E_NOMEM, "no memory for the known-answer test");
    for (int64_t i = 0; st == RAD_OK && i < batch; i++)
        place[i] = (rad_sample_place){made, i};
    if (st == RAD_OK)
        st = ops->samples->exec_run(k->exec, place, &y, err);
    if (made != NULL)
        ops->samples->release(state, made);
    free(place);
    return st;
}

static rad_status judge(const struct known *k, const char *what, rad_error *err) {
    float largest = 0.0f, off = 0.0f;
    for (size_t i = 0; i < k->n_out; i++) {
        const float d = fabsf(k->got[i] - k->want[i]);
        largest = fabsf(k->want[i]) > largest ? fabsf(k->want[i]) : largest;
        off = d > off || isnan(d) ? d : off;
    }
    if (off <= KNOWN_LIMIT * largest)
        return RAD_OK;
    return rad_error_set(err, RAD_E_DEVICE,
                         "the device gives a wrong answer to a known question (%s: off by %g, largest number %g): do not use it", what,
                         (double)off, (double)largest);
}

static rad_status known_ask(struct known *k, const rad_backend_ops *ops, void *state, rad_error *err) {
    if (pthread_mutex_lock(&k->lock) != 0)
        return rad_error_set(err, RAD_E_INTERNAL, "cannot lock the known-answer test");
    memset(k->got, 0, k->n_out * sizeof *k->got);
    rad_status st = run_once(ops, state, k, k->got, &k->plan, &k->exec, err);
    if (st == RAD_OK)
        st = judge(k, "a network", err);
    memset(k->got, 0, k->n_out * sizeof *k->got);
    if (st == RAD_OK)
        st = run_made(ops, state, k, err);
    if (st == RAD_OK)
        st = judge(k, "a network on samples that it made", err);
    (void)pthread_mutex_unlock(&k->lock);
    return st == RAD_OK || rad_status_scope(st) != RAD_SCOPE_STUDY ? st : rad_error_prefix(err, RAD_E_DEVICE, "a known question: ");
}

static rad_status known_create(const rad_backend_ops *ops, void *state, struct known **ret, rad_error *err) {
    const int64_t batch = ops->plan_batch(state, RAD_PREC_FP32);
    rad_status st = RAD_OK;
    rad_plan *plan = NULL;
    rad_exec *exec = NULL;
    struct known *k = rad_calloc(1, sizeof *k);
    if (k == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for the known-answer test");
    k->n_in = (size_t)batch * 3 * KNOWN_SIDE * KNOWN_SIDE;
    k->n_out = (size_t)batch * KNOWN_OUT;
    k->x = rad_aligned(k->n_in * sizeof *k->x);
    k->want = rad_aligned(k->n_out * sizeof *k->want);
    k->got = rad_aligned(k->n_out * sizeof *k->got);
    k->lock_made = pthread_mutex_init(&k->lock, NULL) == 0;
    if (k->x == NULL || k->want == NULL || k->got == NULL || !k->lock_made) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory for the known-answer test");
        goto out;
    }
    make_graph(k, batch);
    RAD_TRY(make_volume(k, batch, err));
    RAD_TRY(run_once(&rad_backend_ref, NULL, k, k->want, &plan, &exec, err));
    RAD_TRY(known_ask(k, ops, state, err));
    *ret = k;
    k = NULL;
out:
    if (exec != NULL)
        rad_backend_ref.exec_destroy(exec);
    if (plan != NULL)
        rad_backend_ref.plan_destroy(plan);
    known_destroy(k, ops);
    return st;
}

/* ---------------------------------------------------------------- the module */

struct state {
    void *library;
    const rad_cudnn_module *module;
    void *inner;
    struct known *known;
};
struct plan {
    struct state *state;
    rad_plan *inner;
};
struct exec {
    struct plan *plan;
    rad_exec *inner;
    int64_t runs;
};

/* Beside the program (a bundle), where `cmake --install` puts it, or in a build tree as seen from src/cli, from tests and from its folders.
 */
static const char *const places[] = {
    "", "../lib/radcohort/", "../lib/", "../infer/cudnn/", "../src/infer/cudnn/", "../../src/infer/cudnn/"};

static rad_status open_library(struct state *s, rad_error *err) {
    char program[PATH_CAP], path[PATH_CAP + 64];
    const ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0)
        return rad_error_set(err, RAD_E_DEVICE, "cannot tell where this program lies, so not where its cuDNN module is");
    program[n] = '\0';
    char *slash = strrchr(program, '/');
    if (slash == NULL)
        return rad_error_set(err, RAD_E_DEVICE, "cannot tell where this program lies, so not where its cuDNN module is");
    slash[1] = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        (void)snprintf(path, sizeof path, "%s%sradcohort_cudnn.so", program, places[i]);
        if (access(path, R_OK) != 0)
            continue;
        s->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (s->library != NULL)
            return RAD_OK;
        const char *why = dlerror();
        return rad_error_set(err, RAD_E_DEVICE, "libraries are missing: %.300s; load the cluster's CUDA and cuDNN 9 modules",
                             why != NULL ? why : "unknown");
    }
    return rad_error_set(err, RAD_E_DEVICE, "its module radcohort_cudnn.so is neither in '%.200s' nor in '%.200s../lib/radcohort'", program,
                         program);
}

static rad_status load(struct state *s, rad_error *err) {
    rad_cudnn_module_get_fn get = NULL;
    rad_status st = open_library(s, err);
    if (st != RAD_OK)
        return st;
    void *symbol = dlsym(s->library, RAD_CUDNN_SYMBOL);
    memcpy(&get, &symbol, sizeof get); /* POSIX's way from an object to a function pointer */
    s->module = get != NULL ? get() : NULL;
    if (s->module != NULL && s->module->abi == RAD_CUDNN_ABI && s->module->ops_size == sizeof(rad_backend_ops) &&
        strcmp(s->module->version(), rad_version()) == 0)
        return RAD_OK;
    return rad_error_set(err, RAD_E_DEVICE,
                         "its module radcohort_cudnn.so is of another build than this program (%s); install both together", rad_version());
}

static void backend_close(void *state) {
    struct state *s = state;
    if (s->known != NULL)
        known_destroy(s->known, s->module->ops);
    if (s->inner != NULL)
        s->module->ops->close(s->inner);
    /* The library stays: CUDA keeps threads and exit handlers of its own. */
    free(s);
}

static rad_status backend_open(void **ret_state, char *ret_version, size_t version_cap, rad_error *err) {
    rad_status st = RAD_OK;
    struct state *s = rad_calloc(1, sizeof *s);
    if (s == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory");
    RAD_TRY(load(s, err));
    RAD_TRY(s->module->ops->open(&s->inner, ret_version, version_cap, err));
    RAD_TRY(known_create(s->module->ops, s->inner, &s->known, err));
    *ret_state = s;
    return RAD_OK;
out:
    backend_close(s);
    return st;
}

size_t rad_cudnn_describe_devices(void *state, char *buf, size_t cap) {
    const struct state *s = state;
    return s->module->describe_devices(buf, cap);
}

rad_status rad_cudnn_replay(rad_exec *exec, int n, double *ret_seconds, rad_error *err) {
    struct exec *x = (struct exec *)exec;
    return x->plan->state->module->replay(x->inner, n, ret_seconds, err);
}

/* ---------------------------------------------------------------- forwarding */

static int64_t plan_batch(void *state, rad_precision p) {
    const struct state *s = state;
    return s->module->ops->plan_batch(s->inner, p);
}

static rad_status precision(void *state, rad_precision p, rad_error *err) {
    const struct state *s = state;
    return s->module->ops->precision(s->inner, p, err);
}

static bool supports(void *state, const rad_graph *g, const rad_node *n, rad_precision p, char *why, size_t cap) {
    const struct state *s = state;
    return s->module->ops->supports(s->inner, g, n, p, why, cap);
}

static rad_status plan_create(void *state, const rad_graph *g, rad_precision p, rad_plan **ret, rad_error *err) {
    struct state *s = state;
    struct plan *plan = rad_calloc(1, sizeof *plan);
    if (plan == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for an inference plan");
    plan->state = s;
    const rad_status st = s->module->ops->plan_create(s->inner, g, p, &plan->inner, err);
    if (st == RAD_OK)
        *ret = (rad_plan *)plan;
    else
        free(plan);
    return st;
}

static void plan_destroy(rad_plan *plan) {
    struct plan *p = (struct plan *)plan;
    p->state->module->ops->plan_destroy(p->inner);
    free(p);
}

static size_t plan_describe(const rad_plan *plan, char *buf, size_t cap) {
    const struct plan *p = (const struct plan *)plan;
    return p->state->module->ops->plan_describe(p->inner, buf, cap);
}

static rad_status exec_create(rad_plan *plan, rad_exec **ret, rad_error *err) {
    struct plan *p = (struct plan *)plan;
    struct exec *x = rad_calloc(1, sizeof *x);
    if (x == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for an inference stream");
    x->plan = p;
    const rad_status st = p->state->module->ops->exec_create(p->inner, &x->inner, err);
    if (st == RAD_OK)
        *ret = (rad_exec *)x;
    else
        free(x);
    return st;
}

/* The known question, when it is time for it. */
static rad_status ask_again(struct exec *x, rad_error *err) {
    struct state *s = x->plan->state;
    return ++x->runs % KNOWN_EVERY == 0 ? known_ask(s->known, s->module->ops, s->inner, err) : RAD_OK;
}

static rad_status exec_run(rad_exec *exec, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    struct exec *x = (struct exec *)exec;
    const rad_status st = ask_again(x, err);
    return st == RAD_OK ? x->plan->state->module->ops->exec_run(x->inner, in, out, err) : st;
}

static rad_status exec_run_samples(rad_exec *exec, const rad_sample_place *place, rad_tensor *out, rad_error *err) {
    struct exec *x = (struct exec *)exec;
    const rad_status st = ask_again(x, err);
    return st == RAD_OK ? x->plan->state->module->ops->samples->exec_run(x->inner, place, out, err) : st;
}

static rad_status verify(void *state, rad_error *err) {
    struct state *s = state;
    return known_ask(s->known, s->module->ops, s->inner, err);
}

static rad_status prepare(void *state, const rad_prepare_plan *p, rad_samples **ret, rad_error *err) {
    const struct state *s = state;
    return s->module->ops->samples->prepare(s->inner, p, ret, err);
}

static void release(void *state, rad_samples *m) {
    const struct state *s = state;
    s->module->ops->samples->release(s->inner, m);
}

static const rad_sample_ops samples = {.prepare = prepare, .release = release, .exec_run = exec_run_samples};

static void exec_destroy(rad_exec *exec) {
    struct exec *x = (struct exec *)exec;
    x->plan->state->module->ops->exec_destroy(x->inner);
    free(x);
}

const rad_backend_ops rad_backend_cudnn = {
    .name = "cudnn",
    .open = backend_open,
    .close = backend_close,
    .plan_batch = plan_batch,
    .precision = precision,
    .supports = supports,
    .plan_create = plan_create,
    .plan_destroy = plan_destroy,
    .plan_describe = plan_describe,
    .exec_create = exec_create,
    .exec_run = exec_run,
    .exec_destroy = exec_destroy,
    .verify = verify,
    .samples = &samples,
};
