/* Removes nodes that hand their first input on unchanged. On whenever folding is on: exact to the bit.
 *
 * Identity; Dropout (inference; kept when its mask is read or training is asked for); Cast to the same type; Pad by nothing; Concat, Sum,
 * Max, Min, Mean of one; 1x1 pooling; Reshape, Flatten, Squeeze, Unsqueeze, Expand and forward Slice to the same shape; Transpose that
 * permutes nothing. Stays when the node makes a graph output whose source something else reads too, or that is an input or constant. */
#include <stdlib.h>
#include <string.h>

#include "model_internal.h"

static bool is_const_zero(const rad_build *b, int v) {
    if (v < 0)
        return true;
    const rad_value *c = &b->g->value[v];
    int64_t n = rad_shape_count(&c->shape);
    if (!c->data || n < 0)
        return false;
    const uint8_t *p = c->data;
    for (size_t i = 0; i < (size_t)n * rad_dtype_size(c->dtype); i++)
        if (p[i])
            return false;
    return true;
}

static bool same_shape(const rad_build *b, const rad_node *n) {
    return rad_shape_equal(&b->g->value[n->input[0]].shape, &b->g->value[n->output[0]].shape);
}

static bool pads_nothing(const rad_build *b, const rad_node *n) {
    const rad_attr *a = rad_node_attr(n, "pads");
    for (int64_t i = 0; a && i < a->n; i++)
        if (a->ints[i])
            return false;
    return n->n_input < 2 || is_const_zero(b, n->input[1]);
}

static bool slices_nothing(const rad_build *b, const rad_node *n) {
    if (!same_shape(b, n))
        return false;
    if (n->n_input < 5 || n->input[4] < 0)
        return true; /* steps of 1 */
    const rad_value *s = &b->g->value[n->input[4]];
    int64_t count = rad_shape_count(&s->shape);
    for (int64_t i = 0; s->data && s->dtype == RAD_DT_I64 && i < count; i++)
        if (((const int64_t *)s->data)[i] != 1)
            return false;
    return s->data && s->dtype == RAD_DT_I64;
}

static bool pools_nothing(const rad_build *b, const rad_node *n) {
    rad_window_params p;
    if (n->n_output > 1 || !same_shape(b, n) || rad_window_params_get(n, &b->g->value[n->input[0]].shape, NULL, &p, NULL) != RAD_OK)
        return false;
    for (int i = 0; i < p.n_axis; i++)
        if (p.kernel[i] != 1 || p.stride[i] != 1 || p.pad_begin[i] || p.pad_end[i])
            return false;
    return true;
}

static bool is_identity(const rad_build *b, const rad_node *n) {
    static const char *const of_one[] = {"Concat", "Sum", "Max", "Min", "Mean", NULL};
    static const char *const reshaping[] = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand", NULL};
    if (!n->op || n->n_input < 1 || n->input[0] < 0 || n->output[0] < 0)
        return false;
    if (b->g->value[n->input[0]].dtype != b->g->value[n->output[0]].dtype)
        return false;
    if (rad_node_is(n, "Identity") || rad_node_is(n, "Cast"))
        return true;
    if (rad_node_is(n, "Dropout")) {
        bool mask = n->n_output > 1 && n->output[1] >= 0 && b->g->value[n->output[1]].n_use > 0;
        return !mask && (n->n_input < 3 || is_const_zero(b, n->input[2]));
    }
    for (int i = 0; of_one[i]; i++)
        if (rad_node_is(n, of_one[i]))
            return n->n_input == 1;
    for (int i = 0; reshaping[i]; i++)
        if (rad_node_is(n, reshaping[i]))
            return same_shape(b, n);
    if (rad_node_is(n, "Pad"))
        return pads_nothing(b, n);
    if (rad_node_is(n, "Slice"))
        return slices_nothing(b, n);
    if (rad_node_is(n, "AveragePool") || rad_node_is(n, "MaxPool"))
        return pools_nothing(b, n);
    if (rad_node_is(n, "Transpose")) {
        const rad_attr *perm = rad_node_attr(n, "perm");
        for (int64_t i = 0; perm && i < perm->n; i++)
            if (perm->ints[i] != i)
                return false;
        return perm || b->g->value[n->input[0]].shape.rank < 2;
    }
    return false;
}

rad_status rad_pass_identity(rad_build *b, rad_error *err) {
    rad_graph *g = b->g;
    int *alias = rad_malloc(((size_t)g->n_value + 1) * sizeof *alias);
    if (!alias)
        return rad_onnx_nomem(b->model, err);
    for (int v = 0; v < g->n_value; v++)
        alias[v] = v;
    rad_build_recount(b);
    for (int i = 0; i < g->n_node; i++) {
        rad_node *n = &g->node[i];
        if (!n->op)
            continue;
        for (int k = 0; k < n->n_input; k++)
            if (n->input[k] >= 0)
                n->input[k] = alias[n->input[k]]; /* its use was counted when the alias was made */
        if (!is_identity(b, n))
            continue;
        int x = n->input[0], y = n->output[0];
        rad_node *p = rad_build_sole_producer(b, x);
        if (!b->is_output[y]) {
            alias[y] = x;
            g->value[x].n_use += g->value[y].n_use;
            g->value[y].n_use = 0;
            rad_build_kill(b, n);
        } else if (p) {
            rad_build_take_output(b, p, n);
        } else {
            continue;
        }
        b->stats.identities++;
    }
    free(alias);
    rad_build_recount(b);
    return RAD_OK;
}
