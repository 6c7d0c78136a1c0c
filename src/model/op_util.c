/* op_util.c: element conversion, shape rules and loops that the operator families share. Contract in op_internal.h. */
#include "op_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const rad_op_attr rad_op_no_attr[] = {{NULL, RAD_ATTR_NONE, 0, 0}};

/* ---------------------------------------------------------------- small floats */

/* float16 has 5 exponent and 10 mantissa bits, bfloat16 8 and 7; both follow IEEE 754 otherwise. */
static double widen(uint16_t bits, int mantissa, int exponent) {
    const int bias = (1 << (exponent - 1)) - 1;
    const int e = (bits >> mantissa) & ((1 << exponent) - 1);
    const int m = bits & ((1 << mantissa) - 1);
    double v;
    if (e == (1 << exponent) - 1)
        v = m != 0 ? (double)NAN : (double)INFINITY;
    else if (e == 0)
        v = ldexp(m, 1 - bias - mantissa);
    else
        v = ldexp(m + (1 << mantissa), e - bias - mantissa);
    return (bits >> 15) != 0 ? -v : v;
}

/* Straight from double, to round once: to nearest, ties to even. */
static uint16_t narrow(double v, int mantissa, int exponent) {
    const int bias = (1 << (exponent - 1)) - 1;
    const int64_t infinity = (((int64_t)1 << exponent) - 1) << mantissa;
    int64_t bits;
    const double a = fabs(v);
    if (isnan(v)) {
        bits = infinity | ((int64_t)1 << (mantissa - 1));
    } else if (isinf(v)) {
        bits = infinity;
    } else if (a > 0) {
        int e;
        (void)frexp(a, &e);
        e -= 1;
        if (e < 1 - bias)
            e = 1 - bias; /* the grid of the subnormal numbers */
        /* q counts units in the last place; a carry out of the mantissa moves the exponent on by itself */
        const double q = nearbyint(ldexp(a, mantissa - e));
        bits = ((int64_t)(e + bias) << mantissa) + (int64_t)q - ((int64_t)1 << mantissa);
        if (bits > infinity)
            bits = infinity;
    } else {
        bits = 0;
    }
    return (uint16_t)(bits | (signbit(v) ? 0x8000 : 0));
}

/* ---------------------------------------------------------------- load and store */

/* memcpy of one element compiles to an unaligned load or store. */
#define LOAD_AS(type, expression)                                                                                                          \
    for (int64_t i = 0; i < n; i++) {                                                                                                      \
        type v;                                                                                                                            \
        memcpy(&v, p + (size_t)i * sizeof v, sizeof v);                                                                                    \
        dst[i] = (expression);                                                                                                             \
    }                                                                                                                                      \
    break
#define STORE_AS(type, expression)                                                                                                         \
    for (int64_t i = 0; i < n; i++) {                                                                                                      \
        const type v = (expression);                                                                                                       \
        memcpy(p + (size_t)i * sizeof v, &v, sizeof v);                                                                                    \
    }                                                                                                                                      \
    break

void rad_op_load(const rad_tensor *t, int64_t first, int64_t n, double *dst) {
    if (n == 0)
        return;
    const unsigned char *p = (const unsigned char *)t->data + (size_t)first * rad_dtype_size(t->dtype);
    switch (t->dtype) {
    case RAD_DT_F32:
        LOAD_AS(float, (double)v);
    case RAD_DT_F64:
        LOAD_AS(double, v);
    case RAD_DT_F16:
        LOAD_AS(uint16_t, widen(v, 10, 5));
    case RAD_DT_BF16:
        LOAD_AS(uint16_t, widen(v, 7, 8));
    case RAD_DT_U8:
        LOAD_AS(uint8_t, (double)v);
    case RAD_DT_I8:
        LOAD_AS(int8_t, (double)v);
    case RAD_DT_U16:
        LOAD_AS(uint16_t, (double)v);
    case RAD_DT_I16:
        LOAD_AS(int16_t, (double)v);
    case RAD_DT_U32:
        LOAD_AS(uint32_t, (double)v);
    case RAD_DT_I32:
        LOAD_AS(int32_t, (double)v);
    case RAD_DT_U64:
        LOAD_AS(uint64_t, (double)v);
    case RAD_DT_I64:
        LOAD_AS(int64_t, (double)v);
    case RAD_DT_BOOL:
        LOAD_AS(uint8_t, v != 0 ? 1.0 : 0.0);
    case RAD_DT_NONE:
    case RAD_DT_STRING:
        break;
    }
}

