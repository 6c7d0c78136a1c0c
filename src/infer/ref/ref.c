/* ref.c: the reference backend. Walks the graph and evaluates each node by its definition in src/model (plain loops, double accumulation,
 * fixed order): the truth that the fast backends are compared with. No library, no threads, any operator of the table, fp32 only.
 *
 * A plan gives every value that a node makes a place in one arena; the place is free again after the value's last reader.
 */
#include "backend.h"

#include <stdlib.h>
#include <string.h>

#define REVISION 1 /* raise it when a change moves bits: it is part of every result's key */
#define ALIGN ((size_t)64)

typedef struct ref_plan {
    const rad_graph *g;
    size_t *offset; /* per value, in the arena; of a constant in `constant`; meaningless for inputs */
    size_t arena;
    unsigned char *constant; /* copies: the model's bytes lie in a file that somebody may overwrite */
    int widest;              /* most inputs, outputs of any node */
} ref_plan;

typedef struct ref_exec {
    const ref_plan *plan;
    unsigned char *arena;
    rad_tensor *value; /* per value: view of its data during a run */
    rad_tensor *arg;   /* room for one node's inputs and outputs */
} ref_exec;

/* A stretch of the arena that a value holds until node `last` has run. */
typedef struct hold {
    size_t begin, size;
    int last;
} hold;

static rad_status ref_open(void **ret_state, char *ret_version, size_t version_cap, rad_error *err) {
    (void)err;
    *ret_state = NULL;
    (void)snprintf(ret_version, version_cap, "ref %d", REVISION);
    return RAD_OK;
}

static void ref_close(void *state) {
    (void)state;
}

static int64_t ref_plan_batch(void *state, rad_precision p) {
    (void)state;
    (void)p;
    return 1;
}

static rad_status ref_precision(void *state, rad_precision p, rad_error *err) {
    (void)state;
    if (p == RAD_PREC_FP32)
        return RAD_OK;
    return rad_error_set(err, RAD_E_DEVICE, "backend 'ref' has no %s: it is the float32 reference; take fp32 or another backend",
                         rad_precision_name(p));
}

static bool ref_supports(void *state, const rad_graph *g, const rad_node *n, rad_precision p, char *why, size_t cap) {
    (void)state;
    (void)g;
    if (p != RAD_PREC_FP32)
        (void)snprintf(why, cap, "%s at %s: the reference runs fp32 only", n->op->name, rad_precision_name(p));
    return p == RAD_PREC_FP32;
}

/* ---------------------------------------------------------------- plan */

static bool is_made(const rad_graph *g, int v) {
    return g->value[v].producer >= 0 && g->value[v].data == NULL;
}

/* Last node that reads each value; the node count for graph outputs. A value that nobody reads lives while its node runs. */
static void last_uses(const rad_graph *g, int *last) {
    for (int v = 0; v < g->n_value; v++)
        last[v] = g->value[v].producer;
    for (int i = 0; i < g->n_node; i++) {
        const rad_node *n = &g->node[i];
        for (int k = 0; k < n->n_input; k++) {
            if (n->input[k] >= 0)
                last[n->input[k]] = i;
        }
        if (n->residual >= 0)
            last[n->residual] = i;
    }
    for (int k = 0; k < g->n_output; k++)
        last[g->output[k]] = g->n_node;
}

/* First fit: holds are sorted by begin; those that ended before node i are dropped on the way. */
static bool place(hold *holds, int *n_hold, int node, int last, size_t size, size_t *ret_begin) {
    int kept = 0;
    for (int h = 0; h < *n_hold; h++) {
        if (holds[h].last >= node)
            holds[kept++] = holds[h];
    }
    size_t at = 0, end;
    int slot = 0;
    while (slot < kept && holds[slot].begin - at < size) {
        at = holds[slot].begin + holds[slot].size;
        slot++;
    }
    if (!rad_add_size(at, size, &end))
        return false;
    memmove(holds + slot + 1, holds + slot, (size_t)(kept - slot) * sizeof *holds);
    holds[slot] = (hold){at, size, last};
    *n_hold = kept + 1;
    *ret_begin = at;
    return true;
}

