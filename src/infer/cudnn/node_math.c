/* node_math.c: element-wise functions, pools, reductions, normalisations. */
#include "nodes.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- one operand */

static const struct unary {
    const char *op;
    int f;
    const char *alpha, *beta;
    double alpha_missing, beta_missing;
} unaries[] = {
    {"Abs", K_ABS, NULL, NULL, 0, 0},
    {"Ceil", K_CEIL, NULL, NULL, 0, 0},
    {"Celu", K_CELU, "alpha", NULL, 1, 0},
    {"Cos", K_COS, NULL, NULL, 0, 0},
    {"Elu", K_ELU, "alpha", NULL, 1, 0},
    {"Erf", K_ERF, NULL, NULL, 0, 0},
    {"Exp", K_EXP, NULL, NULL, 0, 0},
    {"Floor", K_FLOOR, NULL, NULL, 0, 0},
    {"HardSigmoid", K_HARDSIGMOID, "alpha", "beta", 0.2, 0.5},
    {"HardSwish", K_HARDSWISH, NULL, NULL, 0, 0},
    {"LeakyRelu", K_LEAKY, "alpha", NULL, 0.01, 0},
    {"Log", K_LOG, NULL, NULL, 0, 0},
    {"Mish", K_MISH, NULL, NULL, 0, 0},
    {"Neg", K_NEG, NULL, NULL, 0, 0},
    {"Reciprocal", K_RECIPROCAL, NULL, NULL, 0, 0},
    {"Relu", K_RELU, NULL, NULL, 0, 0},
    {"Round", K_ROUND, NULL, NULL, 0, 0},
    {"Selu", K_SELU, "alpha", "gamma", 1.67326319217681884765625, 1.05070102214813232421875},
    {"Sigmoid", K_SIGMOID, NULL, NULL, 0, 0},
    {"Sign", K_SIGN, NULL, NULL, 0, 0},
    {"Sin", K_SIN, NULL, NULL, 0, 0},
    {"Softplus", K_SOFTPLUS, NULL, NULL, 0, 0},
    {"Softsign", K_SOFTSIGN, NULL, NULL, 0, 0},
    {"Sqrt", K_SQRT, NULL, NULL, 0, 0},
    {"Tanh", K_TANH, NULL, NULL, 0, 0},
    {"ThresholdedRelu", K_THRESHOLDED, "alpha", NULL, 1, 0},
};

/* y = m(x), y lying as x does. */
static rad_status map_one(struct g_build *b, const rad_node *n, const struct g_map *m, int value, rad_error *err) {
    int x = -1, y = -1;
    rad_status st = RAD_OK;
    RAD_TRY(g_native(b, value, &x, err));
    const rad_shape s = g_value(b, n->output[0])->shape;
    RAD_TRY(g_make_like(b, &s, x, g_at(b, x)->type, &y, err));
    RAD_TRY(g_step_map(b, m, y, (const int[3]){x, -1, -1}, err));
    st = g_finish(b, n, y, false, false, err);
out:
    return st;
}

rad_status g_node_unary(struct g_build *b, const rad_node *n, rad_error *err) {
    if (!g_is_float(b, g_in(n, 0)))
        return g_refuse(n, err, "the operand must be float32");
    if (strcmp(n->op->name, "Clip") == 0) {
        struct g_map m = {.op = K_CLIP,
                          .alpha = (float)rad_node_attr_float(n, "min", -(double)FLT_MAX),
                          .beta = (float)rad_node_attr_float(n, "max", (double)FLT_MAX)};
        if ((g_in(n, 1) >= 0 && !g_scalar(b, g_in(n, 1), &m.alpha)) || (g_in(n, 2) >= 0 && !g_scalar(b, g_in(n, 2), &m.beta)))
            return g_refuse(n, err, "limits must be constant");
        return map_one(b, n, &m, n->input[0], err);
    }
    if (strcmp(n->op->name, "Gelu") == 0) {
        const bool tanh = strcmp(rad_node_attr_string(n, "approximate", "none"), "tanh") == 0;
        return map_one(b, n, &(struct g_map){.op = tanh ? K_GELU_TANH : K_GELU}, n->input[0], err);
    }
    for (size_t i = 0; i < sizeof unaries / sizeof unaries[0]; i++)
        if (strcmp(unaries[i].op, n->op->name) == 0) {
            struct g_map m = {.op = unaries[i].f};
            if (unaries[i].alpha != NULL)
                m.alpha = (float)rad_node_attr_float(n, unaries[i].alpha, unaries[i].alpha_missing);
            if (unaries[i].beta != NULL)
                m.beta = (float)rad_node_attr_float(n, unaries[i].beta, unaries[i].beta_missing);
            return map_one(b, n, &m, n->input[0], err);
        }
    return g_refuse(n, err, "the cuDNN backend has no such function");
}

