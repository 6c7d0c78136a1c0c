/* node_move.c: nodes that move or rename data. Most are only another view of the same memory; a step appears where somebody needs the bytes
 * in another order. */
#include "nodes.h"

#include <string.h>

/* ---------------------------------------------------------------- views */

/* The same axes but for ones: strides go over. */
static bool only_ones_differ(const struct g_tensor *t, const rad_shape *s, struct g_tensor *ret) {
    int i = 0;
    *ret = *t;
    ret->shape = *s;
    ret->inner = s->rank > 0 ? s->rank - 1 : 0;
    ret->stored = s->rank > 0 ? s->dim[ret->inner] : 1;
    for (int k = 0; k < s->rank; k++) {
        ret->stride[k] = 1;
        if (s->dim[k] == 1)
            continue;
        while (i < t->shape.rank && t->shape.dim[i] == 1)
            i++;
        if (i == t->shape.rank || t->shape.dim[i] != s->dim[k])
            return false;
        ret->stride[k] = t->stride[i];
        if (i == t->inner) {
            ret->inner = k;
            ret->stored = t->stored;
        }
        i++;
    }
    while (i < t->shape.rank && t->shape.dim[i] == 1)
        i++;
    return i == t->shape.rank;
}

rad_status g_node_view(struct g_build *b, const rad_node *n, rad_error *err) {
    const int xv = g_in(n, 0), yv = n->output[0];
    const rad_shape s = g_value(b, yv)->shape;
    struct g_tensor v;
    int x = -1, y = -1;
    rad_status st = RAD_OK;
    if (n->n_output > 1 && n->output[1] >= 0)
        return g_refuse(n, err, "a mask as an output");
    RAD_TRY(g_native(b, xv, &x, err));
    if (!only_ones_differ(g_at(b, x), &s, &v)) {
        RAD_TRY(g_get(b, xv, G_PLAIN, g_type_for(b, &s), &x, err));
        v = *g_at(b, x);
        v.shape = s;
        int64_t at = 1;
        for (int i = s.rank - 1; i >= 0; i--) {
            v.stride[i] = at;
            at *= s.dim[i];
        }
        v.inner = s.rank > 0 ? s.rank - 1 : 0;
        v.stored = s.rank > 0 ? s.dim[v.inner] : 1;
    }
    RAD_TRY(g_view(b, &v, &y, err));
    st = g_finish(b, n, y, false, false, err);
out:
    return st;
}

rad_status g_node_transpose(struct g_build *b, const rad_node *n, rad_error *err) {
    const rad_attr *perm = rad_node_attr(n, "perm");
    int x = -1, y = -1;
    rad_status st = RAD_OK;
    RAD_TRY(g_native(b, g_in(n, 0), &x, err));
    const struct g_tensor t = *g_at(b, x);
    struct g_tensor v = t;
    for (int i = 0; i < t.shape.rank; i++) {
        const int from = perm != NULL ? (int)perm->ints[i] : t.shape.rank - 1 - i;
        v.shape.dim[i] = t.shape.dim[from];
        v.stride[i] = t.stride[from];
        if (from == t.inner)
            v.inner = i;
    }
    RAD_TRY(g_view(b, &v, &y, err));
    st = g_finish(b, n, y, false, false, err);
out:
    return st;
}

/* Elements first, first + step, ... (count of them) along one axis; other axes whole. */
static void cut(struct g_tensor *t, int axis, int64_t first, int64_t step, int64_t count) {
    t->offset += first * t->stride[axis];
    t->stride[axis] *= step;
    t->shape.dim[axis] = count;
    if (axis == t->inner)
        t->stored = count;
}

static rad_status give_view(struct g_build *b, const rad_node *n, int output, const struct g_tensor *t, rad_error *err) {
    int y = -1;
    rad_status st = g_view(b, t, &y, err);
    if (st != RAD_OK)
        return st;
    return output == 0 ? g_finish(b, n, y, false, false, err) : g_give(b, n->output[output], y, err);
}

rad_status g_node_slice(struct g_build *b, const rad_node *n, rad_error *err) {
    static const char *const word[] = {"starts", "ends", "axes", "steps"};
    int64_t list[4][RAD_MAX_RANK];
    int count[4] = {0}, x = -1;
    const rad_shape xs = g_value(b, g_in(n, 0))->shape, ys = g_value(b, n->output[0])->shape;
    rad_status st = RAD_OK;
    for (int k = 0; k < 4; k++) {
        const rad_attr *a = rad_node_attr(n, word[k]);
        if (g_in(n, 1 + k) >= 0 && !g_ints(b, n->input[1 + k], list[k], RAD_MAX_RANK, &count[k]))
            return g_refuse(n, err, "%s must be constant", word[k]);
        for (int i = 0; a != NULL && i < a->n && i < RAD_MAX_RANK; i++)
            list[k][count[k]++] = a->ints[i];
    }
    RAD_TRY(g_native(b, g_in(n, 0), &x, err));
    struct g_tensor t = *g_at(b, x);
    for (int i = 0; i < count[0]; i++) {
        int64_t axis = count[2] > 0 ? list[2][i] : i, first = list[0][i];
        axis += axis < 0 ? xs.rank : 0;
        const int64_t step = count[3] > 0 ? list[3][i] : 1, dim = xs.dim[axis];
        first += first < 0 ? dim : 0;
        first = first < 0 ? 0 : first > dim - (step < 0) ? dim - (step < 0) : first;
        cut(&t, (int)axis, first, step, ys.dim[axis]);
    }
    st = give_view(b, n, 0, &t, err);
out:
    return st;
}

