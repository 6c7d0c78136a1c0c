/* nodes.c: which operator goes to which translator, and Resize. */
#include "nodes.h"

#include <string.h>

static const struct {
    const char *op;
    g_translate translate;
} table[] = {
    {"Abs", g_node_unary},
    {"Add", g_node_binary},
    {"AveragePool", g_node_pool},
    {"BatchNormalization", g_node_batch_norm},
    {"Ceil", g_node_unary},
    {"Celu", g_node_unary},
    {"Clip", g_node_unary},
    {"Concat", g_node_concat},
    {"Conv", g_node_conv},
    {"ConvTranspose", g_node_conv},
    {"Cos", g_node_unary},
    {"DepthToSpace", g_node_blocks},
    {"Div", g_node_binary},
    {"Dropout", g_node_view},
    {"Elu", g_node_unary},
    {"Erf", g_node_unary},
    {"Exp", g_node_unary},
    {"Expand", g_node_expand},
    {"Flatten", g_node_view},
    {"Floor", g_node_unary},
    {"Gather", g_node_gather},
    {"Gelu", g_node_unary},
    {"Gemm", g_node_gemm},
    {"GlobalAveragePool", g_node_pool},
    {"GlobalMaxPool", g_node_pool},
    {"GroupNormalization", g_node_norm},
    {"HardSigmoid", g_node_unary},
    {"HardSwish", g_node_unary},
    {"Identity", g_node_view},
    {"InstanceNormalization", g_node_norm},
    {"LayerNormalization", g_node_norm},
    {"LeakyRelu", g_node_unary},
    {"Log", g_node_unary},
    {"LogSoftmax", g_node_softmax},
    {"MatMul", g_node_matmul},
    {"Max", g_node_binary},
    {"MaxPool", g_node_pool},
    {"Mean", g_node_binary},
    {"Min", g_node_binary},
    {"Mish", g_node_unary},
    {"Mul", g_node_binary},
    {"Neg", g_node_unary},
    {"PRelu", g_node_binary},
    {"Pad", g_node_pad},
    {"Pow", g_node_binary},
    {"Reciprocal", g_node_unary},
    {"ReduceL1", g_node_reduce},
    {"ReduceL2", g_node_reduce},
    {"ReduceMax", g_node_reduce},
    {"ReduceMean", g_node_reduce},
    {"ReduceMin", g_node_reduce},
    {"ReduceProd", g_node_reduce},
    {"ReduceSum", g_node_reduce},
    {"ReduceSumSquare", g_node_reduce},
    {"Relu", g_node_unary},
    {"Reshape", g_node_view},
    {"Resize", g_node_resize},
    {"Round", g_node_unary},
    {"Selu", g_node_unary},
    {"Sigmoid", g_node_unary},
    {"Sign", g_node_unary},
    {"Sin", g_node_unary},
    {"Slice", g_node_slice},
    {"Softmax", g_node_softmax},
    {"Softplus", g_node_unary},
    {"Softsign", g_node_unary},
    {"SpaceToDepth", g_node_blocks},
    {"Split", g_node_split},
    {"Sqrt", g_node_unary},
    {"Squeeze", g_node_view},
    {"Sub", g_node_binary},
    {"Sum", g_node_binary},
    {"Tanh", g_node_unary},
    {"ThresholdedRelu", g_node_unary},
    {"Transpose", g_node_transpose},
    {"Unsqueeze", g_node_view},
    {"Upsample", g_node_resize},
};

g_translate g_translator(const char *op_name) {
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].op, op_name) == 0)
            return table[i].translate;
    return NULL;
}

/* ---------------------------------------------------------------- resize */

static int word_of(const char *word, const char *const *list) {
    for (int i = 0; list[i] != NULL; i++)
        if (strcmp(word, list[i]) == 0)
            return i;
    return -1;
}

/* Scales of all axes as given, or from sizes. */
static bool scales(const struct g_build *b, const rad_node *n, const rad_shape *xs, const rad_shape *ys, double scale[RAD_MAX_RANK]) {
    const bool two_inputs = strcmp(n->op->name, "Resize") == 0 && n->opset >= 11;
    const int v = g_in(n, two_inputs ? 2 : 1);
    const rad_attr *attr = rad_node_attr(n, "scales");
    for (int i = 0; i < xs->rank; i++)
        scale[i] = (double)ys->dim[i] / (double)xs->dim[i];
    if (attr != NULL && attr->n == xs->rank) {
        for (int i = 0; i < xs->rank; i++)
            scale[i] = attr->floats[i];
        return true;
    }
    if (v < 0 || !g_is_float(b, v))
        return attr == NULL;
    if (!g_is_const(b, v) || rad_shape_count(&g_value(b, v)->shape) != xs->rank)
        return false;
    for (int i = 0; i < xs->rank; i++) {
        float f;
        memcpy(&f, (const char *)g_value(b, v)->data + (size_t)i * sizeof f, sizeof f);
        scale[i] = (double)f;
    }
    return true;
}