/* ---------------------------------------------------------------- two operands */

static int binary_of(const char *name) {
    static const struct {
        const char *op;
        int f;
    } table[] = {{"Add", K_ADD}, {"Sub", K_SUB}, {"Mul", K_MUL},     {"Div", K_DIV}, {"Max", K_MAX},
                 {"Min", K_MIN}, {"Pow", K_POW}, {"PRelu", K_PRELU}, {"Sum", K_ADD}, {"Mean", K_ADD}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].op, name) == 0)
            return table[i].f;
    return -1;
}

/* The only reader of a value, when it is an operator `op`. */
static const rad_node *next(const struct g_build *b, const rad_node *n, const char *op) {
    const int reader = b->reader[n->output[0]];
    return reader >= 0 && strcmp(b->graph->node[reader].op->name, op) == 0 ? &b->graph->node[reader] : NULL;
}

static bool has_scalar(const struct g_build *b, const rad_node *n, float want) {
    float x = 0.0f;
    for (int k = 0; k < 2; k++)
        if (g_scalar(b, n->input[k], &x) && fabsf(x - want) <= 1e-6f * fabsf(want))
            return true;
    return false;
}

/* x / sqrt(2) -> Erf -> + 1 -> * x -> * 1/2, as exporters spell GELU: one pass over memory instead of five. NULL when it is something else.
 */
static const rad_node *gelu_end(struct g_build *b, const rad_node *n) {
    const bool div = strcmp(n->op->name, "Div") == 0;
    if (b->dry || n->act != RAD_FUSE_NONE || !(div || strcmp(n->op->name, "Mul") == 0) ||
        !has_scalar(b, n, div ? 1.41421356f : 0.70710678f) || g_is_const(b, n->input[0]))
        return NULL;
    const rad_node *erf = next(b, n, "Erf"), *add = erf != NULL ? next(b, erf, "Add") : NULL;
    const rad_node *mul =
        add != NULL && has_scalar(b, add, 1.0f) && add->residual < 0 && add->act == RAD_FUSE_NONE ? next(b, add, "Mul") : NULL;
    if (mul == NULL || (mul->input[0] != n->input[0] && mul->input[1] != n->input[0]))
        return NULL;
    const rad_node *half = next(b, mul, "Mul");
    if (half == NULL || !has_scalar(b, half, 0.5f))
        return NULL;
    b->value[n->output[0]].skip = b->value[erf->output[0]].skip = b->value[add->output[0]].skip = b->value[mul->output[0]].skip = true;
    return half;
}

