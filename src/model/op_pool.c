/* op_pool.c: MaxPool (with indices), AveragePool, LpPool and their global forms.
 *
 * Average divides by the window's positions inside the image, or with count_include_pad by those inside image and declared padding: what
 * ceil_mode lets hang over the padding is never counted (ONNX 19, PyTorch).
 */
#include "op_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef enum pool_kind { POOL_MAX, POOL_AVERAGE, POOL_LP } pool_kind;
typedef struct pool {
    pool_kind kind;
    unsigned types;
} pool;

typedef struct window {
    int64_t in[3], out[3], kernel[3], stride[3], dilation[3], begin[3], end[3];
    bool include_pad, column_major;
    double p;
} window;

static void window_set(window *w, const rad_window_params *p) {
    for (int i = 0; i < 3; i++) {
        const int a = i - (3 - p->n_axis);
        w->in[i] = a < 0 ? 1 : p->in[a];
        w->out[i] = a < 0 ? 1 : p->out[a];
        w->kernel[i] = a < 0 ? 1 : p->kernel[a];
        w->stride[i] = a < 0 ? 1 : p->stride[a];
        w->dilation[i] = a < 0 ? 1 : p->dilation[a];
        w->begin[i] = a < 0 ? 0 : p->pad_begin[a];
        w->end[i] = a < 0 ? 0 : p->pad_end[a];
    }
    w->include_pad = p->count_include_pad;
}

/* Kernel positions [lo, hi) of the window at output o that lie in [from, to) of axis a. */
static void taps(const window *w, int a, int64_t o, int64_t from, int64_t to, int64_t *ret_lo, int64_t *ret_hi) {
    const int64_t start = o * w->stride[a] - w->begin[a], step = w->dilation[a];
    int64_t lo = start < from ? (from - start + step - 1) / step : 0;
    int64_t hi = start < to ? (to - 1 - start) / step + 1 : 0;
    if (hi > w->kernel[a])
        hi = w->kernel[a];
    if (lo > hi)
        lo = hi;
    *ret_lo = lo;
    *ret_hi = hi;
}

/* One output of one plane x. *ret_at is the place of the maximum in the plane, row-major. */
static double pool_at(const window *w, pool_kind kind, const double *x, const int64_t o[3], int64_t *ret_at) {
    int64_t lo[3], hi[3], place[3];
    int64_t counted = 1;
    for (int a = 0; a < 3; a++) {
        int64_t c0, c1;
        taps(w, a, o[a], 0, w->in[a], &lo[a], &hi[a]);
        taps(w, a, o[a], w->include_pad ? -w->begin[a] : 0, w->include_pad ? w->in[a] + w->end[a] : w->in[a], &c0, &c1);
        counted *= c1 - c0;
    }
    double acc = kind == POOL_MAX ? -(double)INFINITY : 0;
    bool first = true;
    *ret_at = 0;
    for (int64_t kd = lo[0]; kd < hi[0]; kd++) {
        place[0] = o[0] * w->stride[0] - w->begin[0] + kd * w->dilation[0];
        for (int64_t kh = lo[1]; kh < hi[1]; kh++) {
            place[1] = o[1] * w->stride[1] - w->begin[1] + kh * w->dilation[1];
            const int64_t row = (place[0] * w->in[1] + place[1]) * w->in[2];
            for (int64_t kw = lo[2]; kw < hi[2]; kw++) {
                const int64_t at = row + o[2] * w->stride[2] - w->begin[2] + kw * w->dilation[2];
                const double v = x[at];
                if (kind == POOL_AVERAGE) {
                    acc += v;
                } else if (kind == POOL_LP) {
                    acc += pow(fabs(v), w->p);
                } else if (first || v > acc || isnan(v)) { /* NaN spreads, as in PyTorch; the first maximum wins */
                    acc = v;
                    *ret_at = at;
                    first = false;
                }
            }
        }
    }
    if (kind == POOL_AVERAGE)
        return counted > 0 ? acc / (double)counted : 0;
    return kind == POOL_LP ? pow(acc, 1 / w->p) : acc;
}

static rad_status infer_pool(rad_graph *g, const rad_node *n, rad_error *err) {
    const pool *o = n->op->param;
    const rad_value *x;
    rad_window_params p;
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, o->types, &x, err));
    RAD_TRY(rad_window_params_get(n, &x->shape, NULL, &p, err));
    if (o->kind == POOL_LP && !(rad_node_attr_float(n, "p", 2) > 0) && rad_node_attr_int(n, "p", 2) <= 0)
        return rad_op_error(n, err, "p must be positive");
    rad_shape y = {p.n_axis + 2, {x->shape.dim[0], x->shape.dim[1]}};
    for (int i = 0; i < p.n_axis; i++)
        y.dim[2 + i] = p.out[i];
    RAD_TRY(rad_op_output(g, n, 0, x->dtype, &y, err));
    st = rad_op_output(g, n, 1, RAD_DT_I64, &y, err);
out:
    return st;
}

