/* op_resize.c: Resize (opset 10 on) and Upsample (7 to 9).
 *
 * All modes are separable: per axis, an output position is a weighted sum of a few input positions, and the axes are done one after the
 * other in double. Positions follow coordinate_transformation_mode. Where `scales` are given, the resized length in those formulas is
 * length * scale and not its floor: the standard's text leaves it open, its reference implementation and node tests decide it so.
 */
#include "op_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef enum coordinate {
    COORD_HALF_PIXEL,
    COORD_HALF_PIXEL_SYMMETRIC,
    COORD_PYTORCH_HALF_PIXEL,
    COORD_ALIGN_CORNERS,
    COORD_ASYMMETRIC,
    COORD_TF_HALF_PIXEL_FOR_NN,
    COORD_TF_CROP_AND_RESIZE
} coordinate;
typedef enum method { METHOD_NEAREST, METHOD_LINEAR, METHOD_CUBIC } method;
typedef enum nearest { NEAREST_ROUND_PREFER_FLOOR, NEAREST_ROUND_PREFER_CEIL, NEAREST_FLOOR, NEAREST_CEIL } nearest;

typedef struct resize {
    coordinate coord;
    method method;
    nearest nearest;
    bool exclude_outside, antialias, by_size;
    double a, extrapolation;
    rad_shape y;
    bool touched[RAD_MAX_RANK];
    double scale[RAD_MAX_RANK], roi_from[RAD_MAX_RANK], roi_to[RAD_MAX_RANK];
} resize;

/* Index of `word` in the list, -1 when it is not there. */
static int word_of(const char *word, const char *const *list, int n) {
    for (int i = 0; i < n; i++) {
        if (strcmp(word, list[i]) == 0)
            return i;
    }
    return -1;
}

