/* op_shape.c: operators that rename a tensor's shape or type, or make one from numbers: the data stays as it is or is converted. */
#include "op_internal.h"

#include <math.h>
#include <string.h>

static const unsigned any_type = RAD_T_ANY;

/* Same elements in the same order. */
static rad_status eval_copy(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    (void)n;
    (void)err;
    const size_t bytes = (size_t)rad_shape_count(&out[0].shape) * rad_dtype_size(out[0].dtype);
    if (bytes > 0)
        memcpy(out[0].data, in[0].data, bytes);
    return RAD_OK;
}

/* ---------------------------------------------------------------- Reshape, Flatten, Squeeze, Unsqueeze */

static rad_status infer_reshape(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x;
    int64_t dims[RAD_MAX_RANK];
    int rank, open = -1;
    char text[96];
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T_ANY, &x, err));
    RAD_TRY(rad_op_ints(g, n, "shape", 1, RAD_MAX_RANK, dims, &rank, err));
    if (rank < 0)
        return rad_op_error(n, err, "the new shape is missing");
    const bool zero_is_zero = rad_node_attr_int(n, "allowzero", 0) != 0;
    const int64_t count = rad_shape_count(&x->shape);
    rad_shape y = {rank, {0}};
    for (int i = 0; i < rank; i++) {
        if (dims[i] == 0 && !zero_is_zero && i >= x->shape.rank)
            return rad_op_error(n, err, "dim %d is to be copied from data of rank %d", i, x->shape.rank);
        y.dim[i] = dims[i] == 0 && !zero_is_zero ? x->shape.dim[i] : dims[i];
        if (dims[i] < -1 || (dims[i] == -1 && open >= 0))
            return rad_op_error(n, err, "the new shape may hold one -1 and no other negative number");
        if (dims[i] == -1) {
            open = i;
            y.dim[i] = 1;
        }
    }
    const int64_t known = rad_shape_count(&y);
    if (open >= 0 && known > 0 && count % known == 0)
        y.dim[open] = count / known;
    if (rad_shape_count(&y) != count) {
        char wanted[96];
        return rad_op_error(n, err, "data of shape %s cannot become %s", rad_shape_text(&x->shape, text, sizeof text),
                            rad_shape_text(&y, wanted, sizeof wanted));
    }
    st = rad_op_output(g, n, 0, x->dtype, &y, err);
out:
    return st;
}

static rad_status infer_flatten(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x;
    int axis;
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T_ANY, &x, err));
    const int64_t a = rad_node_attr_int(n, "axis", 1);
    axis = x->shape.rank; /* axis = rank is allowed here: everything goes to the first dim */
    if (a != x->shape.rank)
        RAD_TRY(rad_op_axis(n, a, x->shape.rank, &axis, err));
    const rad_shape y = {2, {rad_op_span(&x->shape, 0, axis), rad_op_span(&x->shape, axis, x->shape.rank)}};
    st = rad_op_output(g, n, 0, x->dtype, &y, err);
out:
    return st;
}

static rad_status infer_squeeze(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x;
    int64_t axes[RAD_MAX_RANK];
    int n_axes;
    bool gone[RAD_MAX_RANK];
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T_ANY, &x, err));
    RAD_TRY(rad_op_ints(g, n, "axes", 1, RAD_MAX_RANK, axes, &n_axes, err));
    RAD_TRY(rad_op_axes(n, axes, n_axes > 0 ? n_axes : 0, x->shape.rank, gone, err));
    rad_shape y = {0};
    for (int i = 0; i < x->shape.rank; i++) {
        if (gone[i] && x->shape.dim[i] != 1)
            return rad_op_error(n, err, "axis %d has size %lld, not 1", i, (long long)x->shape.dim[i]);
        if (n_axes < 0 ? x->shape.dim[i] != 1 : !gone[i]) /* no list: all axes of size 1 go */
            y.dim[y.rank++] = x->shape.dim[i];
    }
    st = rad_op_output(g, n, 0, x->dtype, &y, err);
out:
    return st;
}

static rad_status infer_unsqueeze(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x;
    int64_t axes[RAD_MAX_RANK];
    int n_axes, from = 0;
    bool fresh[RAD_MAX_RANK];
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T_ANY, &x, err));
    RAD_TRY(rad_op_ints(g, n, "axes", 1, RAD_MAX_RANK, axes, &n_axes, err));
    if (n_axes < 0)
        return rad_op_error(n, err, "the axes are missing");
    rad_shape y = {x->shape.rank + n_axes, {0}};
    if (y.rank > RAD_MAX_RANK)
        return rad_op_error(n, err, "the result would have rank %d, more than %d", y.rank, RAD_MAX_RANK);
    RAD_TRY(rad_op_axes(n, axes, n_axes, y.rank, fresh, err));
    for (int i = 0; i < y.rank; i++)
        y.dim[i] = fresh[i] ? 1 : x->shape.dim[from++];
    st = rad_op_output(g, n, 0, x->dtype, &y, err);
