/* op_pad.c: Pad with constant, reflect, edge and wrap borders; negative pads crop. */
#include "op_internal.h"

#include <stdlib.h>
#include <string.h>

typedef enum pad_mode { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP } pad_mode;
typedef struct pad {
    pad_mode mode;
    int64_t begin[RAD_MAX_RANK];
    rad_shape y;
} pad;

static rad_status pad_resolve(const rad_node *n, const rad_shape *x, const int64_t *pads, int n_pads, const int64_t *axes, int n_axes,
                              pad *ret, rad_error *err) {
    static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
    const char *mode = rad_node_attr_string(n, "mode", "constant");
    int kind = 0;
    bool flag[RAD_MAX_RANK];
    while (kind < 4 && strcmp(mode, names[kind]) != 0)
        kind++;
    if (kind == 4 || (kind == PAD_WRAP && n->opset < 19))
        return rad_op_error(n, err, "mode '%.100s' is unknown at opset %d", mode, n->opset);
    const int count = n_axes >= 0 ? n_axes : x->rank;
    if (n_pads != 2 * count)
        return rad_op_error(n, err, "expected %d pads (all begins, then all ends), found %d", 2 * count, n_pads);
    rad_status st = rad_op_axes(n, axes, n_axes > 0 ? n_axes : 0, x->rank, flag, err);
    if (st != RAD_OK)
        return st;
    *ret = (pad){.mode = (pad_mode)kind, .y = *x};
    for (int i = 0; i < count; i++) {
        int a = i;
        if (n_axes >= 0 && (st = rad_op_axis(n, axes[i], x->rank, &a, err)) != RAD_OK)
            return st;
        const int64_t limit = (int64_t)RAD_MAX_TENSOR_BYTES, b = pads[i], e = pads[count + i];
        if (b > limit || b < -limit || e > limit || e < -limit || x->dim[a] + b + e < 0)
            return rad_op_error(n, err, "pads %lld and %lld of axis %d of size %lld", (long long)b, (long long)e, a, (long long)x->dim[a]);
        if (kind != PAD_CONSTANT && x->dim[a] == 0 && (b > 0 || e > 0))
            return rad_op_error(n, err, "axis %d is empty: nothing to repeat", a);
        ret->begin[a] = b;
        ret->y.dim[a] = x->dim[a] + b + e;
    }
    return RAD_OK;
}

static rad_status infer_pad(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x, *value;
    int64_t pads[2 * RAD_MAX_RANK], axes[RAD_MAX_RANK];
    int n_pads, n_axes;
    pad p;
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T_ANY, &x, err));
    RAD_TRY(rad_op_ints(g, n, "pads", 1, 2 * RAD_MAX_RANK, pads, &n_pads, err));
    RAD_TRY(rad_op_ints(g, n, NULL, 3, RAD_MAX_RANK, axes, &n_axes, err));
    RAD_TRY(pad_resolve(n, &x->shape, pads, n_pads, axes, n_axes, &p, err));
    if (rad_op_has_input(n, 2)) {
        RAD_TRY(rad_op_input(g, n, 2, RAD_T(x->dtype), &value, err));
        if (rad_shape_count(&value->shape) != 1)
            return rad_op_error(n, err, "the constant '%.100s' must be a scalar", value->name);
    }
    st = rad_op_output(g, n, 0, x->dtype, &p.y, err);
out:
    return st;
}

/* Where position `at` (may lie outside) of an axis of size d takes its element from; -1 = the constant. */
static int64_t source(pad_mode mode, int64_t at, int64_t d) {
    if (at >= 0 && at < d)
        return at;
    int64_t period = d, r;
    switch (mode) {
    case PAD_EDGE:
        return at < 0 ? 0 : d - 1;
    case PAD_WRAP:
        return (at % period + period) % period;
    case PAD_REFLECT: /* the border itself is not repeated */
        if (d == 1)
            return 0;
        period = 2 * (d - 1);
        r = (at % period + period) % period;
        return r < d ? r : period - r;
    case PAD_CONSTANT:
        break;
    }
    return -1;
}

