/* op_unary.c: y = f(x), element by element, with up to two parameters from attributes. Gelu and Clip too.
 * Formulas: ONNX operator reference, opset 22. */
#include "op_internal.h"

#include <math.h>
#include <string.h>

#define SQRT_2_OVER_PI 0.79788456080286535588
#define SQRT_HALF 0.70710678118654752440

typedef double (*real_fn)(double x, const double *p);
typedef struct unary {
    real_fn f;
    int64_t (*fi)(int64_t x); /* NULL: floats only */
    const char *attr[2];
    double missing[2];
    double missing_before_6[2]; /* {0, 0}: the same */
} unary;

double rad_fn_sigmoid(double x) {
    if (x >= 0)
        return 1 / (1 + exp(-x));
    const double e = exp(x);
    return e / (1 + e);
}

static double unit(double x) /* to [0, 1]; NaN stays */
{
    return x < 0 ? 0 : (x > 1 ? 1 : x);
}

double rad_fn_hardswish(double x) {
    return x * unit(x / 6 + 0.5);
}

static double softplus(double x) {
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

#define FN(name, expression)                                                                                                               \
    static double name(double x, const double *p) {                                                                                        \
        (void)p;                                                                                                                           \
        return (expression);                                                                                                               \
    }
FN(fn_abs, fabs(x))
FN(fn_neg, -x)
FN(fn_sign, x > 0 ? 1 : (x < 0 ? -1 : x))
FN(fn_floor, floor(x))
FN(fn_ceil, ceil(x))
FN(fn_round, nearbyint(x)) /* the default rounding mode: ties to even, as the standard asks */
FN(fn_sqrt, sqrt(x))
FN(fn_exp, exp(x))
FN(fn_log, log(x))
FN(fn_erf, erf(x))
FN(fn_reciprocal, 1 / x)
FN(fn_sin, sin(x))
FN(fn_cos, cos(x))
FN(fn_tan, tan(x))
FN(fn_asin, asin(x))
FN(fn_acos, acos(x))
FN(fn_atan, atan(x))
FN(fn_sinh, sinh(x))
FN(fn_cosh, cosh(x))
FN(fn_tanh, tanh(x))
FN(fn_asinh, asinh(x))
FN(fn_acosh, acosh(x))
FN(fn_atanh, atanh(x))
FN(fn_relu, x < 0 ? 0 : x)
FN(fn_leaky, x < 0 ? p[0] * x : x)
FN(fn_elu, x < 0 ? p[0] * expm1(x) : x)
FN(fn_celu, x < 0 ? p[0] * expm1(x / p[0]) : x)
FN(fn_selu, p[1] * (x < 0 ? p[0] * expm1(x) : x))
FN(fn_thresholded, x > p[0] ? x : 0)
FN(fn_softplus, softplus(x))
FN(fn_softsign, x / (1 + fabs(x)))
FN(fn_mish, x *tanh(softplus(x)))
FN(fn_sigmoid, rad_fn_sigmoid(x))
FN(fn_hardsigmoid, unit(p[0] * x + p[1]))
FN(fn_hardswish, rad_fn_hardswish(x))
FN(fn_gelu, 0.5 * x * (1 + erf(x * SQRT_HALF)))
FN(fn_gelu_tanh, 0.5 * x * (1 + tanh(SQRT_2_OVER_PI * (x + 0.044715 * x * x * x))))
#undef FN

/* Unsigned arithmetic wraps where INT64_MIN has no opposite. */
static int64_t int_neg(int64_t x) {
    return (int64_t)(0 - (uint64_t)x);
}
static int64_t int_abs(int64_t x) {
    return x < 0 ? int_neg(x) : x;
}
static int64_t int_sign(int64_t x) {
    return (x > 0) - (x < 0);
}
static int64_t int_relu(int64_t x) {
    return x < 0 ? 0 : x;
}
static int64_t int_not(int64_t x) {
    return x == 0;
}

static rad_status map_real(const rad_tensor *x, rad_tensor *y, real_fn f, const double *p) {
    const int64_t count = rad_shape_count(&x->shape);
    for (int64_t i = 0; i < count; i += RAD_OP_BLOCK) {
        const int64_t len = count - i < RAD_OP_BLOCK ? count - i : RAD_OP_BLOCK;
        double a[RAD_OP_BLOCK];
        rad_op_load(x, i, len, a);
        for (int64_t j = 0; j < len; j++)
            a[j] = f(a[j], p);
        rad_op_store(y, i, len, a);
    }
    return RAD_OK;
}

static rad_status map_int(const rad_tensor *x, rad_tensor *y, int64_t (*f)(int64_t)) {
    const int64_t count = rad_shape_count(&x->shape);
    for (int64_t i = 0; i < count; i += RAD_OP_BLOCK) {
        const int64_t len = count - i < RAD_OP_BLOCK ? count - i : RAD_OP_BLOCK;
        int64_t a[RAD_OP_BLOCK];
        rad_op_load_int(x, i, len, a);
        for (int64_t j = 0; j < len; j++)
            a[j] = f(a[j]);
        rad_op_store_int(y, i, len, a);
    }
    return RAD_OK;
}

static rad_status infer_unary(rad_graph *g, const rad_node *n, rad_error *err) {
    const unary *u = n->op->param;
    const unsigned types = (u->f != NULL ? RAD_T_FLOAT : RAD_T(RAD_DT_BOOL)) | (u->f != NULL && u->fi != NULL ? RAD_T_INT : 0);
    const rad_value *x;
    const rad_status st = rad_op_input(g, n, 0, types, &x, err);
    return st != RAD_OK ? st : rad_op_output(g, n, 0, x->dtype, &x->shape, err);
}

static rad_status eval_unary(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    const unary *u = n->op->param;
    double p[2] = {0, 0};
    (void)err;
    if (!rad_op_type_in(in[0].dtype, RAD_T_FLOAT))
        return map_int(&in[0], &out[0], u->fi);
    const double *missing = n->opset < 6 && u->missing_before_6[0] != 0 ? u->missing_before_6 : u->missing;
    for (int i = 0; i < 2 && u->attr[i] != NULL; i++)
        p[i] = rad_node_attr_float(n, u->attr[i], missing[i]);
    return map_real(&in[0], &out[0], u->f, p);
}

static rad_status infer_gelu(rad_graph *g, const rad_node *n, rad_error *err) {
    const char *kind = rad_node_attr_string(n, "approximate", "none");
    if (strcmp(kind, "none") != 0 && strcmp(kind, "tanh") != 0)
        return rad_op_error(n, err, "approximate '%.100s' is unknown; 'none' and 'tanh' are the standard's", kind);
    return infer_unary(g, n, err);
}

static rad_status eval_gelu(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    (void)err;
    const bool approximate = strcmp(rad_node_attr_string(n, "approximate", "none"), "tanh") == 0;
    return map_real(&in[0], &out[0], approximate ? fn_gelu_tanh : fn_gelu, NULL);
}

/* ---------------------------------------------------------------- Clip */

static rad_status infer_clip(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x, *limit;
    rad_status st = rad_op_input(g, n, 0, RAD_T_NUMBER, &x, err);
    for (int k = 1; st == RAD_OK && k <= 2; k++) {
        if (!rad_op_has_input(n, k))
            continue;
        st = rad_op_input(g, n, k, RAD_T(x->dtype), &limit, err);
        if (st == RAD_OK && rad_shape_count(&limit->shape) != 1)
            st = rad_op_error(n, err, "limit '%.100s' must be a scalar", limit->name);
    }
    return st != RAD_OK ? st : rad_op_output(g, n, 0, x->dtype, &x->shape, err);
}

/* min(max(x, lo), hi): hi wins when the limits cross. */
static rad_status eval_clip(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    const int64_t count = rad_shape_count(&in[0].shape);
    (void)err;
    if (rad_op_type_in(in[0].dtype, RAD_T_FLOAT)) {
        const double lo = rad_op_has_input(n, 1) ? rad_op_scalar(&in[1]) : rad_node_attr_float(n, "min", -(double)INFINITY);
        const double hi = rad_op_has_input(n, 2) ? rad_op_scalar(&in[2]) : rad_node_attr_float(n, "max", (double)INFINITY);
        for (int64_t i = 0; i < count; i += RAD_OP_BLOCK) {
            const int64_t len = count - i < RAD_OP_BLOCK ? count - i : RAD_OP_BLOCK;
            double a[RAD_OP_BLOCK];
            rad_op_load(&in[0], i, len, a);
            for (int64_t j = 0; j < len; j++) {
                const double v = a[j] < lo ? lo : a[j];
                a[j] = v > hi ? hi : v;
            }
            rad_op_store(&out[0], i, len, a);
        }
        return RAD_OK;
    }
    /* the order of uint64 is that of int64 after the top bit is turned */
    const int64_t turn = in[0].dtype == RAD_DT_U64 ? INT64_MIN : 0;
    int64_t lo = INT64_MIN, hi = INT64_MAX;
    if (rad_op_has_input(n, 1)) {
        rad_op_load_int(&in[1], 0, 1, &lo);
        lo ^= turn;
    }
    if (rad_op_has_input(n, 2)) {
        rad_op_load_int(&in[2], 0, 1, &hi);
        hi ^= turn;
    }
    for (int64_t i = 0; i < count; i += RAD_OP_BLOCK) {
        const int64_t len = count - i < RAD_OP_BLOCK ? count - i : RAD_OP_BLOCK;
        int64_t a[RAD_OP_BLOCK];
        rad_op_load_int(&in[0], i, len, a);
        for (int64_t j = 0; j < len; j++) {
            const int64_t x = a[j] ^ turn, v = x < lo ? lo : x;
            a[j] = (v > hi ? hi : v) ^ turn;
        }
        rad_op_store_int(&out[0], i, len, a);
    }
    return RAD_OK;
}

/* ---------------------------------------------------------------- table */

static const rad_op_attr attr_alpha[] = {{"alpha", RAD_ATTR_FLOAT, 1, 0}, {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_alpha_beta[] = {{"alpha", RAD_ATTR_FLOAT, 1, 0}, {"beta", RAD_ATTR_FLOAT, 1, 0}, {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_alpha_gamma[] = {
    {"alpha", RAD_ATTR_FLOAT, 1, 0}, {"gamma", RAD_ATTR_FLOAT, 1, 0}, {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_gelu[] = {{"approximate", RAD_ATTR_STRING, 20, 0}, {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_clip[] = {{"min", RAD_ATTR_FLOAT, 1, 10}, {"max", RAD_ATTR_FLOAT, 1, 10}, {NULL, RAD_ATTR_NONE, 0, 0}};

#define UNARY(name, attributes, ...)                                                                                                       \
    const rad_op_def rad_op_##name = {#name, 1, 1, 1, 1, attributes, infer_unary, eval_unary, &(const unary){__VA_ARGS__}};
UNARY(Abs, rad_op_no_attr, .f = fn_abs, .fi = int_abs)
UNARY(Acos, rad_op_no_attr, .f = fn_acos)
UNARY(Acosh, rad_op_no_attr, .f = fn_acosh)
UNARY(Asin, rad_op_no_attr, .f = fn_asin)
UNARY(Asinh, rad_op_no_attr, .f = fn_asinh)
UNARY(Atan, rad_op_no_attr, .f = fn_atan)
UNARY(Atanh, rad_op_no_attr, .f = fn_atanh)
UNARY(Ceil, rad_op_no_attr, .f = fn_ceil)
UNARY(Celu, attr_alpha, .f = fn_celu, .attr = {"alpha", NULL}, .missing = {1, 0})
UNARY(Cos, rad_op_no_attr, .f = fn_cos)
UNARY(Cosh, rad_op_no_attr, .f = fn_cosh)
UNARY(Elu, attr_alpha, .f = fn_elu, .attr = {"alpha", NULL}, .missing = {1, 0})
UNARY(Erf, rad_op_no_attr, .f = fn_erf)
UNARY(Exp, rad_op_no_attr, .f = fn_exp)
UNARY(Floor, rad_op_no_attr, .f = fn_floor)
UNARY(HardSigmoid, attr_alpha_beta, .f = fn_hardsigmoid, .attr = {"alpha", "beta"}, .missing = {0.2, 0.5})
UNARY(HardSwish, rad_op_no_attr, .f = fn_hardswish)
UNARY(LeakyRelu, attr_alpha, .f = fn_leaky, .attr = {"alpha", NULL}, .missing = {0.01, 0})
UNARY(Log, rad_op_no_attr, .f = fn_log)
UNARY(Mish, rad_op_no_attr, .f = fn_mish)
UNARY(Neg, rad_op_no_attr, .f = fn_neg, .fi = int_neg)
UNARY(Not, rad_op_no_attr, .fi = int_not)
UNARY(Reciprocal, rad_op_no_attr, .f = fn_reciprocal)
UNARY(Relu, rad_op_no_attr, .f = fn_relu, .fi = int_relu)
UNARY(Round, rad_op_no_attr, .f = fn_round)
UNARY(Selu, attr_alpha_gamma, .f = fn_selu, .attr = {"alpha", "gamma"}, .missing = {1.67326319217681884765625, 1.05070102214813232421875},
      .missing_before_6 = {1.6732, 1.0507})
UNARY(Sigmoid, rad_op_no_attr, .f = fn_sigmoid)
UNARY(Sign, rad_op_no_attr, .f = fn_sign, .fi = int_sign)
UNARY(Sin, rad_op_no_attr, .f = fn_sin)
UNARY(Sinh, rad_op_no_attr, .f = fn_sinh)
UNARY(Softplus, rad_op_no_attr, .f = fn_softplus)
UNARY(Softsign, rad_op_no_attr, .f = fn_softsign)
UNARY(Sqrt, rad_op_no_attr, .f = fn_sqrt)
UNARY(Tan, rad_op_no_attr, .f = fn_tan)
UNARY(Tanh, rad_op_no_attr, .f = fn_tanh)
UNARY(ThresholdedRelu, attr_alpha, .f = fn_thresholded, .attr = {"alpha", NULL}, .missing = {1, 0})
#undef UNARY

const rad_op_def rad_op_Gelu = {"Gelu", 1, 1, 1, 1, attr_gelu, infer_gelu, eval_gelu, &(const unary){.f = fn_gelu}};
const rad_op_def rad_op_Clip = {"Clip", 1, 3, 1, 1, attr_clip, infer_clip, eval_clip, NULL};
