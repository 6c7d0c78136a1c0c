/* device.c: finding a usable device, the backend's table, and the module's one symbol. */
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "gpu_module.h"

/* Rank on this node, from whoever launched us: neighbours on a node take different devices. */
static int local_rank(void) {
    static const char *const names[] = {"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "PMIX_LOCAL_RANK", "SLURM_LOCALID"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *text = getenv(names[i]);
        int64_t n = 0;
        if (text != NULL && rad_parse_int(text, &n) && n >= 0 && n < 1 << 20)
            return (int)n;
    }
    return 0;
}

static rad_status count_devices(int *ret, rad_error *err) {
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    int n = 0;
    const cudaError_t e = cudaGetDeviceCount(&n);
    if (e == cudaErrorInsufficientDriver || e == cudaErrorStubLibrary || e == cudaErrorSystemDriverMismatch)
        return rad_error_set(err, RAD_E_DEVICE, "no NVIDIA driver that serves CUDA %d.%d on this machine (%s)", CUDART_VERSION / 1000,
                             CUDART_VERSION % 1000 / 10, cudaGetErrorString(e));
    if (e == cudaErrorNoDevice || (e == cudaSuccess && n == 0))
        return rad_error_set(err, RAD_E_DEVICE, "a driver but no device that this process may use%s%s%s; ask Slurm for one (--gres=gpu:1)",
                             visible != NULL ? " (CUDA_VISIBLE_DEVICES='" : "", visible != NULL ? visible : "",
                             visible != NULL ? "')" : "");
    if (e != cudaSuccess)
        return rad_error_set(err, RAD_E_DEVICE, "the CUDA driver does not answer: %s", cudaGetErrorString(e));
    *ret = n;
    return RAD_OK;
}

static rad_status backend_open(void **ret_state, char *ret_version, size_t version_cap, rad_error *err) {
    int n = 0;
    struct cudaDeviceProp prop;
    cudnnHandle_t handle = NULL;
    rad_status st = RAD_OK;
    struct cu_state *s = rad_calloc(1, sizeof *s);
    if (s == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory");
    RAD_TRY(count_devices(&n, err));
    s->device = local_rank() % n;
    s->cudnn = cudnnGetVersion();
    RAD_TRY(cu_check(cudaGetDeviceProperties(&prop, s->device), "asking for the device's properties", err));
    memcpy(s->name, prop.name, sizeof s->name);
    s->name[sizeof s->name - 1] = '\0';
    if (prop.major < 8) {
        st = rad_error_set(err, RAD_E_DEVICE, "device %d (%s) has compute capability %d.%d; 8.0 (A100) or newer is needed", s->device,
                           s->name, prop.major, prop.minor);
        goto out;
    }
    RAD_TRY(cu_check(cudaDriverGetVersion(&s->driver), "asking for the driver's version", err));
    RAD_TRY(cu_check(cudaSetDevice(s->device), "selecting the device", err));
    RAD_TRY(cu_check_cudnn(cudnnCreate(&handle), "cuDNN does not start on this device (are all its libraries in one folder?)", err));
    RAD_TRY(cu_pool_create(&s->pool, err));
    s->cache = cu_cache_folder();
    (void)snprintf(ret_version, version_cap, "cuDNN %zu.%zu.%zu, %.80s, batch %d, samples made on the device, revision %d",
                   s->cudnn / 10000, s->cudnn % 10000 / 100, s->cudnn % 100, s->name, RAD_CUDNN_BATCH, RAD_CUDNN_REVISION);
    *ret_state = s;
    s = NULL;
out:
    if (handle != NULL)
        (void)cudnnDestroy(handle);
    if (s != NULL) {
        cu_pool_destroy(s->pool);
        free(s->cache);
    }
    free(s);
    return st;
}

static void backend_close(void *state) {
    struct cu_state *s = state;
    (void)cudaSetDevice(s->device);
    cu_pool_destroy(s->pool);
    free(s->cache);
    free(s);
}

static int64_t plan_batch(void *state, rad_precision p) {
    (void)state;
    (void)p;
    return RAD_CUDNN_BATCH;
}

/* Ampere and newer have all four. */
static rad_status precision(void *state, rad_precision p, rad_error *err) {
    (void)state;
    (void)p;
    (void)err;
    return RAD_OK;
}

static bool supports(void *state, const rad_graph *g, const rad_node *n, rad_precision p, char *why, size_t cap) {
    (void)state;
    return g_supports(g, n, p, why, cap);
}

static rad_status plan_create(void *state, const rad_graph *g, rad_precision p, rad_plan **ret, rad_error *err) {
    struct cu_plan *plan = NULL;
    const rad_status st = cu_plan_create(state, g, p, &plan, err);
    if (st == RAD_OK)
        *ret = (rad_plan *)plan;
    return st;
}

static void plan_destroy(rad_plan *plan) {
    cu_plan_destroy((struct cu_plan *)plan);
}

static size_t plan_describe(const rad_plan *plan, char *buf, size_t cap) {
    return cu_plan_text((const struct cu_plan *)plan, buf, cap);
}

static rad_status exec_create(rad_plan *plan, rad_exec **ret, rad_error *err) {
    struct cu_exec *x = NULL;
    const rad_status st = cu_exec_create((struct cu_plan *)plan, &x, err);
    if (st == RAD_OK)
        *ret = (rad_exec *)x;
    return st;
}

static rad_status exec_run(rad_exec *x, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    return cu_exec_run((struct cu_exec *)x, in, out, err);
}

static void exec_destroy(rad_exec *x) {
    cu_exec_destroy((struct cu_exec *)x);
}

static rad_status prepare(void *state, const rad_prepare_plan *p, rad_samples **ret, rad_error *err) {
    return cu_prepare(state, p, ret, err);
}

static void release(void *state, rad_samples *s) {
    cu_samples_free(state, s);
}

static rad_status exec_run_samples(rad_exec *x, const rad_sample_place *place, rad_tensor *out, rad_error *err) {
    return cu_exec_run_samples((struct cu_exec *)x, place, out, err);
}

static const rad_sample_ops samples = {.prepare = prepare, .release = release, .exec_run = exec_run_samples};

static const rad_backend_ops ops = {
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
    .samples = &samples,
};

static size_t describe_devices(char *buf, size_t cap) {
    int n = 0;
    size_t at = 0;
    if (cudaGetDeviceCount(&n) != cudaSuccess)
        return 0;
    for (int i = 0; i < n; i++) {
        struct cudaDeviceProp prop;
        if (cudaGetDeviceProperties(&prop, i) != cudaSuccess)
            continue;
        const int k =
            snprintf(at < cap ? buf + at : NULL, at < cap ? cap - at : 0, "%sdevice %d: %.100s, %.0f GiB, compute capability %d.%d",
                     at > 0 ? "\n" : "", i, prop.name, (double)prop.totalGlobalMem / 1073741824.0, prop.major, prop.minor);
        at += k > 0 ? (size_t)k : 0;
    }
    return at;
}

static rad_status replay(rad_exec *x, int n, double *ret_seconds, rad_error *err) {
    return cu_exec_replay((struct cu_exec *)x, n, ret_seconds, err);
}

static const rad_cudnn_module module = {
    .abi = RAD_CUDNN_ABI,
    .ops_size = sizeof(rad_backend_ops),
    .version = rad_version,
    .ops = &ops,
    .describe_devices = describe_devices,
    .replay = replay,
};

__attribute__((visibility("default"))) const rad_cudnn_module *rad_cudnn_module_get(void) {
    return &module;
}
