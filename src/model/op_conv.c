/* op_conv.c: Conv and ConvTranspose in one to three spatial dims, any group, stride, dilation and padding.
 *
 * Everything is brought to three spatial axes. Conv gathers and ConvTranspose scatters rows of doubles; the bounds of the part of a row
 * that a kernel column reaches are computed once per row, so the inner loops have no tests. An output is one sum in double over (input
 * channel, kernel position), then bias, rounded once.
 */
#include "op_internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct conv {
    int64_t batch, group, in_ch, out_ch; /* channels per group */
    int64_t in[3], out[3], kernel[3], stride[3], dilation[3], pad[3];
    int64_t in_size, out_size, kernel_size;
} conv;

/* Leading axes that the node does not have get size 1. */
static void conv_set(conv *c, const rad_window_params *p) {
    for (int i = 0; i < 3; i++) {
        const int a = i - (3 - p->n_axis);
        c->in[i] = a < 0 ? 1 : p->in[a];
        c->out[i] = a < 0 ? 1 : p->out[a];
        c->kernel[i] = a < 0 ? 1 : p->kernel[a];
        c->stride[i] = a < 0 ? 1 : p->stride[a];
        c->dilation[i] = a < 0 ? 1 : p->dilation[a];
        c->pad[i] = a < 0 ? 0 : p->pad_begin[a];
    }
    c->group = p->group;
    bool pointwise = true;
    for (int i = 0; i < 3; i++)
        pointwise = pointwise && c->kernel[i] == 1 && c->stride[i] == 1 && c->pad[i] == 0 && c->in[i] == c->out[i];
    if (pointwise) { /* one long row instead of many short ones */
        c->in[2] = c->out[2] = c->in[0] * c->in[1] * c->in[2];
        c->in[0] = c->in[1] = c->out[0] = c->out[1] = 1;
    }
    c->in_size = c->in[0] * c->in[1] * c->in[2];
    c->out_size = c->out[0] * c->out[1] * c->out[2];
    c->kernel_size = c->kernel[0] * c->kernel[1] * c->kernel[2];
}

/* The positions o in [0, n_out) for which 0 <= o * stride + shift < n_in, as [*ret_lo, *ret_hi). */
static void reach(int64_t n_out, int64_t n_in, int64_t stride, int64_t shift, int64_t *ret_lo, int64_t *ret_hi) {
    int64_t lo = shift < 0 ? (-shift + stride - 1) / stride : 0;
    int64_t hi = shift < n_in ? (n_in - 1 - shift) / stride + 1 : 0;
    if (hi > n_out)
        hi = n_out;
    if (lo > hi)
        lo = hi;
    *ret_lo = lo;
    *ret_hi = hi;
}

/* Adds the contribution of one input plane through one kernel plane: acc[out] += x[in] . w, or the transpose acc[in] += x[out] . w, where
 * "in" is the side with in[] positions o * stride + k * dilation - pad. */
static void plane(const conv *c, const double *restrict x, const double *restrict w, bool transpose, double *restrict acc) {
    for (int64_t kd = 0; kd < c->kernel[0]; kd++) {
        int64_t d0, d1;
        const int64_t sd = kd * c->dilation[0] - c->pad[0];
        reach(c->out[0], c->in[0], c->stride[0], sd, &d0, &d1);
        for (int64_t kh = 0; kh < c->kernel[1]; kh++) {
            int64_t h0, h1;
            const int64_t sh = kh * c->dilation[1] - c->pad[1];
            reach(c->out[1], c->in[1], c->stride[1], sh, &h0, &h1);
            for (int64_t kw = 0; kw < c->kernel[2]; kw++) {
                int64_t w0, w1;
                const int64_t sw = kw * c->dilation[2] - c->pad[2], step = c->stride[2];
                const double f = w[(kd * c->kernel[1] + kh) * c->kernel[2] + kw];
                reach(c->out[2], c->in[2], step, sw, &w0, &w1);
                for (int64_t d = d0; d < d1; d++) {
                    for (int64_t h = h0; h < h1; h++) {
                        const int64_t near = ((d * c->stride[0] + sd) * c->in[1] + h * c->stride[1] + sh) * c->in[2] + sw;
                        const int64_t far = (d * c->out[1] + h) * c->out[2];
                        if (transpose) {
                            for (int64_t o = w0; o < w1; o++)
                                acc[near + o * step] += f * x[far + o];
                        } else if (step == 1) {
                            for (int64_t o = w0; o < w1; o++)
                                acc[far + o] += f * x[near + o];
                        } else {
                            for (int64_t o = w0; o < w1; o++)
                                acc[far + o] += f * x[near + o * step];
                        }
                    }
                }
            }
        }
    }
}

