/* op_move.c: operators that move elements: Transpose, Concat, Split, Slice, Gather, Expand, Tile, DepthToSpace, SpaceToDepth. They copy
 * bytes and so take every element type. */
#include "op_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- Transpose */

static rad_status permutation(const rad_node *n, int rank, int ret[RAD_MAX_RANK], rad_error *err) {
    const rad_attr *a = rad_node_attr(n, "perm");
    bool seen[RAD_MAX_RANK] = {false};
    if (a != NULL && a->n != rank)
        return rad_op_error(n, err, "perm has %lld entries for data of rank %d", (long long)a->n, rank);
    for (int i = 0; i < rank; i++) {
        const int64_t p = a != NULL ? a->ints[i] : rank - 1 - i;
        if (p < 0 || p >= rank || seen[p])
            return rad_op_error(n, err, "perm is not a permutation of 0 .. %d", rank - 1);
        seen[p] = true;
        ret[i] = (int)p;
    }
    return RAD_OK;
}

static rad_status infer_transpose(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x;
    int perm[RAD_MAX_RANK];
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T_ANY, &x, err));
    RAD_TRY(permutation(n, x->shape.rank, perm, err));
    rad_shape y = {x->shape.rank, {0}};
    for (int i = 0; i < y.rank; i++)
        y.dim[i] = x->shape.dim[perm[i]];
    st = rad_op_output(g, n, 0, x->dtype, &y, err);
out:
    return st;
}

static rad_status eval_transpose(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    int perm[RAD_MAX_RANK];
    int64_t from[RAD_MAX_RANK];
    const rad_status st = permutation(n, in[0].shape.rank, perm, err);
    if (st != RAD_OK)
        return st;
    rad_copy c = {.rank = in[0].shape.rank};
    rad_op_strides(&in[0].shape, from);
    rad_op_strides(&out[0].shape, c.to);
    for (int i = 0; i < c.rank; i++) {
        c.dim[i] = out[0].shape.dim[i];
        c.from[i] = from[perm[i]];
    }
    rad_op_copy(&c, in[0].data, 0, out[0].data, 0, rad_dtype_size(out[0].dtype));
    return RAD_OK;
}

/* ---------------------------------------------------------------- Concat, Split */

/* Copies a run of planes along `axis` between a whole and a part of it. */
static void copy_part(const rad_shape *whole, const rad_shape *part, int axis, int64_t at, bool to_whole, const void *src, void *dst,
                      size_t size) {
    const int64_t outer = rad_op_span(whole, 0, axis), inner = rad_op_span(whole, axis + 1, whole->rank);
    const int64_t w = whole->dim[axis] * inner, p = part->dim[axis] * inner;
    const rad_copy c = {2, {outer, p}, {to_whole ? p : w, 1}, {to_whole ? w : p, 1}};
    rad_op_copy(&c, src, to_whole ? 0 : at * inner, dst, to_whole ? at * inner : 0, size);
}

static rad_status infer_concat(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x0, *x;
    int axis;
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T_ANY, &x0, err));
    RAD_TRY(rad_op_axis(n, rad_node_attr_int(n, "axis", 1), x0->shape.rank, &axis, err));
    rad_shape y = x0->shape;
    for (int k = 1; k < n->n_input; k++) {
        RAD_TRY(rad_op_input(g, n, k, RAD_T(x0->dtype), &x, err));
        rad_shape same = x->shape;
        if (same.rank == y.rank)
            same.dim[axis] = y.dim[axis];
        if (!rad_shape_equal(&same, &y) || rad_shape_count(&x->shape) < 0 || x->shape.dim[axis] > INT64_MAX - y.dim[axis]) {
            char a[96], b[96];
            return rad_op_error(n, err, "%s and %s differ in more than axis %d", rad_shape_text(&x0->shape, a, sizeof a),
                                rad_shape_text(&x->shape, b, sizeof b), axis);
        }
        y.dim[axis] += x->shape.dim[axis];
    }
    st = rad_op_output(g, n, 0, x0->dtype, &y, err);