out:
    return st;
}

/* ---------------------------------------------------------------- Dropout */

/* Inference: the data pass, the mask is all true. */
static rad_status infer_dropout(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x;
    rad_tensor t;
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T_FLOAT, &x, err));
    if (n->opset < 7 && rad_node_attr_int(n, "is_test", 0) == 0)
        return rad_op_error(n, err, "training mode: outputs would be random; export the network in eval mode");
    if (rad_op_has_input(n, 2) && (g->value[n->input[2]].data == NULL || (rad_op_has_input(n, 1) && g->value[n->input[1]].data == NULL)))
        return rad_op_error(n, err, "ratio and training_mode must be constants; export the network in eval mode");
    if (rad_op_has_input(n, 2)) {
        double ratio = 0.5;
        RAD_TRY(rad_op_const(g, n, 2, &t, err));
        const bool training = rad_op_scalar(&t) != 0;
        if (rad_op_has_input(n, 1)) {
            RAD_TRY(rad_op_const(g, n, 1, &t, err));
            ratio = rad_op_scalar(&t);
        }
        if (training && ratio != 0)
            return rad_op_error(n, err, "training mode: outputs would be random; export the network in eval mode");
    }
    RAD_TRY(rad_op_output(g, n, 0, x->dtype, &x->shape, err));
    st = rad_op_output(g, n, 1, n->opset >= 10 ? RAD_DT_BOOL : x->dtype, &x->shape, err);
out:
    return st;
}

static rad_status eval_dropout(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    const int64_t count = rad_shape_count(&in[0].shape), one = 1;
    for (int64_t i = 0; rad_op_has_output(n, 1) && i < count; i++) {
        if (out[1].dtype == RAD_DT_BOOL)
            rad_op_store_int(&out[1], i, 1, &one);
        else
            rad_op_store(&out[1], i, 1, &(const double){1});
    }
    return eval_copy(n, in, out, err);
}

/* ---------------------------------------------------------------- Cast */

static rad_status infer_cast(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x, *like;
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T_ANY, &x, err));
    rad_dtype to;
    if (n->op->max_in == 2) { /* CastLike */
        RAD_TRY(rad_op_input(g, n, 1, RAD_T_ANY, &like, err));
        to = like->dtype;
    } else {
        const int64_t code = rad_node_attr_int(n, "to", 0);
        to = code > 0 && code < 32 ? (rad_dtype)code : RAD_DT_NONE;
        if (!rad_op_type_in(to, RAD_T_ANY))
            return rad_op_error(n, err, "element type %lld (%s) is not supported", (long long)code, rad_dtype_name(to));
    }
    st = rad_op_output(g, n, 0, to, &x->shape, err);
out:
    return st;
}

static rad_status eval_cast(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    (void)n;
    (void)err;
    const int64_t count = rad_shape_count(&in[0].shape);
    const bool ints = !rad_op_type_in(in[0].dtype, RAD_T_FLOAT) && !rad_op_type_in(out[0].dtype, RAD_T_FLOAT);
    for (int64_t i = 0; i < count; i += RAD_OP_BLOCK) {
        const int64_t len = count - i < RAD_OP_BLOCK ? count - i : RAD_OP_BLOCK;
        double a[RAD_OP_BLOCK];
        int64_t b[RAD_OP_BLOCK];
        if (ints) {
            rad_op_load_int(&in[0], i, len, b);
            rad_op_store_int(&out[0], i, len, b);
        } else {
            rad_op_load(&in[0], i, len, a);
            rad_op_store(&out[0], i, len, a);
        }
    }
    return RAD_OK;
}

/* ---------------------------------------------------------------- Shape, Size */

/* start and end count from the back when negative and are clamped. */
static void shape_range(const rad_node *n, int rank, int *ret_from, int *ret_to) {
    int64_t edge[2] = {rad_node_attr_int(n, "start", 0), rad_node_attr_int(n, "end", rank)};
    for (int i = 0; i < 2; i++) {
        edge[i] += edge[i] < 0 ? rank : 0;
        edge[i] = edge[i] < 0 ? 0 : (edge[i] > rank ? rank : edge[i]);
    }
    *ret_from = (int)edge[0];
    *ret_to = (int)(edge[1] < edge[0] ? edge[0] : edge[1]);
}

static rad_status infer_shape(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x;
    int from, to;
    const rad_status st = rad_op_input(g, n, 0, RAD_T_ANY, &x, err);
    if (st != RAD_OK)
        return st;
    shape_range(n, x->shape.rank, &from, &to);
    return rad_op_output(g, n, 0, RAD_DT_I64, &(const rad_shape){1, {to - from}}, err);
}

