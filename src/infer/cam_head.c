/* cam_head.c: recognises the head of a network that has class activation maps.
 *
 * The head is walked from the output back to the pooling. What is met on the way is either the same numbers in another shape, or an affine
 * layer y = L x + t, or a reason why there is no map. The layers are composed in double into logits = A x + b; a network whose channels are
 * its classes (a 1x1 convolution in front of the pooling) ends with A = I. */
#include "cam.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct walk {
    const rad_graph *g;
    const char *output;
    int64_t batch;
    int64_t n_class, n_in; /* A is [n_class, n_in] */
    double *a, *b;         /* a is NULL while A is the identity */
    bool activated;        /* the activation of the output was passed */
    bool layered;          /* a layer was passed: an activation from here on is a hidden one */
};

static rad_status no_map(const struct walk *w, rad_error *err, const char *fmt, ...) RAD_PRINTF(3, 4);
static rad_status no_map(const struct walk *w, rad_error *err, const char *fmt, ...) {
    char why[280];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    return rad_error_set(
        err, RAD_E_MODEL,
        "output '%.60s' has no class activation map: %s (it takes a global average over positions, then linear layers only)", w->output,
        why);
}

static rad_status nomem(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "no memory for class activation maps");
}

static bool is(const rad_node *n, const char *op) {
    return n != NULL && strcmp(n->op->name, op) == 0;
}

static bool is_one_of(const rad_node *n, const char *const *ops) {
    for (; n != NULL && *ops != NULL; ops++)
        if (is(n, *ops))
            return true;
    return false;
}

/* The node that makes value v as its first output; NULL for inputs, constants and side outputs. */
static const rad_node *maker(const rad_graph *g, int v) {
    const int p = g->value[v].producer;
    return p >= 0 && g->node[p].output[0] == v ? &g->node[p] : NULL;
}

/* Elements of value v that belong to one sample; -1 when its first axis is not the batch. */
static int64_t per_sample(const struct walk *w, int v) {
    const rad_shape *s = &w->g->value[v].shape;
    const int64_t n = rad_shape_count(s);
    if (n < 1 || (w->batch != 1 && (s->rank < 1 || s->dim[0] != w->batch)))
        return -1;
    return n / w->batch;
}

/* Axes beyond the batch with more than one element. */
static int extended_axes(const rad_shape *s) {
    int n = 0;
    for (int d = 1; d < s->rank; d++)
        n += s->dim[d] > 1;
    return n;
}

static const char *sample_text(const rad_shape *s, char *buf, size_t cap) {
    rad_shape t = *s;
    if (t.rank > 0) {
        t.rank--;
        memmove(t.dim, t.dim + 1, (size_t)t.rank * sizeof t.dim[0]);
    }
    return rad_shape_text(&t, buf, cap);
}

/* ---------------------------------------------------------------- constants */

/* A float32 constant as doubles (free()); *ret stays NULL, without an error, when v is none. */
static rad_status read_const(const rad_graph *g, int v, double **ret, int64_t *ret_n, rad_error *err) {
    *ret = NULL;
    *ret_n = 0;
    if (v < 0 || g->value[v].data == NULL || g->value[v].producer >= 0 || g->value[v].dtype != RAD_DT_F32)
        return RAD_OK;
    const int64_t n = rad_shape_count(&g->value[v].shape);
    if (n < 1)
        return RAD_OK;
    double *x = rad_malloc((size_t)n * sizeof *x);
    if (x == NULL)
        return nomem(err);
    for (int64_t i = 0; i < n; i++) {
        float f;
        memcpy(&f, (const char *)g->value[v].data + (size_t)i * sizeof f, sizeof f); /* may be unaligned in the mapped file */
        x[i] = (double)f;
    }
    *ret = x;
    *ret_n = n;
    return RAD_OK;
}

/* Axes of a ReduceMean as bits; 0 when they are not known or are all axes. */
static unsigned reduced_axes(const rad_graph *g, const rad_node *n) {
    const int rank = g->value[n->input[0]].shape.rank;
    const rad_attr *a = rad_node_attr(n, "axes");
    const int64_t *axis = a != NULL ? a->ints : NULL;
    int64_t count = a != NULL ? a->n : 0;
    if (a == NULL && n->n_input > 1 && n->input[1] >= 0 && g->value[n->input[1]].dtype == RAD_DT_I64) {
        axis = g->value[n->input[1]].data;
        count = axis != NULL ? rad_shape_count(&g->value[n->input[1]].shape) : 0;
    }
    unsigned bits = 0;
    for (int64_t i = 0; i < count; i++) {
        const int64_t d = axis[i] < 0 ? axis[i] + rank : axis[i];
        if (d >= 0 && d < rank)
            bits |= 1u << (unsigned)d;
    }
    return bits;
}

