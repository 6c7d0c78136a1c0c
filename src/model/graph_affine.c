/* Scale and shift per channel into the weights and bias of the linear node before it, in double, rounded once to float32:
 *   scale * (W x + bias) + shift  =  (scale W) x + (scale * bias + shift). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model_internal.h"

void rad_affine_release(rad_affine *a) {
    free(a->scale);
    free(a->shift);
    *a = (rad_affine){0};
}

rad_status rad_build_read_norm(const rad_build *b, const rad_node *n, rad_affine *ret, bool *ret_ok, rad_error *err) {
    const rad_graph *g = b->g;
    double *p[4] = {NULL}; /* scale, bias, mean, variance */
    rad_status st = RAD_OK;
    *ret_ok = false;
    if (!rad_node_is(n, "BatchNormalization") || n->n_input != 5 || rad_node_attr_int(n, "training_mode", 0) != 0 ||
        rad_node_attr_int(n, "spatial", 1) == 0 || g->value[n->input[0]].shape.rank < 2 || g->value[n->input[0]].dtype != RAD_DT_F32)
        return RAD_OK;
    for (int k = 1; k < n->n_output; k++) /* running statistics of training */
        if (n->output[k] >= 0 && g->value[n->output[k]].n_use > 0)
            return RAD_OK;
    int64_t c = g->value[n->input[0]].shape.dim[1];
    for (int k = 1; k < 5; k++)
        if (!rad_build_is_const(b, n->input[k], RAD_DT_F32) || rad_shape_count(&g->value[n->input[k]].shape) != c)
            return RAD_OK;
    rad_affine a = {.n = c, .scale = rad_malloc(((size_t)c + 1) * sizeof(double)), .shift = rad_malloc(((size_t)c + 1) * sizeof(double))};
    if (!a.scale || !a.shift) {
        st = rad_onnx_nomem(b->model, err);
        goto out;
    }
    for (int k = 0; k < 4; k++)
        RAD_TRY(rad_build_read_doubles(b, n->input[k + 1], &p[k], NULL, err));
    double eps = rad_node_attr_float(n, "epsilon", (double)1e-5f);
    bool finite = true;
    for (int64_t i = 0; i < c; i++) {
        a.scale[i] = p[0][i] / sqrt(p[3][i] + eps);
        a.shift[i] = p[1][i] - a.scale[i] * p[2][i];
        finite = finite && isfinite(a.scale[i]) && isfinite(a.shift[i]);
    }
    if (finite) {
        *ret = a;
        a = (rad_affine){0};
        *ret_ok = true;
    }
out:
    for (int k = 0; k < 4; k++)
        free(p[k]);
    rad_affine_release(&a);
    return st;
}

int rad_build_affine_axis(const rad_build *b, const rad_node *p) {
    const rad_graph *g = b->g;
    bool conv = rad_node_is(p, "Conv") || rad_node_is(p, "ConvTranspose"), gemm = rad_node_is(p, "Gemm"), matmul = rad_node_is(p, "MatMul");
    if ((!conv && !gemm && !matmul) || p->residual >= 0 || p->act != RAD_FUSE_NONE || !rad_build_is_const(b, p->input[1], RAD_DT_F32))
        return -1;
    if (matmul && g->value[p->input[1]].shape.rank != 2)
        return -1;
    if (p->n_input > 2 && p->input[2] >= 0 && !rad_build_is_const(b, p->input[2], RAD_DT_F32))
        return -1;
    return matmul ? g->value[p->output[0]].shape.rank - 1 : 1;
}

/* Which output channel element i of the weights belongs to. */
typedef struct channel_map {
    int64_t inner, n, outer, per_group; /* ConvTranspose: `outer` input channels per group, `n` outputs of a group */
} channel_map;

static channel_map map_channels(const rad_build *b, const rad_node *p, int64_t *ret_channels) {
    const rad_shape *w = &b->g->value[p->input[1]].shape;
    int64_t spatial = 1;
    for (int i = 2; i < w->rank; i++)
        spatial *= w->dim[i];
    channel_map m;
    if (rad_node_is(p, "ConvTranspose")) { /* [C, M/group, ...] */
        int64_t group = rad_node_attr_int(p, "group", 1);
        m = (channel_map){.inner = spatial, .n = w->dim[1], .outer = w->dim[0] / group, .per_group = w->dim[1]};
        *ret_channels = w->dim[1] * group;
    } else if (rad_node_is(p, "Conv") || rad_node_attr_int(p, "transB", 0)) { /* [M, ...] */
        *ret_channels = w->dim[0];
        m = (channel_map){.inner = rad_shape_count(w) / (w->dim[0] ? w->dim[0] : 1), .n = w->dim[0], .outer = 1};
    } else { /* [K, N] */
        *ret_channels = w->dim[1];
        m = (channel_map){.inner = 1, .n = w->dim[1], .outer = w->dim[0]};
    }
    return m;
}

