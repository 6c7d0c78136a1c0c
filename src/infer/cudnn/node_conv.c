/* node_conv.c: convolutions and matrix products, as far as possible by cuDNN, with channels padded to 8 when weights are imported. */
#include "nodes.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- constants */

/* Weights [K, C/g, window] (or [C, K/g, window] transposed, or [C, K] by_row) to [stored_k, window, stored_c]. */
struct import {
    int64_t k, c, window, stored_k, stored_c;
    int64_t k_stride, c_stride; /* of element (k, c, 0) in the source; window positions are neighbours (by_row: window 1) */
    int64_t group_out;          /* transposed: filters per group; 0 otherwise */
    float scale;
};

static rad_status import_weights(struct g_build *b, int value, const struct import *m, int type, int *ret, rad_error *err) {
    const rad_value *v = g_value(b, value);
    struct g_tensor t = {
        .type = type, .shape = {.rank = 3, .dim = {m->stored_k, m->window, m->stored_c}}, .inner = 2, .stored = m->stored_c};
    size_t count;
    t.stride[0] = m->window * m->stored_c;
    t.stride[1] = m->stored_c;
    t.stride[2] = 1;
    if (!rad_mul_size((size_t)m->stored_k, (size_t)t.stride[0], &count) || count > RAD_MAX_TENSOR_BYTES)
        return rad_error_set(err, RAD_E_LIMIT, "weights '%.160s' are too large", v->name);
    const size_t size = count * (type == K_F32 ? 4 : 2);
    if (b->dry)
        return g_make_constant(b, &t, NULL, size, ret, err);
    char *content = rad_aligned(size);
    if (content == NULL)
        return g_nomem(err);
    memset(content, 0, size);
    for (int64_t k = 0; k < m->k; k++) {
        /* transposed: filter k of its group reads rows of that group's channels */
        const int64_t base = m->group_out > 0 ? k / m->group_out * m->c * m->c_stride + k % m->group_out * m->k_stride : k * m->k_stride;
        for (int64_t c = 0; c < m->c; c++)
            for (int64_t w = 0; w < m->window; w++) {
                float x;
                memcpy(&x, (const char *)v->data + (size_t)(base + c * m->c_stride + w) * sizeof x, sizeof x);
                k_store(content, type, (k * m->window + w) * m->stored_c + c, x * m->scale);
            }
    }
    return g_make_constant(b, &t, content, size, ret, err);
}

static rad_status import_bias(struct g_build *b, int value, int64_t n, int64_t stored, float scale, int type, int *ret, rad_error *err) {
    const struct g_tensor t = {.type = type, .shape = {.rank = 1, .dim = {stored}}, .stride = {1}, .stored = stored};
    const size_t size = (size_t)stored * (type == K_F32 ? 4 : 2);
    const rad_value *v = g_value(b, value);
    const bool one = rad_shape_count(&v->shape) == 1;
    void *content = b->dry ? NULL : rad_aligned(size);
    if (content == NULL && !b->dry)
        return g_nomem(err);
    for (int64_t i = 0; content != NULL && i < stored; i++) {
        float x = 0.0f;
        if (i < n)
            memcpy(&x, (const char *)v->data + (one ? 0 : (size_t)i) * sizeof x, sizeof x);
        k_store(content, type, i, x * scale);
    }
    return g_make_constant(b, &t, content, size, ret, err);
}

/* ---------------------------------------------------------------- one convolution */

/* Rectifiers ride along with cuDNN's kernel; other activations are a step of their own. */
static bool takes_act(const rad_node *n) {
    return n->act == RAD_FUSE_NONE || n->act == RAD_FUSE_RELU || (n->act == RAD_FUSE_CLIP && n->act_alpha == 0.0f && n->act_beta > 0.0f);
}

struct conv {
    const rad_window_params *window;
    bool transposed;
    int x, w, bias; /* tensors; bias -1 = none */
    int y;          /* tensor to fill; channels-last */
    int z;          /* tensor like y, or -1 */
    bool act;       /* the node's activation too */
    bool cudnn;
    int64_t group_in, group_in_stored, group_out;
};