out:
    return st;
}

static rad_status eval_concat(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    int axis;
    int64_t at = 0;
    const rad_status st = rad_op_axis(n, rad_node_attr_int(n, "axis", 1), out[0].shape.rank, &axis, err);
    for (int k = 0; st == RAD_OK && k < n->n_input; k++) {
        copy_part(&out[0].shape, &in[k].shape, axis, at, true, in[k].data, out[0].data, rad_dtype_size(out[0].dtype));
        at += in[k].shape.dim[axis];
    }
    return st;
}

/* Completes size[0 .. n_output-1]; n_size < 0: no sizes given, so equal parts, of which the last may be smaller from opset 18 on. */
static rad_status split_sizes(const rad_node *n, int64_t whole, int n_size, int64_t *size, rad_error *err) {
    const int64_t parts = n->n_output, each = (whole + parts - 1) / parts;
    int64_t sum = 0;
    if (rad_node_attr_int(n, "num_outputs", parts) != parts || (n_size >= 0 && n_size != parts) || parts > RAD_MAX_NODE_INPUTS)
        return rad_op_error(n, err, "%lld outputs do not agree with the sizes given", (long long)parts);
    if (n_size < 0 && n->opset < 18 && whole % parts != 0)
        return rad_op_error(n, err, "an axis of size %lld does not divide into %lld equal parts", (long long)whole, (long long)parts);
    for (int64_t i = 0; i < parts; i++) {
        if (n_size < 0)
            size[i] = whole - sum < each ? whole - sum : each;
        if (size[i] < 0 || size[i] > whole - sum)
            break;
        sum += size[i];
        if (i + 1 == parts && sum == whole)
            return RAD_OK;
    }
    return rad_op_error(n, err, "the sizes do not add up to %lld, the size of the axis", (long long)whole);
}

static rad_status infer_split(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x;
    int64_t size[RAD_MAX_NODE_INPUTS];
    int n_size, axis;
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T_ANY, &x, err));
    RAD_TRY(rad_op_axis(n, rad_node_attr_int(n, "axis", 0), x->shape.rank, &axis, err));
    RAD_TRY(rad_op_ints(g, n, "split", 1, RAD_MAX_NODE_INPUTS, size, &n_size, err));
    RAD_TRY(split_sizes(n, x->shape.dim[axis], n_size, size, err));
    rad_shape y = x->shape;
    for (int i = 0; i < n->n_output; i++) {
        y.dim[axis] = size[i];
        RAD_TRY(rad_op_output(g, n, i, x->dtype, &y, err));
    }
out:
    return st;
}

static rad_status eval_split(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    const rad_shape *s = &in[0].shape;
    int64_t size[RAD_MAX_NODE_INPUTS], at = 0;
    int n_size, axis;
    rad_status st;
    RAD_TRY(rad_op_axis(n, rad_node_attr_int(n, "axis", 0), s->rank, &axis, err));
    RAD_TRY(rad_op_eval_ints(n, in, "split", 1, RAD_MAX_NODE_INPUTS, size, &n_size, err));
    RAD_TRY(split_sizes(n, s->dim[axis], n_size, size, err));
    for (int k = 0; k < n->n_output; k++) {
        if (rad_op_has_output(n, k))
            copy_part(s, &out[k].shape, axis, at, false, in[0].data, out[k].data, rad_dtype_size(in[0].dtype));
        at += size[k];
    }
out:
    return st;
}

/* ---------------------------------------------------------------- Slice */

typedef struct slice {
    int64_t start[RAD_MAX_RANK], step[RAD_MAX_RANK], count[RAD_MAX_RANK];
} slice;

/* Negative positions count from the end; then the standard clamps the start to where an element is (to the length when stepping forward)
 * and the end to one before or behind. This differs from numpy for a start in front of the axis and a negative step. */