rad_status g_node_split(struct g_build *b, const rad_node *n, rad_error *err) {
    const rad_shape xs = g_value(b, g_in(n, 0))->shape;
    int64_t axis = rad_node_attr_int(n, "axis", 0), first = 0;
    int x = -1;
    rad_status st = RAD_OK;
    axis += axis < 0 ? xs.rank : 0;
    for (int k = 0; k < n->n_output; k++)
        if (n->output[k] < 0)
            return g_refuse(n, err, "an omitted output");
    RAD_TRY(g_native(b, g_in(n, 0), &x, err));
    for (int k = 0; k < n->n_output; k++) {
        const int64_t size = g_value(b, n->output[k])->shape.dim[axis];
        struct g_tensor t = *g_at(b, x);
        cut(&t, (int)axis, first, 1, size);
        RAD_TRY(give_view(b, n, k, &t, err));
        first += size;
    }
out:
    return st;
}

/* ---------------------------------------------------------------- copies into one result */

/* x into the part of y that starts at `first` along `axis`. */
static rad_status copy_into(struct g_build *b, int x, int y, int axis, int64_t first, rad_error *err) {
    const struct g_tensor t = *g_at(b, y);
    struct g_tensor part = t;
    const int64_t size = g_at(b, x)->shape.dim[axis];
    int to = -1;
    part.offset += first * t.stride[axis];
    part.shape.dim[axis] = size;
    if (axis == t.inner) /* whoever fills the end fills the padding too */
        part.stored = first + size == t.shape.dim[axis] ? t.stored - first : size;
    rad_status st = g_view(b, &part, &to, err);
    return st == RAD_OK ? g_step_map(b, &(struct g_map){.op = K_COPY}, to, (const int[3]){x, -1, -1}, err) : st;
}

rad_status g_node_concat(struct g_build *b, const rad_node *n, rad_error *err) {
    const rad_shape s = g_value(b, n->output[0])->shape;
    int64_t axis = rad_node_attr_int(n, "axis", 0), first = 0;
    int x = -1, y = -1;
    rad_status st = RAD_OK;
    axis += axis < 0 ? s.rank : 0;
    for (int k = 0; k < n->n_input; k++)
        if (n->input[k] >= 0 && g_value(b, n->input[k])->dtype != RAD_DT_F32)
            return g_refuse(n, err, "operands must be float32");
    for (int k = 0; k < n->n_input; k++) {
        if (!g_is_float(b, g_in(n, k))) /* an empty part */
            continue;
        RAD_TRY(g_native(b, n->input[k], &x, err));
        if (y < 0 && !g_is_const(b, n->input[k]))
            RAD_TRY(g_make_like(b, &s, x, g_at(b, x)->type, &y, err));
    }
    if (y < 0)
        RAD_TRY(g_make(b, &s, G_PLAIN, g_type_for(b, &s), &y, err));
    for (int k = 0; k < n->n_input; k++) {
        if (!g_is_float(b, g_in(n, k)))
            continue;
        RAD_TRY(g_native(b, n->input[k], &x, err));
        RAD_TRY(copy_into(b, x, y, (int)axis, first, err));
        first += g_value(b, n->input[k])->shape.dim[axis];
    }
    st = g_finish(b, n, y, false, false, err);
out:
    return st;
}