/* x and y: [N, C, spatial] channels-last. */
static rad_status step_conv(struct g_build *b, const rad_node *n, const struct conv *c, rad_error *err) {
    const struct g_tensor x = *g_at(b, c->x), y = *g_at(b, c->y);
    const rad_window_params *p = c->window;
    const struct g_map fused = g_fused(n);
    struct k_args a = {.kind = K_CONV, .rank = 5, .transposed = c->transposed, .act = c->act ? fused.act : K_COPY};
    cu_conv q;
    memset(&q, 0, sizeof q);
    a.act_alpha = fused.act_alpha;
    a.act_beta = fused.act_beta;
    const int tensor[K_VIEWS] = {c->y, c->x, c->w, c->bias, c->z};
    int root[K_VIEWS];
    for (int k = 0; k < K_VIEWS; k++) {
        root[k] = tensor[k] >= 0 ? g_at(b, tensor[k])->root : -1;
        if (tensor[k] >= 0)
            a.v[k] = (struct k_view){.offset = g_at(b, tensor[k])->offset, .type = g_at(b, tensor[k])->type};
    }
    a.dim[0] = y.shape.dim[0];
    a.dim[4] = y.stored;
    a.valid = y.shape.dim[1];
    a.v[0].stride[0] = y.stride[0];
    a.v[1].stride[0] = x.stride[0];
    a.v[0].stride[4] = 1;
    q.n_axis = p->n_axis;
    for (int i = 0; i < 3; i++) {
        const int s = i - (3 - p->n_axis);
        a.in[i] = a.out[i] = a.window[i] = a.stride[i] = a.dilation[i] = 1;
        a.dim[1 + i] = 1;
        if (s < 0)
            continue;
        a.in[i] = (int32_t)p->in[s];
        a.out[i] = (int32_t)p->out[s];
        a.window[i] = (int32_t)p->kernel[s];
        a.stride[i] = (int32_t)p->stride[s];
        a.dilation[i] = (int32_t)p->dilation[s];
        a.begin[i] = (int32_t)p->pad_begin[s];
        a.end[i] = (int32_t)p->pad_end[s];
        a.dim[1 + i] = p->out[s];
        a.v[0].stride[1 + i] = y.stride[2 + s];
        a.v[1].stride[1 + i] = x.stride[2 + s];
        q.in[s] = p->in[s], q.out[s] = p->out[s], q.f[s] = p->kernel[s], q.stride[s] = p->stride[s], q.dilation[s] = p->dilation[s];
        q.pad_begin[s] = p->pad_begin[s], q.pad_end[s] = p->pad_end[s];
    }
    memcpy(a.v[4].stride, a.v[0].stride, sizeof a.v[4].stride);
    a.group_in = c->group_in;
    a.group_in_stored = c->group_in_stored;
    a.group_out = c->group_out;
    a.count = 1;
    for (int i = 0; i < 5; i++)
        a.count *= a.dim[i];
    if (!c->cudnn)
        return g_step_kernel(b, &a, root, err);
    q.io = x.type;
    q.exact = b->plan->precision == RAD_PREC_FP32 || (x.type == K_F32 && b->plan->precision != RAD_PREC_TF32);
    q.has_bias = c->bias >= 0;
    q.has_z = c->z >= 0;
    q.act = c->act && n->act != RAD_FUSE_NONE ? CU_ACT_RELU : CU_ACT_NONE;
    q.clip = q.act == CU_ACT_RELU && n->act == RAD_FUSE_CLIP ? n->act_beta : 0.0f;
    q.n = x.shape.dim[0];
    q.c = x.stored;
    q.k = y.stored;
    q.g = c->group_in_stored == q.c ? 1 : q.c / c->group_in_stored;
    return g_step_conv(b, &a, &q, root, err);
}

