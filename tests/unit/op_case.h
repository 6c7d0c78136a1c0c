/* op_case.h: one operator on small tensors, without a file: shape rule, then evaluation.
 *
 *   op_case c;
 *   op_begin(&c, "Conv", 17);
 *   op_in_f32(&c, 4, (int64_t[]){1, 2, 5, 5}, op_sequence(50, 1));   (or NULL data from op_sequence with seed = place)
 *   op_ints(&c, "pads", 4, (int64_t[]){1, 1, 1, 1});
 *   op_run(&c, 1);                                                   -> c.out[0]
 *   op_expect(&c, 0, 4, (int64_t[]){1, 3, 5, 5}, expected, 1e-6);
 *   op_end(&c);
 *
 * Inputs lie one byte off any alignment and outputs are filled with 0xa5 beforehand, since the operators promise to need neither.
 */
#ifndef RAD_OP_CASE_H
#define RAD_OP_CASE_H

#include <math.h>

#include "radcohort/model.h"
#include "unit.h"

#define OP_CASE_MAX 8

typedef struct op_case {
    rad_graph g;
    rad_value value[2 * OP_CASE_MAX + 1];
    rad_node node;
    int input[OP_CASE_MAX], output[OP_CASE_MAX], n_value;
    rad_attr attr[OP_CASE_MAX];
    int64_t list[OP_CASE_MAX][2 * RAD_MAX_RANK];
    rad_tensor in[OP_CASE_MAX], out[OP_CASE_MAX];
    void *owned[2 * OP_CASE_MAX + 1];
    rad_error err;
} op_case;

/* n numbers in [-2, 2] that repeat only after 101: what make_op_values.py feeds PyTorch with. Static, valid for the next seven calls. */
static inline const float *op_sequence(int64_t n, int seed) {
    static float pool[OP_CASE_MAX][4096];
    static int next;
    float *x = pool[next++ % OP_CASE_MAX];
    assert_true(n <= 4096);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)((i * 37 + seed * 11) % 101 - 50) / 25.0f;
    return x;
}

static inline void op_begin(op_case *c, const char *op, int opset) {
    memset(c, 0, sizeof *c);
    c->node = (rad_node){
        .op = rad_op_find(op, ""), .name = "n", .input = c->input, .output = c->output, .attr = c->attr, .opset = opset, .residual = -1};
    c->g = (rad_graph){.value = c->value};
    assert_non_null(c->node.op);
}

/* An input with its contents, which is a constant as far as the shape rule is concerned. */
static inline void op_in(op_case *c, rad_dtype t, int rank, const int64_t *dim, const void *data) {
    rad_shape s = {rank, {0}};
    for (int i = 0; i < rank; i++)
        s.dim[i] = dim[i];
    const size_t bytes = (size_t)rad_shape_count(&s) * rad_dtype_size(t);
    char *p = malloc(bytes + 2);
    assert_non_null(p);
    memcpy(p + 1, data, bytes);
    const int k = c->node.n_input++, v = c->n_value++;
    c->owned[v] = p;
    c->value[v] = (rad_value){.name = "in", .dtype = t, .shape = s, .data = p + 1, .producer = -1};
    c->in[k] = (rad_tensor){t, s, p + 1};
    c->input[k] = v;
}

static inline void op_in_f32(op_case *c, int rank, const int64_t *dim, const float *data) {
    op_in(c, RAD_DT_F32, rank, dim, data);
}

static inline void op_in_i64(op_case *c, int64_t n, const int64_t *data) {
    op_in(c, RAD_DT_I64, 1, &n, data);
}

/* A scalar. */
static inline void op_in_number(op_case *c, float v) {
    op_in(c, RAD_DT_F32, 0, NULL, &v);
}

static inline void op_in_none(op_case *c) {
    c->input[c->node.n_input++] = -1;
}

/* The last input is known at run time only. */
static inline void op_not_constant(op_case *c) {
    c->value[c->input[c->node.n_input - 1]].data = NULL;
}

static inline rad_attr *op_attr(op_case *c, const char *name, rad_attr_kind kind) {
    rad_attr *a = &c->attr[c->node.n_attr++];
    *a = (rad_attr){.name = name, .kind = kind};
    return a;
}

static inline void op_int(op_case *c, const char *name, int64_t v) {
    op_attr(c, name, RAD_ATTR_INT)->i = v;
}

static inline void op_float(op_case *c, const char *name, float v) {
    op_attr(c, name, RAD_ATTR_FLOAT)->f = (double)v;
}

static inline void op_text(op_case *c, const char *name, const char *v) {
    op_attr(c, name, RAD_ATTR_STRING)->s = v;
}