rad_status g_node_resize(struct g_build *b, const rad_node *n, rad_error *err) {
    static const char *const coords[] = {"half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", NULL};
    static const char *const rounds[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL};
    const bool old = n->opset < 11;
    const char *coord = rad_node_attr_string(n, "coordinate_transformation_mode", old ? "asymmetric" : "half_pixel");
    const char *round = rad_node_attr_string(n, "nearest_mode", old ? "floor" : "round_prefer_floor");
    const char *mode = rad_node_attr_string(n, "mode", "nearest");
    const int xv = g_in(n, 0), c = word_of(coord, coords), k = word_of(round, rounds);
    const rad_shape xs = g_value(b, xv)->shape, ys = g_value(b, n->output[0])->shape;
    double scale[RAD_MAX_RANK];
    int x = -1, y = -1, root[K_VIEWS] = {-1, -1, -1, -1, -1};
    rad_status st = RAD_OK;
    const bool linear = strcmp(mode, "linear") == 0 || strcmp(mode, "bilinear") == 0;
    if (c < 0 || k < 0 || (!linear && strcmp(mode, "nearest") != 0))
        return g_refuse(n, err, "mode '%.40s' with '%.40s'", mode, coord);
    if (rad_node_attr_int(n, "antialias", 0) != 0 || rad_node_attr(n, "axes") != NULL ||
        strcmp(rad_node_attr_string(n, "keep_aspect_ratio_policy", "stretch"), "stretch") != 0)
        return g_refuse(n, err, "antialias, axes and keep_aspect_ratio_policy");
    if (xs.rank < 3 || xs.rank > 5 || xs.dim[0] != ys.dim[0] || xs.dim[1] != ys.dim[1] || !scales(b, n, &xs, &ys, scale))
        return g_refuse(n, err, "only image axes, by constant scales or sizes");
    struct k_args a = {.kind = K_RESIZE, .op = k, .r_linear = linear, .r_mode = c, .rank = 5, .wide = 1};
    RAD_TRY(g_get(b, xv, G_LAST, g_type_for(b, &xs), &x, err));
    RAD_TRY(g_make(b, &ys, G_LAST, g_type_for(b, &ys), &y, err));
    const struct g_tensor tx = *g_at(b, x), ty = *g_at(b, y);
    a.dim[0] = ty.shape.dim[0];
    a.dim[4] = ty.stored;
    a.valid = ty.shape.dim[1];
    a.v[0] = (struct k_view){.offset = ty.offset, .type = ty.type, .wide = 1};
    a.v[1] = (struct k_view){.offset = tx.offset, .type = tx.type, .wide = 1};
    a.v[0].stride[0] = ty.stride[0];
    a.v[1].stride[0] = tx.stride[0];
    a.v[0].stride[4] = a.v[1].stride[4] = 1;
    for (int i = 0; i < 3; i++) {
        const int s = i - (3 - (ys.rank - 2));
        a.in[i] = a.out[i] = 1;
        a.dim[1 + i] = 1;
        a.r_scale[i] = a.r_length[i] = 1.0;
        if (s < 0)
            continue;
        if (xs.dim[2 + s] > 1 << 20 || ys.dim[2 + s] > 1 << 20)
            return g_refuse(n, err, "an axis of more than 2^20");
        a.in[i] = (int32_t)xs.dim[2 + s];
        a.out[i] = (int32_t)ys.dim[2 + s];
        a.dim[1 + i] = ys.dim[2 + s];
        a.r_scale[i] = 1.0 / scale[2 + s];
        a.r_length[i] = scale[2 + s] * (double)xs.dim[2 + s];
        a.v[0].stride[1 + i] = ty.stride[2 + s];
        a.v[1].stride[1 + i] = tx.stride[2 + s];
    }
    a.count = a.dim[0] * a.dim[1] * a.dim[2] * a.dim[3] * a.dim[4];
    root[0] = ty.root;
    root[1] = tx.root;
    RAD_TRY(g_step_kernel(b, &a, root, err));
    st = g_finish(b, n, y, false, false, err);
out:
    return st;
}