rad_status g_node_gather(struct g_build *b, const rad_node *n, rad_error *err) {
    enum { MAX_INDEX = 4096 };
    int64_t index[MAX_INDEX];
    const rad_shape xs = g_value(b, g_in(n, 0))->shape, s = g_value(b, n->output[0])->shape;
    int64_t axis = rad_node_attr_int(n, "axis", 0);
    int count = 0, x = -1, y = -1, part = -1;
    rad_status st = RAD_OK;
    axis += axis < 0 ? xs.rank : 0;
    if (!g_is_float(b, g_in(n, 0)) || !g_ints(b, g_in(n, 1), index, MAX_INDEX, &count) || g_value(b, g_in(n, 1))->shape.rank > 1)
        return g_refuse(n, err, "only a constant list of at most %d indices into float32", MAX_INDEX);
    RAD_TRY(g_native(b, n->input[0], &x, err));
    struct g_tensor t = *g_at(b, x);
    const int64_t dim = xs.dim[axis];
    if (g_value(b, n->input[1])->shape.rank == 0) {
        cut(&t, (int)axis, index[0] < 0 ? index[0] + dim : index[0], 1, 1);
        struct g_tensor v = t;
        v.shape.rank--;
        for (int i = (int)axis; i < v.shape.rank; i++) {
            v.shape.dim[i] = t.shape.dim[i + 1];
            v.stride[i] = t.stride[i + 1];
        }
        v.inner -= t.inner > axis ? 1 : 0;
        if (t.inner == axis || v.shape.rank == 0) {
            v.inner = v.shape.rank > 0 ? v.shape.rank - 1 : 0;
            v.stored = v.shape.rank > 0 ? v.shape.dim[v.inner] : 1;
        }
        return give_view(b, n, 0, &v, err);
    }
    RAD_TRY(g_make_like(b, &s, x, t.type, &y, err));
    for (int k = 0; k < count; k++) {
        t = *g_at(b, x);
        cut(&t, (int)axis, index[k] < 0 ? index[k] + dim : index[k], 1, 1);
        RAD_TRY(g_view(b, &t, &part, err));
        RAD_TRY(copy_into(b, part, y, (int)axis, k, err));
    }
    st = g_finish(b, n, y, false, false, err);
out:
    return st;
}

/* One axis longer by what lies before and behind: constant, the edge again, or mirrored. Negative numbers crop. */
static rad_status pad_axis(struct g_build *b, int x, int axis, int64_t before, int64_t behind, const char *mode, float value, int *ret,
                           rad_error *err) {
    struct g_tensor t = *g_at(b, x);
    int64_t dim = t.shape.dim[axis];
    int y = -1, part = -1;
    rad_status st = RAD_OK;
    if (before < 0 || behind < 0) {
        const int64_t front = before < 0 ? -before : 0, back = behind < 0 ? -behind : 0;
        dim -= front + back;
        cut(&t, axis, front, 1, dim);
        RAD_TRY(g_view(b, &t, &x, err));
        before = before < 0 ? 0 : before;
        behind = behind < 0 ? 0 : behind;
    }
    *ret = x;
    if (before == 0 && behind == 0)
        return RAD_OK;
    rad_shape s = t.shape;
    s.dim[axis] += before + behind;
    RAD_TRY(g_make_like(b, &s, x, t.type, &y, err));
    if (strcmp(mode, "constant") == 0)
        RAD_TRY(g_step_map(b, &(struct g_map){.op = K_FILL, .alpha = value}, y, (const int[3]){-1, -1, -1}, err));
    for (int side = 0; strcmp(mode, "constant") != 0 && side < 2; side++) {
        const bool edge = strcmp(mode, "edge") == 0;
        const int64_t count = side == 0 ? before : behind;
        struct g_tensor v = t;
        if (count == 0)
            continue;
        if (edge)
            cut(&v, axis, side == 0 ? 0 : dim - 1, 0, count);
        else
            cut(&v, axis, side == 0 ? before : dim - 2, -1, count);
        RAD_TRY(g_view(b, &v, &part, err));
        RAD_TRY(copy_into(b, part, y, axis, side == 0 ? 0 : before + dim, err));
    }
    RAD_TRY(copy_into(b, x, y, axis, before, err));
    *ret = y;
out:
    return st;
}

rad_status g_node_pad(struct g_build *b, const rad_node *n, rad_error *err) {
    const rad_shape xs = g_value(b, g_in(n, 0))->shape;
    const char *mode = rad_node_attr_string(n, "mode", "constant");
    const rad_attr *attr = rad_node_attr(n, n->opset < 2 ? "paddings" : "pads");
    int64_t pads[2 * RAD_MAX_RANK], axes[RAD_MAX_RANK];
    int n_pad = 0, n_axis = 0, x = -1;
    float value = (float)rad_node_attr_float(n, "value", 0.0);
    rad_status st = RAD_OK;
    if (g_in(n, 1) >= 0 && !g_ints(b, n->input[1], pads, 2 * RAD_MAX_RANK, &n_pad))
        return g_refuse(n, err, "pads must be constant");
    for (int i = 0; attr != NULL && g_in(n, 1) < 0 && i < attr->n && i < 2 * RAD_MAX_RANK; i++)
        pads[n_pad++] = attr->ints[i];
    if ((g_in(n, 2) >= 0 && !g_scalar(b, n->input[2], &value)) || (g_in(n, 3) >= 0 && !g_ints(b, n->input[3], axes, RAD_MAX_RANK, &n_axis)))
        return g_refuse(n, err, "value and axes must be constant");
    if (strcmp(mode, "constant") != 0 && strcmp(mode, "edge") != 0 && strcmp(mode, "reflect") != 0)
        return g_refuse(n, err, "mode '%.40s'", mode);
    const int count = g_in(n, 3) >= 0 ? n_axis : xs.rank;
    RAD_TRY(g_native(b, n->input[0], &x, err));
    const int first = x;
    for (int i = 0; i < count && 2 * i < n_pad; i++) {
        int64_t axis = g_in(n, 3) >= 0 ? axes[i] : i;
        axis += axis < 0 ? xs.rank : 0;
        const int64_t longest = pads[i] > pads[count + i] ? pads[i] : pads[count + i];
        if (strcmp(mode, "reflect") == 0 && longest >= xs.dim[axis])
            return g_refuse(n, err, "a mirror of more than the whole axis");
        RAD_TRY(pad_axis(b, x, (int)axis, pads[i], pads[count + i], mode, value, &x, err));
    }
    if (x == first) { /* a view of its own: steps of this node may write to it */
        const struct g_tensor t = *g_at(b, x);
        RAD_TRY(g_view(b, &t, &x, err));
    }
    st = g_finish(b, n, x, false, false, err);
out:
    return st;
}

