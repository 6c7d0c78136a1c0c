/* node_math.c: element by element, one operand or two. */
#include "nodes.h"

#include <float.h>
#include <string.h>

/* ---------------------------------------------------------------- one operand */

struct eltwise {
    dnnl_alg_kind_t alg;
    float alpha, beta;
    bool clip01; /* followed by a clip to 0..1 */
};

/* Limits of Clip: inputs since opset 11, attributes before; false when an input is not constant. */
static bool clip_limits(const struct dn_build *b, const rad_node *n, float *ret_low, float *ret_high) {
    *ret_low = (float)rad_node_attr_float(n, "min", -(double)FLT_MAX);
    *ret_high = (float)rad_node_attr_float(n, "max", (double)FLT_MAX);
    return (dn_in(n, 1) < 0 || dn_const_scalar(b, dn_in(n, 1), ret_low)) &&
           (dn_in(n, 2) < 0 || dn_const_scalar(b, dn_in(n, 2), ret_high)) && *ret_low <= *ret_high;
}

static bool choose(const struct dn_build *b, const rad_node *n, struct eltwise *ret) {
    static const struct {
        const char *op, *alpha;
        double missing;
        dnnl_alg_kind_t alg;
    } simple[] = {
        {"Abs", NULL, 0.0, dnnl_eltwise_abs},
        {"Elu", "alpha", 1.0, dnnl_eltwise_elu},
        {"Exp", NULL, 0.0, dnnl_eltwise_exp},
        {"HardSwish", NULL, 0.0, dnnl_eltwise_hardswish},
        {"LeakyRelu", "alpha", 0.01, dnnl_eltwise_relu},
        {"Relu", NULL, 0.0, dnnl_eltwise_relu},
        {"Sigmoid", NULL, 0.0, dnnl_eltwise_logistic},
        {"Softplus", NULL, 0.0, dnnl_eltwise_soft_relu},
        {"Sqrt", NULL, 0.0, dnnl_eltwise_sqrt},
        {"Tanh", NULL, 0.0, dnnl_eltwise_tanh},
    };
    *ret = (struct eltwise){0};
    for (size_t i = 0; i < sizeof simple / sizeof simple[0]; i++)
        if (strcmp(simple[i].op, n->op->name) == 0) {
            ret->alg = simple[i].alg;
            if (simple[i].alpha != NULL)
                ret->alpha = (float)rad_node_attr_float(n, simple[i].alpha, simple[i].missing);
            return true;
        }
    if (strcmp(n->op->name, "Clip") == 0) {
        ret->alg = dnnl_eltwise_clip;
        return clip_limits(b, n, &ret->alpha, &ret->beta);
    }
    if (strcmp(n->op->name, "Gelu") == 0) {
        ret->alg = strcmp(rad_node_attr_string(n, "approximate", "none"), "tanh") == 0 ? dnnl_eltwise_gelu_tanh : dnnl_eltwise_gelu_erf;
        return true;
    }
    ret->alg = dnnl_eltwise_linear;
    if (strcmp(n->op->name, "Neg") == 0) {
        ret->alpha = -1.0f;
        return true;
    }
    if (strcmp(n->op->name, "HardSigmoid") == 0) {
        ret->alpha = (float)rad_node_attr_float(n, "alpha", 0.2);
        ret->beta = (float)rad_node_attr_float(n, "beta", 0.5);
        ret->clip01 = true;
        return true;
    }
    float exponent = 0.0f; /* Pow: the square of decomposed layer normalisation */
    ret->alg = dnnl_eltwise_square;
    return strcmp(n->op->name, "Pow") == 0 && dn_const_scalar(b, dn_in(n, 1), &exponent) && exponent == 2.0f;
}

/* Result of an element-wise node on tensor x: over x itself when nobody reads it later. */
static rad_status make_like(struct dn_build *b, int y, int x, int *ret_tensor, rad_error *err) {
    const rad_md md = *dn_tensor_md(b, x);
    if (dn_may_overwrite(b, x) && b->value[y].slot_root < 0)
        return dn_alias(b, y, x, 0, &md, ret_tensor, err);
    return dn_make(b, y, &md, ret_tensor, err);
}

