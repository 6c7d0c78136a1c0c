/* op_norm.c: normalisations with given or own statistics, LRN, and the softmax family. Statistics in double, in two passes (mean, then
 * squared deviations). Formulas: ONNX operator reference; GroupNormalization as of opset 18 (scale per group) and 21 (per channel). */
#include "op_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const bool groups_needed = true; /* marks GroupNormalization for the code it shares with InstanceNormalization */

/* Input k must be a list of `count` numbers; its type may be another float type (mixed precision batch norms). */
static rad_status check_list(const rad_graph *g, const rad_node *n, int k, int64_t count, rad_error *err) {
    const rad_value *v;
    const rad_status st = rad_op_input(g, n, k, RAD_T_FLOAT, &v, err);
    if (st == RAD_OK && (v->shape.rank != 1 || v->shape.dim[0] != count))
        return rad_op_error(n, err, "input '%.100s' must be a list of %lld numbers", v->name, (long long)count);
    return st;
}

/* Mean and 1 / sqrt(variance + epsilon) of n numbers. */
static void moments(const double *x, int64_t n, double epsilon, double *ret_mean, double *ret_scale) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    const double mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    *ret_mean = mean;
    *ret_scale = 1 / sqrt(squares / (double)n + epsilon);
}

/* ---------------------------------------------------------------- BatchNormalization */

static rad_status infer_batch_norm(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x;
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T_FLOAT, &x, err));
    if (x->shape.rank < 1)
        return rad_op_error(n, err, "data must have at least one axis");
    const int64_t channels = x->shape.rank > 1 ? x->shape.dim[1] : 1;
    for (int k = 1; k <= 4; k++)
        RAD_TRY(check_list(g, n, k, channels, err));
    if (rad_node_attr_int(n, "spatial", 1) == 0)
        return rad_op_error(n, err, "spatial = 0 (statistics per voxel) is not supported");
    if (rad_node_attr_int(n, "training_mode", 0) != 0 || (n->opset < 7 && rad_node_attr_int(n, "is_test", 0) == 0))
        return rad_op_error(n, err, "training mode: a score would depend on its neighbours in the batch; export the network in eval mode");
    for (int k = 1; k < n->n_output; k++) {
        if (rad_op_has_output(n, k))
            return rad_op_error(n, err, "running statistics are outputs of training only; export the network in eval mode");
    }
    st = rad_op_output(g, n, 0, x->dtype, &x->shape, err);
out:
    return st;
}

static rad_status eval_batch_norm(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    const rad_shape *s = &in[0].shape;
    const double epsilon = rad_node_attr_float(n, "epsilon", 1e-5);
    const int64_t channels = s->rank > 1 ? s->dim[1] : 1, size = rad_op_span(s, 2, s->rank);
    (void)err;
    for (int64_t p = 0; p < s->dim[0] * channels; p++) {
        double v[4]; /* scale, bias, mean, variance */
        for (int k = 0; k < 4; k++)
            rad_op_load(&in[k + 1], p % channels, 1, &v[k]);
        const double factor = v[0] / sqrt(v[3] + epsilon);
        for (int64_t i = 0; i < size; i += RAD_OP_BLOCK) {
            const int64_t len = size - i < RAD_OP_BLOCK ? size - i : RAD_OP_BLOCK;
            double a[RAD_OP_BLOCK];
            rad_op_load(&in[0], p * size + i, len, a);
            for (int64_t j = 0; j < len; j++)
                a[j] = (a[j] - v[2]) * factor + v[1];
            rad_op_store(&out[0], p * size + i, len, a);
        }
    }
    return RAD_OK;
}

/* ---------------------------------------------------------------- InstanceNormalization, GroupNormalization */

/* Groups of neighbouring channels; an instance norm has one channel in each. */
static int64_t group_count(const rad_node *n, const rad_shape *x) {
    return rad_node_attr_int(n, "num_groups", x->dim[1]);
}

static bool scale_per_group(const rad_node *n) {
    return rad_node_attr(n, "num_groups") != NULL && n->opset < 21;
}