/* ---------------------------------------------------------------- layers */

/* logits = A (L x + t) + b becomes (A L) x + (A t + b). `l` is [n_out, n_in] with element (o, i) at o * step_out + i * step_in, NULL for a
 * diagonal `scale` (NULL: ones); `t` has n_out elements or 1, or is NULL. */
static rad_status compose(struct walk *w, const double *l, int64_t n_in, int64_t step_out, int64_t step_in, double factor,
                          const double *scale, const double *t, int64_t n_t, rad_error *err) {
    const int64_t n_out = w->n_in, n_class = w->n_class;
    if (n_class > RAD_MAX_CAM_WEIGHTS / n_in)
        return rad_error_set(err, RAD_E_LIMIT, "class activation maps of %lld classes over %lld channels: more than %lld weights",
                             (long long)n_class, (long long)n_in, (long long)RAD_MAX_CAM_WEIGHTS);
    double *next = rad_calloc((size_t)(n_class * n_in), sizeof *next);
    if (next == NULL)
        return nomem(err);
    for (int64_t c = 0; c < n_class; c++)
        for (int64_t o = w->a != NULL ? 0 : c; o < (w->a != NULL ? n_out : c + 1); o++) {
            const double a = w->a != NULL ? w->a[c * n_out + o] : 1.0;
            if (t != NULL)
                w->b[c] += a * t[n_t == 1 ? 0 : o];
            if (l == NULL) {
                next[c * n_in + o] = scale != NULL ? a * scale[o] : a;
                continue;
            }
            for (int64_t i = 0; i < n_in; i++)
                next[c * n_in + i] += a * (factor * l[o * step_out + i * step_in]);
        }
    free(w->a);
    w->a = next;
    w->n_in = n_in;
    w->layered = true;
    return RAD_OK;
}

/* Gemm, MatMul and 1x1 Conv on one row per sample. */
static rad_status pass_matrix(struct walk *w, const rad_node *n, rad_error *err) {
    const rad_graph *g = w->g;
    const bool conv = is(n, "Conv"), gemm = is(n, "Gemm");
    const rad_shape *x = &g->value[n->input[0]].shape, *s = &g->value[n->input[1]].shape;
    const int64_t n_in = per_sample(w, n->input[0]), n_out = w->n_in;
    double *l = NULL, *t = NULL;
    int64_t n_l = 0, n_t = 0;
    char text[96];
    rad_status st = RAD_OK;
    if (conv && (rad_node_attr_int(n, "group", 1) != 1 || n_in != x->dim[1] || n_out != s->dim[0] || s->dim[1] != n_in ||
                 rad_shape_count(s) != n_in * n_out))
        return no_map(w, err, "convolution '%.60s' of %s after or in place of the pooling is more than a matrix", n->name,
                      sample_text(x, text, sizeof text));
    if (!conv && (s->rank != 2 || x->rank < 1 || x->dim[x->rank - 1] != n_in || rad_node_attr_int(n, "transA", 0) != 0))
        return no_map(w, err, "%s '%.60s' does not take one row per sample but %s", n->op->name, n->name,
                      sample_text(x, text, sizeof text));
    RAD_TRY(read_const(g, n->input[1], &l, &n_l, err));
    if (l == NULL || n_l != n_in * n_out) {
        st = no_map(w, err, "the weights of %s '%.60s' are not constants of the file", n->op->name, n->name);
        goto out;
    }
    if (n->n_input > 2 && n->input[2] >= 0) {
        RAD_TRY(read_const(g, n->input[2], &t, &n_t, err));
        const rad_shape *s_t = &g->value[n->input[2]].shape;
        if (t == NULL || (n_t != 1 && (n_t != n_out || s_t->dim[s_t->rank - 1] != n_out))) {
            st = no_map(w, err, "the bias of %s '%.60s' is not a constant per output", n->op->name, n->name);
            goto out;
        }
        const double beta = gemm ? rad_node_attr_float(n, "beta", 1.0) : 1.0;
        for (int64_t i = 0; i < n_t; i++)
            t[i] *= beta;
    }
    const bool rows_are_outputs = conv || (gemm && rad_node_attr_int(n, "transB", 0) != 0);
    RAD_TRY(compose(w, l, n_in, rows_are_outputs ? n_in : 1, rows_are_outputs ? 1 : n_out,
                    gemm ? rad_node_attr_float(n, "alpha", 1.0) : 1.0, NULL, t, n_t, err));
out:
    free(l);
    free(t);
    return st;
}