static void ref_plan_destroy(rad_plan *plan) {
    ref_plan *p = (ref_plan *)plan;
    if (p == NULL)
        return;
    free(p->offset);
    free(p->constant);
    free(p);
}

static rad_status copy_constants(ref_plan *p, const rad_graph *g, rad_error *err) {
    size_t total = 0, size;
    for (int v = 0; v < g->n_value; v++) {
        if (g->value[v].data == NULL)
            continue;
        p->offset[v] = total;
        if (!rad_mul_size((size_t)rad_shape_count(&g->value[v].shape), rad_dtype_size(g->value[v].dtype), &size) ||
            !rad_add_size(size, ALIGN - 1, &size) || !rad_add_size(total, size / ALIGN * ALIGN, &total))
            return rad_error_set(err, RAD_E_LIMIT, "the weights are too large for this machine");
    }
    p->constant = rad_aligned(total);
    if (p->constant == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for %zu bytes of weights", total);
    for (int v = 0; v < g->n_value; v++)
        if (g->value[v].data != NULL)
            memcpy(p->constant + p->offset[v], g->value[v].data,
                   (size_t)rad_shape_count(&g->value[v].shape) * rad_dtype_size(g->value[v].dtype));
    return RAD_OK;
}

static rad_status ref_plan_create(void *state, const rad_graph *g, rad_precision precision, rad_plan **ret, rad_error *err) {
    (void)state;
    rad_status st = RAD_OK;
    int n_hold = 0;
    ref_plan *p = rad_calloc(1, sizeof *p);
    int *last = rad_calloc((size_t)g->n_value + 1, sizeof *last);
    hold *holds = rad_calloc((size_t)g->n_value + 1, sizeof *holds);
    if (p != NULL)
        p->offset = rad_calloc((size_t)g->n_value + 1, sizeof *p->offset);
    if (p == NULL || last == NULL || holds == NULL || p->offset == NULL) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory for a plan of %d nodes", g->n_node);
        goto out;
    }
    RAD_TRY(ref_precision(NULL, precision, err));
    p->g = g;
    RAD_TRY(copy_constants(p, g, err));
    last_uses(g, last);
    for (int i = 0; i < g->n_node; i++) {
        const rad_node *n = &g->node[i];
        if (n->n_input + n->n_output > p->widest)
            p->widest = n->n_input + n->n_output;
        for (int k = 0; k < n->n_output; k++) {
            const int v = n->output[k];
            size_t size, begin = 0;
            if (v < 0)
                continue;
            const int64_t count = rad_shape_count(&g->value[v].shape);
            if (count < 0 || !rad_mul_size((size_t)count, rad_dtype_size(g->value[v].dtype), &size) || !rad_add_size(size, ALIGN, &size) ||
                !place(holds, &n_hold, i, last[v], size / ALIGN * ALIGN, &begin)) {
                st = rad_error_set(err, RAD_E_LIMIT, "node '%.160s' (%s): output '%.100s' is too large", n->name, n->op->name,
                                   g->value[v].name);
                goto out;
            }
            p->offset[v] = begin;
            if (begin + size > p->arena)
                p->arena = begin + size;
        }
    }
    *ret = (rad_plan *)p;
    p = NULL;
out:
    ref_plan_destroy((rad_plan *)p);
    free(last);
    free(holds);
    return st;
}

static size_t ref_plan_describe(const rad_plan *plan, char *buf, size_t cap) {
    const ref_plan *p = (const ref_plan *)plan;
    size_t at = 0;
    int k = snprintf(buf, cap, "ref: %d nodes, plain loops in double, %zu bytes of activations\n", p->g->n_node, p->arena);
    for (int i = 0; k >= 0 && i < p->g->n_node; i++) {
        const rad_node *n = &p->g->node[i];
        char shape[96] = "";
        at += (size_t)k;
        if (n->output[0] >= 0)
            (void)rad_shape_text(&p->g->value[n->output[0]].shape, shape, sizeof shape);
        k = snprintf(at < cap ? buf + at : NULL, at < cap ? cap - at : 0, "%s '%.100s' %s\n", n->op->name, n->name, shape);
    }
    return at + (k > 0 ? (size_t)k : 0);
}

/* ---------------------------------------------------------------- exec */