static rad_status slice_axis(const rad_node *n, int64_t size, int64_t start, int64_t end, int64_t step, int axis, slice *s,
                             rad_error *err) {
    if (step == 0 || step == INT64_MIN)
        return rad_op_error(n, err, "step %lld", (long long)step);
    const int64_t high = step > 0 ? size : size - 1, low[2] = {0, step > 0 ? 0 : -1};
    int64_t edge[2] = {start, end};
    for (int i = 0; i < 2; i++) {
        edge[i] += edge[i] < 0 ? size : 0;
        edge[i] = edge[i] > high ? high : edge[i];
        edge[i] = edge[i] < low[i] ? low[i] : edge[i];
    }
    const int64_t span = step > 0 ? edge[1] - edge[0] : edge[0] - edge[1], stride = step > 0 ? step : -step;
    s->start[axis] = edge[0];
    s->step[axis] = step;
    s->count[axis] = span > 0 && size > 0 ? (span - 1) / stride + 1 : 0;
    return RAD_OK;
}

/* list[i]: starts, ends, axes, steps with their lengths (-1: not given). */
static rad_status slice_resolve(const rad_node *n, const rad_shape *x, int64_t list[4][RAD_MAX_RANK], const int length[4], slice *ret,
                                rad_error *err) {
    rad_status st;
    bool flag[RAD_MAX_RANK];
    for (int i = 0; i < x->rank; i++) {
        ret->start[i] = 0;
        ret->step[i] = 1;
        ret->count[i] = x->dim[i];
    }
    if (length[0] < 0 || length[0] > x->rank || length[1] != length[0] || (length[2] >= 0 && length[2] != length[0]) ||
        (length[3] >= 0 && length[3] != length[0]))
        return rad_op_error(n, err, "starts, ends, axes and steps differ in length, or are more than the data's %d axes", x->rank);
    for (int i = 0; length[2] < 0 && i < length[0]; i++)
        list[2][i] = i;
    RAD_TRY(rad_op_axes(n, list[2], length[0], x->rank, flag, err));
    for (int i = 0; i < length[0]; i++) {
        int axis;
        RAD_TRY(rad_op_axis(n, list[2][i], x->rank, &axis, err));
        RAD_TRY(slice_axis(n, x->dim[axis], list[0][i], list[1][i], length[3] >= 0 ? list[3][i] : 1, axis, ret, err));
    }
    st = RAD_OK;
out:
    return st;
}

static const char *const slice_attr[4] = {"starts", "ends", "axes", NULL};

static rad_status infer_slice(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x;
    int64_t list[4][RAD_MAX_RANK];
    int length[4];
    slice s;
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T_ANY, &x, err));
    for (int i = 0; i < 4; i++)
        RAD_TRY(rad_op_ints(g, n, slice_attr[i], i + 1, RAD_MAX_RANK, list[i], &length[i], err));
    RAD_TRY(slice_resolve(n, &x->shape, list, length, &s, err));
    rad_shape y = {x->shape.rank, {0}};
    memcpy(y.dim, s.count, (size_t)y.rank * sizeof y.dim[0]);
    st = rad_op_output(g, n, 0, x->dtype, &y, err);
out:
    return st;
}

static rad_status eval_slice(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    int64_t list[4][RAD_MAX_RANK], from[RAD_MAX_RANK], first = 0;
    int length[4];
    slice s;
    rad_status st;
    for (int i = 0; i < 4; i++)
        RAD_TRY(rad_op_eval_ints(n, in, slice_attr[i], i + 1, RAD_MAX_RANK, list[i], &length[i], err));
    RAD_TRY(slice_resolve(n, &in[0].shape, list, length, &s, err));
    rad_copy c = {.rank = in[0].shape.rank};
    rad_op_strides(&in[0].shape, from);
    rad_op_strides(&out[0].shape, c.to);
    for (int i = 0; i < c.rank; i++) {
        c.dim[i] = s.count[i];
        c.from[i] = s.count[i] > 1 ? from[i] * s.step[i] : 0;
        first += s.count[i] > 0 ? from[i] * s.start[i] : 0;
    }
    rad_op_copy(&c, in[0].data, first, out[0].data, 0, rad_dtype_size(out[0].dtype));
out:
    return st;
}