/* Saturates; NaN becomes 0. lo and hi are exact in double and hi is the first value that does not fit. */
static int64_t to_int(double v, double lo, double hi, int64_t max) {
    if (isnan(v))
        return 0;
    if (v <= lo)
        return (int64_t)lo;
    return v >= hi ? max : (int64_t)v;
}

static uint64_t to_u64(double v) {
    if (!(v > 0)) /* also NaN */
        return 0;
    return v >= 18446744073709551616.0 ? UINT64_MAX : (uint64_t)v;
}

void rad_op_store(rad_tensor *t, int64_t first, int64_t n, const double *src) {
    if (n == 0)
        return;
    unsigned char *p = (unsigned char *)t->data + (size_t)first * rad_dtype_size(t->dtype);
    switch (t->dtype) {
    case RAD_DT_F32:
        STORE_AS(float, (float)src[i]);
    case RAD_DT_F64:
        STORE_AS(double, src[i]);
    case RAD_DT_F16:
        STORE_AS(uint16_t, narrow(src[i], 10, 5));
    case RAD_DT_BF16:
        STORE_AS(uint16_t, narrow(src[i], 7, 8));
    case RAD_DT_U8:
        STORE_AS(uint8_t, (uint8_t)to_int(src[i], 0, 256.0, UINT8_MAX));
    case RAD_DT_I8:
        STORE_AS(int8_t, (int8_t)to_int(src[i], INT8_MIN, 128.0, INT8_MAX));
    case RAD_DT_U16:
        STORE_AS(uint16_t, (uint16_t)to_int(src[i], 0, 65536.0, UINT16_MAX));
    case RAD_DT_I16:
        STORE_AS(int16_t, (int16_t)to_int(src[i], INT16_MIN, 32768.0, INT16_MAX));
    case RAD_DT_U32:
        STORE_AS(uint32_t, (uint32_t)to_int(src[i], 0, 4294967296.0, UINT32_MAX));
    case RAD_DT_I32:
        STORE_AS(int32_t, (int32_t)to_int(src[i], INT32_MIN, 2147483648.0, INT32_MAX));
    case RAD_DT_U64:
        STORE_AS(uint64_t, to_u64(src[i]));
    case RAD_DT_I64:
        STORE_AS(int64_t, to_int(src[i], -9223372036854775808.0, 9223372036854775808.0, INT64_MAX));
    case RAD_DT_BOOL:
        STORE_AS(uint8_t, src[i] != 0 ? 1 : 0);
    case RAD_DT_NONE:
    case RAD_DT_STRING:
        break;
    }
}

void rad_op_load_int(const rad_tensor *t, int64_t first, int64_t n, int64_t *dst) {
    if (n == 0)
        return;
    const unsigned char *p = (const unsigned char *)t->data + (size_t)first * rad_dtype_size(t->dtype);
    switch (t->dtype) {
    case RAD_DT_U8:
        LOAD_AS(uint8_t, v);
    case RAD_DT_I8:
        LOAD_AS(int8_t, v);
    case RAD_DT_U16:
        LOAD_AS(uint16_t, v);
    case RAD_DT_I16:
        LOAD_AS(int16_t, v);
    case RAD_DT_U32:
        LOAD_AS(uint32_t, v);
    case RAD_DT_I32:
        LOAD_AS(int32_t, v);
    case RAD_DT_U64:
        LOAD_AS(uint64_t, (int64_t)v);
    case RAD_DT_I64:
        LOAD_AS(int64_t, v);
    case RAD_DT_BOOL:
        LOAD_AS(uint8_t, v != 0);
    default:
        break;
    }
}

