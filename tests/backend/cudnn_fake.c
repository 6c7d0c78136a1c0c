/* cudnn_fake.c: the cuDNN backend's device code (device.c, engines.c, exec.c, cache.c, prepare.c) on a machine without a GPU: CUDA's and
 * cuDNN's functions are replaced by ones that do the work on the CPU at once, captures included. Not a word about speed or about real
 * devices; that pointers, copies, capture, storage of engines and release of everything are in order, also when the device fails at any
 * call.
 *
 *   cudnn_fake FOLDER SCRATCH       FOLDER as for `cudnn_models host`; SCRATCH: an empty folder for the stored engines
 */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "gpu_module.h"
#include "cudnn/device.h"
#include "prep_random.h"

#define CHECK(x)                                                                                                                           \
    do {                                                                                                                                   \
        if (!(x)) {                                                                                                                        \
            (void)fprintf(stderr, "line %d: %s: %s\n", __LINE__, #x, the_error.text);                                                      \
            exit(1);                                                                                                                       \
        }                                                                                                                                  \
    } while (0)

static rad_error the_error;
static long calls, fail_at; /* calls that can fail; the one that does */
static atomic_long live;    /* things not yet released */
static int captures, replays;

static long number_of(const char *name) {
    const char *text = getenv(name);
    return text != NULL ? strtol(text, NULL, 10) : 0;
}

/* RADCOHORT_FAKE_FAIL=n: the n-th call of a program that loads this as its module fails, and every one after it. */
static cudaError_t maybe(void) {
    static atomic_long all;
    const long n = number_of("RADCOHORT_FAKE_FAIL");
    if (n > 0 && atomic_fetch_add(&all, 1) + 1 >= n)
        return cudaErrorUnknown;
    return fail_at > 0 && ++calls == fail_at ? cudaErrorUnknown : cudaSuccess;
}

/* RADCOHORT_FAKE_WRONG=n: from the n-th sum on, a memory cell of the device is broken. */
static bool is_wrong(void) {
    static atomic_long all;
    const long n = number_of("RADCOHORT_FAKE_WRONG");
    return n > 0 && atomic_fetch_add(&all, 1) + 1 >= n;
}

/* ---------------------------------------------------------------- kernels and engines */

struct record {
    enum { KERNEL, CONVOLUTION, COPY, CALL } kind;
    struct k_args args;
    cu_conv conv;
    char *data[5]; /* COPY: to, from */
    size_t size;
    cudaHostFn_t call;
    void *context;
};
struct CUgraph_st {
    int n;
    struct record record[2048];
};
static _Thread_local struct CUgraph_st *capturing;

static void run_conv(const cu_conv *c, char *const data[5]) {
    struct k_args a = {
        .kind = K_CONV, .rank = 5, .act = c->act == CU_ACT_RELU ? (c->clip > 0 ? K_CLIP : K_RELU) : K_COPY, .act_beta = c->clip};
    const int from[K_VIEWS] = {4, 0, 1, 2, 3};
    int64_t y = c->k, x = c->c;
    for (int k = 0; k < K_VIEWS; k++)
        a.v[k] = (struct k_view){.data = (k == 3 && !c->has_bias) || (k == 4 && !c->has_z) ? NULL : data[from[k]], .type = c->io};
    a.dim[0] = c->n;
    a.dim[4] = a.valid = c->k;
    a.v[0].stride[4] = 1;
    for (int i = 2; i >= 0; i--) {
        const int s = i - (3 - c->n_axis);
        a.in[i] = s < 0 ? 1 : (int32_t)c->in[s];
        a.out[i] = s < 0 ? 1 : (int32_t)c->out[s];
        a.window[i] = s < 0 ? 1 : (int32_t)c->f[s];
        a.stride[i] = s < 0 ? 1 : (int32_t)c->stride[s];
        a.dilation[i] = s < 0 ? 1 : (int32_t)c->dilation[s];
        a.begin[i] = s < 0 ? 0 : (int32_t)c->pad_begin[s];
        a.dim[1 + i] = a.out[i];
        a.v[0].stride[1 + i] = y;
        a.v[1].stride[1 + i] = x;
        y *= a.out[i];
        x *= a.in[i];
    }
    a.v[0].stride[0] = y;
    a.v[1].stride[0] = x;
    memcpy(a.v[4].stride, a.v[0].stride, sizeof a.v[0].stride);
    a.group_in = a.group_in_stored = c->c / c->g;
    a.group_out = c->k / c->g;
    a.count = a.dim[0] * a.dim[1] * a.dim[2] * a.dim[3] * a.dim[4];
    k_run_host(&a);
}

static void take(const struct record *r) {
    if (capturing != NULL) {
        CHECK(capturing->n < 2048);
        capturing->record[capturing->n++] = *r;
    } else if (r->kind == CONVOLUTION) {
        run_conv(&r->conv, r->data);
    } else if (r->kind == COPY) {
        memmove(r->data[0], r->data[1], r->size);
    } else if (r->kind == CALL) {
        r->call(r->context);
    } else {
        k_run_host(&r->args);
        if (r->args.kind == K_REDUCE && is_wrong())
            k_store(r->args.v[0].data, r->args.v[0].type, r->args.v[0].offset, 7.0f);
    }
}

cudaError_t k_launch(const struct k_args *args, cudaStream_t stream) {
    (void)stream;
    if (maybe() != cudaSuccess)
        return cudaErrorUnknown;
    take(&(struct record){.args = *args});
    return cudaSuccess;
}

cudaError_t k_launch_noise(void *data, int type, int64_t n, int64_t rows, uint32_t seed, cudaStream_t stream) {
    (void)stream;
    for (int64_t i = 0; i < n * rows; i++)
        k_store(data, type, i, (float)((uint32_t)(i % n) * 37u % 101u + seed) / 50.0f - 1.0f);
    return maybe();
}

cudaError_t k_launch_compare(const void *data, int64_t n, int64_t rows, unsigned *different, cudaStream_t stream) {
    const uint16_t *w = data;
    (void)stream;
    for (int64_t i = 0; i < n * rows; i++)
        *different += w[i] != w[i % n];
    return maybe();
}

cudaError_t k_launch_prepare(const struct prep_args *p, bool check, cudaStream_t stream) {
    (void)stream;
    for (int64_t i = 0; check && i < prep_check_count(p); i++)
        prep_check(p, i);
    for (int64_t i = 0; i < p->n_slice * p->n_plane * p->height * p->width; i++)
        prep_pixel(p, i);
    return maybe();
}

/* Engines: a plan is only a mark. */
rad_status cu_engine_choose(const cu_target *t, const cu_conv *c, int64_t workspace, cu_accept accept, void *context, cu_engine *ret,
                            rad_error *err) {
    static int mark;
    cu_engine e = {.plan = (cudnnBackendDescriptor_t)&mark, .workspace = 64, .id = 1};
    CHECK(t->handle != NULL && workspace > 0);
    if (maybe() != cudaSuccess || !accept(context, c, &e))
        return rad_error_set(err, RAD_E_DEVICE, "no engine");
    *ret = e;
    live++;
    return RAD_OK;
}

void cu_engine_release(cu_engine *e) {
    live -= e->plan != NULL;
    *e = (cu_engine){0};
}

char *cu_engine_to_json(const cu_engine *e) {
    return rad_asprintf("{\"engine\": %d}", (int)e->id);
}

bool cu_engine_from_json(const cu_target *t, const char *json, cu_engine *ret) {
    static int mark;
    CHECK(t->handle != NULL && strcmp(json, "{\"engine\": 1}") == 0);
    *ret = (cu_engine){.plan = (cudnnBackendDescriptor_t)&mark, .workspace = 64, .id = -1, .mode = 3};
    live++;
    return true;
}

cudnnStatus_t cu_engine_run(cudnnHandle_t handle, const cu_conv *c, const cu_engine *e, void *const data[5], void *workspace) {
    struct record r = {.kind = CONVOLUTION, .conv = *c};
    CHECK(handle != NULL && e->plan != NULL && workspace != NULL);
    for (int i = 0; i < 5; i++)
        r.data[i] = data[i];
    if (maybe() != cudaSuccess)
        return CUDNN_STATUS_EXECUTION_FAILED;
    take(&r);
    return CUDNN_STATUS_SUCCESS;
}

/* ---------------------------------------------------------------- CUDA and cuDNN */

static cudaError_t make(void **p, size_t n) {
    if (maybe() != cudaSuccess)
        return cudaErrorMemoryAllocation;
    *p = malloc(n > 0 ? n : 1);
    memset(*p, 0xff, n);
    live++;
    return cudaSuccess;
}

static cudaError_t drop(void *p) {
    live -= p != NULL;
    free(p);
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **p, size_t n) {
    return make(p, n);
}
cudaError_t cudaMallocHost(void **p, size_t n) {
    return make(p, n);
}
cudaError_t cudaFree(void *p) {
    return drop(p);
}
cudaError_t cudaFreeHost(void *p) {
    return drop(p);
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned flags) {
    return make((void **)s, flags);
}
cudaError_t cudaStreamDestroy(cudaStream_t s) {
    return drop(s);
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned flags) {
    return make((void **)e, flags);
}
cudaError_t cudaEventCreate(cudaEvent_t *e) {
    return make((void **)e, 1);
}
cudaError_t cudaEventDestroy(cudaEvent_t e) {
    return drop(e);
}
cudnnStatus_t cudnnCreate(cudnnHandle_t *h) {
    return make((void **)h, 1) == cudaSuccess ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_ALLOC_FAILED;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t h) {
    (void)drop(h);
    return CUDNN_STATUS_SUCCESS;
}
cudaError_t cudaMemcpy(void *to, const void *from, size_t n, enum cudaMemcpyKind kind) {
    (void)kind;
    memcpy(to, from, n);
    return maybe();
}
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n, enum cudaMemcpyKind kind, cudaStream_t s) {
    (void)s;
    (void)kind;
    if (maybe() != cudaSuccess)
        return cudaErrorUnknown;
    take(&(struct record){.kind = COPY, .data = {to, (char *)(uintptr_t)from}, .size = n});
    return cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t s, cudaHostFn_t call, void *context) {
    if (s == NULL || maybe() != cudaSuccess)
        return cudaErrorUnknown;
    take(&(struct record){.kind = CALL, .call = call, .context = context});
    return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void *p, int value, size_t n, cudaStream_t s) {
    (void)s;
    memset(p, value, n);
    return maybe();
}
cudaError_t cudaStreamSynchronize(cudaStream_t s) {
    (void)s;
    return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned flags) {
    return s != NULL && e != NULL && flags == 0 ? maybe() : cudaErrorInvalidValue;
}
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s) {
    return e != NULL && s != NULL ? maybe() : cudaErrorInvalidValue;
}
cudaError_t cudaEventSynchronize(cudaEvent_t e) {
    return e != NULL ? maybe() : cudaErrorInvalidValue;
}
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t a, cudaEvent_t b) {
    *ms = 2.0f;
    return a != NULL && b != NULL ? cudaSuccess : cudaErrorInvalidValue;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t s, enum cudaStreamCaptureMode mode) {
    CHECK(s != NULL && mode == cudaStreamCaptureModeThreadLocal && capturing == NULL);
    if (maybe() != cudaSuccess)
        return cudaErrorUnknown;
    capturing = calloc(1, sizeof *capturing);
    live++;
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *g) {
    CHECK(s != NULL && capturing != NULL);
    *g = capturing;
    capturing = NULL;
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *x, cudaGraph_t g, unsigned long long flags) {
    CHECK(flags == 0);
    const cudaError_t e = make((void **)x, sizeof *g);
    if (e == cudaSuccess)
        memcpy((void *)*x, g, sizeof *g);
    captures += e == cudaSuccess;
    return e;
}
cudaError_t cudaGraphDestroy(cudaGraph_t g) {
    return drop(g);
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t x) {
    return drop(x);
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t x, cudaStream_t s) {
    const struct CUgraph_st *g = (const void *)x;
    CHECK(s != NULL);
    for (int i = 0; i < g->n; i++)
        take(&g->record[i]);
    replays++;
    return maybe();
}
cudaError_t cudaGetDeviceCount(int *n) {
    *n = 2;
    return maybe();
}
cudaError_t cudaSetDevice(int device) {
    CHECK(device == (int)(number_of("OMPI_COMM_WORLD_LOCAL_RANK") % 2)); /* two devices */
    return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device) {
    memset(p, 0, sizeof *p);
    (void)snprintf(p->name, sizeof p->name, "Pretended GPU");
    p->major = 9;
    p->totalGlobalMem = (size_t)80 << 30;
    return device < 2 ? maybe() : cudaErrorInvalidValue;
}
cudaError_t cudaDriverGetVersion(int *v) {
    *v = 13000;
    return maybe();
}
cudaError_t cudaGetLastError(void) {
    return cudaSuccess;
}
const char *cudaGetErrorString(cudaError_t e) {
    return e == cudaSuccess ? "no error" : "pretended failure";
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t h, cudaStream_t s) {
    (void)s;
    return h != NULL && maybe() == cudaSuccess ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}