static rad_status infer_group_norm(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x;
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T_FLOAT, &x, err));
    if (x->shape.rank < 3)
        return rad_op_error(n, err, "data must be [N, C, spatial axes...]");
    const int64_t groups = group_count(n, &x->shape), channels = x->shape.dim[1];
    if (n->op->param != NULL && rad_node_attr(n, "num_groups") == NULL)
        return rad_op_error(n, err, "attribute 'num_groups' is missing");
    if (groups < 1 || channels % groups != 0)
        return rad_op_error(n, err, "%lld channels do not divide into %lld groups", (long long)channels, (long long)groups);
    for (int k = 1; k <= 2; k++)
        RAD_TRY(check_list(g, n, k, scale_per_group(n) ? groups : channels, err));
    st = rad_op_output(g, n, 0, x->dtype, &x->shape, err);
out:
    return st;
}

static rad_status eval_group_norm(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    const rad_shape *s = &in[0].shape;
    const int64_t groups = group_count(n, s), per_group = s->dim[1] / groups, size = rad_op_span(s, 2, s->rank);
    const double epsilon = rad_node_attr_float(n, "epsilon", 1e-5);
    double *x = rad_calloc((size_t)(per_group * size) + 1, sizeof *x);
    if (x == NULL)
        return rad_op_nomem(n, err);
    for (int64_t p = 0; p < s->dim[0] * groups && size > 0; p++) {
        double mean, factor;
        rad_op_load(&in[0], p * per_group * size, per_group * size, x);
        moments(x, per_group * size, epsilon, &mean, &factor);
        for (int64_t c = 0; c < per_group; c++) {
            const int64_t group = p % groups, at = scale_per_group(n) ? group : group * per_group + c;
            double scale, bias;
            rad_op_load(&in[1], at, 1, &scale);
            rad_op_load(&in[2], at, 1, &bias);
            for (int64_t i = c * size; i < (c + 1) * size; i++)
                x[i] = (x[i] - mean) * factor * scale + bias;
        }
        rad_op_store(&out[0], p * per_group * size, per_group * size, x);
    }
    free(x);
    return RAD_OK;
}

/* ---------------------------------------------------------------- LayerNormalization */

static rad_status infer_layer_norm(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x, *w;
    int axis;
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T_FLOAT, &x, err));
    RAD_TRY(rad_op_axis(n, rad_node_attr_int(n, "axis", -1), x->shape.rank, &axis, err));
    const rad_shape whole = x->shape;
    rad_shape part = {whole.rank - axis, {0}}, stats = whole;
    for (int i = axis; i < whole.rank; i++) {
        part.dim[i - axis] = whole.dim[i];
        stats.dim[i] = 1;
    }
    for (int k = 1; k <= 2; k++) {
        if (k == 2 && !rad_op_has_input(n, k))
            continue;
        RAD_TRY(rad_op_input(g, n, k, RAD_T_FLOAT, &w, err));
        rad_shape with = part;
        if (!rad_op_broadcast(&with, &w->shape) || !rad_shape_equal(&with, &part))
            return rad_op_error(n, err, "input '%.100s' does not fit the normalised axes", w->name);
    }
    RAD_TRY(rad_op_output(g, n, 0, x->dtype, &whole, err));
    RAD_TRY(rad_op_output(g, n, 1, RAD_DT_F32, &stats, err));
    st = rad_op_output(g, n, 2, RAD_DT_F32, &stats, err);
out:
    return st;
}

/* Scale or bias spread over the normalised axes, in fresh memory. */
static double *spread(const rad_node *n, const rad_tensor *t, const rad_shape *part, rad_error *err) {
    const int64_t size = rad_op_span(part, 0, part->rank);
    rad_walk w = {0};
    double *ret = rad_calloc((size_t)size + 1, sizeof *ret);
    if (ret == NULL || rad_walk_init(&w, n, part, 1, t, err) != RAD_OK) {
        free(ret);
        return NULL;
    }
    while (rad_walk_next(&w)) {
        for (int64_t i = 0; i < w.run; i++)
            rad_op_load(t, w.offset[0] + i * w.step[0], 1, ret + w.row * w.run + i);
    }
    rad_walk_release(&w);
    return ret;
}