rad_status g_node_binary(struct g_build *b, const rad_node *n, rad_error *err) {
    const int f = binary_of(n->op->name);
    const rad_shape s = g_value(b, n->output[0])->shape;
    const rad_node *gelu = f == K_DIV || f == K_MUL ? gelu_end(b, n) : NULL;
    rad_status st = RAD_OK;
    int operand[3] = {-1, -1, -1}, like = -1, y = -1;
    if (gelu != NULL)
        return map_one(b, gelu, &(struct g_map){.op = K_GELU}, n->input[0], err);
    for (int k = 0; k < n->n_input; k++)
        if (!g_is_float(b, n->input[k]))
            return g_refuse(n, err, "operands must be float32");
    if (n->opset < 7 && n->n_input == 2 && rad_shape_count(&g_value(b, n->input[1])->shape) != 1 &&
        !rad_shape_equal(&g_value(b, n->input[1])->shape, &s))
        return g_refuse(n, err, "broadcasting as before opset 7");
    if (n->n_input == 1)
        return map_one(b, n, &(struct g_map){.op = K_COPY}, n->input[0], err);
    /* The result lies as the first operand of its own shape, channels-last if one of them is. */
    for (int k = 0; k < n->n_input; k++) {
        int t = -1;
        if (g_is_const(b, n->input[k]) || !rad_shape_equal(&g_value(b, n->input[k])->shape, &s))
            continue;
        RAD_TRY(g_native(b, n->input[k], &t, err));
        if (like < 0 || (s.rank >= 3 && !g_lies(g_at(b, like), G_LAST) && g_lies(g_at(b, t), G_LAST)))
            like = t;
    }
    if (like >= 0)
        RAD_TRY(g_make_like(b, &s, like, g_at(b, like)->type, &y, err));
    else
        RAD_TRY(g_make(b, &s, s.rank >= 4 ? G_LAST : G_PLAIN, g_type_for(b, &s), &y, err));
    RAD_TRY(g_native(b, n->input[0], &operand[0], err));
    for (int k = 1; k < n->n_input; k++) {
        RAD_TRY(g_native(b, n->input[k], &operand[1], err));
        RAD_TRY(g_step_map(b, &(struct g_map){.op = f}, y, operand, err));
        operand[0] = y;
    }
    operand[1] = -1;
    if (strcmp(n->op->name, "Mean") == 0)
        RAD_TRY(g_step_map(b, &(struct g_map){.op = K_LINEAR, .alpha = 1.0f / (float)n->n_input}, y, operand, err));
    st = g_finish(b, n, y, false, false, err);
out:
    return st;
}

/* ---------------------------------------------------------------- pools */

static rad_status set_window(const rad_node *n, const rad_window_params *p, struct k_args *a, rad_error *err) {
    for (int i = 0; i < 3; i++) {
        const int s = i - (3 - p->n_axis);
        a->in[i] = a->out[i] = a->window[i] = a->stride[i] = a->dilation[i] = 1;
        if (s < 0)
            continue;
        if (p->in[s] > 1 << 20 || p->out[s] > 1 << 20 || p->kernel[s] > 1 << 20 || p->stride[s] > 1 << 20 || p->dilation[s] > 1 << 20 ||
            p->pad_begin[s] > 1 << 20 || p->pad_end[s] > 1 << 20)
            return g_refuse(n, err, "an axis of more than 2^20");
        a->in[i] = (int32_t)p->in[s];
        a->out[i] = (int32_t)p->out[s];
        a->window[i] = (int32_t)p->kernel[s];
        a->stride[i] = (int32_t)p->stride[s];
        a->dilation[i] = (int32_t)p->dilation[s];
        a->begin[i] = (int32_t)p->pad_begin[s];
        a->end[i] = (int32_t)p->pad_end[s];
    }
    a->include_pad = p->count_include_pad;
    return RAD_OK;
}