/* One row of the last axis. map: sources; NULL src: all constant. */
static void pad_row(const pad *p, const int64_t *map, int64_t size, const unsigned char *src, unsigned char *dst, const void *value,
                    size_t element) {
    const int last = p->y.rank - 1;
    const int64_t row = last >= 0 ? p->y.dim[last] : 1, begin = last >= 0 ? p->begin[last] : 0;
    int64_t lo = begin > 0 ? begin : 0, hi = begin + size < row ? begin + size : row; /* this part is a plain copy */
    if (src == NULL || hi <= lo)
        lo = hi = row;
    else
        memcpy(dst + (size_t)lo * element, src + (size_t)(lo - begin) * element, (size_t)(hi - lo) * element);
    for (int64_t i = 0; i < row; i++) {
        if (i == lo && hi > lo)
            i = hi;
        if (i >= row)
            break;
        const int64_t from = src != NULL ? map[i] : -1;
        memcpy(dst + (size_t)i * element, from >= 0 ? src + (size_t)from * element : (const unsigned char *)value, element);
    }
}

static rad_status eval_pad(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    const rad_shape *x = &in[0].shape, *y = &out[0].shape;
    const size_t element = rad_dtype_size(out[0].dtype);
    int64_t pads[2 * RAD_MAX_RANK], axes[RAD_MAX_RANK], strides[RAD_MAX_RANK], index[RAD_MAX_RANK] = {0}, total = 1;
    int64_t *map[RAD_MAX_RANK] = {0};
    int n_pads, n_axes;
    double filler = rad_node_attr_float(n, "value", 0);
    unsigned char value[sizeof(double)] = {0};
    pad p;
    int64_t *maps = NULL;
    rad_status st;
    RAD_TRY(rad_op_eval_ints(n, in, "pads", 1, 2 * RAD_MAX_RANK, pads, &n_pads, err));
    RAD_TRY(rad_op_eval_ints(n, in, NULL, 3, RAD_MAX_RANK, axes, &n_axes, err));
    RAD_TRY(pad_resolve(n, x, pads, n_pads, axes, n_axes, &p, err));
    if (rad_shape_count(y) == 0)
        goto out;
    if (rad_op_has_input(n, 2))
        memcpy(value, in[2].data, element);
    else
        rad_op_store(&(rad_tensor){out[0].dtype, {0, {0}}, value}, 0, 1, &filler);

    for (int i = 0; i < y->rank; i++)
        total += y->dim[i];
    maps = rad_calloc((size_t)total, sizeof *maps);
    if (maps == NULL) {
        st = rad_op_nomem(n, err);
        goto out;
    }
    for (int i = 0, at = 0; i < y->rank; at += (int)y->dim[i], i++) {
        map[i] = maps + at;
        for (int64_t o = 0; o < y->dim[i]; o++)
            map[i][o] = source(p.mode, o - p.begin[i], x->dim[i]);
    }
    rad_op_strides(x, strides);
    const int last = y->rank - 1;
    const int64_t row = last >= 0 ? y->dim[last] : 1, rows = rad_shape_count(y) / row;
    for (int64_t r = 0; r < rows; r++) {
        int64_t from = 0;
        bool inside = rad_shape_count(x) > 0;
        for (int i = 0; i < last; i++) {
            inside = inside && map[i][index[i]] >= 0;
            from += inside ? map[i][index[i]] * strides[i] : 0;
        }
        pad_row(&p, last >= 0 ? map[last] : maps, last >= 0 ? x->dim[last] : 1,
                inside ? (const unsigned char *)in[0].data + (size_t)from * element : NULL,
                (unsigned char *)out[0].data + (size_t)(r * row) * element, value, element);
        for (int i = last - 1; i >= 0 && ++index[i] == y->dim[i]; i--)
            index[i] = 0;
    }
out:
    free(maps);
    return st;
}

static const rad_op_attr attr_pad[] = {
    {"mode", RAD_ATTR_STRING, 1, 0}, {"pads", RAD_ATTR_INTS, 2, 10}, {"value", RAD_ATTR_FLOAT, 1, 10}, {NULL, RAD_ATTR_NONE, 0, 0}};
const rad_op_def rad_op_Pad = {"Pad", 1, 4, 1, 1, attr_pad, infer_pad, eval_pad, NULL};