/* Sum, difference, product or quotient with a constant; *ret_x is the other operand. */
static rad_status pass_arithmetic(struct walk *w, const rad_node *n, int *ret_x, rad_error *err) {
    double *c = NULL, *l = NULL;
    int64_t n_c = 0;
    rad_status st = RAD_OK;
    int k = 1;
    RAD_TRY(read_const(w->g, n->input[1], &c, &n_c, err));
    if (c == NULL) {
        k = 0;
        RAD_TRY(read_const(w->g, n->input[0], &c, &n_c, err));
    }
    const int x = n->input[1 - k];
    const bool sum = is(n, "Add"), difference = is(n, "Sub"), quotient = is(n, "Div");
    const rad_shape *s_c = &w->g->value[n->input[k]].shape;
    const bool per_batch = n_c != 1 && s_c->dim[0] != 1 && s_c->rank >= w->g->value[x].shape.rank; /* a number per place in the batch */
    if (c == NULL || (k == 0 && quotient) || per_sample(w, x) != w->n_in || (n_c != 1 && n_c != w->n_in) || per_batch) {
        st = no_map(w, err, "%s '%.60s' joins two computed tensors or changes their shape", n->op->name, n->name);
        goto out;
    }
    if (sum || difference) {
        const bool negated = difference && k == 0; /* c - x */
        for (int64_t i = 0; difference && !negated && i < n_c; i++)
            c[i] = -c[i];
        RAD_TRY(compose(w, NULL, w->n_in, 0, 0, 1.0, NULL, c, n_c, err));
        for (int64_t i = 0; negated && i < w->n_class * w->n_in; i++)
            w->a[i] = -w->a[i];
    } else {
        l = rad_malloc((size_t)w->n_in * sizeof *l);
        if (l == NULL) {
            st = nomem(err);
            goto out;
        }
        for (int64_t i = 0; i < w->n_in; i++)
            l[i] = quotient ? 1.0 / c[n_c == 1 ? 0 : i] : c[n_c == 1 ? 0 : i];
        RAD_TRY(compose(w, NULL, w->n_in, 0, 0, 1.0, l, NULL, 0, err));
    }
    *ret_x = x;
out:
    free(c);
    free(l);
    return st;
}

static rad_status pass_norm(struct walk *w, const rad_node *n, rad_error *err) {
    double *p[4] = {NULL}; /* scale, shift, mean, variance */
    rad_status st = RAD_OK;
    const double eps = rad_node_attr_float(n, "epsilon", (double)1e-5f);
    bool known = rad_node_attr_int(n, "training_mode", 0) == 0 && per_sample(w, n->input[0]) == w->n_in;
    for (int k = 0; k < 4; k++) {
        int64_t count = 0;
        RAD_TRY(read_const(w->g, n->input[k + 1], &p[k], &count, err));
        known = known && count == w->n_in;
    }
    if (!known) {
        st = no_map(w, err, "the parameters of BatchNormalization '%.60s' are not constants per channel", n->name);
        goto out;
    }
    for (int64_t i = 0; i < w->n_in; i++) {
        p[0][i] /= sqrt(p[3][i] + eps);
        p[1][i] -= p[0][i] * p[2][i];
    }
    RAD_TRY(compose(w, NULL, w->n_in, 0, 0, 1.0, p[0], p[1], w->n_in, err));
out:
    for (int k = 0; k < 4; k++)
        free(p[k]);
    return st;
}

/* ---------------------------------------------------------------- the pooling */

/* Layout of the map that node n averages to one number per channel. */
static bool reads_whole_map(const rad_graph *g, const rad_node *n, bool *ret_channels_last) {
    const rad_shape *x = &g->value[n->input[0]].shape;
    *ret_channels_last = false;
    if (is(n, "GlobalAveragePool"))
        return x->rank >= 3;
    if (is(n, "AveragePool")) {
        rad_window_params p;
        if (rad_window_params_get(n, x, NULL, &p, NULL) != RAD_OK)
            return false;
        for (int i = 0; i < p.n_axis; i++)
            if (p.kernel[i] != p.in[i] || p.out[i] != 1 || p.pad_begin[i] != 0 || p.pad_end[i] != 0 || p.dilation[i] != 1)
                return false;
        return true;
    }
    if (!is(n, "ReduceMean") || x->rank < 3)
        return false;
    const unsigned axes = reduced_axes(g, n);
    for (int last = 0; last < 2; last++) {
        const int channel = last ? x->rank - 1 : 1;
        bool whole = (axes & 1u) == 0 && (axes >> (unsigned)channel & 1u) == 0;
        for (int d = 1; d < x->rank; d++)
            whole = whole && (d == channel || x->dim[d] == 1 || (axes >> (unsigned)d & 1u) != 0);
        if (whole) {
            *ret_channels_last = last != 0;
            return true;
        }
    }
    return false;
}