size_t cudnnGetVersion(void) {
    return 91900;
}
const char *cudnnGetErrorString(cudnnStatus_t s) {
    return s == CUDNN_STATUS_SUCCESS ? "success" : "pretended failure";
}
void cudnnGetLastErrorString(char *text, size_t n) {
    (void)snprintf(text, n, "pretended");
}

/* ---------------------------------------------------------------- the test */

struct work {
    const rad_graph *g;
    const float *x, *want;
    float *y;
    int runs;
};

/* Everything a program does, once; releases all of it whatever fails. */
static rad_status session(const rad_cudnn_module *m, struct work *w, char *text, size_t cap) {
    const rad_tensor in = {RAD_DT_F32, w->g->value[w->g->input[0]].shape, (void *)(uintptr_t)w->x};
    rad_tensor out = {RAD_DT_F32, w->g->value[w->g->output[0]].shape, w->y};
    char version[160];
    void *state = NULL;
    rad_plan *plan = NULL;
    rad_exec *exec = NULL;
    double seconds = 0;
    rad_status st = m->ops->open(&state, version, sizeof version, &the_error);
    if (st == RAD_OK)
        st = m->ops->plan_create(state, w->g, RAD_PREC_FP32, &plan, &the_error);
    if (st == RAD_OK)
        (void)m->ops->plan_describe(plan, text, cap);
    if (st == RAD_OK)
        st = m->ops->exec_create(plan, &exec, &the_error);
    for (int i = 0; i < w->runs && st == RAD_OK; i++) {
        memset(w->y, 0, (size_t)rad_shape_count(&out.shape) * sizeof *w->y);
        st = m->ops->exec_run(exec, &in, &out, &the_error);
        for (int64_t k = 0; st == RAD_OK && k < rad_shape_count(&out.shape); k++)
            CHECK(fabsf(w->y[k] - w->want[k]) <= 1e-4f * (1.0f + fabsf(w->want[k])));
    }
    if (st == RAD_OK)
        st = m->replay(exec, 2, &seconds, &the_error);
    if (exec != NULL)
        m->ops->exec_destroy(exec);
    if (plan != NULL)
        m->ops->plan_destroy(plan);
    if (state != NULL)
        m->ops->close(state);
    CHECK(live == 0);
    return st;
}