static rad_status eval_shape(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    int from, to;
    (void)err;
    shape_range(n, in[0].shape.rank, &from, &to);
    rad_op_store_int(&out[0], 0, to - from, in[0].shape.dim + from);
    return RAD_OK;
}

static rad_status infer_size(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x;
    const rad_status st = rad_op_input(g, n, 0, RAD_T_ANY, &x, err);
    return st != RAD_OK ? st : rad_op_output(g, n, 0, RAD_DT_I64, &(const rad_shape){0, {0}}, err);
}

static rad_status eval_size(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    (void)n;
    (void)err;
    rad_op_store_int(&out[0], 0, 1, &(const int64_t){rad_shape_count(&in[0].shape)});
    return RAD_OK;
}

/* ---------------------------------------------------------------- Constant, ConstantOfShape, Range */

static rad_status infer_constant(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_attr *a = n->n_attr == 1 ? &n->attr[0] : NULL;
    rad_shape list = {1, {0}};
    if (a == NULL)
        return rad_op_error(n, err, "exactly one value attribute is expected");
    list.dim[0] = a->n;
    switch (a->kind) {
    case RAD_ATTR_TENSOR:
        return rad_op_output(g, n, 0, a->t.dtype, &a->t.shape, err);
    case RAD_ATTR_FLOAT:
        return rad_op_output(g, n, 0, RAD_DT_F32, &(const rad_shape){0, {0}}, err);
    case RAD_ATTR_INT:
        return rad_op_output(g, n, 0, RAD_DT_I64, &(const rad_shape){0, {0}}, err);
    case RAD_ATTR_FLOATS:
        return rad_op_output(g, n, 0, RAD_DT_F32, &list, err);
    case RAD_ATTR_INTS:
        return rad_op_output(g, n, 0, RAD_DT_I64, &list, err);
    default:
        return rad_op_error(n, err, "attribute '%.100s' is not a number or tensor", a->name);
    }
}

static rad_status eval_constant(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    const rad_attr *a = &n->attr[0];
    (void)in;
    switch (a->kind) {
    case RAD_ATTR_FLOAT:
        rad_op_store(&out[0], 0, 1, &a->f);
        break;
    case RAD_ATTR_INT:
        rad_op_store_int(&out[0], 0, 1, &a->i);
        break;
    case RAD_ATTR_FLOATS:
        rad_op_store(&out[0], 0, a->n, a->floats);
        break;
    case RAD_ATTR_INTS:
        rad_op_store_int(&out[0], 0, a->n, a->ints);
        break;
    default:
        return eval_copy(n, &a->t, out, err);
    }
    return RAD_OK;
}

static rad_status infer_constant_of_shape(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_attr *a = rad_node_attr(n, "value");
    rad_shape y = {0};
    const rad_status st = rad_op_ints(g, n, NULL, 0, RAD_MAX_RANK, y.dim, &y.rank, err);
    if (st != RAD_OK)
        return st;
    if (a != NULL && (rad_shape_count(&a->t.shape) != 1 || !rad_op_type_in(a->t.dtype, RAD_T_ANY)))
        return rad_op_error(n, err, "attribute 'value' must be a tensor of one number");
    return rad_op_output(g, n, 0, a != NULL ? a->t.dtype : RAD_DT_F32, &y, err);
}

static rad_status eval_constant_of_shape(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    const rad_attr *a = rad_node_attr(n, "value");
    const size_t size = rad_dtype_size(out[0].dtype);
    const int64_t count = rad_shape_count(&out[0].shape);
    (void)in;
    (void)err;
    if (count > 0 && a == NULL)
        memset(out[0].data, 0, (size_t)count * size);
    for (int64_t i = 0; a != NULL && i < count; i++)
        memcpy((unsigned char *)out[0].data + (size_t)i * size, a->t.data, size);
    return RAD_OK;
}

static rad_status infer_range(rad_graph *g, const rad_node *n, rad_error *err) {
    const unsigned types = RAD_T(RAD_DT_F32) | RAD_T(RAD_DT_F64) | RAD_T(RAD_DT_I16) | RAD_T_INDEX;
    const rad_value *v;
    double limit[3];
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, types, &v, err));
    for (int k = 0; k < 3; k++) {
        const rad_value *other;
        rad_tensor t;
        RAD_TRY(rad_op_input(g, n, k, RAD_T(v->dtype), &other, err));
        if (rad_shape_count(&other->shape) != 1)
            return rad_op_error(n, err, "input '%.100s' must be a scalar", other->name);
        RAD_TRY(rad_op_const(g, n, k, &t, err));
        limit[k] = rad_op_scalar(&t);
    }
    const double count = ceil((limit[1] - limit[0]) / limit[2]);
    if (limit[2] == 0 || !isfinite(count) || count > (double)RAD_MAX_TENSOR_BYTES)
        return rad_op_error(n, err, "from %g to %g by %g is not a range", limit[0], limit[1], limit[2]);
    st = rad_op_output(g, n, 0, v->dtype, &(const rad_shape){1, {count > 0 ? (int64_t)count : 0}}, err);