/* x and y channels-last as [n, d, h, w, c]. */
static void set_image(struct g_build *b, struct k_args *a, int x, int y, int root[K_VIEWS]) {
    const struct g_tensor tx = *g_at(b, x), ty = *g_at(b, y);
    const int spatial = ty.shape.rank - 2;
    a->rank = 5;
    a->dim[0] = ty.shape.dim[0];
    a->dim[4] = ty.stored;
    a->valid = ty.shape.dim[1];
    a->v[0] = (struct k_view){.offset = ty.offset, .type = ty.type, .wide = 1};
    a->v[1] = (struct k_view){.offset = tx.offset, .type = tx.type, .wide = 1};
    a->v[0].stride[0] = ty.stride[0];
    a->v[1].stride[0] = tx.stride[0];
    a->v[0].stride[4] = a->v[1].stride[4] = 1;
    for (int i = 0; i < 3; i++) {
        const int s = i - (3 - spatial);
        a->dim[1 + i] = s < 0 ? 1 : ty.shape.dim[2 + s];
        a->v[0].stride[1 + i] = s < 0 ? 0 : ty.stride[2 + s];
        a->v[1].stride[1 + i] = s < 0 ? 0 : tx.stride[2 + s];
    }
    a->count = a->dim[0] * a->dim[1] * a->dim[2] * a->dim[3] * a->dim[4];
    a->wide = 1;
    root[0] = ty.root;
    root[1] = tx.root;
    root[2] = root[3] = root[4] = -1;
}

/* Axes marked in `reduced`, in one go; the result lies like x and has ones there. */
static rad_status reduce(struct g_build *b, const rad_node *n, int x, const bool *reduced, int op, int type, int *ret, rad_error *err) {
    const struct g_tensor t = *g_at(b, x);
    rad_shape s = t.shape;
    struct k_args a = {.kind = K_REDUCE, .op = op, .r_count = 1, .rank = s.rank};
    int y = -1, root[K_VIEWS] = {-1, -1, -1, -1, -1};
    bool inner_reduced = false;
    (void)n;
    for (int i = 0; i < s.rank; i++)
        if (reduced[i])
            s.dim[i] = 1;
    rad_status st = g_make_like(b, &s, x, type, &y, err);
    if (st != RAD_OK)
        return st;
    const struct g_tensor r = *g_at(b, y);
    for (int i = 0; i < s.rank; i++)
        if (reduced[i] && t.shape.dim[i] > 1) {
            a.r_dim[a.r_rank] = t.shape.dim[i];
            a.r_stride[a.r_rank++] = t.stride[i];
            a.r_count *= t.shape.dim[i];
            inner_reduced = inner_reduced || t.stride[i] == 1;
        }
    if (a.r_rank == 0)
        a.r_dim[a.r_rank++] = 1;
    a.across = !inner_reduced;
    a.lanes = inner_reduced ? K_LANES : 8;
    /* The result's axes, its padded one last. */
    int at = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < s.rank; i++) {
            if ((i == r.inner) != (pass == 1))
                continue;
            a.dim[at] = i == r.inner ? r.stored : s.dim[i];
            a.v[0].stride[at] = r.stride[i];
            a.v[1].stride[at++] = reduced[i] ? 0 : t.stride[i];
        }
    a.valid = s.dim[r.inner];
    a.count = 1;
    for (int i = 0; i < a.rank; i++)
        a.count *= a.dim[i];
    a.v[0].type = r.type;
    a.v[1].type = t.type;
    a.v[1].offset = t.offset;
    root[0] = r.root;
    root[1] = t.root;
    *ret = y;
    return g_step_kernel(b, &a, root, err);
}

rad_status g_node_pool(struct g_build *b, const rad_node *n, rad_error *err) {
    const int xv = g_in(n, 0);
    const bool max = strstr(n->op->name, "Max") != NULL, global = strncmp(n->op->name, "Global", 6) == 0;
    rad_window_params p;
    struct k_args a = {.kind = K_POOL, .op = max ? K_SUM_MAX : K_SUM_MEAN};
    int x = -1, y = -1, root[K_VIEWS];
    bool reduced[RAD_MAX_RANK] = {false};
    rad_status st = RAD_OK;
    if (n->n_output > 1 && n->output[1] >= 0)
        return g_refuse(n, err, "the places of the maxima as an output");
    const rad_shape xs = g_value(b, xv)->shape, ys = g_value(b, n->output[0])->shape;
    RAD_TRY(rad_window_params_get(n, &xs, NULL, &p, err));
    if (p.n_axis < 1 || p.n_axis > 3)
        return g_refuse(n, err, "more than 3 spatial axes");
    if (global) {
        RAD_TRY(g_native(b, xv, &x, err));
        for (int i = 2; i < xs.rank; i++)
            reduced[i] = true;
        RAD_TRY(reduce(b, n, x, reduced, a.op, g_type_for(b, &ys), &y, err));
    } else {
        const int type = g_type_for(b, &xs);
        RAD_TRY(set_window(n, &p, &a, err));
        RAD_TRY(g_get(b, xv, G_LAST, type, &x, err));
        RAD_TRY(g_make(b, &ys, G_LAST, g_type_for(b, &ys), &y, err));
        set_image(b, &a, x, y, root);
        RAD_TRY(g_step_kernel(b, &a, root, err));
    }
    st = g_finish(b, n, y, false, false, err);
out:
    return st;
}

