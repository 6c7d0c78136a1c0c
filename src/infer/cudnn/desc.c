/* desc.c: cuDNN's backend descriptors. Shape of the graph that has precompiled kernels (cuDNN developer guide, "ConvBiasAct"): convolution,
 * then + z, then + bias, then the rectifier; the convolution's result is always the first operand, what is added the second. */
#include "desc.h"

#include <stdlib.h>
#include <string.h>

#include "core.h"

typedef cudnnBackendDescriptor_t desc;

enum { UID_X = 1, UID_W, UID_BIAS, UID_Z, UID_Y, UID_FIRST_VIRTUAL };
enum { MAX_DESC = 24, MAX_CONFIG = 64 };

/* All descriptors of one graph: they may go once the graph is finished. */
struct pool {
    desc d[MAX_DESC];
    int n;
    cudnnStatus_t bad; /* first failure; everything after it is a no-op */
};

static desc pool_make(struct pool *p, cudnnBackendDescriptorType_t type) {
    if (p->bad == CUDNN_STATUS_SUCCESS && p->n == MAX_DESC)
        p->bad = CUDNN_STATUS_INTERNAL_ERROR;
    if (p->bad == CUDNN_STATUS_SUCCESS)
        p->bad = cudnnBackendCreateDescriptor(type, &p->d[p->n]);
    return p->bad == CUDNN_STATUS_SUCCESS ? p->d[p->n++] : NULL;
}

static void pool_set(struct pool *p, desc d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t n, const void *v) {
    if (p->bad == CUDNN_STATUS_SUCCESS)
        p->bad = cudnnBackendSetAttribute(d, name, type, n, v);
}

static void pool_finish(struct pool *p, desc d) {
    if (p->bad == CUDNN_STATUS_SUCCESS)
        p->bad = cudnnBackendFinalize(d);
}

static void pool_release(struct pool *p) {
    for (int i = 0; i < p->n; i++)
        (void)cudnnBackendDestroyDescriptor(p->d[i]);
    p->n = 0;
}

static rad_status failed(rad_error *err, const char *what, cudnnStatus_t s) {
    char text[256] = "";
    cudnnGetLastErrorString(text, sizeof text);
    return rad_error_set(err, RAD_E_DEVICE, "cuDNN cannot %s: %s%s%.200s", what, cudnnGetErrorString(s), text[0] != '\0' ? ": " : "", text);
}

static cudnnDataType_t data_type(int io) {
    return io == K_F16 ? CUDNN_DATA_HALF : io == K_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
}

/* ---------------------------------------------------------------- operation graph */