out:
    return st;
}

static rad_status eval_range(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    const int64_t count = out[0].shape.dim[0];
    (void)n;
    (void)err;
    if (rad_op_type_in(in[0].dtype, RAD_T_FLOAT)) {
        const double start = rad_op_scalar(&in[0]), delta = rad_op_scalar(&in[2]);
        for (int64_t i = 0; i < count; i++)
            rad_op_store(&out[0], i, 1, &(const double){start + (double)i * delta});
    } else {
        int64_t value, delta;
        rad_op_load_int(&in[0], 0, 1, &value);
        rad_op_load_int(&in[2], 0, 1, &delta);
        for (int64_t i = 0; i < count; i++) {
            rad_op_store_int(&out[0], i, 1, &value);
            value = (int64_t)((uint64_t)value + (uint64_t)delta);
        }
    }
    return RAD_OK;
}

/* ---------------------------------------------------------------- table */

static const rad_op_attr attr_reshape[] = {{"shape", RAD_ATTR_INTS, 1, 4}, {"allowzero", RAD_ATTR_INT, 14, 0}, {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_axis[] = {{"axis", RAD_ATTR_INT, 1, 0}, {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_axes[] = {{"axes", RAD_ATTR_INTS, 1, 12}, {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_dropout[] = {
    {"ratio", RAD_ATTR_FLOAT, 1, 11}, {"is_test", RAD_ATTR_INT, 1, 6}, {"seed", RAD_ATTR_INT, 12, 0}, {NULL, RAD_ATTR_NONE, 0, 0}};
/* saturate concerns the 8-bit floats alone, which are refused. */
static const rad_op_attr attr_cast[] = {{"to", RAD_ATTR_INT, 6, 0}, {"saturate", RAD_ATTR_INT, 19, 0}, {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_cast_like[] = {{"saturate", RAD_ATTR_INT, 19, 0}, {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_shape[] = {{"start", RAD_ATTR_INT, 15, 0}, {"end", RAD_ATTR_INT, 15, 0}, {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_constant[] = {{"value", RAD_ATTR_TENSOR, 1, 0},         {"value_float", RAD_ATTR_FLOAT, 12, 0},
                                            {"value_floats", RAD_ATTR_FLOATS, 12, 0}, {"value_int", RAD_ATTR_INT, 12, 0},
                                            {"value_ints", RAD_ATTR_INTS, 12, 0},     {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_value[] = {{"value", RAD_ATTR_TENSOR, 9, 0}, {NULL, RAD_ATTR_NONE, 0, 0}};

const rad_op_def rad_op_Cast = {"Cast", 1, 1, 1, 1, attr_cast, infer_cast, eval_cast, NULL};
const rad_op_def rad_op_CastLike = {"CastLike", 2, 2, 1, 1, attr_cast_like, infer_cast, eval_cast, NULL};
const rad_op_def rad_op_Constant = {"Constant", 0, 0, 1, 1, attr_constant, infer_constant, eval_constant, NULL};
const rad_op_def rad_op_ConstantOfShape = {"ConstantOfShape",      1,   1, 1, 1, attr_value, infer_constant_of_shape,
                                           eval_constant_of_shape, NULL};
const rad_op_def rad_op_Dropout = {"Dropout", 1, 3, 1, 2, attr_dropout, infer_dropout, eval_dropout, NULL};
const rad_op_def rad_op_Flatten = {"Flatten", 1, 1, 1, 1, attr_axis, infer_flatten, eval_copy, NULL};
const rad_op_def rad_op_Identity = {"Identity", 1, 1, 1, 1, rad_op_no_attr, rad_op_infer_same, eval_copy, &any_type};
const rad_op_def rad_op_Range = {"Range", 3, 3, 1, 1, rad_op_no_attr, infer_range, eval_range, NULL};
const rad_op_def rad_op_Reshape = {"Reshape", 1, 2, 1, 1, attr_reshape, infer_reshape, eval_copy, NULL};
const rad_op_def rad_op_Shape = {"Shape", 1, 1, 1, 1, attr_shape, infer_shape, eval_shape, NULL};
const rad_op_def rad_op_Size = {"Size", 1, 1, 1, 1, rad_op_no_attr, infer_size, eval_size, NULL};
const rad_op_def rad_op_Squeeze = {"Squeeze", 1, 2, 1, 1, attr_axes, infer_squeeze, eval_copy, NULL};
const rad_op_def rad_op_Unsqueeze = {"Unsqueeze", 1, 2, 1, 1, attr_axes, infer_unsqueeze, eval_copy, NULL};
