/* plan.c: a graph becomes a list of steps over one arena. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- lifetimes */

static void use(struct dn_build *b, int value, int node) {
    if (value >= 0 && node > b->value[value].last_use)
        b->value[value].last_use = node;
}

static void find_last_uses(struct dn_build *b) {
    const rad_graph *g = b->graph;
    for (int i = 0; i < g->n_value; i++)
        b->value[i] = (struct dn_value){.last_use = -1, .slot_root = -1};
    for (int i = 0; i < g->n_node; i++) {
        for (int k = 0; k < g->node[i].n_input; k++)
            use(b, g->node[i].input[k], i);
        use(b, g->node[i].residual, i);
    }
    for (int i = 0; i < g->n_output; i++)
        use(b, g->output[i], g->n_node);
}

/* ---------------------------------------------------------------- evaluation */

/* A node that oneDNN has no fast primitive for: the operator table's own evaluation, on plain tensors. */
static rad_status translate_eval(struct dn_build *b, const rad_node *n, rad_error *err) {
    const int n_arg = n->n_input + n->n_output + 1;
    struct dn_arg *arg = rad_calloc((size_t)n_arg, sizeof *arg);
    rad_status st = RAD_OK;
    if (arg == NULL)
        return dn_nomem(err);
    int at = 0;
    for (int k = 0; k < n->n_input; k++) {
        arg[at] = (struct dn_arg){.id = k, .tensor = -1};
        if (n->input[k] >= 0)
            RAD_TRY(dn_get_plain(b, n->input[k], &arg[at].tensor, err));
        at++;
    }
    arg[at] = (struct dn_arg){.id = DN_RESIDUAL, .tensor = -1};
    if (n->residual >= 0)
        RAD_TRY(dn_get_plain(b, n->residual, &arg[at].tensor, err));
    at++;
    for (int k = 0; k < n->n_output; k++) {
        arg[at] = (struct dn_arg){.id = DN_OUTPUT + k, .tensor = -1};
        if (n->output[k] >= 0)
            RAD_TRY(dn_make_plain(b, n->output[k], &arg[at].tensor, err));
        at++;
    }
    st = dn_step_eval(b, arg, n_arg, err);
out:
    free(arg);
    return st;
}

static rad_status translate(struct dn_build *b, const rad_node *n, rad_error *err) {
    bool done = n->n_output > 0 && n->output[0] >= 0 && b->value[n->output[0]].done;
    const dn_translate fast = dn_translator(n->op->name);
    rad_status st = RAD_OK;
    if (!done && fast != NULL)
        st = fast(b, n, &done, err);
    if (st == RAD_OK && !done)
        st = translate_eval(b, n, err);
    return st;
}

/* ---------------------------------------------------------------- arena */

static int by_size(const void *a, const void *b, const struct dn_root *root) {
    const struct dn_root *x = &root[*(const int *)a], *y = &root[*(const int *)b];
    if (x->size != y->size)
        return x->size < y->size ? 1 : -1;
    return *(const int *)a < *(const int *)b ? -1 : 1;
}

/* Sorts `order` by falling size (heapsort: qsort has no context argument in C17). */
static void sort_by_size(int *order, int n, const struct dn_root *root) {
    for (int end = n, start = n / 2; end > 1;) {
        int at;
        if (start > 0) {
            at = --start;
        } else {
            const int t = order[--end];
            order[end] = order[0];
            order[0] = t;
            at = 0;
        }
        for (int child; (child = 2 * at + 1) < end; at = child) {
            if (child + 1 < end && by_size(&order[child], &order[child + 1], root) < 0)
                child++;
            if (by_size(&order[at], &order[child], root) >= 0)
                break;
            const int t = order[at];
            order[at] = order[child];
            order[child] = t;
        }
    }
}

/* Largest first, each at the lowest place that is free during its whole life. */
static rad_status place_roots(struct dn_plan *p, rad_error *err) {
    int *order = rad_calloc((size_t)p->n_root, sizeof *order), *placed = rad_calloc((size_t)p->n_root, sizeof *placed);
    int n = 0, n_placed = 0;
    if (order == NULL || placed == NULL) {
        free(order);
        free(placed);
        return dn_nomem(err);
    }
    for (int i = 0; i < p->n_root; i++)
        if (p->root[i].fixed == NULL && p->root[i].first >= 0)
            order[n++] = i;
    sort_by_size(order, n, p->root);
    /* by_size() puts larger ones first in its order, so the heap leaves them at the front */
    for (int i = 0; i < n; i++) {
        struct dn_root *r = &p->root[order[i]];
        const size_t size = (r->size + 63) & ~(size_t)63;
        size_t at = 0;
        int where = 0;
        /* `placed` is sorted by offset: walk up until the gap fits. */
        for (int k = 0; k < n_placed; k++) {
            const struct dn_root *o = &p->root[placed[k]];
            if (o->last < r->first || o->first > r->last)
                continue;
            if (at + size <= o->offset)
                break;
            const size_t end = o->offset + ((o->size + 63) & ~(size_t)63);
            if (end > at)
                at = end;
        }
        r->offset = at;
        if (at + size > p->arena_size)
            p->arena_size = at + size;
        while (where < n_placed && p->root[placed[where]].offset <= at)
            where++;
        memmove(&placed[where + 1], &placed[where], (size_t)(n_placed - where) * sizeof *placed);
        placed[where] = order[i];
        n_placed++;
    }
    free(order);
    free(placed);
    return RAD_OK;
}

/* ---------------------------------------------------------------- build */

