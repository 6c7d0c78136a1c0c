/* op_binary.c: operators that combine tensors element by element with multidirectional broadcasting: arithmetic, comparison, logic, the
 * variadic Sum, Mean, Min and Max, PRelu, Pow and Where.
 *
 * All but Where are one fold: acc = x0, then acc = f(acc, xk) for each further input. A chain of more than two inputs is summed in double
 * and rounded once.
 */
#include "op_internal.h"

#include <math.h>
#include <string.h>

typedef double (*real_fn)(double a, double b);
/* `u64`: both are bit patterns of uint64. */
typedef int64_t (*int_fn)(int64_t a, int64_t b, bool u64);
typedef struct fold {
    real_fn f;    /* floats; NULL: not for floats */
    int_fn fi;    /* integers (and bool when logic); NULL: not for those */
    bool logic;   /* operands are bool */
    bool to_bool; /* the result is bool */
    bool mean;    /* divide by the number of inputs at the end */
    bool divides; /* an integer zero on the right is an error */
    bool one_way; /* the second operand is broadcast to the first, never the other way round */
    bool chain;   /* takes any number of inputs */
} fold;

#define FN(name, expression)                                                                                                               \
    static double name(double a, double b) {                                                                                               \
        return (expression);                                                                                                               \
    }
FN(fn_add, a + b)
FN(fn_sub, a - b)
FN(fn_mul, a *b)
FN(fn_div, a / b)
FN(fn_min, isnan(a) || a < b ? a : b) /* NaN of either side stays: NaN < b is false, so b = NaN is taken */
FN(fn_max, isnan(a) || a > b ? a : b)
FN(fn_pow, pow(a, b))
FN(fn_fmod, fmod(a, b))
FN(fn_prelu, a < 0 ? a * b : a)
FN(fn_equal, a == b)
FN(fn_less, a < b)
FN(fn_less_equal, a <= b)
FN(fn_greater, a > b)
FN(fn_greater_equal, a >= b)
#undef FN

static bool int_below(int64_t a, int64_t b, bool u64) {
    return u64 ? (uint64_t)a < (uint64_t)b : a < b;
}
#define FN(name, expression)                                                                                                               \
    static int64_t name(int64_t a, int64_t b, bool u64) {                                                                                  \
        (void)u64;                                                                                                                         \
        return (expression);                                                                                                               \
    }
FN(int_add, (int64_t)((uint64_t)a + (uint64_t)b))
FN(int_sub, (int64_t)((uint64_t)a - (uint64_t)b))
FN(int_mul, (int64_t)((uint64_t)a *(uint64_t)b))
FN(int_div, u64 ? (int64_t)((uint64_t)a / (uint64_t)b) : (b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b))
FN(int_min, int_below(b, a, u64) ? b : a)
FN(int_max, int_below(a, b, u64) ? b : a)
FN(int_equal, a == b)
FN(int_less, int_below(a, b, u64))
FN(int_less_equal, !int_below(b, a, u64))
FN(int_greater, int_below(b, a, u64))
FN(int_greater_equal, !int_below(a, b, u64))
FN(int_and, a != 0 && b != 0)
FN(int_or, a != 0 || b != 0)
FN(int_xor, (a != 0) != (b != 0))
FN(int_prelu, a < 0 ? (int64_t)((uint64_t)a * (uint64_t)b) : a)
FN(int_fmod, u64 ? (int64_t)((uint64_t)a % (uint64_t)b) : (b == -1 ? 0 : a % b)) /* sign of the dividend, as C */
#undef FN

