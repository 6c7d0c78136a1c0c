/* op_reduce.c: the Reduce family, ArgMax and ArgMin. Elements are taken in row-major order into accumulators in double (integers:
 * int64_t). */
#include "op_internal.h"

#include <math.h>
#include <stdlib.h>

typedef struct reduce {
    double start;
    double (*add)(double acc, double x);
    double (*finish)(double acc, int64_t n);              /* NULL: nothing to do */
    int64_t (*add_int)(int64_t acc, int64_t x, bool u64); /* NULL: floats only */
    int64_t start_int;
    int axes_since;     /* opset in which the axes became an input */
    bool mean, shifted; /* shifted: exponentials are taken relative to the maximum */
} reduce;

static double add_sum(double acc, double x) {
    return acc + x;
}
static double add_abs(double acc, double x) {
    return acc + fabs(x);
}
static double add_square(double acc, double x) {
    return acc + x * x;
}
static double add_product(double acc, double x) {
    return acc * x;
}
static double add_max(double acc, double x) {
    return isnan(acc) || acc > x ? acc : x;
}
static double add_min(double acc, double x) {
    return isnan(acc) || acc < x ? acc : x;
}
static double add_exp(double acc, double x) {
    return acc + exp(x);
}
static double finish_mean(double acc, int64_t n) {
    return acc / (double)n;
}
static double finish_root(double acc, int64_t n) {
    (void)n;
    return sqrt(acc);
}
static double finish_log(double acc, int64_t n) {
    (void)n;
    return log(acc);
}
static int64_t int_sum(int64_t acc, int64_t x, bool u64) {
    (void)u64;
    return (int64_t)((uint64_t)acc + (uint64_t)x);
}
static int64_t int_abs(int64_t acc, int64_t x, bool u64) {
    return int_sum(acc, x < 0 && !u64 ? (int64_t)(0 - (uint64_t)x) : x, u64);
}
static int64_t int_square(int64_t acc, int64_t x, bool u64) {
    return int_sum(acc, (int64_t)((uint64_t)x * (uint64_t)x), u64);
}
static int64_t int_product(int64_t acc, int64_t x, bool u64) {
    (void)u64;
    return (int64_t)((uint64_t)acc * (uint64_t)x);
}
/* uint64 is compared with its top bit turned, which the start values below expect. */
static int64_t int_max(int64_t acc, int64_t x, bool u64) {
    const uint64_t turn = u64 ? (uint64_t)1 << 63 : 0;
    const int64_t a = (int64_t)((uint64_t)acc ^ turn), b = (int64_t)((uint64_t)x ^ turn);
    return a > b ? acc : x;
}
static int64_t int_min(int64_t acc, int64_t x, bool u64) {
    return int_max(acc, x, u64) == acc ? x : acc;
}

/* ---------------------------------------------------------------- axes */

/* Which axes of x go. The list is an attribute or, from `since` on, input 1; an empty one means all, or none with noop_with_empty_axes. */
static rad_status flags_from(const rad_node *n, const rad_shape *x, const int64_t *axes, int n_axes, bool ret[RAD_MAX_RANK],
                             rad_error *err) {
    const rad_status st = rad_op_axes(n, axes, n_axes > 0 ? n_axes : 0, x->rank, ret, err);
    if (st == RAD_OK && n_axes <= 0 && rad_node_attr_int(n, "noop_with_empty_axes", 0) == 0) {
        for (int i = 0; i < x->rank; i++)
            ret[i] = true;
    }
    return st;
}

static void reduced_shape(const rad_shape *x, const bool *flag, bool keep, rad_shape *ret) {
    rad_shape y = {0};
    for (int i = 0; i < x->rank; i++) {
        if (!flag[i])
            y.dim[y.rank++] = x->dim[i];
        else if (keep)
            y.dim[y.rank++] = 1;
    }
    *ret = y;
}

static rad_status infer_reduce(rad_graph *g, const rad_node *n, rad_error *err) {
    const reduce *r = n->op->param;
    const rad_value *x;
    int64_t axes[RAD_MAX_RANK];
    int n_axes;
    bool flag[RAD_MAX_RANK];
    rad_shape y;
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T_FLOAT | (r->add_int != NULL ? RAD_T_INT : 0), &x, err));
    if (rad_op_has_input(n, 1) && n->opset < r->axes_since)
        return rad_op_error(n, err, "axes are an attribute, not an input, before opset %d", r->axes_since);
    RAD_TRY(rad_op_ints(g, n, "axes", 1, RAD_MAX_RANK, axes, &n_axes, err));
    RAD_TRY(flags_from(n, &x->shape, axes, n_axes, flag, err));
    reduced_shape(&x->shape, flag, rad_node_attr_int(n, "keepdims", 1) != 0, &y);
    st = rad_op_output(g, n, 0, x->dtype, &y, err);
out:
    return st;
}

/* ---------------------------------------------------------------- evaluation */

/* For element number e of x, where its sum is: step[i] is 0 along axes that go. */
typedef struct target {
    int rank;
    int64_t dim[RAD_MAX_RANK], step[RAD_MAX_RANK], index[RAD_MAX_RANK], at;
} target;