static rad_status eval_layer_norm(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    const rad_shape *s = &in[0].shape;
    int axis;
    rad_status st = rad_op_axis(n, rad_node_attr_int(n, "axis", -1), s->rank, &axis, err);
    if (st != RAD_OK)
        return st;
    rad_shape part = {s->rank - axis, {0}};
    for (int i = axis; i < s->rank; i++)
        part.dim[i - axis] = s->dim[i];
    const int64_t rows = rad_op_span(s, 0, axis), size = rad_op_span(s, axis, s->rank);
    const double epsilon = rad_node_attr_float(n, "epsilon", 1e-5);
    const bool with_bias = rad_op_has_input(n, 2);
    double *x = rad_calloc((size_t)size + 1, sizeof *x), *scale = spread(n, &in[1], &part, err);
    double *bias = with_bias ? spread(n, &in[2], &part, err) : NULL;
    if (x == NULL || scale == NULL || (with_bias && bias == NULL)) {
        st = rad_op_nomem(n, err);
        goto out;
    }
    for (int64_t r = 0; r < rows && size > 0; r++) {
        double mean, factor;
        rad_op_load(&in[0], r * size, size, x);
        moments(x, size, epsilon, &mean, &factor);
        for (int64_t i = 0; i < size; i++)
            x[i] = (x[i] - mean) * factor * scale[i] + (with_bias ? bias[i] : 0);
        rad_op_store(&out[0], r * size, size, x);
        if (rad_op_has_output(n, 1))
            rad_op_store(&out[1], r, 1, &mean);
        if (rad_op_has_output(n, 2))
            rad_op_store(&out[2], r, 1, &factor);
    }
out:
    free(x);
    free(scale);
    free(bias);
    return st;
}

/* ---------------------------------------------------------------- LRN */

static rad_status infer_lrn(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x;
    const rad_status st = rad_op_input(g, n, 0, RAD_T_FLOAT, &x, err);
    if (st == RAD_OK && x->shape.rank < 2)
        return rad_op_error(n, err, "data must be [N, C, ...]");
    if (st == RAD_OK && rad_node_attr_int(n, "size", 0) < 1)
        return rad_op_error(n, err, "attribute 'size' must be at least 1");
    return st != RAD_OK ? st : rad_op_output(g, n, 0, x->dtype, &x->shape, err);
}

static rad_status eval_lrn(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    const rad_shape *s = &in[0].shape;
    const int64_t channels = s->dim[1], size = rad_op_span(s, 2, s->rank), width = rad_node_attr_int(n, "size", 1);
    const double alpha = rad_node_attr_float(n, "alpha", 1e-4) / (double)width, beta = rad_node_attr_float(n, "beta", 0.75);
    const double bias = rad_node_attr_float(n, "bias", 1);
    const int64_t below = (width - 1) / 2, above = width / 2; /* floor and ceil of (size - 1) / 2 */
    double *x = rad_calloc((size_t)(channels * size) + 1, sizeof *x), *y = rad_calloc((size_t)size + 1, sizeof *y);
    if (x == NULL || y == NULL) {
        free(x);
        free(y);
        return rad_op_nomem(n, err);
    }
    for (int64_t b = 0; b < s->dim[0]; b++) {
        rad_op_load(&in[0], b * channels * size, channels * size, x);
        for (int64_t c = 0; c < channels; c++) {
            const int64_t from = c > below ? c - below : 0, to = above < channels - 1 - c ? c + above : channels - 1;
            for (int64_t i = 0; i < size; i++) {
                double squares = 0;
                for (int64_t k = from; k <= to; k++)
                    squares += x[k * size + i] * x[k * size + i];
                y[i] = x[c * size + i] / pow(bias + alpha * squares, beta);
            }
            rad_op_store(&out[0], (b * channels + c) * size, size, y);
        }
    }
    free(x);
    free(y);
    return RAD_OK;
}

/* ---------------------------------------------------------------- Softmax, LogSoftmax, Hardmax */

typedef enum soft_kind { SOFT_MAX, SOFT_LOG, SOFT_HARD } soft_kind;

/* Up to opset 12 the axes from `axis` (default 1) on are one; from 13 on it is a single axis (default the last). */
static rad_status soft_axes(const rad_node *n, const rad_shape *s, int *ret_axis, int64_t *ret_size, int64_t *ret_inner, rad_error *err) {
    const bool single = n->opset >= 13;
    const rad_status st = rad_op_axis(n, rad_node_attr_int(n, "axis", single ? -1 : 1), s->rank, ret_axis, err);
    if (st != RAD_OK)
        return st;
    *ret_size = rad_op_span(s, *ret_axis, single ? *ret_axis + 1 : s->rank);
    *ret_inner = single ? rad_op_span(s, *ret_axis + 1, s->rank) : 1;
    return RAD_OK;
}

static rad_status infer_soft(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x;
    int axis;
    int64_t size, inner;
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T_FLOAT, &x, err));
    RAD_TRY(soft_axes(n, &x->shape, &axis, &size, &inner, err));
    st = rad_op_output(g, n, 0, x->dtype, &x->shape, err);
