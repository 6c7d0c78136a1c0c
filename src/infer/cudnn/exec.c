/* exec.c: one stream's memory for a plan, and running it. The whole forward pass is captured once and replayed as a CUDA graph. Inputs go
 * through a ring of pinned buffers on a copy stream, so that filling one buffer overlaps the transfer of another; several execs (one per
 * thread) overlap copies of one batch with the arithmetic of another. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

enum { RING = 3 };
#define RING_BYTES ((size_t)4 << 20)

/* A node that the CPU evaluates in the midst of the pass, between two copies on the same stream. */
struct call {
    const struct g_host *host;
    char *pinned;
    void **data; /* per operand, in `pinned` */
    atomic_bool failed;
};

struct cu_exec {
    struct cu_plan *plan;
    cudaStream_t compute, copy;
    cudaEvent_t slot_free[RING], copied;
    char *ring[RING]; /* pinned */
    char *arena;      /* on the device */
    void *workspace;
    struct k_args *args; /* per step, with pointers */
    struct call *call;   /* [steps], of those that are the CPU's */
    cudaGraphExec_t graph;
    bool warm;     /* run once without a graph: lazily loaded kernels are in */
    bool no_graph; /* capture failed: launched step by step */
};

static void *place_of(const struct cu_exec *x, int root) {
    const struct g_root *r = &x->plan->plan->root[root];
    return (r->is_constant ? x->plan->constants : x->arena) + r->offset;
}