rad_status g_node_expand(struct g_build *b, const rad_node *n, rad_error *err) {
    const rad_shape s = g_value(b, n->output[0])->shape;
    int x = -1, y = -1;
    rad_status st = RAD_OK;
    if (!g_is_float(b, g_in(n, 0)))
        return g_refuse(n, err, "the operand must be float32");
    RAD_TRY(g_native(b, n->input[0], &x, err));
    RAD_TRY(g_make(b, &s, s.rank >= 4 ? G_LAST : G_PLAIN, g_type_for(b, &s), &y, err));
    RAD_TRY(g_step_map(b, &(struct g_map){.op = K_COPY}, y, (const int[3]){x, -1, -1}, err));
    st = g_finish(b, n, y, false, false, err);
out:
    return st;
}

/* Axis `axis` of `dim` as two, [dim / inner, inner]. */
static void split_axis(struct g_tensor *t, int axis, int64_t inner) {
    for (int i = t->shape.rank; i > axis + 1; i--) {
        t->shape.dim[i] = t->shape.dim[i - 1];
        t->stride[i] = t->stride[i - 1];
    }
    t->shape.rank++;
    t->shape.dim[axis + 1] = inner;
    t->stride[axis + 1] = t->stride[axis];
    t->shape.dim[axis] /= inner;
    t->stride[axis] *= inner;
}

static void permute(struct g_tensor *t, const int *perm) {
    const struct g_tensor from = *t;
    for (int i = 0; i < t->shape.rank; i++) {
        t->shape.dim[i] = from.shape.dim[perm[i]];
        t->stride[i] = from.stride[perm[i]];
    }
}

/* DepthToSpace and SpaceToDepth: one copy between two views with six axes. */
rad_status g_node_blocks(struct g_build *b, const rad_node *n, rad_error *err) {
    const rad_shape s = g_value(b, n->output[0])->shape;
    const bool to_space = strcmp(n->op->name, "DepthToSpace") == 0;
    const bool crd = strcmp(rad_node_attr_string(n, "mode", "DCR"), "CRD") == 0;
    const int64_t size = rad_node_attr_int(n, "blocksize", 1);
    int x = -1, y = -1, from = -1, to = -1;
    rad_status st = RAD_OK;
    RAD_TRY(g_get(b, g_in(n, 0), G_PLAIN, g_type_for(b, &s), &x, err));
    RAD_TRY(g_make(b, &s, G_PLAIN, g_at(b, x)->type, &y, err));
    struct g_tensor deep = *g_at(b, to_space ? x : y), wide = *g_at(b, to_space ? y : x);
    /* deep [N, C b b, H, W] -> [N, C, H, b, W, b]; wide [N, C, H b, W b] likewise */
    split_axis(&deep, 1, to_space && crd ? size * size : deep.shape.dim[1] / (size * size));
    split_axis(&deep, to_space && crd ? 2 : 1, size);
    permute(&deep, to_space && crd ? (const int[6]){0, 1, 4, 2, 5, 3} : (const int[6]){0, 3, 4, 1, 5, 2});
    split_axis(&wide, 3, size);
    split_axis(&wide, 2, size);
    deep.inner = wide.inner = 5;
    deep.stored = wide.stored = size;
    RAD_TRY(g_view(b, to_space ? &deep : &wide, &from, err));
    RAD_TRY(g_view(b, to_space ? &wide : &deep, &to, err));
    RAD_TRY(g_step_map(b, &(struct g_map){.op = K_COPY}, to, (const int[3]){from, -1, -1}, err));
    st = g_finish(b, n, y, false, false, err);
out:
    return st;
}