/* Sign of the divisor, as Python's %. */
static int64_t int_mod(int64_t a, int64_t b, bool u64) {
    const int64_t r = int_fmod(a, b, u64);
    return !u64 && r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

/* ---------------------------------------------------------------- before opset 7 */

/* Until opset 6 only the second operand was broadcast, on request, and `axis` said where it starts; PRelu's slope belonged to the channels.
 * Gives it the ones that place it by today's rule. False when it does not fit. */
static bool place_operand(const rad_node *n, const fold *f, const rad_shape *a, rad_shape *b) {
    if (n->opset >= 7 || n->n_input != 2)
        return true;
    const bool list = f->one_way && b->rank == 1 && b->dim[0] != 1;
    if (!f->one_way && rad_node_attr_int(n, "broadcast", 0) == 0)
        return f->chain || rad_shape_equal(a, b);
    const int64_t axis = list ? 1 : (f->one_way ? a->rank - b->rank : rad_node_attr_int(n, "axis", a->rank - b->rank));
    if (axis < 0 || axis > a->rank - b->rank)
        return false;
    for (int i = b->rank; i < a->rank - (int)axis; i++)
        b->dim[i] = 1;
    b->rank = a->rank - (int)axis;
    return true;
}

/* ---------------------------------------------------------------- shape rule */

static unsigned operand_types(const fold *f) {
    return (f->f != NULL ? RAD_T_FLOAT : 0) | (f->logic ? RAD_T(RAD_DT_BOOL) : 0) | (f->fi != NULL && f->f != NULL ? RAD_T_INT : 0);
}

static rad_status infer_fold(rad_graph *g, const rad_node *n, rad_error *err) {
    const fold *f = n->op->param;
    const rad_value *x0, *x;
    rad_status st = rad_op_input(g, n, 0, operand_types(f), &x0, err);
    if (st != RAD_OK)
        return st;
    rad_shape shape = x0->shape;
    for (int k = 1; k < n->n_input; k++) {
        char a[96], b[96];
        st = rad_op_input(g, n, k, RAD_T(x0->dtype), &x, err);
        if (st != RAD_OK)
            return rad_error_prefix(err, st, "operands must all be %s: ", rad_dtype_name(x0->dtype));
        rad_shape placed = x->shape;
        if (!place_operand(n, f, &x0->shape, &placed) || !rad_op_broadcast(&shape, &placed) ||
            (f->one_way && !rad_shape_equal(&shape, &x0->shape)))
            return rad_op_error(n, err, "shapes %s and %s cannot be broadcast", rad_shape_text(&x0->shape, a, sizeof a),
                                rad_shape_text(&x->shape, b, sizeof b));
    }
    return rad_op_output(g, n, 0, f->to_bool ? RAD_DT_BOOL : x0->dtype, &shape, err);
}

/* ---------------------------------------------------------------- evaluation */

static void fold_row_real(const fold *f, const rad_walk *w, const rad_tensor *in, rad_tensor *out) {
    double acc[RAD_OP_BLOCK], x[RAD_OP_BLOCK];
    for (int64_t i = 0; i < w->run; i += RAD_OP_BLOCK) {
        const int64_t len = w->run - i < RAD_OP_BLOCK ? w->run - i : RAD_OP_BLOCK;
        for (int k = 0; k < w->n; k++) {
            double *dst = k == 0 ? acc : x;
            if (w->step[k] == 1) {
                rad_op_load(&in[k], w->offset[k] + i, len, dst);
            } else {
                rad_op_load(&in[k], w->offset[k], 1, dst);
                for (int64_t j = 1; j < len; j++)
                    dst[j] = dst[0];
            }
            for (int64_t j = 0; k > 0 && j < len; j++)
                acc[j] = f->f(acc[j], x[j]);
        }
        for (int64_t j = 0; f->mean && j < len; j++)
            acc[j] /= w->n;
        rad_op_store(out, w->row * w->run + i, len, acc);
    }
}

/* False when an integer division by zero would happen. */
static bool fold_row_int(const fold *f, const rad_walk *w, const rad_tensor *in, rad_tensor *out) {
    const bool u64 = in[0].dtype == RAD_DT_U64;
    int64_t acc[RAD_OP_BLOCK], x[RAD_OP_BLOCK];
    for (int64_t i = 0; i < w->run; i += RAD_OP_BLOCK) {
        const int64_t len = w->run - i < RAD_OP_BLOCK ? w->run - i : RAD_OP_BLOCK;
        for (int k = 0; k < w->n; k++) {
            int64_t *dst = k == 0 ? acc : x;
            if (w->step[k] == 1) {
                rad_op_load_int(&in[k], w->offset[k] + i, len, dst);
            } else {
                rad_op_load_int(&in[k], w->offset[k], 1, dst);
                for (int64_t j = 1; j < len; j++)
                    dst[j] = dst[0];
            }
            for (int64_t j = 0; k > 0 && j < len; j++) {
                if (f->divides && x[j] == 0)
                    return false;
                acc[j] = f->fi(acc[j], x[j], u64);
            }
        }
        rad_op_store_int(out, w->row * w->run + i, len, acc);
    }
    return true;
}

static rad_status run_fold(const rad_node *n, const fold *f, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    rad_walk w;
    rad_tensor pair[2];
    if (n->opset < 7 && n->n_input == 2) {
        memcpy(pair, in, sizeof pair);
        (void)place_operand(n, f, &in[0].shape, &pair[1].shape);
        in = pair;
    }
    rad_status st = rad_walk_init(&w, n, &out[0].shape, n->n_input, in, err);
    const bool real = rad_op_type_in(in[0].dtype, RAD_T_FLOAT);
    while (st == RAD_OK && rad_walk_next(&w)) {
        if (real)
            fold_row_real(f, &w, in, &out[0]);
        else if (!fold_row_int(f, &w, in, &out[0]))
            st = rad_op_error(n, err, "integer division by zero");
    }
    rad_walk_release(&w);
    return st;
}

static rad_status eval_fold(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    return run_fold(n, n->op->param, in, out, err);
}

/* ---------------------------------------------------------------- Mod */

static const fold mod_as_c = {.f = fn_fmod, .fi = int_fmod, .divides = true};

static rad_status infer_mod(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x;
    rad_status st = rad_op_input(g, n, 0, RAD_T_NUMBER, &x, err);
    if (st == RAD_OK && rad_op_type_in(x->dtype, RAD_T_FLOAT) && rad_node_attr_int(n, "fmod", 0) == 0)
        st = rad_op_error(n, err, "fmod must be 1 for %s", rad_dtype_name(x->dtype));
    return st != RAD_OK ? st : infer_fold(g, n, err);
}

static rad_status eval_mod(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    return run_fold(n, rad_node_attr_int(n, "fmod", 0) != 0 ? &mod_as_c : n->op->param, in, out, err);
}

/* ---------------------------------------------------------------- Pow */

/* Base and exponent may differ in type; the result has the base's. */
static rad_status infer_pow(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x, *y;
    char a[96], b[96];
    rad_status st = rad_op_input(g, n, 0, RAD_T_NUMBER, &x, err);
    if (st == RAD_OK)
        st = rad_op_input(g, n, 1, RAD_T_NUMBER, &y, err);
    if (st != RAD_OK)
        return st;
    rad_shape shape = x->shape;
    if (!rad_op_broadcast(&shape, &y->shape))
        return rad_op_error(n, err, "shapes %s and %s cannot be broadcast", rad_shape_text(&x->shape, a, sizeof a),
                            rad_shape_text(&y->shape, b, sizeof b));
    return rad_op_output(g, n, 0, x->dtype, &shape, err);
}

/* By squaring, wrapping; a negative exponent rounds toward zero. */
static int64_t int_pow(int64_t base, int64_t exponent) {
    if (exponent < 0)
        return base == 1 ? 1 : (base == -1 ? (exponent % 2 != 0 ? -1 : 1) : 0);
    uint64_t result = 1, factor = (uint64_t)base;
    for (uint64_t e = (uint64_t)exponent; e != 0; e >>= 1) {
        if ((e & 1) != 0)
            result *= factor;
        factor *= factor;
    }
    return (int64_t)result;
}

static rad_status eval_pow(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    static const fold real = {.f = fn_pow};
    const bool ints = rad_op_type_in(in[0].dtype, RAD_T_INT) && rad_op_type_in(in[1].dtype, RAD_T_INT);
    rad_walk w;
    const rad_status st = rad_walk_init(&w, n, &out[0].shape, 2, in, err);
    while (st == RAD_OK && rad_walk_next(&w)) {
        if (!ints) {
            fold_row_real(&real, &w, in, &out[0]);
            continue;
        }
        for (int64_t i = 0; i < w.run; i++) {
            int64_t a, b;
            rad_op_load_int(&in[0], w.offset[0] + i * w.step[0], 1, &a);
            rad_op_load_int(&in[1], w.offset[1] + i * w.step[1], 1, &b);
            a = int_pow(a, b);
            rad_op_store_int(&out[0], w.row * w.run + i, 1, &a);
        }
    }
    rad_walk_release(&w);
    return st;
}

/* ---------------------------------------------------------------- Where */

static rad_status infer_where(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *c, *x, *y;
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T(RAD_DT_BOOL), &c, err));
    RAD_TRY(rad_op_input(g, n, 1, RAD_T_ANY, &x, err));
    RAD_TRY(rad_op_input(g, n, 2, RAD_T(x->dtype), &y, err));
    rad_shape shape = c->shape;
    if (!rad_op_broadcast(&shape, &x->shape) || !rad_op_broadcast(&shape, &y->shape))
        return rad_op_error(n, err, "shapes of condition and choices cannot be broadcast");
    st = rad_op_output(g, n, 0, x->dtype, &shape, err);