static rad_status make_call(struct call *c, const struct g_host *h, rad_error *err) {
    size_t size = 0;
    c->host = h;
    c->data = rad_calloc((size_t)h->n_operand, sizeof *c->data);
    if (c->data == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for an inference stream");
    for (int k = 0; k < h->n_operand; k++)
        size += (h->operand[k].size + 63) / 64 * 64;
    const rad_status st = cu_check(cudaMallocHost((void **)&c->pinned, size + 64), "pinned memory", err);
    size = 0;
    for (int k = 0; st == RAD_OK && k < h->n_operand; k++) {
        c->data[k] = c->pinned + size;
        size += (h->operand[k].size + 63) / 64 * 64;
    }
    return st;
}

rad_status cu_exec_create(struct cu_plan *p, struct cu_exec **ret, rad_error *err) {
    const struct g_plan *g = p->plan;
    rad_status st = RAD_OK;
    struct cu_exec *x = rad_calloc(1, sizeof *x);
    if (x != NULL)
        x->args = rad_calloc((size_t)g->n_step + 1, sizeof *x->args);
    if (x != NULL)
        x->call = rad_calloc((size_t)g->n_step + 1, sizeof *x->call);
    if (x == NULL || x->args == NULL || x->call == NULL) {
        if (x != NULL) {
            free(x->args);
            free(x->call);
        }
        free(x);
        return rad_error_set(err, RAD_E_NOMEM, "no memory for an inference stream");
    }
    x->plan = p;
    RAD_TRY(cu_check(cudaSetDevice(p->state->device), "selecting the device", err));
    RAD_TRY(cu_check(cudaStreamCreateWithFlags(&x->compute, cudaStreamNonBlocking), "making a stream", err));
    RAD_TRY(cu_check(cudaStreamCreateWithFlags(&x->copy, cudaStreamNonBlocking), "making a stream", err));
    RAD_TRY(cu_check(cudaEventCreateWithFlags(&x->copied, cudaEventDisableTiming), "making an event", err));
    for (int i = 0; i < RING; i++) {
        RAD_TRY(cu_check(cudaEventCreateWithFlags(&x->slot_free[i], cudaEventDisableTiming), "making an event", err));
        RAD_TRY(cu_check(cudaMallocHost((void **)&x->ring[i], RING_BYTES), "pinned memory", err));
    }
    RAD_TRY(cu_check(cudaMalloc((void **)&x->arena, g->arena_size + 1), "device memory for activations (fewer threads need less)", err));
    RAD_TRY(cu_check(cudaMalloc(&x->workspace, p->workspace + 1), "device memory for the workspace", err));
    for (int i = 0; i < g->n_step; i++) {
        if (g->step[i].kind == G_HOST)
            RAD_TRY(make_call(&x->call[i], g->step[i].host, err));
        x->args[i] = g->step[i].args;
        for (int k = 0; k < K_VIEWS; k++)
            x->args[i].v[k].data = g->step[i].root[k] >= 0 ? place_of(x, g->step[i].root[k]) : NULL;
    }
    *ret = x;
    return RAD_OK;
out:
    cu_exec_destroy(x);
    return st;
}

void cu_exec_destroy(struct cu_exec *x) {
    if (x == NULL)
        return;
    (void)cudaSetDevice(x->plan->state->device);
    if (x->compute != NULL)
        (void)cudaStreamSynchronize(x->compute);
    if (x->copy != NULL)
        (void)cudaStreamSynchronize(x->copy);
    if (x->graph != NULL)
        (void)cudaGraphExecDestroy(x->graph);
    for (int i = 0; i < RING; i++) {
        if (x->slot_free[i] != NULL)
            (void)cudaEventDestroy(x->slot_free[i]);
        (void)cudaFreeHost(x->ring[i]);
    }
    if (x->copied != NULL)
        (void)cudaEventDestroy(x->copied);
    if (x->compute != NULL)
        (void)cudaStreamDestroy(x->compute);
    if (x->copy != NULL)
        (void)cudaStreamDestroy(x->copy);
    (void)cudaFree(x->arena);
    (void)cudaFree(x->workspace);
    for (int i = 0; i < x->plan->plan->n_step; i++) {
        (void)cudaFreeHost(x->call[i].pinned);
        free(x->call[i].data);
    }
    free(x->call);
    free(x->args);
    free(x);
}

/* ---------------------------------------------------------------- the forward pass */

/* On a thread of the driver's; no CUDA in here. */
static void CUDART_CB evaluate(void *p) {
    struct call *c = p;
    rad_error err = {0};
    if (g_host_run(c->host, c->data, &err) != RAD_OK)
        atomic_store(&c->failed, true);
}

static rad_status launch_call(struct cu_exec *x, struct call *c, rad_error *err) {
    const struct g_host *h = c->host;
    const int first_output = h->node->n_input + 1;
    rad_status st = RAD_OK;
    for (int pass = 0; pass < 2; pass++) {
        for (int k = pass == 0 ? 0 : first_output; k < (pass == 0 ? first_output : h->n_operand); k++) {
            const struct g_operand *o = &h->operand[k];
            if (!o->used || o->size == 0)
                continue;
            char *at = (char *)place_of(x, o->root) + o->offset;
            RAD_TRY(cu_check(pass == 0 ? cudaMemcpyAsync(c->data[k], at, o->size, cudaMemcpyDeviceToHost, x->compute)
                                       : cudaMemcpyAsync(at, c->data[k], o->size, cudaMemcpyHostToDevice, x->compute),
                             "copying for a node of the CPU", err));
        }
        if (pass == 0)
            RAD_TRY(cu_check(cudaLaunchHostFunc(x->compute, evaluate, c), "a node of the CPU", err));
    }
out:
    return st;
}

static rad_status check_calls(struct cu_exec *x, rad_error *err) {
    for (int i = 0; i < x->plan->plan->n_step; i++)
        if (x->call[i].host != NULL && atomic_exchange(&x->call[i].failed, false))
            return rad_error_set(err, RAD_E_NOMEM, "node '%.120s' could not be evaluated on the CPU", x->call[i].host->node->name);
    return RAD_OK;
}

static rad_status launch_step(struct cu_exec *x, int i, rad_error *err) {
    struct cu_plan *p = x->plan;
    const struct g_step *s = &p->plan->step[i];
    const struct k_args *a = &x->args[i];
    const int k = p->engine_of[i];
    const char *name = s->node >= 0 && s->node < p->plan->graph->n_node ? p->plan->graph->node[s->node].name : "output";
    rad_status st;
    if (s->kind == G_HOST) {
        st = launch_call(x, &x->call[i], err);
    } else if (k >= 0 && p->engine[k].plan != NULL) {
        char *data[5] = {a->v[1].data, a->v[2].data, a->v[3].data, a->v[4].data, a->v[0].data};
        static const int view[5] = {1, 2, 3, 4, 0};
        void *at[5];
        for (int j = 0; j < 5; j++)
            at[j] = data[j] != NULL ? data[j] + a->v[view[j]].offset * (a->v[view[j]].type == K_F32 ? 4 : 2) : NULL;
        st = cu_check_cudnn(cu_engine_run(p->handle, &s->conv, &p->engine[k], at, x->workspace), "cuDNN", err);
    } else {
        st = cu_check(k_launch(a, x->compute), "launching a kernel", err);
    }
    return st == RAD_OK ? RAD_OK : rad_error_prefix(err, st, "node '%.120s': ", name);
}

static rad_status launch_all(struct cu_exec *x, rad_error *err) {
    rad_status st = cu_check_cudnn(cudnnSetStream(x->plan->handle, x->compute), "setting the stream", err);
    for (int i = 0; st == RAD_OK && i < x->plan->plan->n_step; i++)
        st = launch_step(x, i, err);
    return st;
}

/* Under the plan's lock. A pass that cannot be captured is launched step by step from then on. */
static void capture(struct cu_exec *x) {
    cudaGraph_t graph = NULL;
    rad_error err = {0};
    x->no_graph = true;
    if (cudaStreamBeginCapture(x->compute, cudaStreamCaptureModeThreadLocal) != cudaSuccess) {
        (void)cudaGetLastError();
        return;
    }
    const rad_status st = launch_all(x, &err);
    if (cudaStreamEndCapture(x->compute, &graph) == cudaSuccess && st == RAD_OK && graph != NULL &&
        cudaGraphInstantiate(&x->graph, graph, 0) == cudaSuccess)
        x->no_graph = false;
    else
        x->graph = NULL;
    if (graph != NULL)
        (void)cudaGraphDestroy(graph);
    (void)cudaGetLastError(); /* a failed capture leaves its error behind */
}

static rad_status forward(struct cu_exec *x, rad_error *err) {
    rad_status st = RAD_OK;
    if (x->graph == NULL) {
        if (pthread_mutex_lock(&x->plan->lock) != 0)
            return rad_error_set(err, RAD_E_INTERNAL, "cannot lock the plan");
        if (x->warm && !x->no_graph)
            capture(x);
        if (x->graph == NULL)
            st = launch_all(x, err);
        x->warm = true;
        (void)pthread_mutex_unlock(&x->plan->lock);
    }
    if (st == RAD_OK && x->graph != NULL)
        st = cu_check(cudaGraphLaunch(x->graph, x->compute), "starting the forward pass", err);
    return st;
}

/* ---------------------------------------------------------------- copies */

static rad_status upload(struct cu_exec *x, void *to, const void *from, size_t size, int *slot, rad_error *err) {
    rad_status st = RAD_OK;
    for (size_t at = 0; st == RAD_OK && at < size; at += RING_BYTES) {
        const size_t n = size - at < RING_BYTES ? size - at : RING_BYTES;
        const int k = (*slot)++ % RING;
        RAD_TRY(cu_check(cudaEventSynchronize(x->slot_free[k]), "waiting for a copy", err));
        memcpy(x->ring[k], (const char *)from + at, n);
        RAD_TRY(cu_check(cudaMemcpyAsync((char *)to + at, x->ring[k], n, cudaMemcpyHostToDevice, x->copy), "copying an input", err));
        st = cu_check(cudaEventRecord(x->slot_free[k], x->copy), "copying an input", err);
    }
out:
    return st;
}

/* Up to RING pieces in flight; the oldest is taken out when its slot is needed again. */
static rad_status download(struct cu_exec *x, void *to, const void *from, size_t size, rad_error *err) {
    rad_status st = RAD_OK;
    size_t issued = 0, taken = 0;
    while (taken < size) {
        while (issued < size && (issued - taken) / RING_BYTES < RING) {
            const size_t n = size - issued < RING_BYTES ? size - issued : RING_BYTES;
            const size_t k = issued / RING_BYTES % RING;
            RAD_TRY(cu_check(cudaMemcpyAsync(x->ring[k], (const char *)from + issued, n, cudaMemcpyDeviceToHost, x->compute),
                             "copying an output", err));
            RAD_TRY(cu_check(cudaEventRecord(x->slot_free[k], x->compute), "copying an output", err));
            issued += n;
        }
        const size_t n = size - taken < RING_BYTES ? size - taken : RING_BYTES, k = taken / RING_BYTES % RING;
        RAD_TRY(cu_check(cudaEventSynchronize(x->slot_free[k]), "the forward pass", err));
        memcpy((char *)to + taken, x->ring[k], n);
        taken += n;
    }
out:
    return st;
}

static rad_status results(struct cu_exec *x, rad_tensor *out, rad_error *err) {
    const struct g_plan *g = x->plan->plan;
    rad_status st = RAD_OK;
    for (int k = 0; k < g->graph->n_output && st == RAD_OK; k++) {
        const size_t size = (size_t)rad_shape_count(&out[k].shape) * rad_dtype_size(out[k].dtype);
        st = download(x, out[k].data, place_of(x, g->tensor[g->output[k]].root), size, err);
    }
    if (st == RAD_OK)
        st = cu_check(cudaStreamSynchronize(x->compute), "the forward pass", err);
    return st == RAD_OK ? check_calls(x, err) : st;
}

/* A failed run leaves nothing behind that still reads or writes: its samples and results are the caller's again. */
static rad_status quiet(struct cu_exec *x, rad_status st) {
    if (st != RAD_OK) {
        (void)cudaStreamSynchronize(x->copy);
        (void)cudaStreamSynchronize(x->compute);
    }
    return st;
}

rad_status cu_exec_run(struct cu_exec *x, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    const struct g_plan *g = x->plan->plan;
    rad_status st = RAD_OK;
    int slot = 0;
    RAD_TRY(cu_check(cudaSetDevice(x->plan->state->device), "selecting the device", err));
    for (int k = 0; k < g->graph->n_input; k++) {
        const int root = g->tensor[g->input[k]].root;
        if (g->root[root].first != INT32_MAX)
            RAD_TRY(upload(x, place_of(x, root), in[k].data, g->root[root].size, &slot, err));
    }
    RAD_TRY(cu_check(cudaEventRecord(x->copied, x->copy), "copying the inputs", err));
    RAD_TRY(cu_check(cudaStreamWaitEvent(x->compute, x->copied, 0), "copying the inputs", err));
    RAD_TRY(forward(x, err));
    st = results(x, out, err);
out:
    return quiet(x, st);
}

rad_status cu_exec_run_samples(struct cu_exec *x, const rad_sample_place *place, rad_tensor *out, rad_error *err) {
    const struct g_plan *g = x->plan->plan;
    const rad_shape *s = &g->graph->value[g->graph->input[0]].shape;
    const size_t size = (size_t)(rad_shape_count(s) / s->dim[0]) * sizeof(float);
    const int root = g->tensor[g->input[0]].root;
    rad_status st = cu_check(cudaSetDevice(x->plan->state->device), "selecting the device", err);
    /* On the compute stream: the places are only written once the pass before has read them. Neighbours travel together. */
    for (int64_t k = 0, n = 1; st == RAD_OK && g->root[root].first != INT32_MAX && k < s->dim[0]; k += n, n = 1) {
        const rad_sample_place *p = &place[k];
        while (k + n < s->dim[0] && p[n].samples == p->samples && p[n].index == p->index + n)
            n++;
        st = cu_check(cudaMemcpyAsync((char *)place_of(x, root) + (size_t)k * size,
                                      (const char *)p->samples->block->data + (size_t)p->index * size, (size_t)n * size,
                                      cudaMemcpyDeviceToDevice, x->compute),
                      "copying a sample", err);
    }
    if (st == RAD_OK)
        st = forward(x, err);
    if (st == RAD_OK)
        st = results(x, out, err);
    return quiet(x, st);
}

rad_status cu_exec_replay(struct cu_exec *x, int n, double *ret_seconds, rad_error *err) {
    cudaEvent_t start = NULL, stop = NULL;
    float ms = 0.0f;
    rad_status st = RAD_OK;
    RAD_TRY(cu_check(cudaSetDevice(x->plan->state->device), "selecting the device", err));
    RAD_TRY(cu_check(cudaEventCreate(&start), "making an event", err));
    RAD_TRY(cu_check(cudaEventCreate(&stop), "making an event", err));
    RAD_TRY(cu_check(cudaEventRecord(start, x->compute), "timing", err));
    for (int i = 0; i < n; i++)
        RAD_TRY(forward(x, err));
    RAD_TRY(cu_check(cudaEventRecord(stop, x->compute), "timing", err));
    RAD_TRY(cu_check(cudaEventSynchronize(stop), "the forward pass", err));
    RAD_TRY(cu_check(cudaEventElapsedTime(&ms, start, stop), "timing", err));
    *ret_seconds = (double)ms * 1e-3;
out:
    if (start != NULL)
        (void)cudaEventDestroy(start);
    if (stop != NULL)
        (void)cudaEventDestroy(stop);
    return st;
}
