/* node_conv.c: convolutions and matrix products. */
#include "nodes.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- convolution */

/* Weights [K, C/g, k...] (Conv) or [C, K/g, k...] (ConvTranspose) as oneDNN sees them: [(g,) K/g, C/g, k...], row-major content kept. */
static bool weights_view(const rad_shape *w, int64_t group, bool transposed, rad_md *ret_view, rad_shape *ret_shape) {
    rad_shape s = {0};
    int64_t stride[RAD_MAX_RANK], at = 1;
    const int lead = group > 1 ? 1 : 0;
    if (w->rank + lead > RAD_MAX_RANK)
        return false;
    s.rank = w->rank + lead;
    for (int i = w->rank - 1; i >= 2; i--) {
        s.dim[i + lead] = w->dim[i];
        stride[i + lead] = at;
        at *= w->dim[i];
    }
    const int64_t first = w->dim[0] / group; /* K/g, or C/g when transposed */
    s.dim[lead] = transposed ? w->dim[1] : first;
    s.dim[lead + 1] = transposed ? first : w->dim[1];
    stride[lead] = transposed ? at : at * w->dim[1];
    stride[lead + 1] = transposed ? at * w->dim[1] : at;
    if (lead == 1) {
        s.dim[0] = group;
        stride[0] = at * w->dim[0] * w->dim[1] / group;
    }
    *ret_shape = s;
    return rad_md_strided(ret_view, &s, dnnl_f32, stride);
}

struct attempt {
    rad_layout src, dst;
    bool take_gemm;
};

/* The fast direct kernels first in the network's layout; then whatever the library likes best; then matrices in memory. */
static bool make_conv(struct dn_build *b, const rad_node *n, rad_conv_desc *c, const rad_post *post, rad_prim *ret) {
    const rad_shape *x = &dn_value_of(b, n->input[0])->shape, *y = &dn_value_of(b, n->output[0])->shape;
    const struct attempt attempts[] = {{b->layout, b->layout, false},
                                       {RAD_LAYOUT_ANY, b->layout, false},
                                       {RAD_LAYOUT_ANY, RAD_LAYOUT_ANY, false},
                                       {RAD_LAYOUT_ANY, RAD_LAYOUT_ANY, true}};
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
        c->take_gemm = attempts[i].take_gemm;
        if (rad_md_layout(&c->src, x, b->type, attempts[i].src) && rad_md_layout(&c->dst, y, b->type, attempts[i].dst) &&
            rad_prim_conv(b->engine, c, post, ret))
            return true;
    }
    return false;
}

/* The result's memory. With a residual the library adds to what is there: in place on the residual when nobody needs it afterwards,
 * otherwise on a copy of it. */
static rad_status make_sum_target(struct dn_build *b, const rad_node *n, const rad_md *md, int src, int *ret_dst, rad_error *err) {
    int residual = -1;
    rad_status st = dn_get(b, n->residual, md, &residual, err);
    if (st != RAD_OK)
        return st;
    if (dn_may_overwrite(b, residual) && b->plan->tensor[residual].root != b->plan->tensor[src].root)
        return dn_alias(b, n->output[0], residual, 0, md, ret_dst, err);
    st = dn_make(b, n->output[0], md, ret_dst, err);
    return st == RAD_OK ? dn_copy(b, residual, *ret_dst, err) : st;
}