/* ---------------------------------------------------------------- Gather */

static rad_status infer_gather(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x, *index;
    int axis;
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T_ANY, &x, err));
    RAD_TRY(rad_op_input(g, n, 1, RAD_T_INDEX, &index, err));
    RAD_TRY(rad_op_axis(n, rad_node_attr_int(n, "axis", 0), x->shape.rank, &axis, err));
    rad_shape y = {x->shape.rank - 1 + index->shape.rank, {0}};
    if (y.rank > RAD_MAX_RANK)
        return rad_op_error(n, err, "the result would have rank %d, more than %d", y.rank, RAD_MAX_RANK);
    int at = 0;
    for (int i = 0; i < axis; i++)
        y.dim[at++] = x->shape.dim[i];
    for (int i = 0; i < index->shape.rank; i++)
        y.dim[at++] = index->shape.dim[i];
    for (int i = axis + 1; i < x->shape.rank; i++)
        y.dim[at++] = x->shape.dim[i];
    st = rad_op_output(g, n, 0, x->dtype, &y, err);
out:
    return st;
}

static rad_status eval_gather(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    const rad_shape *s = &in[0].shape;
    int axis;
    const rad_status st = rad_op_axis(n, rad_node_attr_int(n, "axis", 0), s->rank, &axis, err);
    if (st != RAD_OK)
        return st;
    const int64_t outer = rad_op_span(s, 0, axis), size = s->dim[axis], count = rad_shape_count(&in[1].shape);
    const size_t bytes = (size_t)rad_op_span(s, axis + 1, s->rank) * rad_dtype_size(in[0].dtype);
    for (int64_t o = 0; o < outer; o++) {
        for (int64_t i = 0; i < count; i++) {
            int64_t k;
            rad_op_load_int(&in[1], i, 1, &k);
            if (k < -size || k >= size)
                return rad_op_error(n, err, "index %lld is outside axis %d of size %lld", (long long)k, axis, (long long)size);
            k += k < 0 ? size : 0;
            if (bytes > 0)
                memcpy((unsigned char *)out[0].data + (size_t)(o * count + i) * bytes,
                       (const unsigned char *)in[0].data + (size_t)(o * size + k) * bytes, bytes);
        }
    }
    return RAD_OK;
}

/* ---------------------------------------------------------------- Expand, Tile */

static rad_status infer_expand(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x;
    rad_shape want = {0};
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T_ANY, &x, err));
    RAD_TRY(rad_op_ints(g, n, NULL, 1, RAD_MAX_RANK, want.dim, &want.rank, err));
    rad_shape y = x->shape;
    if (want.rank < 0 || rad_shape_count(&want) < 0 || !rad_op_broadcast(&y, &want)) {
        char a[96], b[96];
        return rad_op_error(n, err, "%s cannot be expanded to %s", rad_shape_text(&x->shape, a, sizeof a),
                            rad_shape_text(&want, b, sizeof b));
    }
    st = rad_op_output(g, n, 0, x->dtype, &y, err);
out:
    return st;
}

static rad_status eval_expand(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    int64_t from[RAD_MAX_RANK];
    const int lead = out[0].shape.rank - in[0].shape.rank;
    (void)n;
    (void)err;
    rad_copy c = {.rank = out[0].shape.rank};
    rad_op_strides(&in[0].shape, from);
    rad_op_strides(&out[0].shape, c.to);
    for (int i = 0; i < c.rank; i++) {
        c.dim[i] = out[0].shape.dim[i];
        c.from[i] = i >= lead && in[0].shape.dim[i - lead] != 1 ? from[i - lead] : 0;
    }
    rad_op_copy(&c, in[0].data, 0, out[0].data, 0, rad_dtype_size(out[0].dtype));
    return RAD_OK;
}