/* Positions merged into one axis, or a flat map: the axes in front are the same. */
static bool merges_positions(const rad_shape *x, const rad_shape *y, bool channels_last) {
    return x->rank > y->rank && y->rank >= 3 && x->dim[0] == y->dim[0] &&
           (channels_last ? x->dim[x->rank - 1] == y->dim[y->rank - 1] : x->dim[1] == y->dim[1]);
}

/* Moves the channels from the first to the last place or back, and nothing else. */
static bool moves_channels(const rad_graph *g, const rad_node *n, bool channels_last) {
    const rad_attr *perm = rad_node_attr(n, "perm");
    const int rank = g->value[n->input[0]].shape.rank;
    if (perm == NULL || rank < 3 || perm->n != rank || perm->ints[0] != 0)
        return false;
    for (int d = 1; d < rank; d++) {
        const int64_t from = channels_last ? (d == rank - 1 ? 1 : d + 1) : (d == 1 ? rank - 1 : d - 1);
        if (perm->ints[d] != from)
            return false;
    }
    return true;
}

/* From what enters the pooling back through mere views of it, so that the map has all its axes. */
static int find_map(const rad_graph *g, int v, bool *channels_last) {
    static const char *const views[] = {"Reshape", "Flatten", "Squeeze", NULL};
    for (;;) {
        const rad_node *n = maker(g, v);
        if (is_one_of(n, views) && merges_positions(&g->value[n->input[0]].shape, &g->value[v].shape, *channels_last)) {
            v = n->input[0];
        } else if (is(n, "Transpose") && moves_channels(g, n, *channels_last)) {
            v = n->input[0];
            *channels_last = !*channels_last;
        } else if (is(n, "ReduceMean") && g->value[n->input[0]].shape.rank > 3) { /* one axis after the other */
            const rad_shape *x = &g->value[n->input[0]].shape;
            const unsigned axes = reduced_axes(g, n), kept = 1u | 1u << (unsigned)(*channels_last ? x->rank - 1 : 1);
            if (axes == 0 || (axes & kept) != 0)
                return v;
            v = n->input[0];
        } else {
            return v;
        }
    }
}

static rad_status take_map(struct walk *w, const rad_node *pool, rad_cam *c, rad_error *err) {
    const rad_graph *g = w->g;
    bool last = false;
    char text[96];
    if (!reads_whole_map(g, pool, &last))
        return no_map(w, err, "%s '%.60s' does not average %s over all positions", pool->op->name, pool->name,
                      sample_text(&g->value[pool->input[0]].shape, text, sizeof text));
    const int v = find_map(g, pool->input[0], &last);
    const rad_value *f = &g->value[v];
    if (f->shape.rank > RAD_CAM_RANK + 2 || f->dtype != RAD_DT_F32)
        return no_map(w, err, "the pooled tensor '%.60s' is %s %s; float32 with at most %d axes of positions is expected", f->name,
                      rad_dtype_name(f->dtype), sample_text(&f->shape, text, sizeof text), RAD_CAM_RANK);
    c->shape.rank = f->shape.rank - 2;
    memcpy(c->shape.dim, f->shape.dim + (last ? 1 : 2), (size_t)c->shape.rank * sizeof c->shape.dim[0]);
    c->channels_last = last;
    c->n_channel = w->n_in;
    c->n_class = w->n_class;
    c->n_position = rad_shape_count(&c->shape);
    if (w->a == NULL) {
        rad_status st = compose(w, NULL, w->n_in, 0, 0, 1.0, NULL, NULL, 0, err);
        if (st != RAD_OK)
            return st;
    }
    for (int64_t i = 0; i < w->n_class * w->n_in; i++)
        if (!isfinite(w->a[i]))
            return no_map(w, err, "the weights between pooling and output are not finite");
    c->tap = rad_strdup(f->name);
    if (c->tap == NULL)
        return nomem(err);
    c->weight = w->a;
    c->bias = w->b;
    w->a = w->b = NULL;
    return RAD_OK;
}