static rad_status resize_words(const rad_node *n, resize *r, rad_error *err) {
    static const char *const coords[] = {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
                                         "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"};
    static const char *const methods[] = {"nearest", "linear", "cubic"};
    static const char *const rounds[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
    const bool old = n->opset < 11;
    const char *coord = rad_node_attr_string(n, "coordinate_transformation_mode", old ? "asymmetric" : "half_pixel");
    const char *mode = rad_node_attr_string(n, "mode", "nearest");
    const char *round = rad_node_attr_string(n, "nearest_mode", old ? "floor" : "round_prefer_floor");
    const int c = word_of(coord, coords, 7), m = word_of(mode, methods, 3), k = word_of(round, rounds, 4);
    if (c < 0 || m < 0 || k < 0)
        return rad_op_error(n, err, "mode '%.100s', nearest_mode '%.100s', coordinate_transformation_mode '%.100s': not all known", mode,
                            round, coord);
    r->coord = (coordinate)c;
    r->method = (method)m;
    r->nearest = (nearest)k;
    r->exclude_outside = rad_node_attr_int(n, "exclude_outside", 0) != 0;
    r->antialias = rad_node_attr_int(n, "antialias", 0) != 0;
    r->a = rad_node_attr_float(n, "cubic_coeff_a", -0.75);
    r->extrapolation = rad_node_attr_float(n, "extrapolation_value", 0);
    return RAD_OK;
}

/* Numbers of input k into dst; *ret_n = 0 when it is omitted or empty. */
static rad_status numbers(const rad_node *n, const rad_tensor *in, int k, int cap, double *dst, int *ret_n, rad_error *err) {
    *ret_n = 0;
    if (!rad_op_has_input(n, k))
        return RAD_OK;
    const int64_t count = rad_shape_count(&in[k].shape);
    if (count < 0 || count > cap || in[k].shape.rank > 1)
        return rad_op_error(n, err, "input %d must be a list of at most %d numbers", k, cap);
    rad_op_load(&in[k], 0, count, dst);
    *ret_n = (int)count;
    return RAD_OK;
}

/* Sizes with keep_aspect_ratio_policy: one scale for all axes. */
static void keep_aspect(const char *policy, const rad_shape *x, const int *axis, int n_axis, double *size, double *scale) {
    const bool smallest = strcmp(policy, "not_larger") == 0;
    double s = size[0] / (double)x->dim[axis[0]];
    for (int i = 1; i < n_axis; i++) {
        const double t = size[i] / (double)x->dim[axis[i]];
        s = smallest == (t < s) ? t : s;
    }
    for (int i = 0; i < n_axis; i++) {
        scale[i] = s;
        size[i] = floor(s * (double)x->dim[axis[i]] + 0.5);
    }
}

/* in[1..]: constants at inference, tensors at evaluation. */
static rad_status resolve(const rad_node *n, const rad_tensor *in, resize *r, rad_error *err) {
    const rad_shape *x = &in[0].shape;
    const bool old = n->opset < 11;
    const char *policy = rad_node_attr_string(n, "keep_aspect_ratio_policy", "stretch");
    int axis[RAD_MAX_RANK], n_axis = x->rank, n_scale = 0, n_size = 0, n_roi = 0;
    double scale[RAD_MAX_RANK], size[RAD_MAX_RANK], roi[2 * RAD_MAX_RANK];
    bool flag[RAD_MAX_RANK];
    rad_status st;
    *r = (resize){.y = *x};
    RAD_TRY(resize_words(n, r, err));

    for (int i = 0; i < n_axis; i++)
        axis[i] = i;
    const rad_attr *axes = rad_node_attr(n, "axes");
    if (axes != NULL) {
        if (axes->n > x->rank)
            return rad_op_error(n, err, "more axes than the data have");
        RAD_TRY(rad_op_axes(n, axes->ints, (int)axes->n, x->rank, flag, err));
        n_axis = (int)axes->n;
        for (int i = 0; i < n_axis; i++)
            RAD_TRY(rad_op_axis(n, axes->ints[i], x->rank, &axis[i], err));
    }
    const rad_attr *old_scales = rad_node_attr(n, "scales"); /* Upsample-7 */
    if (old_scales != NULL) {
        for (n_scale = 0; n_scale < old_scales->n && n_scale < RAD_MAX_RANK; n_scale++)
            scale[n_scale] = old_scales->floats[n_scale];
    } else {
        RAD_TRY(numbers(n, in, old ? 1 : 2, RAD_MAX_RANK, scale, &n_scale, err));
    }
    if (!old) {
        RAD_TRY(numbers(n, in, 1, 2 * RAD_MAX_RANK, roi, &n_roi, err));
        RAD_TRY(numbers(n, in, 3, RAD_MAX_RANK, size, &n_size, err));
    }
    if ((n_scale != n_axis || n_size != 0) && (n_size != n_axis || n_scale != 0))
        return rad_op_error(n, err, "expected %d scales or %d sizes, found %d and %d", n_axis, n_axis, n_scale, n_size);
    if (r->coord == COORD_TF_CROP_AND_RESIZE && n_roi != 2 * n_axis)
        return rad_op_error(n, err, "tf_crop_and_resize needs a roi of %d numbers", 2 * n_axis);
    for (int i = 0; i < n_axis; i++) {
        if (x->dim[axis[i]] == 0)
            return rad_op_error(n, err, "axis %d is empty", axis[i]);
    }
    r->by_size = n_size > 0 && strcmp(policy, "stretch") == 0;
    if (n_size > 0 && !r->by_size)
        keep_aspect(policy, x, axis, n_axis, size, scale);

    for (int i = 0; i < n_axis; i++) {
        const int a = axis[i];
        const double d = (double)x->dim[a];
        /* float arithmetic, as the standard's shape inference: 10 * 0.7 is 7 there and 6 in double */
        const double want = n_size > 0 ? size[i] : (double)floorf((float)x->dim[a] * (float)scale[i]);
        if (r->by_size)
            scale[i] = want / d;
        if (!(want >= 1) || want > (double)RAD_MAX_TENSOR_BYTES || !(scale[i] > 0) || !isfinite(scale[i]))
            return rad_op_error(n, err, "axis %d of size %lld cannot become %g (scale %g)", a, (long long)x->dim[a], want, scale[i]);
        r->scale[a] = scale[i];
        r->y.dim[a] = (int64_t)want;
        r->touched[a] = r->y.dim[a] != x->dim[a] || scale[i] != 1 || r->coord == COORD_TF_CROP_AND_RESIZE;
        if (r->coord == COORD_TF_CROP_AND_RESIZE) {
            r->roi_from[a] = roi[i];
            r->roi_to[a] = roi[n_axis + i];
        }
    }
    st = RAD_OK;
out:
    return st;
}

static rad_status infer_resize(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x, *v;
    rad_tensor in[4] = {{0}};
    resize r;
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T_NUMBER, &x, err));
    if (n->op->max_in == 2 && n->opset >= 10)
        return rad_op_error(n, err, "Upsample was replaced by Resize in opset 10");
    in[0].shape = x->shape;
    for (int k = 1; k < n->n_input; k++) {
        if (!rad_op_has_input(n, k))
            continue;
        RAD_TRY(rad_op_input(g, n, k, RAD_T_FLOAT | RAD_T(RAD_DT_I64), &v, err));
        RAD_TRY(rad_op_const(g, n, k, &in[k], err));
    }
    RAD_TRY(resolve(n, in, &r, err));
    st = rad_op_output(g, n, 0, x->dtype, &r.y, err);