/* Two samples repeated to `batch`. */
static float *repeat(const char *folder, const char *file, int64_t batch) {
    char path[1200], *data = NULL;
    size_t size = 0;
    (void)snprintf(path, sizeof path, "%s/%s", folder, file);
    CHECK(rad_file_read(path, (size_t)1 << 30, &data, &size, &the_error) == RAD_OK);
    char *all = malloc((size_t)batch / 2 * size);
    for (int64_t i = 0; i < batch / 2; i++)
        memcpy(all + (size_t)i * size, data, size);
    free(data);
    return (float *)(void *)all;
}

static void with_batch(const rad_cudnn_module *m, rad_model *model, const char *folder, int64_t batch, bool failures) {
    rad_graph *g = NULL;
    char first[8192] = "", second[8192] = "";
    CHECK(rad_graph_build(model, &(rad_graph_opts){.batch = batch}, &g, &the_error) == RAD_OK);
    float *x = repeat(folder, "input.f32", batch), *want = repeat(folder, "output.f32", batch);
    struct work w = {g, x, want, malloc((size_t)rad_shape_count(&g->value[g->output[0]].shape) * sizeof(float)), 3};
    captures = replays = 0;
    CHECK(session(m, &w, first, sizeof first) == RAD_OK);
    CHECK(captures == 1 && replays == 2 + 2); /* the first run loads, the second is captured */
    CHECK(session(m, &w, second, sizeof second) == RAD_OK);
    CHECK(strstr(first, "(0 engines stored before") != NULL && strstr(second, "(0 engines stored before") == NULL);
    w.runs = 2;
    long failed = 0;
    for (fail_at = 1; failures; fail_at++) { /* each call in turn */
        calls = 0;
        if (session(m, &w, first, sizeof first) != RAD_OK)
            failed++;
        if (calls < fail_at)
            break;
    }
    fail_at = 0;
    CHECK(!failures || failed > 20);
    (void)printf("batch %d: three runs, one capture, engines stored and read back; %ld of the device's failures reported\n", (int)batch,
                 failed);
    rad_graph_destroy(&g);
    free(x);
    free(want);
    free(w.y);
}