static void target_init(target *t, const rad_shape *x, const bool *flag) {
    int64_t step = 1;
    *t = (target){.rank = x->rank};
    for (int i = x->rank - 1; i >= 0; i--) {
        t->dim[i] = x->dim[i];
        t->step[i] = flag[i] ? 0 : step;
        step *= flag[i] ? 1 : x->dim[i];
    }
}

static void target_next(target *t) {
    for (int i = t->rank - 1; i >= 0; i--) {
        t->at += t->step[i];
        if (++t->index[i] < t->dim[i])
            return;
        t->at -= t->index[i] * t->step[i];
        t->index[i] = 0;
    }
}

/* acc[k] = add(acc[k], x) for every x of the k-th sum; `minus` (may be NULL) is subtracted first. */
static void accumulate(const rad_tensor *x, const bool *flag, double (*add)(double, double), const double *minus, double *acc) {
    const int64_t count = rad_shape_count(&x->shape);
    target t;
    target_init(&t, &x->shape, flag);
    for (int64_t i = 0; i < count; i += RAD_OP_BLOCK) {
        const int64_t len = count - i < RAD_OP_BLOCK ? count - i : RAD_OP_BLOCK;
        double a[RAD_OP_BLOCK];
        rad_op_load(x, i, len, a);
        for (int64_t j = 0; j < len; j++) {
            acc[t.at] = add(acc[t.at], minus != NULL ? a[j] - minus[t.at] : a[j]);
            target_next(&t);
        }
    }
}

static rad_status reduce_real(const rad_node *n, const rad_tensor *x, const bool *flag, int64_t per_sum, rad_tensor *y, rad_error *err) {
    const reduce *r = n->op->param;
    const int64_t sums = rad_shape_count(&y->shape);
    rad_status st = RAD_OK;
    double *acc = rad_calloc((size_t)sums + 1, sizeof *acc), *max = r->shifted ? rad_calloc((size_t)sums + 1, sizeof *max) : NULL;
    if (acc == NULL || (r->shifted && max == NULL)) {
        st = rad_op_nomem(n, err);
        goto out;
    }
    for (int64_t i = 0; i < sums; i++)
        acc[i] = r->start;
    if (r->shifted) {
        for (int64_t i = 0; i < sums; i++)
            max[i] = -(double)INFINITY;
        accumulate(x, flag, add_max, NULL, max);
        for (int64_t i = 0; i < sums; i++)
            max[i] = isfinite(max[i]) ? max[i] : 0;
    }
    accumulate(x, flag, r->add, max, acc);
    for (int64_t i = 0; i < sums; i++) {
        acc[i] = r->finish != NULL ? r->finish(acc[i], per_sum) : acc[i];
        acc[i] += max != NULL ? max[i] : 0;
    }
    rad_op_store(y, 0, sums, acc);
out:
    free(acc);
    free(max);
    return st;
}

static rad_status reduce_int(const rad_node *n, const rad_tensor *x, const bool *flag, int64_t per_sum, rad_tensor *y, rad_error *err) {
    const reduce *r = n->op->param;
    const int64_t sums = rad_shape_count(&y->shape), count = rad_shape_count(&x->shape);
    const bool u64 = x->dtype == RAD_DT_U64;
    int64_t *acc = rad_calloc((size_t)sums + 1, sizeof *acc);
    if (acc == NULL)
        return rad_op_nomem(n, err);
    for (int64_t i = 0; i < sums; i++)
        acc[i] = u64 && (r->start_int == INT64_MIN || r->start_int == INT64_MAX) ? (int64_t)((uint64_t)r->start_int ^ ((uint64_t)1 << 63))
                                                                                 : r->start_int;
    target t;
    target_init(&t, &x->shape, flag);
    for (int64_t i = 0; i < count; i++) {
        int64_t v;
        rad_op_load_int(x, i, 1, &v);
        acc[t.at] = r->add_int(acc[t.at], v, u64);
        target_next(&t);
    }
    for (int64_t i = 0; r->mean && per_sum > 0 && i < sums; i++)
        acc[i] = u64 ? (int64_t)((uint64_t)acc[i] / (uint64_t)per_sum) : acc[i] / per_sum;
    rad_op_store_int(y, 0, sums, acc);
    free(acc);
    return RAD_OK;
}

static rad_status eval_reduce(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    int64_t axes[RAD_MAX_RANK], per_sum = 1;
    int n_axes;
    bool flag[RAD_MAX_RANK];
    rad_status st = rad_op_eval_ints(n, in, "axes", 1, RAD_MAX_RANK, axes, &n_axes, err);
    if (st == RAD_OK)
        st = flags_from(n, &in[0].shape, axes, n_axes, flag, err);
    if (st != RAD_OK)
        return st;
    for (int i = 0; i < in[0].shape.rank; i++)
        per_sum *= flag[i] ? in[0].shape.dim[i] : 1;
    return rad_op_type_in(in[0].dtype, RAD_T_FLOAT) ? reduce_real(n, &in[0], flag, per_sum, &out[0], err)
                                                    : reduce_int(n, &in[0], flag, per_sum, &out[0], err);
}