out:
    return st;
}

/* ---------------------------------------------------------------- one axis */

typedef struct tap {
    int64_t at;
    double weight;
} tap;

/* Where output position o of axis a lies in the input. */
static double position(const resize *r, int a, int64_t in, int64_t o) {
    const double x = (double)o, length = (double)in;
    const double resized = r->by_size ? (double)r->y.dim[a] : r->scale[a] * length;
    const double ratio = length / resized; /* 1 / scale */
    switch (r->coord) {
    case COORD_ALIGN_CORNERS:
        return resized == 1 ? 0 : x * (length - 1) / (resized - 1);
    case COORD_ASYMMETRIC:
        return x * length / resized;
    case COORD_TF_HALF_PIXEL_FOR_NN:
        return (x + 0.5) * ratio;
    case COORD_PYTORCH_HALF_PIXEL:
        return r->y.dim[a] > 1 ? (x + 0.5) * length / resized - 0.5 : 0;
    case COORD_HALF_PIXEL_SYMMETRIC:
        return length / 2 * (1 - (double)r->y.dim[a] / resized) + (x + 0.5) * ratio - 0.5;
    case COORD_TF_CROP_AND_RESIZE:
        if (r->y.dim[a] == 1)
            return (r->roi_from[a] + r->roi_to[a]) * (length - 1) / 2;
        return r->roi_from[a] * (length - 1) + x * (r->roi_to[a] - r->roi_from[a]) * (length - 1) / (resized - 1);
    case COORD_HALF_PIXEL:
        break;
    }
    return (x + 0.5) * length / resized - 0.5;
}

static double kernel(const resize *r, double t) {
    const double x = fabs(t);
    if (r->method == METHOD_LINEAR)
        return x < 1 ? 1 - x : 0;
    if (x <= 1)
        return ((r->a + 2) * x - (r->a + 3)) * x * x + 1;
    return x < 2 ? ((r->a * x - 5 * r->a) * x + 8 * r->a) * x - 4 * r->a : 0;
}

static int64_t clamp(double v, int64_t n) {
    return v < 0 ? 0 : (v > (double)(n - 1) ? n - 1 : (int64_t)v);
}

/* Taps of one output position; returns how many (at most width(r, a)). */
static int64_t position_taps(const resize *r, int a, int64_t in, double x, tap *ret) {
    if (r->method == METHOD_NEAREST) {
        double v = x;
        switch (r->nearest) {
        case NEAREST_ROUND_PREFER_FLOOR:
            v = ceil(x - 0.5);
            break;
        case NEAREST_ROUND_PREFER_CEIL:
            v = floor(x + 0.5);
            break;
        case NEAREST_FLOOR:
            v = floor(x);
            break;
        case NEAREST_CEIL:
            v = ceil(x);
            break;
        }
        ret[0] = (tap){clamp(v, in), 1};
        return 1;
    }
    const double shrink = r->antialias && r->scale[a] < 1 ? r->scale[a] : 1, reach = (r->method == METHOD_LINEAR ? 1 : 2) / shrink;
    int64_t n = 0;
    double sum = 0;
    for (double i = ceil(x - reach); i <= floor(x + reach); i++) {
        const bool outside = i < 0 || i > (double)(in - 1);
        const double w = outside && r->exclude_outside ? 0 : kernel(r, (i - x) * shrink);
        if (w == 0)
            continue;
        ret[n++] = (tap){clamp(i, in), w}; /* beyond the border the border's value stands */
        sum += w;
    }
    for (int64_t i = 0; i < n; i++)
        ret[i].weight /= sum;
    return n;
}

