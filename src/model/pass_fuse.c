/* Fuses a residual sum and an activation into the linear node before them: y = act(op(x) + residual). On whenever folding is on; the
 * arithmetic is that of the separate nodes, only without storing the value between. Off when the value between has another reader or is an
 * output (or the tap), when the two sides of the sum differ in shape, or when an activation has parameters that are not constant. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "model_internal.h"

static bool is_float(const rad_build *b, int v) {
    return b->g->value[v].dtype == RAD_DT_F32;
}

static bool can_carry(const rad_build *b, const rad_node *n) {
    return n->act == RAD_FUSE_NONE && n->output[0] >= 0 && is_float(b, n->output[0]) &&
           (rad_node_is(n, "Conv") || rad_node_is(n, "ConvTranspose") || rad_node_is(n, "Gemm") || rad_node_is(n, "MatMul"));
}

/* Scalar bound k of a Clip; false when there is none that is constant. */
static bool clip_bound(const rad_build *b, const rad_node *n, int k, const char *attr, float *ret) {
    if (n->opset < 11) {
        const rad_attr *a = rad_node_attr(n, attr);
        if (a)
            *ret = (float)a->f;
        return a != NULL;
    }
    if (n->n_input <= k || !rad_build_is_const(b, n->input[k], RAD_DT_F32) || rad_shape_count(&b->g->value[n->input[k]].shape) != 1)
        return false;
    memcpy(ret, b->g->value[n->input[k]].data, sizeof *ret);
    return true;
}

/* The activation that a node of one input is; alpha and beta as in rad_fused_act. */
static bool read_activation(const rad_build *b, const rad_node *n, rad_fused_act *act, float *alpha, float *beta) {
    *alpha = *beta = 0;
    if (rad_node_is(n, "Relu")) {
        *act = RAD_FUSE_RELU;
    } else if (rad_node_is(n, "Sigmoid")) {
        *act = RAD_FUSE_SIGMOID;
    } else if (rad_node_is(n, "Tanh")) {
        *act = RAD_FUSE_TANH;
    } else if (rad_node_is(n, "HardSwish")) {
        *act = RAD_FUSE_HARDSWISH;
    } else if (rad_node_is(n, "LeakyRelu")) {
        *act = RAD_FUSE_LEAKY;
        *alpha = (float)rad_node_attr_float(n, "alpha", (double)0.01f);
    } else if (rad_node_is(n, "Clip")) {
        bool low = clip_bound(b, n, 1, "min", alpha), high = clip_bound(b, n, 2, "max", beta);
        bool open_top = n->opset < 11 ? !high : n->n_input < 3 || n->input[2] < 0;
        if (low && open_top && fabsf(*alpha) <= 0)
            *act = RAD_FUSE_RELU;
        else if (low && high && *alpha <= *beta)
            *act = RAD_FUSE_CLIP;
        else
            return false;
    } else {
        return false;
    }
    return true;
}

/* Mul(x, Sigmoid(x)) and Mul(x, HardSigmoid(x)) with slope 1/6: x and the gate node when `n` is one and nothing else reads either. */
static bool read_gated(rad_build *b, const rad_node *n, int *ret_x, rad_node **ret_gate, rad_fused_act *act) {
    for (int k = 0; rad_node_is(n, "Mul") && k < 2; k++) {
        int x = n->input[1 - k];
        rad_node *gate = rad_build_sole_producer(b, n->input[k]);
        if (!gate || gate->input[0] != x || b->g->value[x].n_use != 2 || gate->act != RAD_FUSE_NONE)
            continue;
        if (rad_node_is(gate, "Sigmoid")) {
            *act = RAD_FUSE_SWISH;
        } else if (rad_node_is(gate, "HardSigmoid") && fabs(rad_node_attr_float(gate, "alpha", (double)0.2f) - 1.0 / 6) < 1e-6 &&
                   fabs(rad_node_attr_float(gate, "beta", 0.5) - 0.5) <= 0) {
            *act = RAD_FUSE_HARDSWISH;
        } else {
            continue;
        }
        *ret_x = x;
        *ret_gate = gate;
        return true;
    }
    return false;
}

static void fuse_activation(rad_build *b, rad_node *n) {
    rad_fused_act act;
    float alpha = 0, beta = 0;
    int x;
    rad_node *gate, *p = NULL;
    if (read_gated(b, n, &x, &gate, &act)) {
        int from = b->g->value[x].producer;
        p = from >= 0 ? &b->g->node[from] : NULL;
        if (!p || p->output[0] != x || !(can_carry(b, p) || (rad_node_is(p, "Add") && p->act == RAD_FUSE_NONE && is_float(b, x))))
            return;
        rad_build_take_output(b, p, n);
        rad_build_kill(b, gate);
    } else if (n->n_input >= 1 && read_activation(b, n, &act, &alpha, &beta)) {
        p = rad_build_sole_producer(b, n->input[0]);
        if (!p || !(can_carry(b, p) || (rad_node_is(p, "Add") && p->act == RAD_FUSE_NONE && is_float(b, n->input[0]))))
            return;
        rad_build_take_output(b, p, n);
    } else {
        return;
    }
    p->act = act;
    p->act_alpha = alpha;
    p->act_beta = beta;
    b->stats.activations++;
}

/* Add(p(...), other): p moves to the place of the sum, since `other` may be made between the two. */
static void fuse_residual(rad_build *b, rad_node *n) {
    rad_graph *g = b->g;
    rad_node *best = NULL;
    int other = -1;
    for (int k = 0; k < 2; k++) {
        rad_node *p = rad_build_sole_producer(b, n->input[k]);
        int o = n->input[1 - k];
        if (!p || !can_carry(b, p) || p->residual >= 0 || g->value[o].data || !is_float(b, o) ||
            !rad_shape_equal(&g->value[n->input[k]].shape, &g->value[o].shape))
            continue;
        if (!best || p > best) { /* the later one: its sum can follow at once */
            best = p;
            other = o;
        }
    }
    if (!best)
        return;
    rad_node moved = *best;
    int y = n->output[0], old = moved.output[0];
    best->op = NULL;
    moved.residual = other; /* its use by the sum becomes the use by the residual */
    moved.output[0] = y;
    g->value[old].n_use = 0;
    g->value[old].producer = -1;
    *n = moved;
    b->stats.residuals++;
}

rad_status rad_pass_fuse(rad_build *b, rad_error *err) {
    (void)err;
    for (int i = 0; i < b->g->n_node; i++) {
        rad_node *n = &b->g->node[i];
        if (!n->op || n->n_output < 1)
            continue;
        if (rad_node_is(n, "Add") && n->residual < 0)
            fuse_residual(b, n);
        else
            fuse_activation(b, n);
    }
    return RAD_OK;
}