out:
    return st;
}

static rad_status eval_where(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    const size_t size = rad_dtype_size(out[0].dtype);
    rad_walk w;
    const rad_status st = rad_walk_init(&w, n, &out[0].shape, 3, in, err);
    while (st == RAD_OK && rad_walk_next(&w)) {
        for (int64_t i = 0; i < w.run; i++) {
            int64_t c;
            rad_op_load_int(&in[0], w.offset[0] + i * w.step[0], 1, &c);
            const int k = c != 0 ? 1 : 2;
            memcpy((unsigned char *)out[0].data + (size_t)(w.row * w.run + i) * size,
                   (const unsigned char *)in[k].data + (size_t)(w.offset[k] + i * w.step[k]) * size, size);
        }
    }
    rad_walk_release(&w);
    return st;
}

/* ---------------------------------------------------------------- table */

static const rad_op_attr attr_broadcast[] = {{"axis", RAD_ATTR_INT, 1, 6}, {"broadcast", RAD_ATTR_INT, 1, 6}, {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_mod[] = {{"fmod", RAD_ATTR_INT, 10, 0}, {NULL, RAD_ATTR_NONE, 0, 0}};

#define FOLD(name, min, max, attributes, ...)                                                                                              \
    const rad_op_def rad_op_##name = {#name, min, max, 1, 1, attributes, infer_fold, eval_fold, &(const fold){__VA_ARGS__}};
FOLD(Add, 2, 2, attr_broadcast, .f = fn_add, .fi = int_add)
FOLD(And, 2, 2, attr_broadcast, .fi = int_and, .logic = true, .to_bool = true)
FOLD(Div, 2, 2, attr_broadcast, .f = fn_div, .fi = int_div, .divides = true)
FOLD(Equal, 2, 2, attr_broadcast, .f = fn_equal, .fi = int_equal, .logic = true, .to_bool = true)
FOLD(Greater, 2, 2, attr_broadcast, .f = fn_greater, .fi = int_greater, .to_bool = true)
FOLD(GreaterOrEqual, 2, 2, rad_op_no_attr, .f = fn_greater_equal, .fi = int_greater_equal, .to_bool = true)
FOLD(Less, 2, 2, attr_broadcast, .f = fn_less, .fi = int_less, .to_bool = true)
FOLD(LessOrEqual, 2, 2, rad_op_no_attr, .f = fn_less_equal, .fi = int_less_equal, .to_bool = true)
FOLD(Max, 1, -1, rad_op_no_attr, .f = fn_max, .fi = int_max, .chain = true)
FOLD(Mean, 1, -1, rad_op_no_attr, .f = fn_add, .mean = true, .chain = true)
FOLD(Min, 1, -1, rad_op_no_attr, .f = fn_min, .fi = int_min, .chain = true)
FOLD(Mul, 2, 2, attr_broadcast, .f = fn_mul, .fi = int_mul)
FOLD(Or, 2, 2, attr_broadcast, .fi = int_or, .logic = true, .to_bool = true)
FOLD(PRelu, 2, 2, rad_op_no_attr, .f = fn_prelu, .fi = int_prelu, .one_way = true)
FOLD(Sub, 2, 2, attr_broadcast, .f = fn_sub, .fi = int_sub)
FOLD(Sum, 1, -1, rad_op_no_attr, .f = fn_add, .chain = true)
FOLD(Xor, 2, 2, attr_broadcast, .fi = int_xor, .logic = true, .to_bool = true)
#undef FOLD

static const fold mod_as_python = {.f = fn_fmod, .fi = int_mod, .divides = true};
const rad_op_def rad_op_Mod = {"Mod", 2, 2, 1, 1, attr_mod, infer_mod, eval_mod, &mod_as_python};
const rad_op_def rad_op_Pow = {"Pow", 2, 2, 1, 1, rad_op_no_attr, infer_pow, eval_pow, NULL};
const rad_op_def rad_op_Where = {"Where", 3, 3, 1, 1, rad_op_no_attr, infer_where, eval_where, NULL};
