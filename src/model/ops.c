/* ops.c: the operator table, attribute access, and evaluation of one node with its fused parts. */
#include "op_internal.h"

#include <math.h>
#include <string.h>

#define RAD_OP_ENTRY(name) &rad_op_##name,
static const rad_op_def *const table[] = {RAD_OPS(RAD_OP_ENTRY)};
#undef RAD_OP_ENTRY

const rad_op_def *const *rad_op_list(size_t *ret_n) {
    *ret_n = sizeof table / sizeof table[0];
    return table;
}

const rad_op_def *rad_op_find(const char *name, const char *domain) {
    if (domain != NULL && domain[0] != '\0' && strcmp(domain, "ai.onnx") != 0)
        return NULL;
    size_t lo = 0, hi = sizeof table / sizeof table[0];
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        const int order = strcmp(name, table[mid]->name);
        if (order == 0)
            return table[mid];
        if (order < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

/* ---------------------------------------------------------------- attributes */

const rad_attr *rad_node_attr(const rad_node *n, const char *name) {
    for (int i = 0; i < n->n_attr; i++) {
        if (strcmp(n->attr[i].name, name) == 0)
            return &n->attr[i];
    }
    return NULL;
}

int64_t rad_node_attr_int(const rad_node *n, const char *name, int64_t missing) {
    const rad_attr *a = rad_node_attr(n, name);
    return a != NULL ? a->i : missing;
}

double rad_node_attr_float(const rad_node *n, const char *name, double missing) {
    const rad_attr *a = rad_node_attr(n, name);
    return a != NULL ? a->f : missing;
}

const char *rad_node_attr_string(const rad_node *n, const char *name, const char *missing) {
    const rad_attr *a = rad_node_attr(n, name);
    return a != NULL && a->s != NULL ? a->s : missing;
}

/* ---------------------------------------------------------------- evaluation */

static double activate(rad_fused_act act, double alpha, double beta, double x) {
    switch (act) {
    case RAD_FUSE_RELU:
        return x < 0 ? 0 : x; /* NaN passes, as in PyTorch */
    case RAD_FUSE_CLIP:
        return x < alpha ? alpha : (x > beta ? beta : x);
    case RAD_FUSE_LEAKY:
        return x < 0 ? alpha * x : x;
    case RAD_FUSE_SIGMOID:
        return rad_fn_sigmoid(x);
    case RAD_FUSE_TANH:
        return tanh(x);
    case RAD_FUSE_SWISH:
        return x * rad_fn_sigmoid(x);
    case RAD_FUSE_HARDSWISH:
        return rad_fn_hardswish(x);
    case RAD_FUSE_NONE:
        break;
    }
    return x;
}

/* Each step rounds to the tensor's type, so a fused graph gives the bits of the unfused one wherever the steps are the same. */
static rad_status apply_fused(const rad_node *n, const rad_tensor *residual, rad_tensor *y, rad_error *err) {
    if (n->residual < 0 && n->act == RAD_FUSE_NONE)
        return RAD_OK;
    if (n->residual >= 0 && (residual == NULL || !rad_shape_equal(&residual->shape, &y->shape) || residual->dtype != y->dtype))
        return rad_error_set(err, RAD_E_INTERNAL, "node '%.160s' (%s): residual and output differ in shape or type", n->name, n->op->name);
    const int64_t count = rad_shape_count(&y->shape);
    for (int64_t i = 0; i < count; i += RAD_OP_BLOCK) {
        const int64_t len = count - i < RAD_OP_BLOCK ? count - i : RAD_OP_BLOCK;
        double a[RAD_OP_BLOCK], r[RAD_OP_BLOCK];
        rad_op_load(y, i, len, a);
        if (n->residual >= 0) {
            rad_op_load(residual, i, len, r);
            for (int64_t j = 0; j < len; j++)
                a[j] += r[j];
            rad_op_store(y, i, len, a);
            rad_op_load(y, i, len, a);
        }
        if (n->act != RAD_FUSE_NONE) {
            for (int64_t j = 0; j < len; j++)
                a[j] = activate(n->act, n->act_alpha, n->act_beta, a[j]);
            rad_op_store(y, i, len, a);
        }
    }
    return RAD_OK;
}

rad_status rad_node_eval(const rad_node *n, const rad_tensor *in, const rad_tensor *residual, rad_tensor *out, rad_error *err) {
    const rad_status st = n->op->eval(n, in, out, err);
    return st != RAD_OK ? st : apply_fused(n, residual, &out[0], err);
}