/* Axes from the attribute or (opset 13, 18) the second input. */
rad_status g_node_reduce(struct g_build *b, const rad_node *n, rad_error *err) {
    static const struct {
        const char *op;
        int f;
    } table[] = {{"ReduceMean", K_SUM_MEAN}, {"ReduceSum", K_SUM_PLAIN},        {"ReduceMax", K_SUM_MAX},  {"ReduceMin", K_SUM_MIN},
                 {"ReduceL1", K_SUM_ABS},    {"ReduceSumSquare", K_SUM_SQUARE}, {"ReduceL2", K_SUM_NORM2}, {"ReduceProd", K_SUM_PRODUCT}};
    const int xv = g_in(n, 0), yv = n->output[0];
    const rad_shape xs = g_value(b, xv)->shape, ys = g_value(b, yv)->shape;
    bool reduced[RAD_MAX_RANK] = {false};
    int64_t axis[RAD_MAX_RANK];
    int count = 0, x = -1, y = -1, f = K_SUM_MEAN;
    rad_status st = RAD_OK;
    const rad_attr *attr = rad_node_attr(n, "axes");
    if (g_in(n, 1) >= 0 && !g_ints(b, g_in(n, 1), axis, RAD_MAX_RANK, &count))
        return g_refuse(n, err, "axes must be constant");
    for (int k = 0; attr != NULL && g_in(n, 1) < 0 && k < attr->n && count < RAD_MAX_RANK; k++)
        axis[count++] = attr->ints[k];
    for (int k = 0; k < count; k++)
        reduced[axis[k] < 0 ? axis[k] + xs.rank : axis[k]] = true;
    for (int i = 0; count == 0 && i < xs.rank; i++)
        reduced[i] = rad_node_attr_int(n, "noop_with_empty_axes", 0) == 0;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        f = strcmp(table[i].op, n->op->name) == 0 ? table[i].f : f;
    RAD_TRY(g_native(b, xv, &x, err));
    RAD_TRY(reduce(b, n, x, reduced, f, g_type_for(b, &ys), &y, err));
    if (g_at(b, y)->shape.rank != ys.rank) { /* keepdims = 0: the ones go */
        struct g_tensor t = *g_at(b, y), v = t;
        v.shape = ys;
        v.inner = 0;
        v.stored = 1;
        for (int i = 0, k = 0; i < t.shape.rank; i++) {
            if (reduced[i])
                continue;
            v.stride[k] = t.stride[i];
            if (i == t.inner) {
                v.inner = k;
                v.stored = t.stored;
            }
            k++;
        }
        if (ys.rank > 0 && (t.inner < 0 || reduced[t.inner])) {
            v.inner = ys.rank - 1;
            v.stored = ys.dim[v.inner];
        }
        RAD_TRY(g_view(b, &v, &y, err));
    }
    st = g_finish(b, n, y, false, false, err);
out:
    return st;
}

/* ---------------------------------------------------------------- normalisations */

static rad_status list_constant(struct g_build *b, float *content, int64_t n, int *ret, rad_error *err) {
    const struct g_tensor t = {.type = K_F32, .shape = {.rank = 1, .dim = {n}}, .stride = {1}, .stored = n};
    return g_make_constant(b, &t, content, (size_t)n * sizeof *content, ret, err);
}

