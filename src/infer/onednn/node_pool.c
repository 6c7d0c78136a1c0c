/* node_pool.c: pooling, reductions, normalisation, softmax. */
#include "nodes.h"

#include <string.h>

rad_status dn_channel_form(struct dn_build *b, int value, int *ret_tensor, rad_layout *ret_layout, rad_error *err) {
    rad_md md;
    rad_status st = dn_native(b, value, ret_tensor, err);
    if (st != RAD_OK)
        return st;
    *ret_layout = rad_md_get_layout(dn_tensor_md(b, *ret_tensor));
    if ((*ret_layout == RAD_LAYOUT_BLOCKED || *ret_layout == RAD_LAYOUT_LAST) && dn_tensor_md(b, *ret_tensor)->data_type == b->type)
        return RAD_OK;
    *ret_layout = b->layout;
    if (!dn_md(b, value, *ret_layout, &md)) {
        *ret_layout = RAD_LAYOUT_PLAIN;
        if (!dn_md(b, value, *ret_layout, &md))
            return rad_error_set(err, RAD_E_DEVICE, "oneDNN cannot describe a tensor");
    }
    return dn_get(b, value, &md, ret_tensor, err);
}

/* ---------------------------------------------------------------- pooling */

/* A window over value x into a result described by `y_shape`; the tensor written is y itself or (keepdims = 0) a view of it. */
static rad_status pool(struct dn_build *b, int x, int y, const rad_shape *y_shape, dnnl_alg_kind_t alg, const rad_window_params *w,
                       bool *ret_done, rad_error *err) {
    rad_prim prim = {0};
    rad_layout layout = RAD_LAYOUT_PLAIN;
    rad_md dst, plain;
    rad_status st = RAD_OK;
    struct dn_arg arg[2] = {{DNNL_ARG_SRC, -1}, {DNNL_ARG_DST, -1}};
    RAD_TRY(dn_channel_form(b, x, &arg[0].tensor, &layout, err));
    if (!rad_md_layout(&dst, y_shape, b->type, layout) || !rad_prim_pool(b->engine, alg, dn_tensor_md(b, arg[0].tensor), &dst, w, &prim))
        return RAD_OK;
    if (rad_shape_equal(y_shape, &dn_value_of(b, y)->shape)) {
        RAD_TRY(dn_make(b, y, &dst, &arg[1].tensor, err));
        RAD_TRY(dn_step_prim(b, &prim, arg, 2, err));
    } else {
        RAD_TRY(dn_make_loose(b, &dst, &arg[1].tensor, err));
        RAD_TRY(dn_step_prim(b, &prim, arg, 2, err));
        /* y has the same elements in fewer dims: row-major, then seen as y */
        int t = arg[1].tensor, unused = -1;
        if (!rad_md_layout(&plain, y_shape, dnnl_f32, RAD_LAYOUT_PLAIN) ||
            !rad_md_layout(&dst, &dn_value_of(b, y)->shape, dnnl_f32, RAD_LAYOUT_PLAIN)) {
            st = rad_error_set(err, RAD_E_DEVICE, "oneDNN cannot describe a tensor");
            goto out;
        }
        if (!rad_md_same_bytes(dn_tensor_md(b, t), &plain)) {
            RAD_TRY(dn_make_loose(b, &plain, &t, err));
            RAD_TRY(dn_copy(b, arg[1].tensor, t, err));
        }
        RAD_TRY(dn_alias(b, y, t, 0, &dst, &unused, err));
    }
    *ret_done = true;
out:
    rad_prim_release(&prim);
    return st;
}

rad_status dn_node_pool(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err) {
    const int x = dn_in(n, 0), y = n->output[0];
    const bool is_max = strstr(n->op->name, "Max") != NULL;
    rad_window_params w;
    if (!dn_is_float(b, x) || !dn_is_float(b, y) || (n->n_output > 1 && n->output[1] >= 0))
        return RAD_OK;
    rad_status st = rad_window_params_get(n, &dn_value_of(b, x)->shape, NULL, &w, err);
    if (st != RAD_OK)
        return st;
    for (int i = 0; i < w.n_axis; i++) {
        const int64_t reach = (w.kernel[i] - 1) * w.dilation[i] + 1;
        const int64_t end = (w.out[i] - 1) * w.stride[i] + reach - w.in[i] - w.pad_begin[i];
        /* A window cut by ceil_mode: the library counts its missing part as padding, the standard does not count it at all. */
        if (end > w.pad_end[i] && !is_max && w.count_include_pad)
            return RAD_OK;
        /* Windows that hold nothing but padding are the standard's business. */
        if (w.pad_begin[i] >= reach || end >= reach)
            return RAD_OK;
        w.pad_end[i] = end > 0 ? end : 0;
    }
    const dnnl_alg_kind_t alg = is_max                ? dnnl_pooling_max
                                : w.count_include_pad ? dnnl_pooling_avg_include_padding
                                                      : dnnl_pooling_avg_exclude_padding;
    return pool(b, x, y, &dn_value_of(b, y)->shape, alg, &w, ret_done, err);
}