static int64_t channel_of(const channel_map *m, int64_t i) {
    int64_t row = i / m->inner; /* counts (outer, n) */
    return row % m->n + (m->per_group ? row / m->n / m->outer * m->per_group : 0);
}

/* The node's bias as `c` doubles (zeros when it has none); NULL contents in *ret when its shape is not one number per channel. */
static rad_status read_bias(const rad_build *b, const rad_node *p, int64_t c, double **ret, rad_error *err) {
    double *x = NULL, *bias = NULL;
    rad_status st = RAD_OK;
    *ret = NULL;
    if (p->n_input < 3 || p->input[2] < 0) {
        if (!(*ret = rad_calloc((size_t)c + 1, sizeof(double))))
            return rad_onnx_nomem(b->model, err);
        return RAD_OK;
    }
    const rad_shape *s = &b->g->value[p->input[2]].shape;
    int64_t n = rad_shape_count(s);
    double beta = rad_node_is(p, "Gemm") ? rad_node_attr_float(p, "beta", 1) : 1;
    if (n != 1 && (n != c || s->rank < 1 || s->dim[s->rank - 1] != c))
        return RAD_OK;
    RAD_TRY(rad_build_read_doubles(b, p->input[2], &x, NULL, err));
    if (!(bias = rad_malloc(((size_t)c + 1) * sizeof *bias))) {
        st = rad_onnx_nomem(b->model, err);
        goto out;
    }
    for (int64_t i = 0; i < c; i++)
        bias[i] = beta * x[n == 1 ? 0 : i];
    *ret = bias;
out:
    free(x);
    return st;
}

/* MatMul of two matrices becomes the Gemm that can carry a bias. */
static bool become_gemm(const rad_build *b, rad_node *p) {
    const rad_op_def *gemm = rad_op_find("Gemm", "");
    if (!gemm || b->g->value[p->input[0]].shape.rank != 2 || p->opset < 7)
        return false;
    p->op = gemm;
    return true;
}

rad_status rad_build_fold_affine(rad_build *b, rad_node *p, rad_node *n, const rad_affine *a, bool *ret_done, rad_error *err) {
    rad_graph *g = b->g;
    rad_status st = RAD_OK;
    double *w = NULL, *bias = NULL;
    int64_t count, channels;
    int v_w, v_b;
    *ret_done = false;
    channel_map map = map_channels(b, p, &channels);
    bool shifts = false, has_bias = p->n_input > 2 && p->input[2] >= 0;
    for (int64_t i = 0; i < a->n; i++)
        shifts = shifts || !(fabs(a->shift[i]) <= 0);
    if (channels != a->n || map.inner < 1 || map.n < 1 || map.outer < 1)
        return RAD_OK;
    if (rad_node_is(p, "MatMul") && shifts && !become_gemm(b, p))
        return RAD_OK;
    RAD_TRY(read_bias(b, p, channels, &bias, err));
    if (!bias)
        goto out;
    RAD_TRY(rad_build_read_doubles(b, p->input[1], &w, &count, err));
    for (int64_t i = 0; i < count; i++)
        w[i] *= a->scale[channel_of(&map, i)];
    for (int64_t i = 0; i < channels; i++)
        bias[i] = a->scale[i] * bias[i] + a->shift[i];
    rad_shape s_w = g->value[p->input[1]].shape, s_b = {.rank = 1, .dim = {channels}};
    RAD_TRY(rad_build_add_floats(b, g->value[p->input[1]].name, &s_w, w, &v_w, NULL, err));
    rad_build_set_input(b, p, 1, v_w);
    if (shifts || has_bias) {
        RAD_TRY(rad_build_add_floats(b, has_bias ? g->value[p->input[2]].name : n->name, &s_b, bias, &v_b, NULL, err));
        RAD_TRY(rad_build_grow_inputs(b, p, 3, err));
        rad_build_set_input(b, p, 2, v_b);
        if (rad_node_is(p, "Gemm") && rad_node_attr(p, "beta"))
            RAD_TRY(rad_build_set_attr_float(b, p, "beta", 1, err));
    }
    rad_build_take_output(b, p, n);
    *ret_done = true;
out:
    free(w);
    free(bias);
    return st;
}