/* ---------------------------------------------------------------- the walk */

/* One node back from value *v; *ret_pool is set when it is the pooling. */
static rad_status step(struct walk *w, int *v, const rad_node **ret_pool, rad_error *err) {
    static const char *const reshaping[] = {"Identity", "Dropout", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", NULL};
    static const char *const pooling[] = {"GlobalAveragePool", "ReduceMean", "AveragePool", NULL};
    static const char *const maximum[] = {"GlobalMaxPool", "ReduceMax", "MaxPool", NULL};
    static const char *const last_activation[] = {"Softmax", "LogSoftmax", "Sigmoid", "Tanh", NULL};
    static const char *const matrix[] = {"Gemm", "MatMul", "Conv", NULL};
    static const char *const arithmetic[] = {"Add", "Sub", "Mul", "Div", NULL};
    char text[96];
    const rad_shape *s = &w->g->value[*v].shape;
    const rad_node *n = maker(w->g, *v);
    if (per_sample(w, *v) != w->n_in)
        return no_map(w, err, "tensor '%.60s' does not hold one row per sample", w->g->value[*v].name);
    if (is_one_of(n, pooling) && extended_axes(s) <= 1) {
        *ret_pool = n;
        return RAD_OK;
    }
    if (extended_axes(s) > 1)
        return no_map(w, err, "the map '%.60s' of %s is not averaged but flattened, so each position has weights of its own",
                      w->g->value[*v].name, sample_text(s, text, sizeof text));
    if (n == NULL)
        return no_map(w, err, "the input is reached and nothing was averaged over positions");
    if (is_one_of(n, maximum))
        return no_map(w, err, "%s '%.60s' takes a maximum, which is no sum over positions", n->op->name, n->name);
    if (is(n, "Concat"))
        return no_map(w, err, "Concat '%.60s' joins %d branches", n->name, n->n_input);
    if (n->residual >= 0)
        return no_map(w, err, "two branches are added in %s '%.60s'", n->op->name, n->name);
    const bool activation = is_one_of(n, last_activation), fused = n->act != RAD_FUSE_NONE;
    if (activation || fused) {
        if (w->layered)
            return no_map(w, err, "%s '%.60s'%s lies between pooling and output, as in a hidden layer", n->op->name, n->name,
                          fused ? " with its activation" : "");
        if (w->activated || (fused && n->act != RAD_FUSE_SIGMOID && n->act != RAD_FUSE_TANH))
            return no_map(w, err, "%s '%.60s' changes the output after its linear layer by more than a softmax or sigmoid", n->op->name,
                          n->name);
        w->activated = true;
    }
    if (activation) {
        *v = n->input[0];
        return RAD_OK;
    }
    if (is_one_of(n, reshaping)) { /* a flattened map is told by the next step */
        *v = n->input[0];
        return RAD_OK;
    }
    rad_status st = RAD_OK;
    int x = n->n_input > 0 ? n->input[0] : -1;
    if (is_one_of(n, matrix))
        st = pass_matrix(w, n, err);
    else if (is_one_of(n, arithmetic))
        st = pass_arithmetic(w, n, &x, err);
    else if (is(n, "BatchNormalization"))
        st = pass_norm(w, n, err);
    else
        return no_map(w, err, "%s '%.60s' between pooling and output is not linear in the pooled features", n->op->name, n->name);
    if (st == RAD_OK)
        *v = x;
    return st;
}

static rad_status walk_back(struct walk *w, int v, rad_cam *c, rad_error *err) {
    const rad_node *pool = NULL;
    w->n_class = w->n_in = per_sample(w, v);
    if (w->n_in < 1)
        return no_map(w, err, "its first axis is not the batch");
    w->b = rad_calloc((size_t)w->n_in, sizeof *w->b);
    if (w->b == NULL)
        return nomem(err);
    while (pool == NULL) {
        rad_status st = step(w, &v, &pool, err);
        if (st != RAD_OK)
            return st;
    }
    return take_map(w, pool, c, err);
}

rad_status rad_cam_find_head(const rad_graph *g, int v, rad_cam *c, rad_error *err) {
    struct walk w = {.g = g, .batch = 1, .output = g->value[v].name};
    if (g->n_input == 1 && g->value[g->input[0]].shape.rank >= 1)
        w.batch = g->value[g->input[0]].shape.dim[0];
    rad_status st = walk_back(&w, v, c, err);
    free(w.a);
    free(w.b);
    return st;
}
