/* What is kept of a graph for the record: its hash (identity of the computation) and a sentence on what the passes did. */
#include <stdlib.h>
#include <string.h>

#include "model_internal.h"

#define MAX_TEXT_BYTES ((size_t)256 << 20)

static rad_status put_shape(rad_buf *t, const rad_value *v, rad_error *err) {
    char text[160];
    return rad_buf_printf(t, err, " %s%s", rad_dtype_name(v->dtype), rad_shape_text(&v->shape, text, sizeof text));
}

static rad_status put_attr(rad_buf *t, const rad_attr *a, rad_error *err) {
    rad_status st = RAD_OK;
    char hex[RAD_SHA256_HEX];
    RAD_TRY(rad_buf_printf(t, err, " %s:%d=", a->name, (int)a->kind));
    switch (a->kind) {
    case RAD_ATTR_FLOAT:
        RAD_TRY(rad_buf_printf(t, err, "%a", a->f));
        break;
    case RAD_ATTR_INT:
        RAD_TRY(rad_buf_printf(t, err, "%lld", (long long)a->i));
        break;
    case RAD_ATTR_STRING:
        RAD_TRY(rad_buf_printf(t, err, "%zu:%s", strlen(a->s), a->s));
        break;
    case RAD_ATTR_TENSOR: {
        rad_value v = {.dtype = a->t.dtype, .shape = a->t.shape};
        RAD_TRY(rad_sha256(a->t.data, (size_t)rad_shape_count(&a->t.shape) * rad_dtype_size(a->t.dtype), hex, err));
        RAD_TRY(put_shape(t, &v, err));
        RAD_TRY(rad_buf_printf(t, err, "%s", hex));
        break;
    }
    case RAD_ATTR_FLOATS:
        for (int64_t i = 0; i < a->n; i++)
            RAD_TRY(rad_buf_printf(t, err, "%a,", a->floats[i]));
        break;
    case RAD_ATTR_INTS:
        for (int64_t i = 0; i < a->n; i++)
            RAD_TRY(rad_buf_printf(t, err, "%lld,", (long long)a->ints[i]));
        break;
    case RAD_ATTR_STRINGS:
        for (int64_t i = 0; i < a->n; i++)
            RAD_TRY(rad_buf_printf(t, err, "%zu:%s,", strlen(a->strings[i]), a->strings[i]));
        break;
    case RAD_ATTR_NONE:
        break;
    }
out:
    return st;
}

static int by_name(const void *a, const void *b) {
    const rad_attr *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* "#3" for what a node or input made, "=<sha256>" with type and shape for constants, "-" for what is left out. */
static rad_status put_ref(rad_buf *t, const rad_graph *g, const int *id, int v, rad_error *err) {
    if (v < 0)
        return rad_buf_printf(t, err, " -");
    const rad_value *x = &g->value[v];
    if (id[v] >= 0)
        return rad_buf_printf(t, err, " #%d", id[v]);
    char hex[RAD_SHA256_HEX];
    rad_status st = RAD_OK;
    RAD_TRY(rad_sha256(x->data, (size_t)rad_shape_count(&x->shape) * rad_dtype_size(x->dtype), hex, err));
    RAD_TRY(put_shape(t, x, err));
    RAD_TRY(rad_buf_printf(t, err, "=%s", hex));
out:
    return st;
}

static rad_status put_node(rad_buf *t, const rad_graph *g, const rad_node *n, int *id, int *n_id, rad_error *err) {
    rad_status st = RAD_OK;
    const rad_attr **attr = rad_calloc((size_t)n->n_attr + 1, sizeof *attr);
    if (!attr)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory");
    for (int k = 0; k < n->n_attr; k++)
        attr[k] = &n->attr[k];
    qsort(attr, (size_t)n->n_attr, sizeof(const rad_attr *), by_name);
    RAD_TRY(rad_buf_printf(t, err, "%s/%d", n->op->name, n->opset));
    for (int k = 0; k < n->n_attr; k++)
        RAD_TRY(put_attr(t, attr[k], err));
    RAD_TRY(rad_buf_printf(t, err, " |"));
    for (int k = 0; k < n->n_input; k++)
        RAD_TRY(put_ref(t, g, id, n->input[k], err));
    RAD_TRY(rad_buf_printf(t, err, " | %d %a %a", (int)n->act, (double)n->act_alpha, (double)n->act_beta));
    RAD_TRY(put_ref(t, g, id, n->residual, err));
    RAD_TRY(rad_buf_printf(t, err, " |"));
    for (int k = 0; k < n->n_output; k++) {
        if (n->output[k] >= 0)
            id[n->output[k]] = (*n_id)++;
        RAD_TRY(put_ref(t, g, id, n->output[k], err));
    }
    RAD_TRY(rad_buf_printf(t, err, "\n"));
out:
    free(attr);
    return st;
}

rad_status rad_graph_hash(rad_graph *g, rad_error *err) {
    rad_status st = RAD_OK;
    rad_buf t;
    int n_id = 0;
    int *id = rad_malloc(((size_t)g->n_value + 1) * sizeof *id);
    rad_buf_init(&t, MAX_TEXT_BYTES);
    if (!id)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory");
    for (int v = 0; v < g->n_value; v++)
        id[v] = -1;
    for (int k = 0; k < g->n_input; k++) {
        RAD_TRY(put_shape(&t, &g->value[g->input[k]], err));
        id[g->input[k]] = n_id++;
    }
    RAD_TRY(rad_buf_printf(&t, err, "\n"));
    for (int i = 0; i < g->n_node; i++)
        RAD_TRY(put_node(&t, g, &g->node[i], id, &n_id, err));
    for (int k = 0; k < g->n_output; k++)
        RAD_TRY(put_ref(&t, g, id, g->output[k], err));
    st = rad_sha256(t.data, t.size, g->hash, err);
out:
    free(id);
    rad_buf_release(&t);
    return st;
}

size_t rad_graph_describe(const rad_graph *g, char *buf, size_t cap) {
    const pass_stats *s = &((const graph_owner *)g->arena)->stats;
    char branches[160] = "";
    if (s->branches)
        snprintf(branches, sizeof branches, " (largest weight change %.3g, largest relative output difference %.3g)",
                 s->branch_weight_change, s->branch_output_change);
    int n = snprintf(buf, cap,
                     "nodes %d -> %d; constants folded %d; shapes moved to the batch %d; identities removed %d; paddings merged %d; "
                     "batch norms folded %d, kept %d; scales and shifts folded %d; branches merged %d%s; residual sums fused %d; "
                     "activations fused %d; unused nodes dropped %d",
                     s->node_in, s->node_out, s->folded, s->rebatched, s->identities, s->pads, s->norms, s->norms_kept, s->scales,
                     s->branches, branches, s->residuals, s->activations, s->dead);
    return n < 0 ? 0 : (size_t)n;
}