static rad_status check_bias(const rad_graph *g, const rad_node *n, rad_dtype t, int64_t channels, rad_error *err) {
    const rad_value *b;
    if (!rad_op_has_input(n, 2))
        return RAD_OK;
    const rad_status st = rad_op_input(g, n, 2, RAD_T(t), &b, err);
    if (st == RAD_OK && (b->shape.rank != 1 || b->shape.dim[0] != channels))
        return rad_op_error(n, err, "bias '%.100s' must be a list of %lld numbers, one per output channel", b->name, (long long)channels);
    return st;
}

/* ---------------------------------------------------------------- Conv */

static rad_status infer_conv(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x, *w;
    rad_window_params p;
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T_FLOAT, &x, err));
    RAD_TRY(rad_op_input(g, n, 1, RAD_T(x->dtype), &w, err));
    RAD_TRY(rad_window_params_get(n, &x->shape, &w->shape, &p, err));
    if (w->shape.dim[1] != x->shape.dim[1] / p.group || x->shape.dim[1] % p.group != 0 || w->shape.dim[0] % p.group != 0) {
        char tx[96], tw[96];
        return rad_op_error(n, err, "data %s, weights %s and group %lld do not fit", rad_shape_text(&x->shape, tx, sizeof tx),
                            rad_shape_text(&w->shape, tw, sizeof tw), (long long)p.group);
    }
    RAD_TRY(check_bias(g, n, x->dtype, w->shape.dim[0], err));
    rad_shape y = {p.n_axis + 2, {x->shape.dim[0], w->shape.dim[0]}};
    for (int i = 0; i < p.n_axis; i++)
        y.dim[2 + i] = p.out[i];
    st = rad_op_output(g, n, 0, x->dtype, &y, err);
out:
    return st;
}

static rad_status eval_conv(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    rad_window_params p;
    rad_status st = rad_window_params_get(n, &in[0].shape, &in[1].shape, &p, err);
    if (st != RAD_OK)
        return st;
    conv c = {0};
    conv_set(&c, &p);
    c.batch = in[0].shape.dim[0];
    c.in_ch = in[1].shape.dim[1];
    c.out_ch = in[1].shape.dim[0] / c.group;
    const bool with_bias = rad_op_has_input(n, 2);
    double *x = rad_calloc((size_t)(c.in_ch * c.in_size) + 1, sizeof *x);
    double *w = rad_calloc((size_t)(c.in_ch * c.kernel_size) + 1, sizeof *w);
    double *acc = rad_calloc((size_t)c.out_size + 1, sizeof *acc);
    if (x == NULL || w == NULL || acc == NULL) {
        st = rad_op_nomem(n, err);
        goto out;
    }
    for (int64_t bg = 0; bg < c.batch * c.group; bg++) {
        const int64_t group = bg % c.group;
        rad_op_load(&in[0], bg * c.in_ch * c.in_size, c.in_ch * c.in_size, x);
        for (int64_t o = 0; o < c.out_ch; o++) {
            const int64_t channel = group * c.out_ch + o;
            rad_op_load(&in[1], channel * c.in_ch * c.kernel_size, c.in_ch * c.kernel_size, w);
            memset(acc, 0, (size_t)c.out_size * sizeof *acc);
            for (int64_t i = 0; i < c.in_ch; i++)
                plane(&c, x + i * c.in_size, w + i * c.kernel_size, false, acc);
            double bias = 0;
            if (with_bias)
                rad_op_load(&in[2], channel, 1, &bias);
            for (int64_t i = 0; i < c.out_size; i++)
                acc[i] += bias;
            rad_op_store(&out[0], (bg * c.out_ch + o) * c.out_size, c.out_size, acc);
        }
    }
out:
    free(x);
    free(w);
    free(acc);
    return st;
}

/* ---------------------------------------------------------------- ConvTranspose */