static rad_status infer_tile(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x;
    int64_t repeat[RAD_MAX_RANK];
    int n_repeat;
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T_ANY, &x, err));
    RAD_TRY(rad_op_ints(g, n, NULL, 1, RAD_MAX_RANK, repeat, &n_repeat, err));
    rad_shape y = x->shape;
    if (n_repeat != y.rank)
        return rad_op_error(n, err, "%d repeats for data of rank %d", n_repeat, y.rank);
    for (int i = 0; i < y.rank; i++) {
        if (repeat[i] < 0 || (y.dim[i] > 0 && repeat[i] > INT64_MAX / y.dim[i]))
            return rad_op_error(n, err, "repeat %lld of axis %d", (long long)repeat[i], i);
        y.dim[i] *= repeat[i];
    }
    st = rad_op_output(g, n, 0, x->dtype, &y, err);
out:
    return st;
}

/* Each axis becomes two, (repeat, size), the first of which does not move in the source. */
static rad_status eval_tile(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    int64_t from[RAD_MAX_RANK], to[RAD_MAX_RANK];
    (void)n;
    (void)err;
    const rad_shape *s = &in[0].shape;
    rad_copy c = {.rank = 2 * s->rank};
    rad_op_strides(s, from);
    rad_op_strides(&out[0].shape, to);
    for (int i = 0; i < s->rank; i++) {
        c.dim[2 * i] = s->dim[i] > 0 ? out[0].shape.dim[i] / s->dim[i] : 0;
        c.dim[2 * i + 1] = s->dim[i];
        c.from[2 * i + 1] = from[i];
        c.to[2 * i] = s->dim[i] * to[i];
        c.to[2 * i + 1] = to[i];
    }
    rad_op_copy(&c, in[0].data, 0, out[0].data, 0, rad_dtype_size(out[0].dtype));
    return RAD_OK;
}

/* ---------------------------------------------------------------- DepthToSpace, SpaceToDepth */

static rad_status infer_block(rad_graph *g, const rad_node *n, rad_error *err) {
    const bool to_space = n->op->param != NULL;
    const int64_t b = rad_node_attr_int(n, "blocksize", 0);
    const char *mode = rad_node_attr_string(n, "mode", "DCR");
    const rad_value *x;
    const rad_status st = rad_op_input(g, n, 0, RAD_T_ANY, &x, err);
    if (st != RAD_OK)
        return st;
    if (x->shape.rank != 4 || b < 1 || b > 65536 || (strcmp(mode, "DCR") != 0 && strcmp(mode, "CRD") != 0))
        return rad_op_error(n, err, "expected [N, C, H, W], a blocksize in 1 .. 65536 and mode DCR or CRD");
    rad_shape y = x->shape;
    if (to_space ? y.dim[1] % (b * b) != 0 : y.dim[2] % b != 0 || y.dim[3] % b != 0)
        return rad_op_error(n, err, "the data do not divide into blocks of %lld", (long long)b);
    if (to_space && (y.dim[2] > INT64_MAX / b || y.dim[3] > INT64_MAX / b))
        return rad_op_error(n, err, "blocksize %lld is too large", (long long)b);
    y.dim[1] = to_space ? y.dim[1] / (b * b) : y.dim[1] * b * b;
    y.dim[2] = to_space ? y.dim[2] * b : y.dim[2] / b;
    y.dim[3] = to_space ? y.dim[3] * b : y.dim[3] / b;
    return rad_op_output(g, n, 0, x->dtype, &y, err);
}