static inline void op_ints(op_case *c, const char *name, int64_t n, const int64_t *v) {
    int64_t *copy = c->list[c->node.n_attr];
    rad_attr *a = op_attr(c, name, RAD_ATTR_INTS);
    assert_true(n <= 2 * RAD_MAX_RANK);
    memcpy(copy, v, (size_t)n * sizeof *v);
    a->n = n;
    a->ints = copy;
}

static inline rad_status op_infer(op_case *c, int n_out) {
    for (int k = 0; k < n_out; k++) {
        c->output[k] = c->n_value++;
        c->value[c->output[k]] = (rad_value){.name = "out", .producer = 0};
    }
    c->node.n_output = n_out;
    c->g.n_value = c->n_value;
    c->err = (rad_error){0};
    return c->node.op->infer(&c->g, &c->node, &c->err);
}

static inline rad_status op_eval(op_case *c) {
    for (int k = 0; k < c->node.n_output; k++) {
        const rad_value *v = &c->value[c->output[k]];
        const size_t bytes = (size_t)rad_shape_count(&v->shape) * rad_dtype_size(v->dtype);
        void *p = malloc(bytes + 1);
        assert_non_null(p);
        memset(p, 0xa5, bytes + 1);
        free(c->owned[c->output[k]]);
        c->owned[c->output[k]] = p;
        c->out[k] = (rad_tensor){v->dtype, v->shape, p};
    }
    return rad_node_eval(&c->node, c->in, NULL, c->out, &c->err);
}

static inline void op_run(op_case *c, int n_out) {
    if (op_infer(c, n_out) != RAD_OK || op_eval(c) != RAD_OK)
        fail_msg("%s: %s", c->node.op->name, c->err.text);
}

static inline void op_end(op_case *c) {
    for (int v = 0; v < c->n_value; v++)
        free(c->owned[v]);
    c->n_value = 0;
}

static inline void op_expect_shape(const op_case *c, int k, rad_dtype t, int rank, const int64_t *dim) {
    rad_shape s = {rank, {0}};
    char have[96], want[96];
    for (int i = 0; i < rank; i++)
        s.dim[i] = dim[i];
    if (c->out[k].dtype != t || !rad_shape_equal(&c->out[k].shape, &s))
        fail_msg("%s: output %d is %s %s, want %s %s", c->node.op->name, k, rad_dtype_name(c->out[k].dtype),
                 rad_shape_text(&c->out[k].shape, have, sizeof have), rad_dtype_name(t), rad_shape_text(&s, want, sizeof want));
}

/* float32 output of this shape and these values, |difference| <= tolerance * max(1, |value|); tolerance 0: the same bits (but for NaN). */
static inline void op_expect(const op_case *c, int k, int rank, const int64_t *dim, const float *want, double tolerance) {
    op_expect_shape(c, k, RAD_DT_F32, rank, dim);
    const float *y = c->out[k].data;
    for (int64_t i = 0; i < rad_shape_count(&c->out[k].shape); i++) {
        const double d = fabs((double)y[i] - (double)want[i]), limit = tolerance * fmax(1, fabs((double)want[i]));
        if (isnan(y[i]) != isnan(want[i]) || (y[i] != want[i] && !isnan(y[i]) && !(d <= limit)))
            fail_msg("%s: element %lld is %.9g, want %.9g", c->node.op->name, (long long)i, (double)y[i], (double)want[i]);
    }
}

static inline void op_expect_i64(const op_case *c, int k, int rank, const int64_t *dim, const int64_t *want) {
    op_expect_shape(c, k, RAD_DT_I64, rank, dim);
    for (int64_t i = 0; i < rad_shape_count(&c->out[k].shape); i++)
        assert_int_equal(((const int64_t *)c->out[k].data)[i], want[i]);
}

/* The shape rule refuses, and says why. */
static inline void op_expect_refusal(op_case *c, int n_out, const char *part) {
    const rad_status st = op_infer(c, n_out);
    if (st != RAD_E_MODEL || strstr(c->err.text, part) == NULL || strstr(c->err.text, "node 'n'") == NULL)
        fail_msg("%s: got %s '%s', want a refusal with '%s'", c->node.op->name, rad_status_reason(st), c->err.text, part);
    op_end(c);
}

#define OP_DIMS(...)                                                                                                                       \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) {                                                         \
        __VA_ARGS__                                                                                                                        \
    }
#define OP_LIST(...)                                                                                                                       \
    (const float[]) {                                                                                                                      \
        __VA_ARGS__                                                                                                                        \
    }
#define OP_LONGS(...)                                                                                                                      \
    (const int64_t[]) {                                                                                                                    \
        __VA_ARGS__                                                                                                                        \
    }

#endif
