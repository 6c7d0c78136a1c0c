/* engines.c: from a device-free plan to one on a device: constants uploaded, an engine for every distinct convolution. */
#include <stdlib.h>
#include <string.h>

#include "device.h"

rad_status cu_check(cudaError_t e, const char *what, rad_error *err) {
    if (e == cudaSuccess)
        return RAD_OK;
    return rad_error_set(err, e == cudaErrorMemoryAllocation ? RAD_E_NOMEM : RAD_E_DEVICE, "%s: %s", what, cudaGetErrorString(e));
}

rad_status cu_check_cudnn(cudnnStatus_t s, const char *what, rad_error *err) {
    char text[256] = "";
    if (s == CUDNN_STATUS_SUCCESS)
        return RAD_OK;
    cudnnGetLastErrorString(text, sizeof text);
    return rad_error_set(err, RAD_E_DEVICE, "%s: %s %.200s", what, cudnnGetErrorString(s), text);
}

/* ---------------------------------------------------------------- invariance of an engine */

static size_t item_size(int io) {
    return io == K_F32 ? 4 : 2;
}

static int64_t volume_of(const int64_t *d, int n) {
    int64_t v = 1;
    for (int i = 0; i < n; i++)
        v *= d[i];
    return v;
}

/* The same sample in every place of the batch must give the same bits in every place; an engine that splits its work by position is not
 * taken. Runs once per convolution and machine: the choice is stored. */
static bool is_invariant(void *context, const cu_conv *c, const cu_engine *e) {
    struct cu_plan *p = context;
    const int64_t x_row = volume_of(c->in, c->n_axis) * c->c, y_row = volume_of(c->out, c->n_axis) * c->k,
                  w = volume_of(c->f, c->n_axis) * c->k * (c->c / c->g);
    const size_t size[6] = {(size_t)(x_row * c->n) * item_size(c->io), (size_t)w * item_size(c->io),
                            (size_t)c->k * item_size(c->io),           c->has_z ? (size_t)(y_row * c->n) * item_size(c->io) : 1,
                            (size_t)(y_row * c->n) * item_size(c->io), (size_t)e->workspace + 1};
    void *data[6] = {NULL}, *flag = NULL;
    unsigned different = 1;
    cudaError_t st = cudaMalloc(&flag, sizeof different);
    for (int i = 0; i < 6 && st == cudaSuccess; i++)
        st = cudaMalloc(&data[i], size[i]);
    if (st == cudaSuccess)
        st = cudaMemsetAsync(flag, 0, sizeof different, NULL);
    if (st == cudaSuccess)
        st = k_launch_noise(data[0], c->io, x_row, c->n, 1u, NULL);
    if (st == cudaSuccess)
        st = k_launch_noise(data[1], c->io, w, 1, 2u, NULL);
    if (st == cudaSuccess)
        st = k_launch_noise(data[2], c->io, c->k, 1, 3u, NULL);
    if (st == cudaSuccess && c->has_z)
        st = k_launch_noise(data[3], c->io, y_row, c->n, 4u, NULL);
    const bool ran = st == cudaSuccess && cudnnSetStream(p->handle, NULL) == CUDNN_STATUS_SUCCESS &&
                     cu_engine_run(p->handle, c, e, data, data[5]) == CUDNN_STATUS_SUCCESS;
    if (ran)
        st = k_launch_compare(data[4], y_row * (int64_t)item_size(c->io) / 2, c->n, flag, NULL);
    if (ran && st == cudaSuccess)
        st = cudaMemcpy(&different, flag, sizeof different, cudaMemcpyDeviceToHost);
    for (int i = 0; i < 6; i++)
        (void)cudaFree(data[i]);
    (void)cudaFree(flag);
    if (st != cudaSuccess) { /* no memory to ask: never a reason to take another engine, which would move bits */
        p->check_failure = st;
        return true;
    }
    return ran && different == 0;
}

/* ---------------------------------------------------------------- plan */