static void ref_exec_destroy(rad_exec *exec) {
    ref_exec *x = (ref_exec *)exec;
    if (x == NULL)
        return;
    free(x->arena);
    free(x->value);
    free(x->arg);
    free(x);
}

static rad_status ref_exec_create(rad_plan *plan, rad_exec **ret, rad_error *err) {
    const ref_plan *p = (const ref_plan *)plan;
    const rad_graph *g = p->g;
    ref_exec *x = rad_calloc(1, sizeof *x);
    if (x != NULL) {
        x->plan = p;
        x->arena = rad_aligned(p->arena + ALIGN);
        x->value = rad_calloc((size_t)g->n_value + 1, sizeof *x->value);
        x->arg = rad_calloc((size_t)p->widest + 1, sizeof *x->arg);
    }
    if (x == NULL || x->arena == NULL || x->value == NULL || x->arg == NULL) {
        ref_exec_destroy((rad_exec *)x);
        return rad_error_set(err, RAD_E_NOMEM, "no memory for %zu bytes of activations", p->arena);
    }
    for (int v = 0; v < g->n_value; v++) {
        x->value[v].dtype = g->value[v].dtype;
        x->value[v].shape = g->value[v].shape;
        if (is_made(g, v))
            x->value[v].data = x->arena + p->offset[v];
        else if (g->value[v].data != NULL)
            x->value[v].data = p->constant + p->offset[v]; /* inputs follow per run */
    }
    *ret = (rad_exec *)x;
    return RAD_OK;
}

static rad_status run_node(ref_exec *x, const rad_node *n, rad_error *err) {
    rad_tensor *in = x->arg, *out = x->arg + n->n_input;
    for (int k = 0; k < n->n_input; k++)
        in[k] = n->input[k] >= 0 ? x->value[n->input[k]] : (rad_tensor){0};
    for (int k = 0; k < n->n_output; k++)
        out[k] = n->output[k] >= 0 ? x->value[n->output[k]] : (rad_tensor){0};
    return rad_node_eval(n, in, n->residual >= 0 ? &x->value[n->residual] : NULL, out, err);
}

static rad_status check_view(const rad_graph *g, int v, const rad_tensor *t, const char *what, rad_error *err) {
    char want[96], have[96];
    if (t->dtype == g->value[v].dtype && rad_shape_equal(&t->shape, &g->value[v].shape))
        return RAD_OK;
    return rad_error_set(err, RAD_E_SHAPE, "%s '%.100s' is %s %s, expected %s %s", what, g->value[v].name, rad_dtype_name(t->dtype),
                         rad_shape_text(&t->shape, have, sizeof have), rad_dtype_name(g->value[v].dtype),
                         rad_shape_text(&g->value[v].shape, want, sizeof want));
}

static rad_status ref_exec_run(rad_exec *exec, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    ref_exec *x = (ref_exec *)exec;
    const rad_graph *g = x->plan->g;
    rad_status st = RAD_OK;
    for (int k = 0; k < g->n_input; k++) {
        RAD_TRY(check_view(g, g->input[k], &in[k], "input", err));
        x->value[g->input[k]].data = in[k].data;
    }
    for (int k = 0; k < g->n_output; k++)
        RAD_TRY(check_view(g, g->output[k], &out[k], "output", err));
    for (int i = 0; i < g->n_node; i++)
        RAD_TRY(run_node(x, &g->node[i], err));
    for (int k = 0; k < g->n_output; k++) {
        const rad_tensor *t = &x->value[g->output[k]];
        const size_t bytes = (size_t)rad_shape_count(&t->shape) * rad_dtype_size(t->dtype);
        if (bytes > 0)
            memcpy(out[k].data, t->data, bytes);
    }
out:
    return st;
}

const rad_backend_ops rad_backend_ref = {
    .name = "ref",
    .open = ref_open,
    .close = ref_close,
    .plan_batch = ref_plan_batch,
    .precision = ref_precision,
    .supports = ref_supports,
    .plan_create = ref_plan_create,
    .plan_destroy = ref_plan_destroy,
    .plan_describe = ref_plan_describe,
    .exec_create = ref_exec_create,
    .exec_run = ref_exec_run,
    .exec_destroy = ref_exec_destroy,
};