static rad_status infer_conv_transpose(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x, *w;
    rad_window_params p;
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T_FLOAT, &x, err));
    RAD_TRY(rad_op_input(g, n, 1, RAD_T(x->dtype), &w, err));
    RAD_TRY(rad_window_params_get(n, &x->shape, &w->shape, &p, err));
    if (w->shape.dim[0] != x->shape.dim[1] || x->shape.dim[1] % p.group != 0) {
        char tx[96], tw[96];
        return rad_op_error(n, err, "data %s, weights %s and group %lld do not fit", rad_shape_text(&x->shape, tx, sizeof tx),
                            rad_shape_text(&w->shape, tw, sizeof tw), (long long)p.group);
    }
    int64_t channels = w->shape.dim[1];
    if (p.group > INT64_MAX / (channels > 0 ? channels : 1))
        return rad_op_error(n, err, "group %lld is too large", (long long)p.group);
    channels *= p.group;
    RAD_TRY(check_bias(g, n, x->dtype, channels, err));
    rad_shape y = {p.n_axis + 2, {x->shape.dim[0], channels}};
    for (int i = 0; i < p.n_axis; i++)
        y.dim[2 + i] = p.out[i];
    st = rad_op_output(g, n, 0, x->dtype, &y, err);
out:
    return st;
}

/* The same geometry seen from the other side: the node's output is the side that the window slides over. */
static rad_status eval_conv_transpose(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    rad_window_params p;
    rad_status st = rad_window_params_get(n, &in[0].shape, &in[1].shape, &p, err);
    if (st != RAD_OK)
        return st;
    for (int i = 0; i < p.n_axis; i++) {
        const int64_t t = p.in[i];
        p.in[i] = p.out[i];
        p.out[i] = t;
    }
    conv c = {0};
    conv_set(&c, &p);
    c.batch = in[0].shape.dim[0];
    c.in_ch = in[1].shape.dim[0] / c.group;
    c.out_ch = in[1].shape.dim[1];
    const bool with_bias = rad_op_has_input(n, 2);
    double *x = rad_calloc((size_t)(c.in_ch * c.out_size) + 1, sizeof *x);
    double *w = rad_calloc((size_t)c.kernel_size + 1, sizeof *w);
    double *acc = rad_calloc((size_t)c.in_size + 1, sizeof *acc);
    if (x == NULL || w == NULL || acc == NULL) {
        st = rad_op_nomem(n, err);
        goto out;
    }
    for (int64_t bg = 0; bg < c.batch * c.group; bg++) {
        const int64_t group = bg % c.group;
        rad_op_load(&in[0], bg * c.in_ch * c.out_size, c.in_ch * c.out_size, x);
        for (int64_t o = 0; o < c.out_ch; o++) {
            memset(acc, 0, (size_t)c.in_size * sizeof *acc);
            for (int64_t i = 0; i < c.in_ch; i++) {
                rad_op_load(&in[1], ((group * c.in_ch + i) * c.out_ch + o) * c.kernel_size, c.kernel_size, w);
                plane(&c, x + i * c.out_size, w, true, acc);
            }
            double bias = 0;
            if (with_bias)
                rad_op_load(&in[2], group * c.out_ch + o, 1, &bias);
            for (int64_t i = 0; i < c.in_size; i++)
                acc[i] += bias;
            rad_op_store(&out[0], (bg * c.out_ch + o) * c.in_size, c.in_size, acc);
        }
    }
out:
    free(x);
    free(w);
    free(acc);
    return st;
}

/* ---------------------------------------------------------------- table */

#define ATTR_CONV                                                                                                                          \
    {"auto_pad", RAD_ATTR_STRING, 1, 0}, {"dilations", RAD_ATTR_INTS, 1, 0}, {"group", RAD_ATTR_INT, 1, 0},                                \
        {"kernel_shape", RAD_ATTR_INTS, 1, 0}, {"pads", RAD_ATTR_INTS, 1, 0}, {                                                            \
        "strides", RAD_ATTR_INTS, 1, 0                                                                                                     \
    }
static const rad_op_attr attr_conv[] = {ATTR_CONV, {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_conv_transpose[] = {
    ATTR_CONV, {"output_padding", RAD_ATTR_INTS, 1, 0}, {"output_shape", RAD_ATTR_INTS, 1, 0}, {NULL, RAD_ATTR_NONE, 0, 0}};

const rad_op_def rad_op_Conv = {"Conv", 2, 3, 1, 1, attr_conv, infer_conv, eval_conv, NULL};
const rad_op_def rad_op_ConvTranspose = {"ConvTranspose", 2, 3, 1, 1, attr_conv_transpose, infer_conv_transpose, eval_conv_transpose, NULL};