static int64_t width(const resize *r, int a) {
    const double shrink = r->antialias && r->scale[a] < 1 ? r->scale[a] : 1;
    return (int64_t)ceil(2 * (r->method == METHOD_CUBIC ? 2 : 1) / shrink) + 3;
}

/* Resizes axis a of the dense array *x of shape s; replaces *x. */
static rad_status resize_axis(const rad_node *n, const resize *r, int a, rad_shape *s, double **x, rad_error *err) {
    const int64_t outer = rad_op_span(s, 0, a), in = s->dim[a], inner = rad_op_span(s, a + 1, s->rank), out = r->y.dim[a];
    size_t size;
    tap *taps = rad_calloc((size_t)width(r, a), sizeof *taps);
    rad_shape after = *s;
    after.dim[a] = out;
    const int64_t count = rad_shape_count(&after);
    double *y = count >= 0 && rad_mul_size((size_t)count + 1, sizeof *y, &size) ? rad_malloc(size) : NULL;
    if (taps == NULL || y == NULL) {
        free(taps);
        free(y);
        return rad_op_nomem(n, err);
    }
    for (int64_t o = 0; o < out; o++) {
        const double at = position(r, a, in, o);
        const bool outside = r->coord == COORD_TF_CROP_AND_RESIZE && (at < 0 || at > (double)(in - 1));
        const int64_t n_tap = outside ? 0 : position_taps(r, a, in, at, taps);
        for (int64_t b = 0; b < outer; b++) {
            double *restrict row = y + (b * out + o) * inner;
            for (int64_t i = 0; i < inner; i++)
                row[i] = outside ? r->extrapolation : 0;
            for (int64_t t = 0; t < n_tap; t++) {
                const double *restrict source = *x + (b * in + taps[t].at) * inner;
                for (int64_t i = 0; i < inner; i++)
                    row[i] += taps[t].weight * source[i];
            }
        }
    }
    free(taps);
    free(*x);
    *x = y;
    *s = after;
    return RAD_OK;
}

static rad_status eval_resize(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    resize r;
    rad_status st = resolve(n, in, &r, err);
    if (st != RAD_OK)
        return st;
    rad_shape s = in[0].shape;
    double *x = rad_op_load_all(&in[0]);
    if (x == NULL)
        return rad_op_nomem(n, err);
    for (int a = 0; st == RAD_OK && a < s.rank; a++) {
        if (r.touched[a])
            st = resize_axis(n, &r, a, &s, &x, err);
    }
    if (st == RAD_OK)
        rad_op_store(&out[0], 0, rad_shape_count(&s), x);
    free(x);
    return st;
}

/* ---------------------------------------------------------------- table */

static const rad_op_attr attr_resize[] = {{"mode", RAD_ATTR_STRING, 10, 0},
                                          {"coordinate_transformation_mode", RAD_ATTR_STRING, 11, 0},
                                          {"cubic_coeff_a", RAD_ATTR_FLOAT, 11, 0},
                                          {"exclude_outside", RAD_ATTR_INT, 11, 0},
                                          {"extrapolation_value", RAD_ATTR_FLOAT, 11, 0},
                                          {"nearest_mode", RAD_ATTR_STRING, 11, 0},
                                          {"antialias", RAD_ATTR_INT, 18, 0},
                                          {"axes", RAD_ATTR_INTS, 18, 0},
                                          {"keep_aspect_ratio_policy", RAD_ATTR_STRING, 18, 0},
                                          {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_upsample[] = {
    {"mode", RAD_ATTR_STRING, 7, 0}, {"scales", RAD_ATTR_FLOATS, 7, 8}, {NULL, RAD_ATTR_NONE, 0, 0}};

const rad_op_def rad_op_Resize = {"Resize", 1, 4, 1, 1, attr_resize, infer_resize, eval_resize, NULL};
const rad_op_def rad_op_Upsample = {"Upsample", 1, 2, 1, 1, attr_upsample, infer_resize, eval_resize, NULL};