void rad_op_store_int(rad_tensor *t, int64_t first, int64_t n, const int64_t *src) {
    if (n == 0)
        return;
    unsigned char *p = (unsigned char *)t->data + (size_t)first * rad_dtype_size(t->dtype);
    switch (t->dtype) {
    case RAD_DT_U8:
        STORE_AS(uint8_t, (uint8_t)src[i]);
    case RAD_DT_I8:
        STORE_AS(int8_t, (int8_t)src[i]);
    case RAD_DT_U16:
        STORE_AS(uint16_t, (uint16_t)src[i]);
    case RAD_DT_I16:
        STORE_AS(int16_t, (int16_t)src[i]);
    case RAD_DT_U32:
        STORE_AS(uint32_t, (uint32_t)src[i]);
    case RAD_DT_I32:
        STORE_AS(int32_t, (int32_t)src[i]);
    case RAD_DT_U64:
        STORE_AS(uint64_t, (uint64_t)src[i]);
    case RAD_DT_I64:
        STORE_AS(int64_t, src[i]);
    case RAD_DT_BOOL:
        STORE_AS(uint8_t, src[i] != 0 ? 1 : 0);
    default:
        break;
    }
}

double *rad_op_load_all(const rad_tensor *t) {
    const int64_t n = rad_shape_count(&t->shape);
    size_t bytes;
    if (n < 0 || !rad_mul_size((size_t)n, sizeof(double), &bytes))
        return NULL;
    double *x = rad_malloc(bytes > 0 ? bytes : sizeof(double));
    if (x != NULL)
        rad_op_load(t, 0, n, x);
    return x;
}

double rad_op_scalar(const rad_tensor *t) {
    double v = 0;
    rad_op_load(t, 0, 1, &v);
    return v;
}

/* ---------------------------------------------------------------- rules */

rad_status rad_op_error(const rad_node *n, rad_error *err, const char *fmt, ...) {
    char text[RAD_ERROR_TEXT];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return rad_error_set(err, RAD_E_MODEL, "node '%.160s' (%s): %s", n->name, n->op->name, text);
}

rad_status rad_op_nomem(const rad_node *n, rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "node '%.160s' (%s): out of memory", n->name, n->op->name);
}

rad_status rad_op_input(const rad_graph *g, const rad_node *n, int k, unsigned types, const rad_value **ret, rad_error *err) {
    if (!rad_op_has_input(n, k))
        return rad_op_error(n, err, "input %d is missing", k);
    const rad_value *v = &g->value[n->input[k]];
    if (!rad_op_type_in(v->dtype, types))
        return rad_op_error(n, err, "input '%.100s' is %s, which this operator does not take here", v->name, rad_dtype_name(v->dtype));
    *ret = v;
    return RAD_OK;
}

rad_status rad_op_output(rad_graph *g, const rad_node *n, int k, rad_dtype t, const rad_shape *s, rad_error *err) {
    if (!rad_op_has_output(n, k))
        return RAD_OK;
    const int64_t count = rad_shape_count(s);
    size_t bytes;
    if (count < 0 || !rad_mul_size((size_t)count, rad_dtype_size(t), &bytes) || bytes > RAD_MAX_TENSOR_BYTES) {
        char text[128];
        return rad_op_error(n, err, "output would have shape %s, more than the limit of %zu bytes", rad_shape_text(s, text, sizeof text),
                            (size_t)RAD_MAX_TENSOR_BYTES);
    }
    g->value[n->output[k]].dtype = t;
    g->value[n->output[k]].shape = *s;
    return RAD_OK;
}

rad_status rad_op_const(const rad_graph *g, const rad_node *n, int k, rad_tensor *ret, rad_error *err) {
    const rad_value *v = &g->value[n->input[k]];
    if (v->data == NULL && rad_shape_count(&v->shape) != 0)
        return rad_op_error(n, err, "input '%.100s' decides a shape and must be a constant: export the network with fixed image sizes",
                            v->name);
    ret->dtype = v->dtype;
    ret->shape = v->shape;
    memcpy(&ret->data, &v->data, sizeof ret->data); /* a view for reading: rad_tensor has no const form */
    return RAD_OK;
}

static rad_status tensor_ints(const rad_node *n, const rad_tensor *t, int k, int cap, int64_t *dst, int *ret_n, rad_error *err) {
    const int64_t count = rad_shape_count(&t->shape);
    if (!rad_op_type_in(t->dtype, RAD_T_INDEX) || t->shape.rank > 1)
        return rad_op_error(n, err, "input %d must be a list of int64, not %s of rank %d", k, rad_dtype_name(t->dtype), t->shape.rank);
    if (count > cap)
        return rad_op_error(n, err, "input %d has %lld entries, at most %d are possible here", k, (long long)count, cap);
    rad_op_load_int(t, 0, count, dst);
    *ret_n = (int)count;
    return RAD_OK;
}

