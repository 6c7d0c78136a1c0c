/* Folds Mul, Add, Sub and Div by a constant (one number, or one per channel) into the Conv, ConvTranspose, Gemm or MatMul before it: the
 * residual scales of Inception-ResNet-v2, layer scales, biases added as nodes. On whenever folding is on, nothing else reads the value
 * between, the constant does not widen the shape, and the result is finite. constant / x is not linear and stays. */
#include <math.h>
#include <stdlib.h>

#include "model_internal.h"

/* The constant c as one number per channel of the other operand, whose shape is s; NULL when it is not that (it would widen s, say). */
static rad_status per_channel(const rad_build *b, int c, const rad_shape *s, int axis, double **ret, rad_error *err) {
    const rad_shape *cs = &b->g->value[c].shape;
    int64_t channels = s->dim[axis], n = rad_shape_count(cs);
    double *x = NULL;
    *ret = NULL;
    if (cs->rank > s->rank)
        return RAD_OK;
    for (int i = 0; i < cs->rank; i++) { /* aligned at the last axis */
        int at = s->rank - cs->rank + i;
        if (cs->dim[i] != 1 && (at != axis || cs->dim[i] != channels))
            return RAD_OK;
    }
    rad_status st = rad_build_read_doubles(b, c, &x, NULL, err);
    if (st != RAD_OK)
        return st;
    if (n == channels) {
        *ret = x;
        return RAD_OK;
    }
    double *all = rad_malloc(((size_t)channels + 1) * sizeof *all);
    for (int64_t i = 0; all && i < channels; i++)
        all[i] = x[0];
    free(x);
    if (!all)
        return rad_onnx_nomem(b->model, err);
    *ret = all;
    return RAD_OK;
}

/* Reads `n` as scale and shift of operand k when the other one is constant. */
static rad_status read_arithmetic(const rad_build *b, const rad_node *n, int k, int axis, rad_affine *ret, bool *ret_ok, rad_error *err) {
    const rad_shape *s = &b->g->value[n->input[k]].shape;
    double *c = NULL;
    rad_status st = RAD_OK;
    bool div = rad_node_is(n, "Div"), mul = rad_node_is(n, "Mul"), sub = rad_node_is(n, "Sub");
    *ret_ok = false;
    if (axis < 0 || axis >= s->rank || !rad_build_is_const(b, n->input[1 - k], RAD_DT_F32) || (div && k == 1))
        return RAD_OK;
    int64_t channels = s->dim[axis];
    rad_affine a = {.n = channels, .scale = rad_malloc(((size_t)channels + 1) * sizeof(double)), .shift = NULL};
    RAD_TRY(per_channel(b, n->input[1 - k], s, axis, &c, err));
    if (!c)
        goto out;
    a.shift = rad_malloc(((size_t)channels + 1) * sizeof(double));
    if (!a.scale || !a.shift) {
        st = rad_onnx_nomem(b->model, err);
        goto out;
    }
    bool finite = true;
    for (int64_t i = 0; i < channels; i++) {
        a.scale[i] = mul ? c[i] : div ? 1 / c[i] : sub && k == 1 ? -1 : 1;
        a.shift[i] = mul || div ? 0 : sub && k == 0 ? -c[i] : c[i];
        finite = finite && isfinite(a.scale[i]) && isfinite(a.shift[i]);
    }
    if (finite) {
        *ret = a;
        a = (rad_affine){0};
        *ret_ok = true;
    }
out:
    free(c);
    rad_affine_release(&a);
    return st;
}

rad_status rad_pass_scale(rad_build *b, rad_error *err) {
    rad_status st = RAD_OK;
    rad_affine a = {0};
    for (int i = 0; i < b->g->n_node; i++) {
        rad_node *n = &b->g->node[i];
        if (!rad_node_is(n, "Mul") && !rad_node_is(n, "Add") && !rad_node_is(n, "Sub") && !rad_node_is(n, "Div"))
            continue;
        bool done = false;
        for (int k = 0; k < 2 && !done; k++) {
            rad_node *p = rad_build_sole_producer(b, n->input[k]);
            bool ok = false;
            if (!p)
                continue;
            RAD_TRY(read_arithmetic(b, n, k, rad_build_affine_axis(b, p), &a, &ok, err));
            if (ok)
                RAD_TRY(rad_build_fold_affine(b, p, n, &a, &done, err));
            rad_affine_release(&a);
        }
        b->stats.scales += done;
    }
out:
    rad_affine_release(&a);
    return st;
}