static bool small(const rad_window_params *p) {
    for (int i = 0; i < p->n_axis; i++)
        if (p->in[i] > 1 << 20 || p->out[i] > 1 << 20 || p->kernel[i] > 1 << 20 || p->stride[i] > 1 << 20 || p->dilation[i] > 1 << 20 ||
            p->pad_begin[i] > 1 << 20 || p->pad_end[i] > 1 << 20 || p->pad_begin[i] < -(1 << 20) || p->pad_end[i] < -(1 << 20))
            return false;
    return p->n_axis >= 1 && p->n_axis <= 3;
}

rad_status g_node_conv(struct g_build *b, const rad_node *n, rad_error *err) {
    const bool transposed = strcmp(n->op->name, "ConvTranspose") == 0;
    const int xv = g_in(n, 0), wv = g_in(n, 1), bv = g_in(n, 2), yv = n->output[0];
    rad_window_params p;
    rad_status st = RAD_OK;
    if (!g_is_float(b, xv) || !g_is_float(b, wv) || !g_is_const(b, wv) || (bv >= 0 && (!g_is_float(b, bv) || !g_is_const(b, bv))))
        return g_refuse(n, err, "weights and bias must be constant float32");
    const rad_shape xs = g_value(b, xv)->shape, ws = g_value(b, wv)->shape, ys = g_value(b, yv)->shape;
    RAD_TRY(rad_window_params_get(n, &xs, &ws, &p, err));
    if (!small(&p))
        return g_refuse(n, err, "more than 3 spatial axes, or one of more than 2^20");
    const int64_t channels = xs.dim[1], filters = ys.dim[1], group = p.group, window = rad_shape_count(&ws) / (ws.dim[0] * ws.dim[1]);
    const bool depthwise = group == channels && group == filters && group > 1;
    /* Inside groups nothing can be padded, except where every group is one channel. */
    const bool even = group == 1 || depthwise || (channels % 8 == 0 && filters % 8 == 0);
    struct conv c = {.window = &p, .transposed = transposed, .bias = -1, .z = -1, .cudnn = !transposed && even && p.pad_begin[0] >= 0};
    for (int i = 0; i < p.n_axis; i++)
        c.cudnn = c.cudnn && p.pad_begin[i] >= 0 && p.pad_end[i] >= 0;
    c.group_in = channels / group;
    c.group_out = filters / group;
    c.group_in_stored = group == 1 ? g_round8(channels) : c.group_in;
    const int type = g_type_for(b, &xs);
    const struct import m = {.k = filters,
                             .c = c.group_in,
                             .window = window,
                             .stored_k = g_round8(filters),
                             .stored_c = c.group_in_stored,
                             .k_stride = transposed ? window : c.group_in * window,
                             .c_stride = transposed ? c.group_out * window : window,
                             .group_out = transposed ? c.group_out : 0,
                             .scale = 1.0f};
    RAD_TRY(g_get(b, xv, G_LAST, type, &c.x, err));
    RAD_TRY(import_weights(b, wv, &m, type, &c.w, err));
    if (bv >= 0)
        RAD_TRY(import_bias(b, bv, filters, m.stored_k, 1.0f, type, &c.bias, err));
    if (n->residual >= 0 && takes_act(n))
        RAD_TRY(g_get(b, n->residual, G_LAST, type, &c.z, err));
    RAD_TRY(g_make(b, &ys, G_LAST, type, &c.y, err));
    c.act = takes_act(n);
    RAD_TRY(step_conv(b, n, &c, err));
    st = g_finish(b, n, c.y, c.z >= 0, c.act, err);
out:
    return st;
}

/* ---------------------------------------------------------------- matrix products */

/* x, as rows of `inner` numbers, times constant weights, plus a constant bias: a convolution with a window of 1. The image axes of x stay
 * image axes, because cuDNN's kernels are made for those. `n` may be another node than the one whose weights these are (a bias node). */
struct linear {
    int x, w;         /* values */
    int bias;         /* value or -1 */
    bool w_by_column; /* w lies as [columns, inner] */
    int64_t inner, columns;
    float w_scale, bias_scale;
};