/* ---------------------------------------------------------------- reductions */

/* Axes of a reduction from attribute or constant input as flags per dim of `s`; false when they are not known now. */
static bool reduced_axes(const struct dn_build *b, const rad_node *n, const rad_shape *s, bool *ret) {
    const rad_attr *a = rad_node_attr(n, "axes");
    const int input = dn_in(n, 1);
    int64_t count = 0;
    memset(ret, 0, RAD_MAX_RANK * sizeof *ret);
    if (input >= 0) {
        const rad_value *v = dn_value_of(b, input);
        if (v->data == NULL || v->dtype != RAD_DT_I64)
            return false;
        count = rad_shape_count(&v->shape);
    } else if (a != NULL) {
        count = a->n;
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t axis = 0;
        if (input >= 0)
            memcpy(&axis, (const char *)dn_value_of(b, input)->data + (size_t)i * sizeof axis, sizeof axis);
        else
            axis = a->ints[i];
        axis += axis < 0 ? s->rank : 0;
        if (axis < 0 || axis >= s->rank)
            return false;
        ret[axis] = true;
    }
    for (int i = 0; count == 0 && i < s->rank; i++)
        ret[i] = true;
    return count > 0 || rad_node_attr_int(n, "noop_with_empty_axes", 0) == 0;
}

rad_status dn_node_reduce(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err) {
    const int x = dn_in(n, 0), y = n->output[0];
    const bool is_max = strcmp(n->op->name, "ReduceMax") == 0;
    bool reduced[RAD_MAX_RANK];
    if (!dn_is_float(b, x) || !dn_is_float(b, y) || !reduced_axes(b, n, &dn_value_of(b, x)->shape, reduced))
        return RAD_OK;
    const rad_shape s = dn_value_of(b, x)->shape;
    rad_shape kept = s;
    bool is_global = s.rank >= 3 && s.rank <= 5 && !reduced[0] && !reduced[1];
    rad_window_params w = {.n_axis = s.rank - 2, .group = 1};
    for (int i = 0; i < s.rank; i++) {
        kept.dim[i] = reduced[i] ? 1 : s.dim[i];
        is_global = is_global && (i < 2 || reduced[i]);
    }
    for (int i = 0; is_global && i < w.n_axis; i++) {
        w.kernel[i] = w.in[i] = s.dim[i + 2];
        w.stride[i] = w.dilation[i] = w.out[i] = 1;
    }
    if (is_global)
        return pool(b, x, y, &kept, is_max ? dnnl_pooling_max : dnnl_pooling_avg_exclude_padding, &w, ret_done, err);
    rad_prim prim = {0};
    rad_md src, dst;
    rad_status st = RAD_OK;
    struct dn_arg arg[2] = {{DNNL_ARG_SRC, -1}, {DNNL_ARG_DST, -1}};
    if (!rad_md_layout(&src, &s, dnnl_f32, RAD_LAYOUT_PLAIN) || !rad_md_layout(&dst, &kept, dnnl_f32, RAD_LAYOUT_PLAIN) ||
        !rad_prim_reduction(b->engine, is_max ? dnnl_reduction_max : dnnl_reduction_mean, &src, &dst, &prim))
        return RAD_OK;
    RAD_TRY(dn_get(b, x, &src, &arg[0].tensor, err));
    RAD_TRY(dn_make_viewed(b, y, &dst, &arg[1].tensor, err));
    RAD_TRY(dn_step_prim(b, &prim, arg, 2, err));
    *ret_done = true;
out:
    rad_prim_release(&prim);
    return st;
}

/* ---------------------------------------------------------------- normalisation */