/* Place in the plane as it would be with the spatial axes stored first-fastest. */
static int64_t column_major(const window *w, int64_t at) {
    const int64_t x = at % w->in[2], y = at / w->in[2] % w->in[1], z = at / (w->in[2] * w->in[1]);
    return (x * w->in[1] + y) * w->in[0] + z;
}

static rad_status eval_pool(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    const pool *op = n->op->param;
    rad_window_params p;
    window w = {0};
    rad_status st = rad_window_params_get(n, &in[0].shape, NULL, &p, err);
    if (st != RAD_OK)
        return st;
    window_set(&w, &p);
    const rad_attr *norm = rad_node_attr(n, "p"); /* a float up to opset 1, then an integer */
    w.p = norm == NULL ? 2 : (norm->kind == RAD_ATTR_FLOAT ? norm->f : (double)norm->i);
    w.column_major = rad_node_attr_int(n, "storage_order", 0) != 0;

    const bool with_index = rad_op_has_output(n, 1);
    const int64_t planes = in[0].shape.dim[0] * in[0].shape.dim[1];
    const int64_t in_size = w.in[0] * w.in[1] * w.in[2], out_size = w.out[0] * w.out[1] * w.out[2];
    double *x = rad_calloc((size_t)in_size + 1, sizeof *x), *y = rad_calloc((size_t)out_size + 1, sizeof *y);
    int64_t *index = rad_calloc((size_t)out_size + 1, sizeof *index);
    if (x == NULL || y == NULL || index == NULL) {
        st = rad_op_nomem(n, err);
        goto out;
    }
    for (int64_t c = 0; c < planes; c++) {
        rad_op_load(&in[0], c * in_size, in_size, x);
        int64_t at = 0;
        for (int64_t d = 0; d < w.out[0]; d++) {
            for (int64_t h = 0; h < w.out[1]; h++) {
                for (int64_t i = 0; i < w.out[2]; i++, at++) {
                    int64_t place;
                    y[at] = pool_at(&w, op->kind, x, (const int64_t[3]){d, h, i}, &place);
                    index[at] = c * in_size + (w.column_major ? column_major(&w, place) : place);
                }
            }
        }
        rad_op_store(&out[0], c * out_size, out_size, y);
        if (with_index)
            rad_op_store_int(&out[1], c * out_size, out_size, index);
    }
out:
    free(x);
    free(y);
    free(index);
    return st;
}

/* ---------------------------------------------------------------- table */

#define ATTR_WINDOW                                                                                                                        \
    {"auto_pad", RAD_ATTR_STRING, 1, 0}, {"kernel_shape", RAD_ATTR_INTS, 1, 0}, {"pads", RAD_ATTR_INTS, 1, 0}, {                           \
        "strides", RAD_ATTR_INTS, 1, 0                                                                                                     \
    }
static const rad_op_attr attr_max[] = {ATTR_WINDOW,
                                       {"ceil_mode", RAD_ATTR_INT, 10, 0},
                                       {"dilations", RAD_ATTR_INTS, 10, 0},
                                       {"storage_order", RAD_ATTR_INT, 8, 0},
                                       {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_average[] = {ATTR_WINDOW,
                                           {"ceil_mode", RAD_ATTR_INT, 10, 0},
                                           {"count_include_pad", RAD_ATTR_INT, 7, 0},
                                           {"dilations", RAD_ATTR_INTS, 19, 0},
                                           {NULL, RAD_ATTR_NONE, 0, 0}};
#define ATTR_P                                                                                                                             \
    {"p", RAD_ATTR_FLOAT, 1, 1}, {                                                                                                         \
        "p", RAD_ATTR_INT, 2, 0                                                                                                            \
    }
static const rad_op_attr attr_lp[] = {
    ATTR_WINDOW, ATTR_P, {"ceil_mode", RAD_ATTR_INT, 18, 0}, {"dilations", RAD_ATTR_INTS, 18, 0}, {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_global_lp[] = {ATTR_P, {NULL, RAD_ATTR_NONE, 0, 0}};

#define POOL(name, outputs, attributes, ...)                                                                                               \
    const rad_op_def rad_op_##name = {#name, 1, 1, 1, outputs, attributes, infer_pool, eval_pool, &(const pool){__VA_ARGS__}};
POOL(AveragePool, 1, attr_average, POOL_AVERAGE, RAD_T_FLOAT)
POOL(GlobalAveragePool, 1, rad_op_no_attr, POOL_AVERAGE, RAD_T_FLOAT)
POOL(GlobalLpPool, 1, attr_global_lp, POOL_LP, RAD_T_FLOAT)
POOL(GlobalMaxPool, 1, rad_op_no_attr, POOL_MAX, RAD_T_FLOAT)
POOL(LpPool, 1, attr_lp, POOL_LP, RAD_T_FLOAT)
POOL(MaxPool, 2, attr_max, POOL_MAX, RAD_T_FLOAT | RAD_T(RAD_DT_U8) | RAD_T(RAD_DT_I8))
#undef POOL
