/* op_matmul.c: Gemm and MatMul. Each output is one sum over k = 0, 1, ... in double, rounded once. */
#include "op_internal.h"

#include <stdlib.h>
#include <string.h>

/* y[rows, cols] = a[rows, depth] . b[depth, cols], a and y dense doubles. b starts at element `first` of its tensor and may lie there
 * transposed, as [cols, depth]; it is converted one line at a time (the classifier of VGG-16 would be 800 MB as doubles). `line` has room
 * for max(depth, cols). The sum over depth has the same order either way. */
static void product(const double *a, const rad_tensor *b, int64_t first, bool transposed, int64_t rows, int64_t depth, int64_t cols,
                    double *line, double *y) {
    if (transposed) {
        for (int64_t j = 0; j < cols; j++) {
            rad_op_load(b, first + j * depth, depth, line);
            for (int64_t i = 0; i < rows; i++) {
                double sum = 0;
                for (int64_t k = 0; k < depth; k++)
                    sum += a[i * depth + k] * line[k];
                y[i * cols + j] = sum;
            }
        }
        return;
    }
    for (int64_t i = 0; i < rows * cols; i++)
        y[i] = 0;
    for (int64_t k = 0; k < depth; k++) {
        rad_op_load(b, first + k * cols, cols, line);
        for (int64_t i = 0; i < rows; i++) {
            const double f = a[i * depth + k];
            double *restrict row = y + i * cols;
            for (int64_t j = 0; j < cols; j++)
                row[j] += f * line[j];
        }
    }
}

/* ---------------------------------------------------------------- Gemm */

typedef struct gemm {
    int64_t rows, depth, cols;
    bool ta, tb;
} gemm;

static rad_status gemm_sizes(const rad_node *n, const rad_shape *a, const rad_shape *b, gemm *ret, rad_error *err) {
    char ta[96], tb[96];
    if (a->rank != 2 || b->rank != 2)
        return rad_op_error(n, err, "A and B must be matrices, not %s and %s", rad_shape_text(a, ta, sizeof ta),
                            rad_shape_text(b, tb, sizeof tb));
    ret->ta = rad_node_attr_int(n, "transA", 0) != 0;
    ret->tb = rad_node_attr_int(n, "transB", 0) != 0;
    ret->rows = a->dim[ret->ta ? 1 : 0];
    ret->depth = a->dim[ret->ta ? 0 : 1];
    ret->cols = b->dim[ret->tb ? 0 : 1];
    if (b->dim[ret->tb ? 1 : 0] != ret->depth)
        return rad_op_error(n, err, "%s and %s (transA %d, transB %d) do not fit", rad_shape_text(a, ta, sizeof ta),
                            rad_shape_text(b, tb, sizeof tb), ret->ta, ret->tb);
    return RAD_OK;
}

static rad_status infer_gemm(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *a, *b, *c;
    gemm s;
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T_FLOAT, &a, err));
    RAD_TRY(rad_op_input(g, n, 1, RAD_T(a->dtype), &b, err));
    RAD_TRY(gemm_sizes(n, &a->shape, &b->shape, &s, err));
    const rad_shape y = {2, {s.rows, s.cols}};
    if (rad_op_has_input(n, 2)) {
        rad_shape with_c = y;
        char tc[96];
        RAD_TRY(rad_op_input(g, n, 2, RAD_T(a->dtype), &c, err));
        if (!rad_op_broadcast(&with_c, &c->shape) || !rad_shape_equal(&with_c, &y))
            return rad_op_error(n, err, "C of shape %s cannot be broadcast to the result", rad_shape_text(&c->shape, tc, sizeof tc));
    }
    st = rad_op_output(g, n, 0, a->dtype, &y, err);
out:
    return st;
}

static rad_status eval_gemm(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    gemm s;
    rad_status st = gemm_sizes(n, &in[0].shape, &in[1].shape, &s, err);
    if (st != RAD_OK)
        return st;
    const double alpha = rad_node_attr_float(n, "alpha", 1), beta = rad_node_attr_float(n, "beta", 1);
    const bool with_c = rad_op_has_input(n, 2);
    double *a = rad_op_load_all(&in[0]), *c = with_c ? rad_op_load_all(&in[2]) : NULL, *at = NULL;
    double *line = rad_calloc((size_t)(s.depth > s.cols ? s.depth : s.cols) + 1, sizeof *line);
    double *y = rad_calloc((size_t)(s.rows * s.cols) + 1, sizeof *y);
    if (s.ta)
        at = rad_calloc((size_t)(s.rows * s.depth) + 1, sizeof *at);
    if (a == NULL || line == NULL || y == NULL || (with_c && c == NULL) || (s.ta && at == NULL)) {
        st = rad_op_nomem(n, err);
        goto out;
    }
    for (int64_t i = 0; s.ta && i < s.rows; i++) {
        for (int64_t k = 0; k < s.depth; k++)
            at[i * s.depth + k] = a[k * s.rows + i];
    }
    product(s.ta ? at : a, &in[1], 0, s.tb, s.rows, s.depth, s.cols, line, y);
    int64_t c_row = 0, c_col = 0;
    if (with_c) {
        const rad_shape *sc = &in[2].shape;
        const int64_t last = sc->rank > 0 ? sc->dim[sc->rank - 1] : 1;
        c_col = last > 1 ? 1 : 0;
        c_row = sc->rank == 2 && sc->dim[0] > 1 ? last : 0;
    }
    for (int64_t i = 0; i < s.rows; i++) {
        for (int64_t j = 0; j < s.cols; j++)
            y[i * s.cols + j] = alpha * y[i * s.cols + j] + (with_c ? beta * c[i * c_row + j * c_col] : 0);
    }
    rad_op_store(&out[0], 0, s.rows * s.cols, y);
out:
    free(a);
    free(at);
    free(c);
    free(line);
    free(y);
    return st;
}