rad_status dn_node_unary(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err) {
    const int x = dn_in(n, 0), y = n->output[0];
    struct eltwise e;
    rad_prim prim = {0}, clip = {0};
    rad_status st = RAD_OK;
    struct dn_arg arg[2] = {{DNNL_ARG_SRC, -1}, {DNNL_ARG_DST, -1}};
    if (!dn_is_float(b, x) || !dn_is_float(b, y) || !rad_shape_equal(&dn_value_of(b, x)->shape, &dn_value_of(b, y)->shape) ||
        !choose(b, n, &e))
        return RAD_OK;
    RAD_TRY(dn_native(b, x, &arg[0].tensor, err));
    const rad_md md = *dn_tensor_md(b, arg[0].tensor);
    if (!rad_prim_eltwise(b->engine, e.alg, &md, e.alpha, e.beta, &prim) ||
        (e.clip01 && !rad_prim_eltwise(b->engine, dnnl_eltwise_clip, &md, 0.0f, 1.0f, &clip)))
        goto out;
    RAD_TRY(make_like(b, y, arg[0].tensor, &arg[1].tensor, err));
    RAD_TRY(dn_step_prim(b, &prim, arg, 2, err));
    if (e.clip01) {
        arg[0].tensor = arg[1].tensor;
        RAD_TRY(dn_step_prim(b, &clip, arg, 2, err));
    }
    *ret_done = true;
out:
    rad_prim_release(&prim);
    rad_prim_release(&clip);
    return st;
}

/* ---------------------------------------------------------------- Gelu written out */

/* The node that alone reads this node's result, when it is a plain `op`; NULL otherwise. */
static const rad_node *sole_reader(const struct dn_build *b, const rad_node *n, const char *op) {
    const int y = n->output[0];
    const int reader = b->value[y].last_use;
    if (n->act != RAD_FUSE_NONE || n->residual >= 0 || dn_value_of(b, y)->n_use != 1 || reader < 0 || reader >= b->graph->n_node)
        return NULL;
    const rad_node *r = &b->graph->node[reader];
    return strcmp(r->op->name, op) == 0 && r->act == RAD_FUSE_NONE && r->residual < 0 ? r : NULL;
}

/* Which input of a two-operand node is not `value`; -1 when neither is. */
static int other_input(const rad_node *n, int value) {
    return n->input[0] == value ? n->input[1] : n->input[1] == value ? n->input[0] : -1;
}

static bool is_scalar_near(const struct dn_build *b, int value, float want) {
    float got = 0.0f;
    return dn_const_scalar(b, value, &got) && got > want * 0.999999f && got < want * 1.000001f;
}

/* Exporters before opset 20 write x * (erf(x / sqrt 2) + 1) * 0.5 in five nodes; as one it costs a fifth of the memory traffic, and the
 * error function is vectorised. */
static rad_status try_gelu(struct dn_build *b, const rad_node *div, bool *ret_done, rad_error *err) {
    const int x = div->input[0];
    const rad_node *erf = sole_reader(b, div, "Erf");
    const rad_node *add = erf != NULL ? sole_reader(b, erf, "Add") : NULL;
    const rad_node *mul = add != NULL ? sole_reader(b, add, "Mul") : NULL;
    const rad_node *half = mul != NULL ? sole_reader(b, mul, "Mul") : NULL;
    if (half == NULL || !is_scalar_near(b, div->input[1], 1.41421356f) || !is_scalar_near(b, other_input(add, erf->output[0]), 1.0f) ||
        other_input(mul, add->output[0]) != x || !is_scalar_near(b, other_input(half, mul->output[0]), 0.5f) ||
        !rad_shape_equal(&dn_value_of(b, x)->shape, &dn_value_of(b, half->output[0])->shape))
        return RAD_OK;
    rad_prim prim = {0};
    rad_status st = RAD_OK;
    struct dn_arg arg[2] = {{DNNL_ARG_SRC, -1}, {DNNL_ARG_DST, -1}};
    RAD_TRY(dn_native(b, x, &arg[0].tensor, err));
    const rad_md md = *dn_tensor_md(b, arg[0].tensor);
    if (!rad_prim_eltwise(b->engine, dnnl_eltwise_gelu_erf, &md, 0.0f, 0.0f, &prim))
        return RAD_OK;
    RAD_TRY(dn_make(b, half->output[0], &md, &arg[1].tensor, err));
    RAD_TRY(dn_step_prim(b, &prim, arg, 2, err));
    b->value[erf->output[0]].done = b->value[add->output[0]].done = b->value[mul->output[0]].done = b->value[half->output[0]].done = true;
    *ret_done = true;
out:
    rad_prim_release(&prim);
    return st;
}

/* ---------------------------------------------------------------- two operands */

static bool binary_alg(const char *op, dnnl_alg_kind_t *ret, bool *ret_commutes) {
    static const struct {
        const char *op;
        dnnl_alg_kind_t alg;
        bool commutes;
    } table[] = {{"Add", dnnl_binary_add, true}, {"Sum", dnnl_binary_add, true}, {"Mul", dnnl_binary_mul, true},
                 {"Max", dnnl_binary_max, true}, {"Min", dnnl_binary_min, true}, {"Sub", dnnl_binary_sub, false},
                 {"Div", dnnl_binary_div, false}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].op, op) == 0) {
            *ret = table[i].alg;
            *ret_commutes = table[i].commutes;
            return true;
        }
    return false;
}