static rad_status build_inputs(struct dn_build *b, rad_error *err) {
    for (int i = 0; i < b->graph->n_input; i++) {
        rad_status st = dn_make_plain(b, b->graph->input[i], &b->plan->input[i], err);
        if (st != RAD_OK)
            return st;
        struct dn_root *r = &b->plan->root[b->plan->tensor[b->plan->input[i]].root];
        r->first = r->last = 0; /* filled before step 0 */
    }
    return RAD_OK;
}

static rad_status build_outputs(struct dn_build *b, rad_error *err) {
    b->node = b->graph->n_node;
    for (int i = 0; i < b->graph->n_output; i++) {
        rad_status st = dn_get_plain(b, b->graph->output[i], &b->plan->output[i], err);
        if (st != RAD_OK)
            return st;
    }
    for (int i = 0; i < b->graph->n_output; i++)
        b->plan->root[b->plan->tensor[b->plan->output[i]].root].last = b->plan->n_step; /* read after the last step */
    return RAD_OK;
}

rad_status dn_plan_build(const rad_graph *g, dnnl_engine_t engine, rad_precision p, int threads, struct dn_plan **ret, rad_error *err) {
    struct dn_build b = {.graph = g, .engine = engine, .type = p == RAD_PREC_BF16 ? dnnl_bf16 : dnnl_f32, .layout = rad_prim_best_layout()};
    rad_status st = RAD_OK;
    b.plan = rad_calloc(1, sizeof *b.plan);
    b.value = rad_calloc((size_t)g->n_value, sizeof *b.value);
    if (b.plan == NULL || b.value == NULL) {
        st = dn_nomem(err);
        goto out;
    }
    b.plan->graph = g;
    b.plan->engine = engine;
    b.plan->precision = p;
    b.plan->input = rad_calloc((size_t)g->n_input, sizeof *b.plan->input);
    b.plan->output = rad_calloc((size_t)g->n_output, sizeof *b.plan->output);
    if (b.plan->input == NULL || b.plan->output == NULL) {
        st = dn_nomem(err);
        goto out;
    }
    RAD_TRY(dn_packer_create(g, engine, threads, &b.packer, err));
    find_last_uses(&b);
    RAD_TRY(build_inputs(&b, err));
    RAD_TRY(dn_place_concats(&b, err));
    for (b.node = 0; b.node < g->n_node; b.node++)
        RAD_TRY(translate(&b, &g->node[b.node], err));
    RAD_TRY(build_outputs(&b, err));
    RAD_TRY(place_roots(b.plan, err));
    RAD_TRY(dn_keep_constants(&b, err));
    *ret = b.plan;
    b.plan = NULL;
out:
    dn_packer_destroy(&b.packer); /* before the memory that it writes to */
    dn_plan_free(b.plan);
    free(b.value);
    return st;
}

void dn_plan_free(struct dn_plan *plan) {
    if (plan == NULL)
        return;
    for (int i = 0; i < plan->n_step; i++)
        rad_prim_release(&plan->step[i].prim);
    for (int i = 0; i < plan->n_root; i++)
        free(plan->root[i].owned);
    free(plan->root);
    free(plan->tensor);
    free(plan->step);
    free(plan->arg);
    free(plan->input);
    free(plan->output);
    free(plan);
}

void *dn_tensor_data(const struct dn_plan *plan, char *arena, int tensor) {
    const struct dn_tensor *t = &plan->tensor[tensor];
    const struct dn_root *r = &plan->root[t->root];
    void *p = arena + r->offset + t->offset;
    if (r->fixed != NULL) /* constants are never written; oneDNN and the tensor view have no const */
        memcpy(&p, &(const void *){(const char *)r->fixed + t->offset}, sizeof p);
    return p;
}

struct dn_own_data dn_own_arguments(const struct dn_plan *plan, char *arena, const struct dn_step *s) {
    const struct dn_arg *arg = &plan->arg[s->first_arg];
    return (struct dn_own_data){.src = dn_tensor_data(plan, arena, arg[0].tensor),
                                .weights = dn_tensor_data(plan, arena, arg[1].tensor),
                                .bias = dn_tensor_data(plan, arena, arg[2].tensor),
                                .dst = dn_tensor_data(plan, arena, arg[3].tensor),
                                .scratch = dn_tensor_data(plan, arena, arg[4].tensor)};
}

size_t dn_plan_text(const struct dn_plan *p, char *buf, size_t cap) {
    size_t at = 0;
    int n = snprintf(buf, cap, "%s, %d steps, arena %.1f MB, weights %.1f MB\n", rad_precision_name(p->precision), p->n_step,
                     (double)p->arena_size / 1e6, (double)p->constant_size / 1e6);
    for (int i = 0; i <= p->n_step; i++) {
        at += n > 0 ? (size_t)n : 0;
        if (i == p->n_step)
            break;
        const struct dn_step *s = &p->step[i];
        const bool known = s->node >= 0 && s->node < p->graph->n_node;
        char text[160] = "";
        for (int k = 0; k < s->n_arg && (s->kind == DN_PRIM || s->kind == DN_OWN); k++)
            if (p->arg[s->first_arg + k].id == DNNL_ARG_DST)
                (void)rad_md_text(&p->tensor[p->arg[s->first_arg + k].tensor].md, text, sizeof text);
        n = snprintf(at < cap ? buf + at : NULL, at < cap ? cap - at : 0, "  %-18s %-40.40s %-32s %s\n",
                     s->is_reorder ? "reorder"
                     : known       ? p->graph->node[s->node].op->name
                                   : "output",
                     known ? p->graph->node[s->node].name : "",
                     s->kind == DN_PRIM   ? s->prim.impl
                     : s->kind == DN_OWN  ? dn_own_name(&s->own)
                     : s->kind == DN_EVAL ? "evaluation"
                                          : "zero fill",
                     text);
    }
    return at;
}