/* A convolution by our own kernels, with weights as they want them; *ret_done stays false when it is none of theirs. */
static rad_status own_conv(struct dn_build *b, const rad_node *n, const rad_conv_desc *c, const rad_post *post, bool *ret_done,
                           rad_error *err) {
    const int x = n->input[0], w = n->input[1], y = n->output[0], bias = dn_in(n, 2);
    const rad_shape *xs = &dn_value_of(b, x)->shape, *ys = &dn_value_of(b, y)->shape;
    struct dn_own own;
    rad_md src, dst;
    size_t weight_bytes = 0, scratch_bytes = 0;
    rad_status st = RAD_OK;
    if (b->type != dnnl_f32 || b->layout != RAD_LAYOUT_LAST || c->transposed || !dn_is_const(b, w) ||
        (bias >= 0 && !dn_is_const(b, bias)) || !dn_own_choose(&c->window, xs->dim[0], xs->dim[1], ys->dim[1], post, &own) ||
        !dn_own_sizes(&own, 1, &weight_bytes, &scratch_bytes) || !rad_md_layout(&src, xs, dnnl_f32, RAD_LAYOUT_LAST) ||
        !rad_md_layout(&dst, ys, dnnl_f32, RAD_LAYOUT_LAST))
        return RAD_OK;
    struct dn_arg arg[5] = {{DNNL_ARG_SRC, -1}, {DNNL_ARG_WEIGHTS, -1}, {DNNL_ARG_BIAS, -1}, {DNNL_ARG_DST, -1}, {DNNL_ARG_SCRATCHPAD, -1}};
    const size_t bias_bytes = (size_t)own.filters * sizeof(float);
    float *packed = rad_aligned(weight_bytes), *first = rad_aligned(bias_bytes);
    if (packed == NULL || first == NULL) {
        st = dn_nomem(err);
        goto out;
    }
    const struct dn_pack item = {.data = dn_value_of(b, w)->data,
                                 .size = (size_t)rad_shape_count(&dn_value_of(b, w)->shape) * sizeof(float),
                                 .own = &own,
                                 .dst = packed,
                                 .name = n->name};
    memset(first, 0, bias_bytes);
    if (bias >= 0)
        memcpy(first, dn_value_of(b, bias)->data, bias_bytes);
    st = dn_make_packed(b, packed, weight_bytes, &arg[1].tensor, err);
    packed = NULL;
    if (st != RAD_OK)
        goto out;
    RAD_TRY(dn_packer_put(b->packer, &item, err));
    st = dn_make_packed(b, first, bias_bytes, &arg[2].tensor, err);
    first = NULL;
    if (st != RAD_OK)
        goto out;
    RAD_TRY(dn_get(b, x, &src, &arg[0].tensor, err));
    if (post->sum)
        RAD_TRY(make_sum_target(b, n, &dst, arg[0].tensor, &arg[3].tensor, err));
    else
        RAD_TRY(dn_make(b, y, &dst, &arg[3].tensor, err));
    RAD_TRY(dn_make_scratch(b, scratch_bytes, &arg[4].tensor, err));
    RAD_TRY(dn_step_own(b, &own, arg, 5, err));
    *ret_done = true;
out:
    free(packed);
    free(first);
    return st;
}

rad_status dn_node_conv(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err) {
    rad_conv_desc c = {.transposed = strcmp(n->op->name, "ConvTranspose") == 0};
    const int x = dn_in(n, 0), w = dn_in(n, 1), bias = dn_in(n, 2), y = n->output[0];
    rad_prim prim = {0};
    rad_post post;
    rad_md view;
    rad_shape w_shape;
    rad_status st = RAD_OK;
    if (!dn_is_float(b, x) || !dn_is_float(b, w) || !dn_is_float(b, y) || (bias >= 0 && !dn_is_float(b, bias)) || !dn_post_of(n, &post))
        return RAD_OK;
    RAD_TRY(rad_window_params_get(n, &dn_value_of(b, x)->shape, &dn_value_of(b, w)->shape, &c.window, err));
    if (c.window.n_axis > 3 || !weights_view(&dn_value_of(b, w)->shape, c.window.group, c.transposed, &view, &w_shape))
        return RAD_OK;
    for (int i = 0; i < c.window.n_axis; i++) /* transposed: extra rows at the end are padding that the library counts negatively */
        if (c.transposed && c.window.output_pad[i] != 0)
            c.window.pad_end[i] -= c.window.output_pad[i];
    post.sum = n->residual >= 0;
    c.has_bias = bias >= 0;
    RAD_TRY(own_conv(b, n, &c, &post, ret_done, err));
    if (*ret_done || !rad_md_layout(&c.weights, &w_shape, b->type, RAD_LAYOUT_ANY))
        return RAD_OK;
    if (c.has_bias && !rad_md_layout(&c.bias, &dn_value_of(b, bias)->shape, dnnl_f32, RAD_LAYOUT_PLAIN))
        return RAD_OK;
    if (!make_conv(b, n, &c, &post, &prim))
        return RAD_OK;
    struct dn_arg arg[5] = {{DNNL_ARG_SRC, -1}, {DNNL_ARG_WEIGHTS, -1}, {DNNL_ARG_DST, -1}, {DNNL_ARG_BIAS, -1}};
    RAD_TRY(dn_get(b, x, &prim.src, &arg[0].tensor, err));
    RAD_TRY(dn_get_viewed(b, w, &view, &prim.weights, &arg[1].tensor, err));
    if (c.has_bias)
        RAD_TRY(dn_get_plain(b, bias, &arg[3].tensor, err));
    if (post.sum)
        RAD_TRY(make_sum_target(b, n, &prim.dst, arg[0].tensor, &arg[2].tensor, err));
    else
        RAD_TRY(dn_make(b, y, &prim.dst, &arg[2].tensor, err));
    RAD_TRY(dn_step_prim(b, &prim, arg, c.has_bias ? 4 : 3, err));
    *ret_done = true;
    return RAD_OK;
out:
    rad_prim_release(&prim);
    return st;
}