/* ---------------------------------------------------------------- MatMul */

/* As numpy.matmul: a vector on the left is a row, on the right a column, and that axis leaves the result. */
typedef struct matmul {
    rad_shape a, b;     /* the stacked matrices, rank >= 2 */
    rad_shape stack, y; /* broadcast leading axes; result */
} matmul;

static rad_status matmul_shapes(const rad_node *n, const rad_shape *a, const rad_shape *b, matmul *ret, rad_error *err) {
    char ta[96], tb[96];
    matmul m = {.a = *a, .b = *b};
    if (a->rank < 1 || b->rank < 1)
        return rad_op_error(n, err, "operands must not be scalars");
    if (a->rank == 1)
        m.a = (rad_shape){2, {1, a->dim[0]}};
    if (b->rank == 1)
        m.b = (rad_shape){2, {b->dim[0], 1}};
    m.stack = m.a;
    m.stack.rank -= 2;
    rad_shape stack_b = m.b;
    stack_b.rank -= 2;
    if (m.a.dim[m.a.rank - 1] != m.b.dim[m.b.rank - 2] || !rad_op_broadcast(&m.stack, &stack_b))
        return rad_op_error(n, err, "%s and %s do not fit", rad_shape_text(a, ta, sizeof ta), rad_shape_text(b, tb, sizeof tb));
    m.y = m.stack;
    if (a->rank > 1)
        m.y.dim[m.y.rank++] = m.a.dim[m.a.rank - 2];
    if (b->rank > 1)
        m.y.dim[m.y.rank++] = m.b.dim[m.b.rank - 1];
    *ret = m;
    return RAD_OK;
}

static rad_status infer_matmul(rad_graph *g, const rad_node *n, rad_error *err) {
    const rad_value *a, *b;
    matmul m;
    rad_status st;
    RAD_TRY(rad_op_input(g, n, 0, RAD_T_FLOAT, &a, err));
    RAD_TRY(rad_op_input(g, n, 1, RAD_T(a->dtype), &b, err));
    RAD_TRY(matmul_shapes(n, &a->shape, &b->shape, &m, err));
    st = rad_op_output(g, n, 0, a->dtype, &m.y, err);
out:
    return st;
}

static rad_status eval_matmul(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    matmul m;
    rad_walk w = {0};
    rad_status st = matmul_shapes(n, &in[0].shape, &in[1].shape, &m, err);
    if (st != RAD_OK)
        return st;
    const int64_t rows = m.a.dim[m.a.rank - 2], depth = m.a.dim[m.a.rank - 1], cols = m.b.dim[m.b.rank - 1];
    double *a = rad_op_load_all(&in[0]);
    double *line = rad_calloc((size_t)(depth > cols ? depth : cols) + 1, sizeof *line);
    double *y = rad_calloc((size_t)(rows * cols) + 1, sizeof *y);
    if (a == NULL || line == NULL || y == NULL) {
        st = rad_op_nomem(n, err);
        goto out;
    }
    /* walk the stack of matrices by the broadcast rule */
    rad_tensor stacks[2] = {{.shape = m.a}, {.shape = m.b}};
    stacks[0].shape.rank -= 2;
    stacks[1].shape.rank -= 2;
    RAD_TRY(rad_walk_init(&w, n, &m.stack, 2, stacks, err));
    while (rad_walk_next(&w)) {
        for (int64_t i = 0; i < w.run; i++) {
            const int64_t first_a = (w.offset[0] + i * w.step[0]) * rows * depth, first_b = (w.offset[1] + i * w.step[1]) * depth * cols;
            product(a + first_a, &in[1], first_b, false, rows, depth, cols, line, y);
            rad_op_store(&out[0], (w.row * w.run + i) * rows * cols, rows * cols, y);
        }
    }
out:
    rad_walk_release(&w);
    free(a);
    free(line);
    free(y);
    return st;
}

/* ---------------------------------------------------------------- table */

static const rad_op_attr attr_gemm[] = {{"alpha", RAD_ATTR_FLOAT, 1, 0}, {"beta", RAD_ATTR_FLOAT, 1, 0},    {"transA", RAD_ATTR_INT, 1, 0},
                                        {"transB", RAD_ATTR_INT, 1, 0},  {"broadcast", RAD_ATTR_INT, 1, 6}, {NULL, RAD_ATTR_NONE, 0, 0}};

const rad_op_def rad_op_Gemm = {"Gemm", 2, 3, 1, 1, attr_gemm, infer_gemm, eval_gemm, NULL};
const rad_op_def rad_op_MatMul = {"MatMul", 2, 2, 1, 1, rad_op_no_attr, infer_matmul, eval_matmul, NULL};
