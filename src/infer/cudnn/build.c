/* build.c: from a graph to a finished plan: nodes in order, then the places of everything in one arena. */
#include "nodes.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- places */

/* First fit by falling size: large tensors decide the arena, small ones fill its gaps. */
static int larger_first(const void *a, const void *b) {
    const struct g_root *x = *(const struct g_root *const *)a, *y = *(const struct g_root *const *)b;
    if (x->size != y->size)
        return x->size < y->size ? 1 : -1;
    return x < y ? -1 : x > y;
}

static rad_status place_roots(struct g_plan *p, rad_error *err) {
    struct g_root **list = rad_calloc((size_t)p->n_root + 1, sizeof *list);
    struct g_root **placed = rad_calloc((size_t)p->n_root + 1, sizeof *placed);
    int n = 0, n_placed = 0;
    if (list == NULL || placed == NULL) {
        free(list);
        free(placed);
        return g_nomem(err);
    }
    for (int i = 0; i < p->n_root; i++) {
        struct g_root *r = &p->root[i];
        if (r->first == INT32_MAX) { /* nobody reads it: a constant that only its converted copies use */
            free(r->fixed);
            r->fixed = NULL;
        } else if (r->is_constant) {
            r->offset = p->constant_size;
            p->constant_size += (r->size + G_ALIGN - 1) / G_ALIGN * G_ALIGN;
        } else {
            list[n++] = r;
        }
    }
    qsort(list, (size_t)n, sizeof *list, larger_first);
    for (int i = 0; i < n; i++) {
        struct g_root *r = list[i];
        size_t at = 0;
        int slot = n_placed;
        /* `placed` is sorted by offset: the first gap between those that live at the same time */
        for (int k = 0; k < n_placed; k++) {
            const struct g_root *o = placed[k];
            if (o->last < r->first || o->first > r->last)
                continue;
            if (o->offset >= at + r->size)
                break;
            if (o->offset + o->size > at)
                at = (o->offset + o->size + G_ALIGN - 1) / G_ALIGN * G_ALIGN;
        }
        r->offset = at;
        while (slot > 0 && placed[slot - 1]->offset > at) {
            placed[slot] = placed[slot - 1];
            slot--;
        }
        placed[slot] = r;
        n_placed++;
        if (at + r->size > p->arena_size)
            p->arena_size = at + r->size;
    }
    p->arena_size = (p->arena_size + G_ALIGN - 1) / G_ALIGN * G_ALIGN;
    free(list);
    free(placed);
    return RAD_OK;
}

/* ---------------------------------------------------------------- building */

static void build_release(struct g_build *b) {
    free(b->value);
    free(b->reader);
}

static rad_status build_init(struct g_build *b, const rad_graph *g, rad_precision p, rad_error *err) {
    b->graph = g;
    b->plan = rad_calloc(1, sizeof *b->plan);
    b->value = rad_calloc((size_t)g->n_value + 1, sizeof *b->value);
    b->reader = rad_calloc((size_t)g->n_value + 1, sizeof *b->reader);
    if (b->plan == NULL || b->value == NULL || b->reader == NULL)
        return g_nomem(err);
    b->plan->graph = g;
    b->plan->precision = p;
    b->plan->type = p == RAD_PREC_FP16 ? K_F16 : p == RAD_PREC_BF16 ? K_BF16 : K_F32;
    b->plan->input = rad_calloc((size_t)g->n_input + 1, sizeof *b->plan->input);
    b->plan->output = rad_calloc((size_t)g->n_output + 1, sizeof *b->plan->output);
    if (b->plan->input == NULL || b->plan->output == NULL)
        return g_nomem(err);
    for (int v = 0; v < g->n_value; v++)
        b->reader[v] = -1;
    for (int i = 0; i < g->n_node; i++)
        for (int k = 0; k < g->node[i].n_input; k++) {
            const int v = g->node[i].input[k];
            if (v >= 0)
                b->reader[v] = g->value[v].n_use == 1 ? i : -1;
        }
    return RAD_OK;
}

static rad_status make_inputs(struct g_build *b, rad_error *err) {
    const rad_graph *g = b->graph;
    for (int k = 0; k < g->n_input; k++) {
        const int v = g->input[k];
        int t = -1;
        rad_status st = g_make_raw(b, v, &t, err);
        if (st == RAD_OK)
            st = g_give(b, v, t, err);
        if (st != RAD_OK)
            return st;
        g_touch(b->plan, g_at(b, t)->root, -1);
        b->plan->input[k] = t;
    }
    return RAD_OK;
}