/* Cases drawn by chance, made by the device's side of the preparation: only the voxels that the plan names are on the device (the rest is
 * NaN or garbage), and the samples have the CPU's bits. */
static void prepares(const rad_cudnn_module *m) {
    const rad_sample_ops *ops = m->ops->samples;
    char version[160];
    void *state = NULL;
    int made = 0, refused = 0;
    struct prep_case *c = malloc(sizeof *c);
    CHECK(c != NULL && m->ops->open(&state, version, sizeof version, &the_error) == RAD_OK);
    const long before = live;
    for (uint32_t number = 0; number < 1500; number++) {
        rad_prepared p = {0};
        rad_prepare_plan *plan = NULL;
        rad_samples *samples = NULL;
        prep_random(number, c);
        const rad_roi *roi = c->has_roi ? &c->roi : NULL;
        if (rad_prepare_plan_make(&c->spec, c->volume, roi, &plan, &the_error) != RAD_OK)
            continue;
        const rad_status want = rad_prepare_case(&c->spec, c->volume, roi, &p, &the_error);
        const rad_status got = ops->prepare(state, plan, &samples, &the_error);
        CHECK(got == want);
        refused += got != RAD_OK;
        made += got == RAD_OK;
        for (size_t k = 0; got == RAD_OK && k < (size_t)(p.n_slice * p.n_plane * p.height * p.width); k++)
            CHECK(memcmp((float *)samples->block->data + k, p.data + k, sizeof *p.data) == 0);
        if (samples != NULL)
            ops->release(state, samples);
        samples = NULL;
        const long kept = live; /* blocks wait in the pool for the next case */
        for (fail_at = 1; number % 100 == 0 && got == RAD_OK; fail_at++) {
            calls = 0;
            const rad_status st = ops->prepare(state, plan, &samples, &the_error);
            if (st == RAD_OK)
                ops->release(state, samples);
            samples = NULL;
            CHECK(live <= kept + 4);
            if (calls < fail_at)
                break;
        }
        fail_at = 0;
        rad_prepared_release(&p);
        rad_prepare_plan_destroy(&plan);
    }
    CHECK(made > 500 && refused > 5 && live > before);
    m->ops->close(state);
    CHECK(live == 0);
    (void)printf("%d cases prepared to the CPU's bits, %d refused as there\n", made, refused);
    free(c);
}

int main(int argc, char **argv) {
    char path[1200], text[512];
    rad_model *model = NULL;
    const rad_cudnn_module *m = rad_cudnn_module_get();
    CHECK(argc == 3);
    CHECK(setenv("XDG_CACHE_HOME", argv[2], 1) == 0 && setenv("OMPI_COMM_WORLD_LOCAL_RANK", "3", 1) == 0);
    CHECK(m->describe_devices(text, sizeof text) > 0 && strstr(text, "device 1: Pretended GPU, 80 GiB") != NULL);
    (void)snprintf(path, sizeof path, "%s/model_dyn.onnx", argv[1]);
    CHECK(rad_model_open(path, &model, &the_error) == RAD_OK);
    with_batch(m, model, argv[1], 2, true);
    with_batch(m, model, argv[1], 300, false); /* 14 MB of input: more than the ring holds */
    prepares(m);
    rad_model_close(&model);
    return 0;
}