static rad_status linear(struct g_build *b, const rad_node *n, const struct linear *l, rad_error *err) {
    const int yv = n->output[0];
    const rad_shape xs = g_value(b, l->x)->shape, ys = g_value(b, yv)->shape;
    rad_window_params p = {.n_axis = 2, .group = 1};
    rad_status st = RAD_OK;
    int x = -1, y = -1;
    const int type = g_type_for(b, &xs);
    RAD_TRY(g_get(b, l->x, G_ROWS, type, &x, err));
    RAD_TRY(g_make(b, &ys, G_ROWS, type, &y, err));
    struct g_tensor tx = *g_at(b, x), ty = *g_at(b, y);
    /* rows [.., h, w] -> [n, channels, h, w] */
    const int64_t stored_in = g_round8(l->inner), stored_out = g_round8(l->columns);
    int64_t image[2] = {1, 1}, rows = 1;
    for (int i = 0; i < xs.rank - 1; i++)
        rows *= xs.dim[i];
    if (xs.rank == 4) {
        image[0] = xs.dim[1];
        image[1] = xs.dim[2];
    } else if (xs.rank == 3) {
        image[1] = xs.dim[1];
    }
    for (int i = 0; i < 2; i++) {
        p.kernel[i] = p.stride[i] = p.dilation[i] = 1;
        p.in[i] = p.out[i] = image[i];
    }
    struct g_tensor *const t[2] = {&tx, &ty};
    for (int k = 0; k < 2; k++) {
        const int64_t stored = k == 0 ? stored_in : stored_out;
        t[k]->shape = (rad_shape){.rank = 4, .dim = {rows / (image[0] * image[1]), k == 0 ? l->inner : l->columns, image[0], image[1]}};
        t[k]->stride[0] = image[0] * image[1] * stored;
        t[k]->stride[1] = 1;
        t[k]->stride[2] = image[1] * stored;
        t[k]->stride[3] = stored;
        t[k]->inner = 1;
        t[k]->stored = stored;
    }
    struct conv c = {
        .window = &p, .bias = -1, .z = -1, .cudnn = true, .group_in = l->inner, .group_in_stored = stored_in, .group_out = l->columns};
    const struct import m = {.k = l->columns,
                             .c = l->inner,
                             .window = 1,
                             .stored_k = stored_out,
                             .stored_c = stored_in,
                             .k_stride = l->w_by_column ? l->inner : 1,
                             .c_stride = l->w_by_column ? 1 : l->columns,
                             .scale = l->w_scale};
    RAD_TRY(g_view(b, &tx, &c.x, err));
    RAD_TRY(g_view(b, &ty, &c.y, err));
    RAD_TRY(import_weights(b, l->w, &m, type, &c.w, err));
    if (l->bias >= 0)
        RAD_TRY(import_bias(b, l->bias, l->columns, stored_out, l->bias_scale, type, &c.bias, err));
    c.act = takes_act(n) && n->residual < 0;
    RAD_TRY(step_conv(b, n, &c, err));
    st = g_finish(b, n, y, false, c.act, err);
out:
    return st;
}

/* A list along the last axis (or one number for all). */
static bool is_row(const struct g_build *b, int value, int64_t columns) {
    if (!g_is_float(b, value) || !g_is_const(b, value))
        return false;
    const rad_shape *s = &g_value(b, value)->shape;
    const int64_t count = rad_shape_count(s);
    return count == 1 || (count == columns && s->rank >= 1 && s->dim[s->rank - 1] == columns);
}

rad_status g_node_gemm(struct g_build *b, const rad_node *n, rad_error *err) {
    const int xv = g_in(n, 0), wv = g_in(n, 1), bv = g_in(n, 2);
    const rad_shape *ws = &g_value(b, wv)->shape;
    const bool by_column = rad_node_attr_int(n, "transB", 0) != 0;
    const int64_t columns = g_value(b, n->output[0])->shape.dim[1];
    if (!g_is_float(b, wv) || !g_is_const(b, wv) || rad_node_attr_int(n, "transA", 0) != 0 || (bv >= 0 && !is_row(b, bv, columns)))
        return g_refuse(n, err, "only x W + bias with constant W and a bias per column, and no transA");
    const struct linear l = {.x = xv,
                             .w = wv,
                             .bias = bv,
                             .w_by_column = by_column,
                             .inner = by_column ? ws->dim[1] : ws->dim[0],
                             .columns = columns,
                             .w_scale = (float)rad_node_attr_float(n, "alpha", 1.0),
                             .bias_scale = (float)rad_node_attr_float(n, "beta", 1.0)};
    return linear(b, n, &l, err);
}