static rad_status make_outputs(struct g_build *b, rad_error *err) {
    const rad_graph *g = b->graph;
    rad_status st = RAD_OK;
    for (int k = 0; k < g->n_output; k++) {
        const int v = g->output[k];
        int t = -1, copy = -1;
        if (!g_is_float(b, v)) { /* as bytes, from a node of the CPU */
            if (b->value[v].n_form == 0)
                return rad_error_set(err, RAD_E_INTERNAL, "output '%.160s' is not made", g->value[v].name);
            b->plan->output[k] = b->value[v].form[0];
            continue;
        }
        RAD_TRY(g_get(b, v, G_PLAIN, K_F32, &t, err));
        if (g_at(b, t)->offset != 0) { /* the copy back starts at the root */
            const int plain = t;
            RAD_TRY(g_make(b, &g->value[v].shape, G_PLAIN, K_F32, &copy, err));
            g_touch(b->plan, g_at(b, copy)->root, b->plan->n_step);
            RAD_TRY(g_step_map(b, &(struct g_map){.op = K_COPY}, copy, (const int[3]){plain, -1, -1}, err));
            t = copy;
        }
        b->plan->output[k] = t;
    }
    for (int k = 0; k < g->n_output; k++)
        g_touch(b->plan, g_at(b, b->plan->output[k])->root, b->plan->n_step);
out:
    return st;
}

static bool kernels_take(const rad_graph *g, const rad_node *n, rad_precision p, char *why, size_t cap);

static rad_status translate(struct g_build *b, int i, rad_error *err) {
    const rad_node *n = &b->graph->node[i];
    const g_translate f = g_translator(n->op->name);
    b->node = i;
    if (n->n_output > 0 && n->output[0] >= 0 && (b->value[n->output[0]].n_form > 0 || b->value[n->output[0]].skip))
        return RAD_OK; /* made together with an earlier node */
    if (!b->dry && !kernels_take(b->graph, n, b->plan->precision, NULL, 0))
        return g_node_host(b, n, err);
    for (int k = 0; k < n->n_output; k++)
        if (n->output[k] >= 0 && !g_is_float(b, n->output[k]))
            return g_refuse(n, err, "makes %s, the cuDNN backend computes in floats", rad_dtype_name(g_value(b, n->output[k])->dtype));
    return f != NULL ? f(b, n, err) : g_refuse(n, err, "the cuDNN backend has no such operator");
}

rad_status g_plan_build(const rad_graph *g, rad_precision p, struct g_plan **ret, rad_error *err) {
    struct g_build b = {.node = -1};
    rad_status st = RAD_OK;
    RAD_TRY(build_init(&b, g, p, err));
    RAD_TRY(make_inputs(&b, err));
    for (int i = 0; i < g->n_node; i++) {
        st = translate(&b, i, err);
        if (st != RAD_OK) {
            st = rad_error_prefix(err, st, "node '%.120s' (%s): ", g->node[i].name, g->node[i].op->name);
            goto out;
        }
    }
    b.node = g->n_node;
    RAD_TRY(make_outputs(&b, err));
    RAD_TRY(place_roots(b.plan, err));
    *ret = b.plan;
    b.plan = NULL;
out:
    g_plan_free(b.plan);
    build_release(&b);
    return st;
}

void g_plan_free(struct g_plan *p) {
    if (p == NULL)
        return;
    for (int i = 0; i < p->n_root; i++)
        free(p->root[i].fixed);
    for (int i = 0; i < p->n_step; i++)
        g_host_free(p->step[i].host);
    free(p->root);
    free(p->step);
    free(p->tensor);
    free(p->input);
    free(p->output);
    free(p);
}

/* Translated alone, with inputs as they would arrive: channels-last where there are channels. */
static bool kernels_take(const rad_graph *g, const rad_node *n, rad_precision p, char *why, size_t cap) {
    struct g_build b = {.node = -1, .dry = true};
    rad_error err = {0};
    rad_status st = RAD_OK;
    RAD_TRY(build_init(&b, g, p, &err));
    for (int k = -1; k < n->n_input; k++) {
        const int v = k < 0 ? n->residual : n->input[k];
        int t = -1;
        if (v < 0 || g_is_const(&b, v) || b.value[v].n_form > 0)
            continue;
        if (!g_is_float(&b, v)) {
            st = g_refuse(n, &err, "input '%.100s' is %s, the cuDNN backend computes in floats", g->value[v].name,
                          rad_dtype_name(g->value[v].dtype));
            goto out;
        }
        const rad_shape s = g->value[v].shape;
        RAD_TRY(g_make(&b, &s, s.rank >= 3 ? G_LAST : G_PLAIN, g_type_for(&b, &s), &t, &err));
        RAD_TRY(g_give(&b, v, t, &err));
    }
    st = translate(&b, (int)(n - g->node), &err);
out:
    if (st != RAD_OK)
        (void)snprintf(why, cap, "%s", err.text);
    g_plan_free(b.plan);
    build_release(&b);
    return st == RAD_OK;
}

bool g_supports(const rad_graph *g, const rad_node *n, rad_precision p, char *why, size_t cap) {
    return kernels_take(g, n, p, why, cap) || g_host_takes(g, n);
}