/* ---------------------------------------------------------------- matrix products */

static bool matrix(rad_md *md, dnnl_data_type_t type, int64_t rows, int64_t columns, bool transposed) {
    const rad_shape s = {.rank = 2, .dim = {rows, columns}};
    const int64_t stride[2] = {transposed ? 1 : columns, transposed ? rows : 1};
    return rad_md_strided(md, &s, type, stride);
}

/* x [rows, inner] times a weight matrix (w: value of inner x columns elements, row-major; `w_by_column` when it lies as [columns, inner]),
 * plus bias [columns] (value or -1), into the output. */
static rad_status inner_product(struct dn_build *b, const rad_node *n, int64_t rows, int64_t inner, int64_t columns, bool w_by_column,
                                int bias, bool *ret_done, rad_error *err) {
    const int x = n->input[0], w = n->input[1], y = n->output[0];
    const rad_shape w_shape = {.rank = 2, .dim = {columns, inner}}, b_shape = {.rank = 1, .dim = {columns}};
    rad_md src, view, weights, bias_md, dst, x_view;
    rad_prim prim = {0};
    rad_post post;
    rad_status st = RAD_OK;
    if (n->residual >= 0 || !dn_post_of(n, &post) || !matrix(&src, b->type, rows, inner, false) ||
        !matrix(&x_view, dnnl_f32, rows, inner, false) || !matrix(&dst, dnnl_f32, rows, columns, false) ||
        !matrix(&view, dnnl_f32, columns, inner, !w_by_column) || !rad_md_layout(&weights, &w_shape, b->type, RAD_LAYOUT_ANY) ||
        !rad_md_layout(&bias_md, &b_shape, dnnl_f32, RAD_LAYOUT_PLAIN))
        return RAD_OK;
    if (!rad_prim_inner_product(b->engine, &src, &weights, bias >= 0 ? &bias_md : NULL, &dst, &post, &prim))
        return RAD_OK;
    struct dn_arg arg[4] = {{DNNL_ARG_SRC, -1}, {DNNL_ARG_WEIGHTS, -1}, {DNNL_ARG_DST, -1}, {DNNL_ARG_BIAS, -1}};
    RAD_TRY(dn_get_viewed(b, x, &x_view, &prim.src, &arg[0].tensor, err));
    RAD_TRY(dn_get_viewed(b, w, &view, &prim.weights, &arg[1].tensor, err));
    if (bias >= 0)
        RAD_TRY(dn_get_viewed(b, bias, &bias_md, &bias_md, &arg[3].tensor, err));
    RAD_TRY(dn_make_viewed(b, y, &prim.dst, &arg[2].tensor, err));
    RAD_TRY(dn_step_prim(b, &prim, arg, bias >= 0 ? 4 : 3, err));
    *ret_done = true;
    return RAD_OK;
out:
    rad_prim_release(&prim);
    return st;
}