/* The node that adds a constant row to this one's result, which nobody else reads. */
static const rad_node *bias_reader(const struct g_build *b, const rad_node *n, int64_t columns, int *ret_bias) {
    const int reader = b->reader[n->output[0]];
    if (b->dry || reader < 0 || n->act != RAD_FUSE_NONE || n->residual >= 0)
        return NULL;
    const rad_node *add = &b->graph->node[reader];
    if (strcmp(add->op->name, "Add") != 0)
        return NULL;
    const int other = add->input[0] == n->output[0] ? add->input[1] : add->input[0];
    if (!is_row(b, other, columns) || !rad_shape_equal(&g_value(b, add->output[0])->shape, &g_value(b, n->output[0])->shape))
        return NULL;
    *ret_bias = other;
    return add;
}

/* Both operands are activations: our own kernel. */
static rad_status product(struct g_build *b, const rad_node *n, rad_error *err) {
    const int yv = n->output[0];
    const rad_shape ys = g_value(b, yv)->shape;
    struct k_args a = {.kind = K_MATMUL, .alpha = 1.0f, .act = K_COPY, .rank = ys.rank};
    int t[3] = {-1, -1, -1}, root[K_VIEWS] = {-1, -1, -1, -1, -1};
    rad_status st = RAD_OK;
    if (ys.rank < 2)
        return g_refuse(n, err, "vectors are not supported");
    for (int k = 0; k < 2; k++) {
        RAD_TRY(g_native(b, n->input[k], &t[1 + k], err));
        if (g_at(b, t[1 + k])->shape.rank < 2)
            return g_refuse(n, err, "vectors are not supported");
    }
    RAD_TRY(g_make(b, &ys, G_PLAIN, g_type_for(b, &ys), &t[0], err));
    a.count = 1;
    for (int i = 0; i < ys.rank; i++) {
        a.dim[i] = ys.dim[i];
        a.count *= ys.dim[i];
    }
    a.valid = ys.dim[ys.rank - 1];
    for (int k = 0; k < 3; k++) {
        const struct g_tensor *x = g_at(b, t[k]);
        const int lead = ys.rank - x->shape.rank;
        a.v[k].offset = x->offset;
        a.v[k].type = x->type;
        root[k] = x->root;
        for (int i = 0; i < ys.rank; i++)
            a.v[k].stride[i] = i < lead || (i < ys.rank - 2 && x->shape.dim[i - lead] == 1) ? 0 : x->stride[i - lead];
        if (k == 1)
            a.inner_count = x->shape.dim[x->shape.rank - 1];
    }
    RAD_TRY(g_step_kernel(b, &a, root, err));
    st = g_finish(b, n, t[0], false, false, err);
out:
    return st;
}

rad_status g_node_matmul(struct g_build *b, const rad_node *n, rad_error *err) {
    const int xv = g_in(n, 0), wv = g_in(n, 1);
    if (!g_is_float(b, xv) || !g_is_float(b, wv))
        return g_refuse(n, err, "operands must be float32");
    const rad_shape *xs = &g_value(b, xv)->shape, *ws = &g_value(b, wv)->shape;
    if (!g_is_const(b, wv) || ws->rank != 2 || xs->rank < 2 || g_is_const(b, xv))
        return product(b, n, err);
    struct linear l = {.x = xv, .w = wv, .bias = -1, .inner = ws->dim[0], .columns = ws->dim[1], .w_scale = 1.0f, .bias_scale = 1.0f};
    const rad_node *add = bias_reader(b, n, l.columns, &l.bias);
    return linear(b, add != NULL ? add : n, &l, err);
}