/* True when the attribute is there and was taken. */
static rad_status attr_ints(const rad_node *n, const char *attr, int cap, int64_t *dst, int *ret_n, rad_error *err) {
    const rad_attr *a = attr != NULL ? rad_node_attr(n, attr) : NULL;
    *ret_n = -1;
    if (a == NULL)
        return RAD_OK;
    if (a->n > cap)
        return rad_op_error(n, err, "attribute '%.100s' has %lld entries, at most %d are possible here", attr, (long long)a->n, cap);
    for (int64_t i = 0; i < a->n; i++)
        dst[i] = a->ints[i];
    *ret_n = (int)a->n;
    return RAD_OK;
}

rad_status rad_op_ints(const rad_graph *g, const rad_node *n, const char *attr, int k, int cap, int64_t *dst, int *ret_n, rad_error *err) {
    rad_tensor t;
    rad_status st = attr_ints(n, attr, cap, dst, ret_n, err);
    if (st != RAD_OK || *ret_n >= 0 || k < 0 || !rad_op_has_input(n, k))
        return st;
    st = rad_op_const(g, n, k, &t, err);
    return st != RAD_OK ? st : tensor_ints(n, &t, k, cap, dst, ret_n, err);
}

rad_status rad_op_eval_ints(const rad_node *n, const rad_tensor *in, const char *attr, int k, int cap, int64_t *dst, int *ret_n,
                            rad_error *err) {
    const rad_status st = attr_ints(n, attr, cap, dst, ret_n, err);
    if (st != RAD_OK || *ret_n >= 0 || k < 0 || !rad_op_has_input(n, k))
        return st;
    return tensor_ints(n, &in[k], k, cap, dst, ret_n, err);
}

rad_status rad_op_axis(const rad_node *n, int64_t axis, int rank, int *ret, rad_error *err) {
    if (axis < -rank || axis >= rank)
        return rad_op_error(n, err, "axis %lld is outside a tensor of rank %d", (long long)axis, rank);
    *ret = (int)(axis < 0 ? axis + rank : axis);
    return RAD_OK;
}

rad_status rad_op_axes(const rad_node *n, const int64_t *axes, int n_axes, int rank, bool ret_flag[RAD_MAX_RANK], rad_error *err) {
    for (int i = 0; i < RAD_MAX_RANK; i++)
        ret_flag[i] = false;
    for (int i = 0; i < n_axes; i++) {
        int a = 0;
        const rad_status st = rad_op_axis(n, axes[i], rank, &a, err);
        if (st != RAD_OK)
            return st;
        if (ret_flag[a])
            return rad_op_error(n, err, "axis %lld is given twice", (long long)axes[i]);
        ret_flag[a] = true;
    }
    return RAD_OK;
}

int64_t rad_op_span(const rad_shape *s, int from, int to) {
    int64_t n = 1;
    for (int i = from; i < to; i++)
        n *= s->dim[i];
    return n;
}

bool rad_op_broadcast(rad_shape *acc, const rad_shape *s) {
    rad_shape r;
    r.rank = acc->rank > s->rank ? acc->rank : s->rank;
    for (int i = 0; i < r.rank; i++) {
        const int ia = i - (r.rank - acc->rank), is = i - (r.rank - s->rank);
        const int64_t a = ia >= 0 ? acc->dim[ia] : 1, b = is >= 0 ? s->dim[is] : 1;
        if (a != b && a != 1 && b != 1)
            return false;
        r.dim[i] = a == 1 ? b : a;
    }
    *acc = r;
    return true;
}

rad_status rad_op_infer_same(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x = NULL;
    const rad_status st = rad_op_input(g, n, 0, *(const unsigned *)n->op->param, &x, err);
    return st != RAD_OK ? st : rad_op_output(g, n, 0, x->dtype, &x->shape, err);
}

/* ---------------------------------------------------------------- loops */

void rad_op_strides(const rad_shape *s, int64_t ret[RAD_MAX_RANK]) {
    int64_t step = 1;
    for (int i = s->rank - 1; i >= 0; i--) {
        ret[i] = step;
        step *= s->dim[i];
    }
}