out:
    return st;
}

/* One line of `size` numbers that lie `step` apart. */
static void soft_line(soft_kind kind, double *x, int64_t size, int64_t step) {
    int64_t best = 0;
    double sum = 0;
    for (int64_t i = 1; i < size; i++) {
        if (x[i * step] > x[best * step])
            best = i;
    }
    const double max = x[best * step];
    if (kind == SOFT_HARD) {
        for (int64_t i = 0; i < size; i++)
            x[i * step] = i == best ? 1 : 0;
        return;
    }
    for (int64_t i = 0; i < size; i++)
        sum += exp(x[i * step] - max);
    const double log_sum = log(sum);
    for (int64_t i = 0; i < size; i++)
        x[i * step] = kind == SOFT_LOG ? x[i * step] - max - log_sum : exp(x[i * step] - max) / sum;
}

static rad_status eval_soft(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    const rad_shape *s = &in[0].shape;
    int axis;
    int64_t size, inner;
    const rad_status st = soft_axes(n, s, &axis, &size, &inner, err);
    if (st != RAD_OK)
        return st;
    double *x = rad_op_load_all(&in[0]);
    if (x == NULL)
        return rad_op_nomem(n, err);
    const int64_t outer = rad_op_span(s, 0, axis);
    for (int64_t o = 0; o < outer && size > 0; o++) {
        for (int64_t i = 0; i < inner; i++)
            soft_line(*(const soft_kind *)n->op->param, x + o * size * inner + i, size, inner);
    }
    rad_op_store(&out[0], 0, outer * size * inner, x);
    free(x);
    return RAD_OK;
}

/* ---------------------------------------------------------------- table */

static const rad_op_attr attr_batch_norm[] = {{"epsilon", RAD_ATTR_FLOAT, 1, 0},      {"momentum", RAD_ATTR_FLOAT, 1, 0},
                                              {"is_test", RAD_ATTR_INT, 1, 6},        {"spatial", RAD_ATTR_INT, 1, 8},
                                              {"training_mode", RAD_ATTR_INT, 14, 0}, {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_instance[] = {{"epsilon", RAD_ATTR_FLOAT, 1, 0}, {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_group[] = {{"epsilon", RAD_ATTR_FLOAT, 18, 0},
                                         {"num_groups", RAD_ATTR_INT, 18, 0},
                                         {"stash_type", RAD_ATTR_INT, 21, 0},
                                         {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_layer[] = {
    {"axis", RAD_ATTR_INT, 17, 0}, {"epsilon", RAD_ATTR_FLOAT, 17, 0}, {"stash_type", RAD_ATTR_INT, 17, 0}, {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_lrn[] = {{"alpha", RAD_ATTR_FLOAT, 1, 0},
                                       {"beta", RAD_ATTR_FLOAT, 1, 0},
                                       {"bias", RAD_ATTR_FLOAT, 1, 0},
                                       {"size", RAD_ATTR_INT, 1, 0},
                                       {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_axis[] = {{"axis", RAD_ATTR_INT, 1, 0}, {NULL, RAD_ATTR_NONE, 0, 0}};

const rad_op_def rad_op_BatchNormalization = {"BatchNormalization", 5, 5, 1, 5, attr_batch_norm, infer_batch_norm, eval_batch_norm, NULL};
const rad_op_def rad_op_InstanceNormalization = {"InstanceNormalization", 3,   3, 1, 1, attr_instance, infer_group_norm,
                                                 eval_group_norm,         NULL};
const rad_op_def rad_op_GroupNormalization = {"GroupNormalization", 3, 3, 1, 1, attr_group, infer_group_norm, eval_group_norm,
                                              &groups_needed};
const rad_op_def rad_op_LayerNormalization = {"LayerNormalization", 2, 3, 1, 3, attr_layer, infer_layer_norm, eval_layer_norm, NULL};
const rad_op_def rad_op_LRN = {"LRN", 1, 1, 1, 1, attr_lrn, infer_lrn, eval_lrn, NULL};
#define SOFT(name, kind) const rad_op_def rad_op_##name = {#name, 1, 1, 1, 1, attr_axis, infer_soft, eval_soft, &(const soft_kind){kind}};
SOFT(Softmax, SOFT_MAX)
SOFT(LogSoftmax, SOFT_LOG)
SOFT(Hardmax, SOFT_HARD)
#undef SOFT