/* ---------------------------------------------------------------- ArgMax, ArgMin */

static rad_status infer_arg(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *x;
    int axis;
    bool flag[RAD_MAX_RANK] = {false};
    rad_shape y;
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T_NUMBER, &x, err));
    RAD_TRY(rad_op_axis(n, rad_node_attr_int(n, "axis", 0), x->shape.rank, &axis, err));
    if (x->shape.dim[axis] == 0)
        return rad_op_error(n, err, "axis %d is empty", axis);
    flag[axis] = true;
    reduced_shape(&x->shape, flag, rad_node_attr_int(n, "keepdims", 1) != 0, &y);
    st = rad_op_output(g, n, 0, RAD_DT_I64, &y, err);
out:
    return st;
}

/* The first of equal ones, or the last with select_last_index. 64-bit integers beyond 2^53 are compared as doubles. */
static rad_status eval_arg(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    const rad_shape *s = &in[0].shape;
    const double sign = *(const double *)n->op->param;
    const bool last = rad_node_attr_int(n, "select_last_index", 0) != 0;
    int axis;
    const rad_status st = rad_op_axis(n, rad_node_attr_int(n, "axis", 0), s->rank, &axis, err);
    if (st != RAD_OK)
        return st;
    const int64_t outer = rad_op_span(s, 0, axis), size = s->dim[axis], inner = rad_op_span(s, axis + 1, s->rank);
    for (int64_t o = 0; o < outer; o++) {
        for (int64_t i = 0; i < inner; i++) {
            int64_t best = 0;
            double top = 0;
            for (int64_t k = 0; k < size; k++) {
                double v;
                rad_op_load(&in[0], (o * size + k) * inner + i, 1, &v);
                v *= sign;
                if (k == 0 || v > top || (last && v >= top)) {
                    top = v;
                    best = k;
                }
            }
            rad_op_store_int(&out[0], o * inner + i, 1, &best);
        }
    }
    return RAD_OK;
}

/* ---------------------------------------------------------------- table */

static const rad_op_attr attr_reduce[] = {{"axes", RAD_ATTR_INTS, 1, 17},
                                          {"keepdims", RAD_ATTR_INT, 1, 0},
                                          {"noop_with_empty_axes", RAD_ATTR_INT, 18, 0},
                                          {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_reduce_sum[] = {{"axes", RAD_ATTR_INTS, 1, 12},
                                              {"keepdims", RAD_ATTR_INT, 1, 0},
                                              {"noop_with_empty_axes", RAD_ATTR_INT, 13, 0},
                                              {NULL, RAD_ATTR_NONE, 0, 0}};
static const rad_op_attr attr_arg[] = {{"axis", RAD_ATTR_INT, 1, 0},
                                       {"keepdims", RAD_ATTR_INT, 1, 0},
                                       {"select_last_index", RAD_ATTR_INT, 12, 0},
                                       {NULL, RAD_ATTR_NONE, 0, 0}};

#define REDUCE(name, attributes, ...)                                                                                                      \
    const rad_op_def rad_op_##name = {#name, 1, 2, 1, 1, attributes, infer_reduce, eval_reduce, &(const reduce){__VA_ARGS__}};
REDUCE(ReduceL1, attr_reduce, .add = add_abs, .add_int = int_abs, .axes_since = 18)
REDUCE(ReduceL2, attr_reduce, .add = add_square, .finish = finish_root, .axes_since = 18)
REDUCE(ReduceLogSum, attr_reduce, .add = add_sum, .finish = finish_log, .axes_since = 18)
REDUCE(ReduceLogSumExp, attr_reduce, .add = add_exp, .finish = finish_log, .axes_since = 18, .shifted = true)
REDUCE(ReduceMax, attr_reduce, .start = -(double)INFINITY, .add = add_max, .add_int = int_max, .start_int = INT64_MIN, .axes_since = 18)
REDUCE(ReduceMean, attr_reduce, .add = add_sum, .finish = finish_mean, .add_int = int_sum, .axes_since = 18, .mean = true)
REDUCE(ReduceMin, attr_reduce, .start = (double)INFINITY, .add = add_min, .add_int = int_min, .start_int = INT64_MAX, .axes_since = 18)
REDUCE(ReduceProd, attr_reduce, .start = 1, .add = add_product, .add_int = int_product, .start_int = 1, .axes_since = 18)
REDUCE(ReduceSum, attr_reduce_sum, .add = add_sum, .add_int = int_sum, .axes_since = 13)
REDUCE(ReduceSumSquare, attr_reduce, .add = add_square, .add_int = int_square, .axes_since = 18)
#undef REDUCE
const rad_op_def rad_op_ArgMax = {"ArgMax", 1, 1, 1, 1, attr_arg, infer_arg, eval_arg, &(const double){1}};
const rad_op_def rad_op_ArgMin = {"ArgMin", 1, 1, 1, 1, attr_arg, infer_arg, eval_arg, &(const double){-1}};