static rad_status list_convolutions(struct cu_plan *p, rad_error *err) {
    const struct g_plan *g = p->plan;
    p->engine_of = rad_calloc((size_t)g->n_step + 1, sizeof *p->engine_of);
    p->conv = rad_calloc((size_t)g->n_step + 1, sizeof *p->conv);
    p->engine = rad_calloc((size_t)g->n_step + 1, sizeof *p->engine);
    if (p->engine_of == NULL || p->conv == NULL || p->engine == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for a plan of %d steps", g->n_step);
    for (int i = 0; i < g->n_step; i++) {
        int k = 0;
        p->engine_of[i] = -1;
        if (g->step[i].kind != G_CONV)
            continue;
        while (k < p->n_engine && memcmp(&p->conv[k], &g->step[i].conv, sizeof p->conv[k]) != 0)
            k++;
        if (k == p->n_engine)
            memcpy(&p->conv[p->n_engine++], &g->step[i].conv, sizeof p->conv[k]);
        p->engine_of[i] = k;
    }
    return RAD_OK;
}

static rad_status choose_engines(struct cu_plan *p, rad_error *err) {
    const cu_target target = {.handle = p->handle};
    if (cu_cache_read(p)) {
        p->from_cache = p->n_engine;
    } else {
        for (int k = 0; k < p->n_engine; k++) {
            rad_error why = {0};
            /* No engine: our own kernel, slower but to the same rules; plan_describe says so. */
            if (cu_engine_choose(&target, &p->conv[k], RAD_CUDNN_WORKSPACE, is_invariant, p, &p->engine[k], &why) != RAD_OK)
                p->own++;
            const rad_status st =
                cu_check(p->check_failure != cudaSuccess ? p->check_failure : cudaGetLastError(), "choosing an engine", err);
            if (st != RAD_OK)
                return st;
        }
        cu_cache_write(p);
    }
    for (int k = 0; k < p->n_engine; k++)
        if (p->engine[k].workspace > (int64_t)p->workspace)
            p->workspace = (size_t)p->engine[k].workspace;
    return RAD_OK;
}

static rad_status upload_constants(struct cu_plan *p, rad_error *err) {
    const struct g_plan *g = p->plan;
    rad_status st = cu_check(cudaMalloc((void **)&p->constants, g->constant_size + 1), "memory for the network's weights", err);
    for (int i = 0; st == RAD_OK && i < g->n_root; i++) {
        struct g_root *r = &p->plan->root[i];
        if (!r->is_constant || r->fixed == NULL)
            continue;
        st = cu_check(cudaMemcpy(p->constants + r->offset, r->fixed, r->size, cudaMemcpyHostToDevice), "uploading weights", err);
        free(r->fixed);
        r->fixed = NULL;
    }
    return st;
}

rad_status cu_plan_create(const struct cu_state *s, const rad_graph *g, rad_precision precision, struct cu_plan **ret, rad_error *err) {
    rad_status st = RAD_OK;
    struct cu_plan *p = rad_calloc(1, sizeof *p);
    if (p == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for an inference plan");
    p->state = s;
    RAD_TRY(g_plan_build(g, precision, &p->plan, err));
    for (int i = 0; i < p->plan->n_step; i++)
        if (p->plan->step[i].kind == G_HOST)
            rad_log(RAD_LOG_WARN, "cudnn: node '%.100s' (%s) has no kernel: the CPU evaluates it in the midst of every pass",
                    p->plan->step[i].host->node->name, p->plan->step[i].host->node->op->name);
    RAD_TRY(cu_check(cudaSetDevice(s->device), "selecting the device", err));
    RAD_TRY(cu_check_cudnn(cudnnCreate(&p->handle), "starting cuDNN", err));
    p->lock_made = pthread_mutex_init(&p->lock, NULL) == 0;
    if (!p->lock_made) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory for a lock");
        goto out;
    }
    RAD_TRY(list_convolutions(p, err));
    RAD_TRY(choose_engines(p, err));
    RAD_TRY(upload_constants(p, err));
    *ret = p;
    p = NULL;
out:
    cu_plan_destroy(p);
    return st;
}

void cu_plan_destroy(struct cu_plan *p) {
    if (p == NULL)
        return;
    (void)cudaSetDevice(p->state->device);
    for (int k = 0; p->engine != NULL && k < p->n_engine; k++)
        cu_engine_release(&p->engine[k]);
    if (p->handle != NULL)
        (void)cudnnDestroy(p->handle);
    if (p->lock_made)
        (void)pthread_mutex_destroy(&p->lock);
    (void)cudaFree(p->constants);
    free(p->engine_of);
    free(p->conv);
    free(p->engine);
    g_plan_free(p->plan);
    free(p);
}

size_t cu_plan_text(const struct cu_plan *p, char *buf, size_t cap) {
    static const char *const kinds[] = {"map", "pool", "reduce", "softmax", "normalise", "product", "direct convolution", "resize"};
    static const char *const modes[] = {"A", "B", "fallback", "stored"};
    const struct g_plan *g = p->plan;
    size_t at = 0;
    int k = snprintf(buf, cap,
                     "cudnn: %d steps, %d distinct convolutions (%d engines stored before, %d by our own kernel), %.1f MB of weights, "
                     "%.1f MB of activations, %.1f MB of workspace\n",
                     g->n_step, p->n_engine, p->from_cache, p->own, (double)g->constant_size / 1e6, (double)g->arena_size / 1e6,
                     (double)p->workspace / 1e6);
    for (int i = 0; k >= 0 && i < g->n_step; i++) {
        const struct g_step *s = &g->step[i];
        const char *name = s->node >= 0 && s->node < g->graph->n_node ? g->graph->node[s->node].name : "output";
        const cu_engine *e = p->engine_of[i] >= 0 ? &p->engine[p->engine_of[i]] : NULL;
        at += (size_t)k;
        if (s->kind == G_HOST)
            k = snprintf(at < cap ? buf + at : NULL, at < cap ? cap - at : 0, "node of the CPU, in the midst of the pass: '%.80s' (%s)\n",
                         name, s->host->node->op->name);
        else if (e != NULL && e->plan != NULL)
            k = snprintf(at < cap ? buf + at : NULL, at < cap ? cap - at : 0,
                         "convolution '%.80s': cuDNN engine %lld (%s), workspace %lld\n", name, (long long)e->id, modes[e->mode],
                         (long long)e->workspace);
        else
            k = snprintf(at < cap ? buf + at : NULL, at < cap ? cap - at : 0, "%s '%.80s': %lld elements%s\n", kinds[s->args.kind], name,
                         (long long)s->args.count, s->args.wide ? ", eight at a time" : "");
    }
    return at + (k > 0 ? (size_t)k : 0);
}