/* What no convolution could take in: y = scale x + shift per channel, factors made in double. */
rad_status g_node_batch_norm(struct g_build *b, const rad_node *n, rad_error *err) {
    const int xv = g_in(n, 0);
    const rad_shape s = g_value(b, xv)->shape;
    rad_status st = RAD_OK;
    for (int k = 1; k < 5; k++)
        if (!g_is_float(b, g_in(n, k)) || !g_is_const(b, g_in(n, k)))
            return g_refuse(n, err, "statistics must be constant float32");
    for (int k = 1; k < n->n_output; k++)
        if (n->output[k] >= 0)
            return g_refuse(n, err, "running statistics as outputs");
    if (s.rank < 2 || rad_node_attr_int(n, "training_mode", 0) != 0)
        return g_refuse(n, err, "training mode, or fewer than 2 axes");
    const int64_t c = s.dim[1];
    const double epsilon = rad_node_attr_float(n, "epsilon", 1e-5);
    float *list[2] = {rad_calloc((size_t)c, sizeof **list), rad_calloc((size_t)c, sizeof **list)};
    int operand[3] = {-1, -1, -1}, y = -1;
    if (list[0] == NULL || list[1] == NULL) {
        free(list[0]);
        free(list[1]);
        return g_nomem(err);
    }
    for (int64_t i = 0; i < c; i++) {
        float v[4];
        for (int k = 0; k < 4; k++)
            memcpy(&v[k], (const char *)g_value(b, n->input[1 + k])->data + (size_t)i * sizeof v[k], sizeof v[k]);
        const double factor = (double)v[0] / sqrt((double)v[3] + epsilon);
        list[0][i] = (float)factor;
        list[1][i] = (float)((double)v[1] - (double)v[2] * factor);
    }
    st = list_constant(b, list[0], c, &operand[1], err);
    if (st == RAD_OK)
        st = list_constant(b, list[1], c, &operand[2], err);
    else
        free(list[1]);
    RAD_TRY(st);
    /* [C] along axis 1 of x */
    for (int k = 1; k < 3; k++) {
        struct g_tensor t = *g_at(b, operand[k]);
        t.shape = (rad_shape){.rank = s.rank, .dim = {0}};
        for (int i = 0; i < s.rank; i++)
            t.shape.dim[i] = i == 1 ? c : 1;
        t.stride[1] = 1;
        t.inner = 1;
        RAD_TRY(g_view(b, &t, &operand[k], err));
    }
    RAD_TRY(g_native(b, xv, &operand[0], err));
    const int type = g_at(b, operand[0])->type;
    RAD_TRY(g_make_like(b, &s, operand[0], type, &y, err));
    const struct g_map m = g_fused(n);
    RAD_TRY(
        g_step_map(b, &(struct g_map){.op = K_AFFINE, .act = m.act, .act_alpha = m.act_alpha, .act_beta = m.act_beta}, y, operand, err));
    st = g_finish(b, n, y, false, true, err);
out:
    return st;
}