rad_status dn_node_batch_norm(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err) {
    const int x = dn_in(n, 0);
    int y = n->output[0];
    if (!dn_is_float(b, x) || !dn_is_float(b, y) || dn_value_of(b, x)->shape.rank < 2 || rad_node_attr_int(n, "training_mode", 0) != 0)
        return RAD_OK;
    for (int k = 1; k < 5; k++)
        if (!dn_is_float(b, dn_in(n, k)) || !dn_is_const(b, dn_in(n, k)))
            return RAD_OK;
    for (int k = 1; k < n->n_output; k++)
        if (n->output[k] >= 0)
            return RAD_OK;
    /* A rectifier that is the only reader rides along. */
    const int reader = b->value[y].last_use;
    const bool relu = dn_value_of(b, y)->n_use == 1 && reader < b->graph->n_node && strcmp(b->graph->node[reader].op->name, "Relu") == 0;
    rad_prim prim = {0};
    rad_layout layout = RAD_LAYOUT_PLAIN;
    rad_status st = RAD_OK;
    struct dn_arg arg[6] = {{DNNL_ARG_SRC, -1},   {DNNL_ARG_DST, -1},  {DNNL_ARG_SCALE, -1},
                            {DNNL_ARG_SHIFT, -1}, {DNNL_ARG_MEAN, -1}, {DNNL_ARG_VARIANCE, -1}};
    RAD_TRY(dn_channel_form(b, x, &arg[0].tensor, &layout, err));
    const rad_md md = *dn_tensor_md(b, arg[0].tensor);
    if (!rad_prim_batch_norm(b->engine, &md, (float)rad_node_attr_float(n, "epsilon", 1e-5), relu, &prim))
        return RAD_OK;
    if (relu)
        y = b->graph->node[reader].output[0];
    RAD_TRY(dn_make(b, y, &md, &arg[1].tensor, err));
    for (int k = 1; k < 5; k++)
        RAD_TRY(dn_get_plain(b, n->input[k], &arg[k + 1].tensor, err));
    RAD_TRY(dn_step_prim(b, &prim, arg, 6, err));
    b->value[y].done = relu;
    *ret_done = true;
out:
    rad_prim_release(&prim);
    return st;
}

rad_status dn_node_layer_norm(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err) {
    const int x = dn_in(n, 0), scale = dn_in(n, 1), shift = dn_in(n, 2), y = n->output[0];
    if (!dn_is_float(b, x) || !dn_is_float(b, y) || !dn_is_float(b, scale) || !dn_is_float(b, shift))
        return RAD_OK;
    for (int k = 1; k < n->n_output; k++)
        if (n->output[k] >= 0)
            return RAD_OK;
    const rad_shape *s = &dn_value_of(b, x)->shape;
    const int64_t axis = rad_node_attr_int(n, "axis", -1);
    if (s->rank < 2 || s->rank > 5 || (axis != -1 && axis != s->rank - 1) || dn_value_of(b, scale)->shape.rank != 1 ||
        dn_value_of(b, shift)->shape.rank != 1)
        return RAD_OK;
    rad_prim prim = {0};
    rad_md md;
    rad_status st = RAD_OK;
    struct dn_arg arg[4] = {{DNNL_ARG_SRC, -1}, {DNNL_ARG_DST, -1}, {DNNL_ARG_SCALE, -1}, {DNNL_ARG_SHIFT, -1}};
    if (!rad_md_layout(&md, s, dnnl_f32, RAD_LAYOUT_PLAIN) ||
        !rad_prim_layer_norm(b->engine, &md, (float)rad_node_attr_float(n, "epsilon", 1e-5), &prim))
        return RAD_OK;
    RAD_TRY(dn_get(b, x, &md, &arg[0].tensor, err));
    RAD_TRY(dn_get_plain(b, scale, &arg[2].tensor, err));
    RAD_TRY(dn_get_plain(b, shift, &arg[3].tensor, err));
    RAD_TRY(dn_make(b, y, &md, &arg[1].tensor, err));
    RAD_TRY(dn_step_prim(b, &prim, arg, 4, err));
    *ret_done = true;
out:
    rad_prim_release(&prim);
    return st;
}

/* ---------------------------------------------------------------- softmax */

rad_status dn_node_softmax(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err) {
    const int x = dn_in(n, 0), y = n->output[0];
    if (!dn_is_float(b, x) || !dn_is_float(b, y) || dn_value_of(b, x)->shape.rank < 1)
        return RAD_OK;
    rad_shape s = dn_value_of(b, x)->shape;
    int64_t axis = rad_node_attr_int(n, "axis", n->opset < 13 ? 1 : -1);
    axis += axis < 0 ? s.rank : 0;
    if (n->opset < 13) { /* everything from the axis on is one axis */
        rad_shape two = {.rank = 2, .dim = {1, 1}};
        for (int i = 0; i < s.rank; i++)
            two.dim[i < axis ? 0 : 1] *= s.dim[i];
        s = two;
        axis = 1;
    }
    rad_prim prim = {0};
    rad_md md;
    rad_status st = RAD_OK;
    struct dn_arg arg[2] = {{DNNL_ARG_SRC, -1}, {DNNL_ARG_DST, -1}};
    if (!rad_md_layout(&md, &s, dnnl_f32, RAD_LAYOUT_PLAIN) ||
        !rad_prim_softmax(b->engine, strcmp(n->op->name, "LogSoftmax") == 0, &md, (int)axis, &prim))
        return RAD_OK;
    RAD_TRY(dn_get_viewed(b, x, &md, &md, &arg[0].tensor, err));
    RAD_TRY(dn_make_viewed(b, y, &md, &arg[1].tensor, err));
    RAD_TRY(dn_step_prim(b, &prim, arg, 2, err));
    *ret_done = true;
out:
    rad_prim_release(&prim);
    return st;
}