/* Y = alpha A' B' + beta C with constant B and C: the fully connected layer of every exporter. */
rad_status dn_node_gemm(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err) {
    const int x = dn_in(n, 0), w = dn_in(n, 1), bias = dn_in(n, 2), y = n->output[0];
    if (!dn_is_float(b, x) || !dn_is_float(b, w) || !dn_is_float(b, y) || !dn_is_const(b, w) || rad_node_attr_int(n, "transA", 0) != 0 ||
        rad_node_attr_float(n, "alpha", 1.0) != 1.0)
        return RAD_OK;
    const rad_shape *xs = &dn_value_of(b, x)->shape, *ys = &dn_value_of(b, y)->shape;
    if (bias >= 0 && (!dn_is_float(b, bias) || rad_node_attr_float(n, "beta", 1.0) != 1.0 ||
                      dn_value_of(b, bias)->shape.dim[dn_value_of(b, bias)->shape.rank - 1] != ys->dim[1] ||
                      rad_shape_count(&dn_value_of(b, bias)->shape) != ys->dim[1]))
        return RAD_OK;
    return inner_product(b, n, xs->dim[0], xs->dim[1], ys->dim[1], rad_node_attr_int(n, "transB", 0) != 0, bias, ret_done, err);
}

/* [..., M, K] times [..., K, N] with equal batch dims or ones. */
static rad_status batched_matmul(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err) {
    const int value[2] = {n->input[0], n->input[1]}, y = n->output[0];
    const int rank = dn_value_of(b, y)->shape.rank;
    rad_md md[2], dst;
    rad_prim prim = {0};
    rad_post post;
    rad_status st = RAD_OK;
    if (n->residual >= 0 || !dn_post_of(n, &post) || dn_value_of(b, value[0])->shape.rank < 2 || dn_value_of(b, value[1])->shape.rank < 2)
        return RAD_OK;
    for (int k = 0; k < 2; k++) {
        const rad_shape *s = &dn_value_of(b, value[k])->shape;
        rad_shape padded = {.rank = rank};
        for (int i = 0; i < rank; i++)
            padded.dim[i] = i < rank - s->rank ? 1 : s->dim[i - (rank - s->rank)];
        if (!rad_md_layout(&md[k], &padded, dnnl_f32, RAD_LAYOUT_PLAIN))
            return RAD_OK;
    }
    if (!rad_md_layout(&dst, &dn_value_of(b, y)->shape, dnnl_f32, RAD_LAYOUT_PLAIN) ||
        !rad_prim_matmul(b->engine, &md[0], &md[1], &dst, &post, &prim))
        return RAD_OK;
    struct dn_arg arg[3] = {{DNNL_ARG_SRC, -1}, {DNNL_ARG_WEIGHTS, -1}, {DNNL_ARG_DST, -1}};
    RAD_TRY(dn_get_viewed(b, value[0], &md[0], &md[0], &arg[0].tensor, err));
    RAD_TRY(dn_get_viewed(b, value[1], &md[1], &md[1], &arg[1].tensor, err));
    RAD_TRY(dn_make(b, y, &dst, &arg[2].tensor, err));
    RAD_TRY(dn_step_prim(b, &prim, arg, 3, err));
    *ret_done = true;
    return RAD_OK;
out:
    rad_prim_release(&prim);
    return st;
}

rad_status dn_node_matmul(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err) {
    const int x = dn_in(n, 0), w = dn_in(n, 1), y = n->output[0];
    if (!dn_is_float(b, x) || !dn_is_float(b, w) || !dn_is_float(b, y))
        return RAD_OK;
    const rad_shape *xs = &dn_value_of(b, x)->shape, *ws = &dn_value_of(b, w)->shape;
    if (dn_is_const(b, w) && ws->rank == 2 && xs->rank >= 2)
        return inner_product(b, n, rad_shape_count(xs) / ws->dim[0], ws->dim[0], ws->dim[1], false, -1, ret_done, err);
    return batched_matmul(b, n, ret_done, err);
}