/* LayerNormalization over the last axes, InstanceNormalization, GroupNormalization: rows of neighbours in the row-major form. */
rad_status g_node_norm(struct g_build *b, const rad_node *n, rad_error *err) {
    const int xv = g_in(n, 0);
    const rad_shape s = g_value(b, xv)->shape;
    const bool layer = strcmp(n->op->name, "LayerNormalization") == 0;
    struct k_args a = {.kind = K_NORM, .epsilon = (float)rad_node_attr_float(n, "epsilon", 1e-5), .inner = 1};
    int x = -1, y = -1, list[2] = {-1, -1}, root[K_VIEWS] = {-1, -1, -1, -1, -1};
    int64_t total = rad_shape_count(&s);
    rad_status st = RAD_OK;
    for (int k = 1; k < n->n_output; k++)
        if (n->output[k] >= 0)
            return g_refuse(n, err, "statistics as outputs");
    for (int k = 1; k < 3; k++)
        if (g_in(n, k) >= 0 && (!g_is_float(b, n->input[k]) || !g_is_const(b, n->input[k])))
            return g_refuse(n, err, "scale and shift must be constant float32");
    if (layer) {
        int64_t axis = rad_node_attr_int(n, "axis", -1);
        axis += axis < 0 ? s.rank : 0;
        a.length = 1;
        for (int64_t i = axis; i < s.rank; i++)
            a.length *= s.dim[i];
        a.s_period = a.s_divide = 1;
        for (int k = 1; k < 3; k++)
            if (g_in(n, k) >= 0 && rad_shape_count(&g_value(b, n->input[k])->shape) != a.length)
                return g_refuse(n, err, "scale and shift must have one number per place");
    } else {
        const int64_t channels = s.dim[1], group = rad_node_attr_int(n, "num_groups", channels);
        int64_t places = 1;
        for (int i = 2; i < s.rank; i++)
            places *= s.dim[i];
        a.length = channels / group * places;
        const bool per_group = rad_node_attr(n, "num_groups") != NULL && n->opset < 21;
        a.s_period = group;
        a.s_step = per_group ? 1 : channels / group;
        a.s_divide = per_group ? a.length : places;
    }
    a.outer = total / a.length;
    /* Rows may stay padded only when nothing is: the rows are read as one stretch. */
    RAD_TRY(g_get(b, xv, G_PLAIN, g_type_for(b, &s), &x, err));
    RAD_TRY(g_make(b, &s, G_PLAIN, g_at(b, x)->type, &y, err));
    for (int k = 0; k < 2; k++)
        if (g_in(n, 1 + k) >= 0)
            RAD_TRY(g_get(b, n->input[1 + k], G_PLAIN, K_F32, &list[k], err));
    const int tensor[4] = {y, x, list[0], list[1]};
    for (int k = 0; k < 4; k++) {
        if (tensor[k] < 0)
            continue;
        root[k] = g_at(b, tensor[k])->root;
        a.v[k].type = g_at(b, tensor[k])->type;
        a.v[k].offset = g_at(b, tensor[k])->offset;
    }
    RAD_TRY(g_step_kernel(b, &a, root, err));
    st = g_finish(b, n, y, false, false, err);
out:
    return st;
}

rad_status g_node_softmax(struct g_build *b, const rad_node *n, rad_error *err) {
    const int xv = g_in(n, 0);
    const rad_shape s = g_value(b, xv)->shape;
    int64_t axis = rad_node_attr_int(n, "axis", n->opset < 13 ? 1 : -1);
    struct k_args a = {
        .kind = K_SOFTMAX, .op = strcmp(n->op->name, "LogSoftmax") == 0 ? K_LOG : K_EXP, .outer = 1, .length = 1, .inner = 1};
    int x = -1, y = -1, root[K_VIEWS] = {-1, -1, -1, -1, -1};
    rad_status st = RAD_OK;
    axis += axis < 0 ? s.rank : 0;
    for (int i = 0; i < s.rank; i++) {
        if (i < axis)
            a.outer *= s.dim[i];
        else if (i == axis || n->opset < 13) /* before 13 everything from the axis on is one axis */
            a.length *= s.dim[i];
        else
            a.inner *= s.dim[i];
    }
    RAD_TRY(g_get(b, xv, G_PLAIN, g_type_for(b, &s), &x, err));
    RAD_TRY(g_make(b, &s, G_PLAIN, g_at(b, x)->type, &y, err));
    root[0] = g_at(b, y)->root;
    root[1] = g_at(b, x)->root;
    a.v[0] = (struct k_view){.type = g_at(b, y)->type};
    a.v[1] = (struct k_view){.type = g_at(b, x)->type, .offset = g_at(b, x)->offset};
    RAD_TRY(g_step_kernel(b, &a, root, err));
    st = g_finish(b, n, y, false, false, err);
out:
    return st;
}