/* dim in the order N, C, spatial; channels last in memory. */
static desc tensor(struct pool *p, int64_t uid, int rank, const int64_t *dim, cudnnDataType_t type, bool is_virtual) {
    int64_t stride[5], alignment = 16, at = dim[1];
    stride[1] = 1;
    for (int i = rank - 1; i >= 2; i--) {
        stride[i] = at;
        at *= dim[i];
    }
    stride[0] = at;
    desc d = pool_make(p, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    pool_set(p, d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &uid);
    pool_set(p, d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    pool_set(p, d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    pool_set(p, d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, rank, dim);
    pool_set(p, d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, rank, stride);
    if (is_virtual)
        pool_set(p, d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
    pool_finish(p, d);
    return d;
}

static desc pointwise(struct pool *p, cudnnPointwiseMode_t mode, float clip, desc x, desc b, desc y) {
    const cudnnDataType_t math = CUDNN_DATA_FLOAT;
    desc pw = pool_make(p, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    pool_set(p, pw, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    pool_set(p, pw, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &math);
    if (mode == CUDNN_POINTWISE_RELU_FWD && clip > 0) {
        const double upper = (double)clip;
        pool_set(p, pw, CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, CUDNN_TYPE_DOUBLE, 1, &upper);
    }
    pool_finish(p, pw);
    desc op = pool_make(p, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    pool_set(p, op, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &pw);
    pool_set(p, op, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &x);
    if (b != NULL)
        pool_set(p, op, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &b);
    pool_set(p, op, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &y);
    pool_finish(p, op);
    return op;
}

static desc convolution(struct pool *p, const cu_conv *c, desc x, desc w, desc y) {
    const cudnnDataType_t math = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const int64_t n = c->n_axis;
    const float one = 1.0f, zero = 0.0f;
    desc d = pool_make(p, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    pool_set(p, d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &math);
    pool_set(p, d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    pool_set(p, d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &n);
    pool_set(p, d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, n, c->pad_begin);
    pool_set(p, d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, n, c->pad_end);
    pool_set(p, d, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, n, c->dilation);
    pool_set(p, d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, n, c->stride);
    pool_finish(p, d);
    desc op = pool_make(p, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    pool_set(p, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &d);
    pool_set(p, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &x);
    pool_set(p, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &w);
    pool_set(p, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &y);
    pool_set(p, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1, &one);
    pool_set(p, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1, &zero);
    pool_finish(p, op);
    return op;
}

/* Not in the pool: the plan is made from it. */
static cudnnStatus_t make_graph(const cu_target *t, const cu_conv *c, desc *ret) {
    /* cuDNN has no one-dimensional convolutions: a row of height 1. */
    const int lead = c->n_axis == 1 ? 1 : 0, rank = c->n_axis + lead + 2;
    cu_conv s = *c;
    for (int i = 0; lead == 1 && i < 1; i++) {
        s.n_axis = 2;
        s.in[1] = c->in[0], s.f[1] = c->f[0], s.out[1] = c->out[0], s.stride[1] = c->stride[0], s.dilation[1] = c->dilation[0];
        s.pad_begin[1] = c->pad_begin[0], s.pad_end[1] = c->pad_end[0];
        s.in[0] = s.f[0] = s.out[0] = s.stride[0] = s.dilation[0] = 1;
        s.pad_begin[0] = s.pad_end[0] = 0;
    }
    int64_t xd[5] = {s.n, s.c}, wd[5] = {s.k, s.c / s.g}, yd[5] = {s.n, s.k}, bd[5] = {1, s.k, 1, 1, 1};
    for (int i = 0; i < s.n_axis; i++) {
        xd[2 + i] = s.in[i];
        wd[2 + i] = s.f[i];
        yd[2 + i] = s.out[i];
    }
    struct pool p = {.bad = CUDNN_STATUS_SUCCESS};
    const cudnnDataType_t io = data_type(s.io);
    desc op[4];
    int n_op = 0, tail = (s.has_z != 0) + (s.has_bias != 0) + (s.act != CU_ACT_NONE);
    int64_t uid = UID_FIRST_VIRTUAL;
    desc x = tensor(&p, UID_X, rank, xd, io, false), w = tensor(&p, UID_W, rank, wd, io, false), y = tensor(&p, UID_Y, rank, yd, io, false);
    desc cur = tail > 0 ? tensor(&p, uid++, rank, yd, CUDNN_DATA_FLOAT, true) : y;
    op[n_op++] = convolution(&p, &s, x, w, cur);
    if (s.has_z) {
        desc z = tensor(&p, UID_Z, rank, yd, io, false), to = --tail > 0 ? tensor(&p, uid++, rank, yd, CUDNN_DATA_FLOAT, true) : y;
        op[n_op++] = pointwise(&p, CUDNN_POINTWISE_ADD, 0, cur, z, to);
        cur = to;
    }
    if (s.has_bias) {
        desc b = tensor(&p, UID_BIAS, rank, bd, io, false), to = --tail > 0 ? tensor(&p, uid++, rank, yd, CUDNN_DATA_FLOAT, true) : y;
        op[n_op++] = pointwise(&p, CUDNN_POINTWISE_ADD, 0, cur, b, to);
        cur = to;
    }
    if (s.act == CU_ACT_RELU)
        op[n_op++] = pointwise(&p, CUDNN_POINTWISE_RELU_FWD, s.clip, cur, NULL, y);
    desc g = NULL;
    cudnnStatus_t st = p.bad;
    if (st == CUDNN_STATUS_SUCCESS)
        st = cudnnBackendCreateDescriptor(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, &g);
    if (st == CUDNN_STATUS_SUCCESS)
        st = cudnnBackendSetAttribute(g, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, n_op, op);
    if (st == CUDNN_STATUS_SUCCESS && t->handle != NULL)
        st = cudnnBackendSetAttribute(g, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &t->handle);
    if (st == CUDNN_STATUS_SUCCESS)
        st = cudnnBackendFinalize(g);
    if (st != CUDNN_STATUS_SUCCESS && g != NULL)
        (void)cudnnBackendDestroyDescriptor(g);
    pool_release(&p);
    if (st == CUDNN_STATUS_SUCCESS)
        *ret = g;
    return st;
}

/* ---------------------------------------------------------------- engines */

/* Numbers first: an engine may be skipped for what it does to them, never be taken for its speed. */
static bool keeps_promises(const cu_conv *c, desc config, int64_t *ret_id) {
    desc engine = NULL;
    int64_t n = 0, n_note = 0, n_behavior = 0;
    cudnnBackendNumericalNote_t note[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    cudnnBackendBehaviorNote_t behavior[CUDNN_BEHAVIOR_NOTE_TYPE_COUNT];
    bool ok = cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine) == CUDNN_STATUS_SUCCESS &&
              cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &n, &engine) ==
                  CUDNN_STATUS_SUCCESS &&
              cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT,
                                       &n_note, note) == CUDNN_STATUS_SUCCESS &&
              cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE, CUDNN_BEHAVIOR_NOTE_TYPE_COUNT,
                                       &n_behavior, behavior) == CUDNN_STATUS_SUCCESS &&
              cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &n, ret_id) == CUDNN_STATUS_SUCCESS;
    for (int64_t i = 0; ok && i < n_note; i++) {
        switch (note[i]) {
        case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
        case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
        case CUDNN_NUMERICAL_NOTE_FFT:
        case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6:
        case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13: /* errors grow with the tile (Lavin and Gray 2016) */
            ok = false;
            break;
        case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
        case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
            ok = !c->exact;
            break;
        default:
            break;
        }
    }
    for (int64_t i = 0; ok && i < n_behavior; i++)
        ok = behavior[i] != CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION; /* a compute node need not have a compiler */
    if (engine != NULL)
        (void)cudnnBackendDestroyDescriptor(engine);
    return ok;
}

static cudnnStatus_t make_plan(const cu_target *t, desc config, cu_engine *ret) {
    desc p = NULL;
    int64_t n = 0;
    cudnnStatus_t st = cudnnBackendCreateDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &p);
    if (st != CUDNN_STATUS_SUCCESS)
        return st;
    st = t->handle != NULL
             ? cudnnBackendSetAttribute(p, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &t->handle)
             : cudnnBackendSetAttribute(p, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &t->device);
    if (st == CUDNN_STATUS_SUCCESS)
        st = cudnnBackendSetAttribute(p, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &config);
    if (st == CUDNN_STATUS_SUCCESS)
        st = cudnnBackendFinalize(p);
    if (st == CUDNN_STATUS_SUCCESS)
        st = cudnnBackendGetAttribute(p, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &n, &ret->workspace);
    if (st == CUDNN_STATUS_SUCCESS)
        ret->plan = p;
    else
        (void)cudnnBackendDestroyDescriptor(p);
    return st;
}

/* What a list of candidates came to, for the error text. */
struct tally {
    int offered, refused, large, unaccepted;
    cudnnStatus_t last;
};

static bool try_mode(const cu_target *t, desc graph, const cu_conv *c, int64_t workspace, int mode, cu_accept accept, void *context,
                     cu_engine *ret, struct tally *tally) {
    static const cudnnBackendHeurMode_t modes[] = {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B, CUDNN_HEUR_MODE_FALLBACK};
    desc heur = NULL, config[MAX_CONFIG] = {NULL};
    int64_t n = 0;
    bool found = false;
    cudnnStatus_t st = cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &heur);
    if (st == CUDNN_STATUS_SUCCESS)
        st = cudnnBackendSetAttribute(heur, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph);
    if (st == CUDNN_STATUS_SUCCESS)
        st = cudnnBackendSetAttribute(heur, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &modes[mode]);
    if (st == CUDNN_STATUS_SUCCESS && t->device != NULL)
        st = cudnnBackendSetAttribute(heur, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &t->device);
    if (st == CUDNN_STATUS_SUCCESS)
        st = cudnnBackendFinalize(heur);
    for (int i = 0; st == CUDNN_STATUS_SUCCESS && i < MAX_CONFIG; i++)
        st = cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &config[i]);
    if (st == CUDNN_STATUS_SUCCESS)
        st = cudnnBackendGetAttribute(heur, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, MAX_CONFIG, &n, config);
    if (st != CUDNN_STATUS_SUCCESS)
        tally->last = st;
    for (int64_t i = 0; st == CUDNN_STATUS_SUCCESS && !found && i < n && i < MAX_CONFIG; i++) {
        cu_engine e = {.mode = mode, .rank = (int)i};
        tally->offered++;
        if (!keeps_promises(c, config[i], &e.id)) {
            tally->refused++;
            continue;
        }
        const cudnnStatus_t made = make_plan(t, config[i], &e);
        if (made != CUDNN_STATUS_SUCCESS) {
            tally->last = made;
            continue;
        }
        if (e.workspace > workspace)
            tally->large++;
        else if (accept != NULL && !accept(context, c, &e))
            tally->unaccepted++;
        else
            found = true;
        if (found)
            *ret = e;
        else
            cu_engine_release(&e);
    }
    for (int i = 0; i < MAX_CONFIG; i++)
        if (config[i] != NULL)
            (void)cudnnBackendDestroyDescriptor(config[i]);
    if (heur != NULL)
        (void)cudnnBackendDestroyDescriptor(heur);
    return found;
}

rad_status cu_engine_choose(const cu_target *t, const cu_conv *c, int64_t workspace, cu_accept accept, void *context, cu_engine *ret,
                            rad_error *err) {
    desc graph = NULL;
    struct tally tally = {.last = CUDNN_STATUS_SUCCESS};
    const cudnnStatus_t st = make_graph(t, c, &graph);
    if (st != CUDNN_STATUS_SUCCESS)
        return failed(err, "describe a convolution", st);
    bool found = false;
    for (int mode = 0; mode < 3 && !found; mode++)
        found = try_mode(t, graph, c, workspace, mode, accept, context, ret, &tally);
    (void)cudnnBackendDestroyDescriptor(graph);
    if (found)
        return RAD_OK;
    return rad_error_set(
        err, RAD_E_DEVICE,
        "no cuDNN engine for this convolution: %d offered, %d not deterministic, not exact enough or to be compiled at run time, %d with "
        "more than %lld bytes of workspace, %d not invariant; last failure: %s",
        tally.offered, tally.refused, tally.large, (long long)workspace, tally.unaccepted, cudnnGetErrorString(tally.last));
}

void cu_engine_release(cu_engine *e) {
    if (e->plan != NULL)
        (void)cudnnBackendDestroyDescriptor(e->plan);
    *e = (cu_engine){0};
}

/* ---------------------------------------------------------------- text form */

rad_status cu_device_from_json(const char *json, cudnnBackendDescriptor_t *ret, rad_error *err) {
    desc d = NULL;
    cudnnStatus_t st = cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &d);
    if (st == CUDNN_STATUS_SUCCESS)
        st = cudnnBackendSetAttribute(d, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, (int64_t)strlen(json), json);
    if (st == CUDNN_STATUS_SUCCESS)
        st = cudnnBackendFinalize(d);
    if (st == CUDNN_STATUS_SUCCESS) {
        *ret = d;
        return RAD_OK;
    }
    if (d != NULL)
        (void)cudnnBackendDestroyDescriptor(d);
    return failed(err, "read the description of a device", st);
}

char *cu_engine_to_json(const cu_engine *e) {
    int64_t n = 0, got = 0;
    if (cudnnBackendGetAttribute(e->plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, 0, &n, NULL) !=
            CUDNN_STATUS_SUCCESS ||
        n <= 0)
        return NULL;
    char *text = rad_calloc((size_t)n + 1, 1);
    if (text != NULL && cudnnBackendGetAttribute(e->plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, n, &got, text) ==
                            CUDNN_STATUS_SUCCESS)
        return text;
    free(text);
    return NULL;
}

bool cu_engine_from_json(const cu_target *t, const char *json, cu_engine *ret) {
    desc p = NULL;
    int64_t n = 0;
    cu_engine e = {.id = -1, .mode = 3};
    cudnnStatus_t st = cudnnBackendCreateDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &p);
    if (st == CUDNN_STATUS_SUCCESS)
        st = t->handle != NULL
                 ? cudnnBackendSetAttribute(p, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &t->handle)
                 : cudnnBackendSetAttribute(p, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &t->device);
    if (st == CUDNN_STATUS_SUCCESS)
        st = cudnnBackendSetAttribute(p, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, (int64_t)strlen(json), json);
    if (st == CUDNN_STATUS_SUCCESS)
        st = cudnnBackendFinalize(p);
    if (st == CUDNN_STATUS_SUCCESS)
        st = cudnnBackendGetAttribute(p, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &n, &e.workspace);
    if (st != CUDNN_STATUS_SUCCESS) {
        if (p != NULL)
            (void)cudnnBackendDestroyDescriptor(p);
        return false;
    }
    e.plan = p;
    *ret = e;
    return true;
}

/* ---------------------------------------------------------------- running */

cudnnStatus_t cu_engine_run(cudnnHandle_t handle, const cu_conv *c, const cu_engine *e, void *const data[5], void *workspace) {
    int64_t uid[5] = {UID_X, UID_W, UID_Y};
    void *pointer[5] = {data[0], data[1], data[4]};
    int64_t n = 3;
    if (c->has_bias) {
        uid[n] = UID_BIAS;
        pointer[n++] = data[2];
    }
    if (c->has_z) {
        uid[n] = UID_Z;
        pointer[n++] = data[3];
    }
    desc pack = NULL;
    cudnnStatus_t st = cudnnBackendCreateDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack);
    if (st == CUDNN_STATUS_SUCCESS)
        st = cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, n, uid);
    if (st == CUDNN_STATUS_SUCCESS)
        st = cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, n, pointer);
    if (st == CUDNN_STATUS_SUCCESS)
        st = cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    if (st == CUDNN_STATUS_SUCCESS)
        st = cudnnBackendFinalize(pack);
    if (st == CUDNN_STATUS_SUCCESS)
        st = cudnnBackendExecute(handle, e->plan, pack);
    if (pack != NULL)
        (void)cudnnBackendDestroyDescriptor(pack);
    return st;
}