/* Both are one walk over (N, block row, block column, C, H, W) of the coarse grid; only source and destination change places. */
static rad_status eval_block(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    const bool to_space = n->op->param != NULL;
    const rad_shape *deep = to_space ? &in[0].shape : &out[0].shape, *wide = to_space ? &out[0].shape : &in[0].shape;
    const int64_t b = rad_node_attr_int(n, "blocksize", 1);
    const bool crd = strcmp(rad_node_attr_string(n, "mode", "DCR"), "CRD") == 0;
    int64_t d[RAD_MAX_RANK], w[RAD_MAX_RANK];
    (void)err;
    rad_op_strides(deep, d);
    rad_op_strides(wide, w);
    const int64_t channels = wide->dim[1];
    const int64_t deep_row = (crd ? b : b * channels) * d[1], deep_col = (crd ? 1 : channels) * d[1], deep_ch = (crd ? b * b : 1) * d[1];
    const int64_t at_deep[6] = {d[0], deep_row, deep_col, deep_ch, d[2], d[3]};
    const int64_t at_wide[6] = {w[0], w[2], w[3], w[1], b * w[2], b * w[3]};
    rad_copy c = {6, {deep->dim[0], b, b, channels, deep->dim[2], deep->dim[3]}, {0}, {0}};
    memcpy(c.from, to_space ? at_deep : at_wide, sizeof at_deep);
    memcpy(c.to, to_space ? at_wide : at_deep, sizeof at_deep);
    rad_op_copy(&c, in[0].data, 0, out[0].data, 0, rad_dtype_size(out[0].dtype));
    return RAD_OK;
}

/* ---------------------------------------------------------------- table */

static const rad_op_attr attr_axis[] = {{"axis", RAD_ATTR_INT, 1, 0}, {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_perm[] = {{"perm", RAD_ATTR_INTS, 1, 0}, {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_split[] = {
    {"axis", RAD_ATTR_INT, 1, 0}, {"split", RAD_ATTR_INTS, 1, 12}, {"num_outputs", RAD_ATTR_INT, 18, 0}, {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_slice[] = {
    {"axes", RAD_ATTR_INTS, 1, 9}, {"ends", RAD_ATTR_INTS, 1, 9}, {"starts", RAD_ATTR_INTS, 1, 9}, {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_to_space[] = {
    {"blocksize", RAD_ATTR_INT, 1, 0}, {"mode", RAD_ATTR_STRING, 11, 0}, {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_to_depth[] = {{"blocksize", RAD_ATTR_INT, 1, 0}, {NULL, RAD_ATTR_NONE, 0, 0}};
static const bool to_space_mark = true;

const rad_op_def rad_op_Concat = {"Concat", 1, -1, 1, 1, attr_axis, infer_concat, eval_concat, NULL};
const rad_op_def rad_op_DepthToSpace = {"DepthToSpace", 1, 1, 1, 1, attr_to_space, infer_block, eval_block, &to_space_mark};
const rad_op_def rad_op_Expand = {"Expand", 2, 2, 1, 1, rad_op_no_attr, infer_expand, eval_expand, NULL};
const rad_op_def rad_op_Gather = {"Gather", 2, 2, 1, 1, attr_axis, infer_gather, eval_gather, NULL};
const rad_op_def rad_op_Slice = {"Slice", 1, 5, 1, 1, attr_slice, infer_slice, eval_slice, NULL};
const rad_op_def rad_op_SpaceToDepth = {"SpaceToDepth", 1, 1, 1, 1, attr_to_depth, infer_block, eval_block, NULL};
const rad_op_def rad_op_Split = {"Split", 1, 2, 1, -1, attr_split, infer_split, eval_split, NULL};
const rad_op_def rad_op_Tile = {"Tile", 2, 2, 1, 1, rad_op_no_attr, infer_tile, eval_tile, NULL};
const rad_op_def rad_op_Transpose = {"Transpose", 1, 1, 1, 1, attr_perm, infer_transpose, eval_transpose, NULL};
