/* node_host.c: nodes without a kernel: integers, comparisons, and what no network of the field has in its hot part. Their operands come to
 * the CPU in the midst of the pass, the operator's own evaluation (the reference's) runs there, and the results go back. Slow, but the
 * truth; the plan's description names every one of them. */
#include "nodes.h"

#include <stdlib.h>
#include <string.h>

void g_host_free(struct g_host *h) {
    if (h == NULL)
        return;
    for (int k = 0; k < h->n_operand; k++)
        free(h->operand[k].fixed);
    free(h->operand);
    free(h);
}

bool g_host_takes(const rad_graph *g, const rad_node *n) {
    for (int k = 0; k < n->n_input; k++)
        if (n->input[k] >= 0 && rad_dtype_size(g->value[n->input[k]].dtype) == 0)
            return false;
    for (int k = 0; k < n->n_output; k++)
        if (n->output[k] >= 0 && rad_dtype_size(g->value[n->output[k]].dtype) == 0)
            return false;
    return true;
}

/* Bytes of a value, and a tensor that holds them as they are; `type` says which float a kernel may take it for. */
rad_status g_make_raw(struct g_build *b, int value, int *ret, rad_error *err) {
    const rad_value *v = g_value(b, value);
    const int64_t count = rad_shape_count(&v->shape);
    if (v->dtype == RAD_DT_F32 && count > 0)
        return g_make(b, &v->shape, G_PLAIN, K_F32, ret, err);
    struct g_tensor t = {.type = K_F32, .shape = v->shape, .stored = 1};
    t.root = count < 0 ? -1 : g_add_root(b->plan, (size_t)count * rad_dtype_size(v->dtype));
    return t.root < 0 ? g_nomem(err) : g_view(b, &t, ret, err);
}

static rad_status set_input(struct g_build *b, int value, struct g_operand *o, rad_error *err) {
    int t = -1;
    rad_status st = RAD_OK;
    o->root = -1;
    if (value < 0)
        return RAD_OK;
    const rad_value *v = g_value(b, value);
    const int64_t count = rad_shape_count(&v->shape);
    o->tensor = (rad_tensor){.dtype = v->dtype, .shape = v->shape};
    o->size = (size_t)(count > 0 ? count : 0) * rad_dtype_size(v->dtype);
    if (g_is_const(b, value)) { /* the file may change while the plan lives */
        o->fixed = b->dry ? NULL : rad_aligned(o->size + 1);
        if (o->fixed == NULL && !b->dry)
            return g_nomem(err);
        if (o->fixed != NULL)
            memcpy(o->fixed, v->data, o->size);
        return RAD_OK;
    }
    if (g_is_float(b, value)) {
        RAD_TRY(g_get(b, value, G_PLAIN, K_F32, &t, err));
        o->offset = (size_t)g_at(b, t)->offset * sizeof(float);
    } else if (b->value[value].n_form > 0) {
        t = b->value[value].form[0];
    } else {
        return rad_error_set(err, RAD_E_INTERNAL, "value '%.160s' is used before it is made", v->name);
    }
    o->root = g_at(b, t)->root;
    o->used = true;
out:
    return st;
}

rad_status g_node_host(struct g_build *b, const rad_node *n, rad_error *err) {
    struct g_host *h = rad_calloc(1, sizeof *h);
    rad_status st = RAD_OK;
    int made[RAD_MAX_NODE_OUTPUTS];
    if (h != NULL)
        h->operand = rad_calloc((size_t)(n->n_input + 1 + n->n_output), sizeof *h->operand);
    if (h == NULL || h->operand == NULL || n->n_output > RAD_MAX_NODE_OUTPUTS) {
        st = g_nomem(err);
        goto out;
    }
    h->node = n;
    h->n_operand = n->n_input + 1 + n->n_output;
    for (int k = 0; k <= n->n_input; k++) /* the residual last */
        RAD_TRY(set_input(b, k < n->n_input ? n->input[k] : n->residual, &h->operand[k], err));
    for (int k = 0; k < n->n_output; k++) {
        struct g_operand *o = &h->operand[n->n_input + 1 + k];
        o->root = -1;
        if (n->output[k] < 0)
            continue;
        const rad_value *v = g_value(b, n->output[k]);
        const int64_t count = rad_shape_count(&v->shape);
        RAD_TRY(g_make_raw(b, n->output[k], &made[k], err));
        o->tensor = (rad_tensor){.dtype = v->dtype, .shape = v->shape};
        o->size = (size_t)(count > 0 ? count : 0) * rad_dtype_size(v->dtype);
        o->root = g_at(b, made[k])->root;
        o->used = true;
    }
    RAD_TRY(g_step_host(b, h, err));
    h = NULL;
    for (int k = 0; k < n->n_output; k++)
        if (n->output[k] >= 0)
            RAD_TRY(g_give(b, n->output[k], made[k], err));
out:
    g_host_free(h);
    return st;
}

rad_status g_host_run(const struct g_host *h, void *const *data, rad_error *err) {
    rad_tensor t[RAD_MAX_NODE_INPUTS + 1 + RAD_MAX_NODE_OUTPUTS];
    const rad_node *n = h->node;
    for (int k = 0; k < h->n_operand; k++) {
        t[k] = h->operand[k].tensor;
        t[k].data = h->operand[k].used ? data[k] : h->operand[k].fixed;
    }
    return rad_node_eval(n, t, n->residual >= 0 ? &t[n->n_input] : NULL, &t[n->n_input + 1], err);
}