rad_status rad_walk_init(rad_walk *w, const rad_node *node, const rad_shape *out, int n, const rad_tensor *operand, rad_error *err) {
    *w = (rad_walk){.n = n, .row = -1, .rows = 1};
    w->stride = rad_calloc((size_t)n * (RAD_MAX_RANK + 2), sizeof *w->stride);
    if (w->stride == NULL)
        return rad_op_nomem(node, err);
    w->offset = w->stride + (size_t)n * RAD_MAX_RANK;
    w->step = w->offset + n;

    for (int d = 0; d < out->rank; d++) {
        /* append axis d, then merge it into the one before when every operand moves through both as through one */
        bool merge = w->rank > 0;
        const int at = w->rank;
        for (int k = 0; k < n; k++) {
            const rad_shape *s = &operand[k].shape;
            int64_t dense[RAD_MAX_RANK];
            rad_op_strides(s, dense);
            const int ds = d - (out->rank - s->rank);
            const int64_t stride = ds >= 0 && s->dim[ds] != 1 ? dense[ds] : 0;
            w->stride[(size_t)k * RAD_MAX_RANK + (size_t)at] = stride;
            if (merge && w->stride[(size_t)k * RAD_MAX_RANK + (size_t)at - 1] != stride * out->dim[d])
                merge = false;
        }
        if (merge) {
            for (int k = 0; k < n; k++) {
                int64_t *s = w->stride + (size_t)k * RAD_MAX_RANK;
                s[at - 1] = s[at];
            }
            w->dim[at - 1] *= out->dim[d];
        } else {
            w->dim[w->rank++] = out->dim[d];
        }
    }
    w->run = w->rank > 0 ? w->dim[w->rank - 1] : 1;
    for (int d = 0; d + 1 < w->rank; d++)
        w->rows *= w->dim[d];
    if (w->run == 0)
        w->rows = 0;
    for (int k = 0; k < n && w->rank > 0; k++)
        w->step[k] = w->stride[(size_t)k * RAD_MAX_RANK + (size_t)w->rank - 1];
    return RAD_OK;
}

bool rad_walk_next(rad_walk *w) {
    if (++w->row >= w->rows)
        return false;
    for (int d = w->rank - 2; w->row > 0 && d >= 0; d--) {
        if (++w->index[d] < w->dim[d])
            break;
        w->index[d] = 0;
    }
    for (int k = 0; k < w->n; k++) {
        w->offset[k] = 0;
        for (int d = 0; d + 1 < w->rank; d++)
            w->offset[k] += w->index[d] * w->stride[(size_t)k * RAD_MAX_RANK + (size_t)d];
    }
    return true;
}

void rad_walk_release(rad_walk *w) {
    free(w->stride);
    w->stride = NULL;
}

void rad_op_copy(const rad_copy *c, const void *src, int64_t src_first, void *dst, int64_t dst_first, size_t element) {
    int64_t index[RAD_COPY_RANK] = {0};
    for (int d = 0; d < c->rank; d++) {
        if (c->dim[d] == 0)
            return;
    }
    const int last = c->rank - 1;
    const int64_t run = last >= 0 ? c->dim[last] : 1;
    const int64_t step_from = last >= 0 ? c->from[last] : 1, step_to = last >= 0 ? c->to[last] : 1;
    const ptrdiff_t bytes_from = (ptrdiff_t)step_from * (ptrdiff_t)element, bytes_to = (ptrdiff_t)step_to * (ptrdiff_t)element;
    for (;;) {
        int64_t from = src_first, to = dst_first;
        for (int d = 0; d < last; d++) {
            from += index[d] * c->from[d];
            to += index[d] * c->to[d];
        }
        const unsigned char *s = (const unsigned char *)src + (ptrdiff_t)from * (ptrdiff_t)element;
        unsigned char *t = (unsigned char *)dst + (ptrdiff_t)to * (ptrdiff_t)element;
        if (step_from == 1 && step_to == 1) {
            memcpy(t, s, (size_t)run * element);
        } else if (element == sizeof(float)) { /* a constant size makes it one load and one store */
            for (int64_t i = 0; i < run; i++)
                memcpy(t + i * bytes_to, s + i * bytes_from, sizeof(float));
        } else {
            for (int64_t i = 0; i < run; i++)
                memcpy(t + i * bytes_to, s + i * bytes_from, element);
        }
        int d = last - 1;
        while (d >= 0 && ++index[d] == c->dim[d])
            index[d--] = 0;
        if (d < 0)
            return;
    }
}