static bool is_channel_layout(const rad_md *md) {
    const rad_layout layout = rad_md_get_layout(md);
    return layout == RAD_LAYOUT_BLOCKED || layout == RAD_LAYOUT_LAST;
}

/* Second operand of fewer or broadcast dims, in the first one's layout where that exists for it. */
static rad_status small_operand(struct dn_build *b, int value, const rad_md *like, bool *ret_ok, int *ret_tensor, rad_error *err) {
    const rad_shape *s = &dn_value_of(b, value)->shape;
    rad_shape padded = {.rank = like->ndims};
    rad_md view, want;
    for (int i = 0; i < padded.rank; i++)
        padded.dim[i] = i < padded.rank - s->rank ? 1 : s->dim[i - (padded.rank - s->rank)];
    const rad_layout layout = is_channel_layout(like) ? rad_md_get_layout(like) : RAD_LAYOUT_PLAIN;
    *ret_ok = s->rank <= padded.rank && rad_md_layout(&view, &padded, dnnl_f32, RAD_LAYOUT_PLAIN) &&
              rad_md_layout(&want, &padded, like->data_type, layout);
    return *ret_ok ? dn_get_viewed(b, value, &view, &want, ret_tensor, err) : RAD_OK;
}

rad_status dn_node_binary(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err) {
    dnnl_alg_kind_t alg;
    bool commutes = false, ok = true;
    rad_post post;
    if (n->n_input != 2 || n->residual >= 0 || !binary_alg(n->op->name, &alg, &commutes) || !dn_post_of(n, &post))
        return RAD_OK;
    int x0 = n->input[0], x1 = n->input[1];
    const int y = n->output[0];
    if (!dn_is_float(b, x0) || !dn_is_float(b, x1) || !dn_is_float(b, y))
        return RAD_OK;
    if (alg == dnnl_binary_div) {
        rad_status gelu = try_gelu(b, n, ret_done, err);
        if (gelu != RAD_OK || *ret_done)
            return gelu;
    }
    const rad_shape *out = &dn_value_of(b, y)->shape;
    if (commutes && !rad_shape_equal(&dn_value_of(b, x0)->shape, out)) {
        const int t = x0;
        x0 = x1;
        x1 = t;
    }
    if (!rad_shape_equal(&dn_value_of(b, x0)->shape, out) || dn_is_const(b, x0))
        return RAD_OK;
    rad_prim prim = {0};
    rad_status st = RAD_OK;
    struct dn_arg arg[3] = {{DNNL_ARG_SRC_0, -1}, {DNNL_ARG_SRC_1, -1}, {DNNL_ARG_DST, -1}};
    RAD_TRY(dn_native(b, x0, &arg[0].tensor, err));
    if (rad_shape_equal(&dn_value_of(b, x1)->shape, out)) {
        RAD_TRY(dn_native(b, x1, &arg[1].tensor, err));
        /* Two forms: the one that convolutions like wins, the other is reordered. */
        if (is_channel_layout(dn_tensor_md(b, arg[1].tensor)) && !is_channel_layout(dn_tensor_md(b, arg[0].tensor))) {
            const rad_md md = *dn_tensor_md(b, arg[1].tensor);
            RAD_TRY(dn_get(b, x0, &md, &arg[0].tensor, err));
        } else {
            const rad_md md = *dn_tensor_md(b, arg[0].tensor);
            RAD_TRY(dn_get(b, x1, &md, &arg[1].tensor, err));
        }
    } else {
        const rad_md md = *dn_tensor_md(b, arg[0].tensor);
        RAD_TRY(small_operand(b, x1, &md, &ok, &arg[1].tensor, err));
        if (!ok)
            return RAD_OK;
    }
    const rad_md md = *dn_tensor_md(b, arg[0].tensor);
    if (!rad_prim_binary(b->engine, alg, &md, dn_tensor_md(b, arg[1].tensor), &md, &post, &prim))
        return RAD_OK;
    /* In place also when both operands are one tensor: element by element. Not in place when a small operand is spread over a block that is
     * not full: oneDNN 2.6.3 with AVX2 then leaves that block as it was. */
    if (rad_md_is_padded(&md) && !rad_shape_equal(&dn_value_of(b, x1)->shape, out))
        RAD_TRY(dn_make(b, y, &md, &arg[2].tensor, err));
    else
        RAD_TRY(make_like(b, y, arg[0].tensor, &arg[2].tensor, err));
    RAD_TRY(dn_step_prim(b, &prim, arg, 3, err));
    *ret_done = true;
out:
    rad_prim_release(&prim);
    return st;
}
