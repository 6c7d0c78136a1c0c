/* plan.h (private to cudnn/): a graph as a list of device steps: which tensor lies where in which layout, which kernel runs with which
 * arguments. Knows neither CUDA nor cuDNN: it is built, and (slowly) run, on any machine, and that is how it is tested.
 *
 * Values that are not float32 pass through as bytes, between nodes that the CPU evaluates (node_host.c). A value can exist in several forms
 * (layout, element type); a form is a view with strides on a root, a piece of memory. Values with image axes are kept channels-last in the
 * job's precision, channels padded to 8 with zeros; values without (heads, squeezed features, softmax) stay in float32 whatever the
 * precision.
 */
#ifndef RAD_CUDNN_PLAN_H
#define RAD_CUDNN_PLAN_H

#include "conv.h"
#include "core.h"
#include "radcohort/infer.h"

enum g_layout { G_PLAIN /* row-major */, G_ROWS /* row-major, last axis padded to 8 */, G_LAST /* axis 1 innermost and padded to 8 */ };
enum { G_ALIGN = 256, G_MAX_FORMS = 8 };

struct g_root {
    size_t size;
    void *fixed; /* constant content, owned; NULL = in the arena (or a constant whose content was not asked for) */
    bool is_constant;
    size_t offset;   /* in the constants or in the arena */
    int first, last; /* steps that touch it; -1 = the input copy, n_step = the output copy */
};

struct g_tensor {
    int root, type;
    int64_t offset; /* elements into the root */
    rad_shape shape;
    int64_t stride[RAD_MAX_RANK]; /* elements */
    int inner;                    /* axis whose storage may be longer than its dim */
    int64_t stored;               /* elements of that axis in storage, zeros behind the dim */
};

enum { RAD_MAX_NODE_OUTPUTS = 256 };

/* A node that the CPU evaluates in the midst of the pass: its inputs, its residual, its outputs. */
struct g_operand {
    rad_tensor tensor; /* dtype and shape; dtype NONE: omitted */
    void *fixed;       /* a constant's content, owned */
    bool used;         /* lies in a root */
    int root;
    size_t offset, size; /* bytes */
};
struct g_host {
    const rad_node *node;
    int n_operand; /* n_input + 1 + n_output */
    struct g_operand *operand;
};

enum g_step_kind { G_KERNEL, G_CONV, G_HOST };

struct g_step {
    enum g_step_kind kind;
    int node;
    int root[K_VIEWS];  /* of args.v; -1 = none */
    struct k_args args; /* G_CONV: the same convolution for our own kernel */
    struct g_host *host;
    cu_conv conv; /* operands: x v[1], w v[2], bias v[3], z v[4], y v[0] */
};

struct g_plan {
    const rad_graph *graph; /* outlives the plan */
    rad_precision precision;
    int type; /* of values with image axes */
    int n_root, cap_root;
    struct g_root *root;
    int n_step, cap_step;
    struct g_step *step;
    int *input, *output; /* tensors: plain float32 */
    int n_tensor, cap_tensor;
    struct g_tensor *tensor;
    size_t arena_size, constant_size;
};

struct g_value {
    int n_form;
    int form[G_MAX_FORMS]; /* form[0] is how it was made */
    bool skip;             /* inside a group of nodes that became one step */
};

struct g_build {
    struct g_plan *plan;
    const rad_graph *graph;
    struct g_value *value;
    int node;    /* being translated */
    bool dry;    /* only asking whether it can be done: constants stay empty */
    int *reader; /* per value: the node that reads it when it is only one, else -1 */
};

/* Errors: UNSUPPORTED (text: why this node cannot be run), NOMEM, LIMIT. */
rad_status g_plan_build(const rad_graph *g, rad_precision p, struct g_plan **ret, rad_error *err) RAD_MUST_CHECK;
void g_plan_free(struct g_plan *plan);
/* Can this node be run? The text says why not. */
bool g_supports(const rad_graph *g, const rad_node *n, rad_precision p, char *why, size_t cap);

/* ---------------------------------------------------------------- for the translators */

typedef rad_status (*g_translate)(struct g_build *b, const rad_node *n, rad_error *err);
g_translate g_translator(const char *op_name);

rad_status g_refuse(const rad_node *n, rad_error *err, const char *fmt, ...) RAD_PRINTF(3, 4);
rad_status g_nomem(rad_error *err);
static inline int64_t g_round8(int64_t n) {
    return (n + 7) / 8 * 8;
}
static inline const struct g_tensor *g_at(const struct g_build *b, int tensor) {
    return &b->plan->tensor[tensor];
}
static inline const rad_value *g_value(const struct g_build *b, int value) {
    return &b->graph->value[value];
}
static inline int g_in(const rad_node *n, int k) {
    return k < n->n_input ? n->input[k] : -1;
}
bool g_is_float(const struct g_build *b, int value);
bool g_is_const(const struct g_build *b, int value);
/* A constant of one float. */
bool g_scalar(const struct g_build *b, int value, float *ret);
/* A constant list of int64: a pointer into a caller's array of `cap`; count in *ret_n. */
bool g_ints(const struct g_build *b, int value, int64_t *out, int cap, int *ret_n);
/* Element type for a tensor of this shape: the job's when it has image axes, else float32. */
int g_type_for(const struct g_build *b, const rad_shape *s);

/* The form in which a value was made. */
rad_status g_native(struct g_build *b, int value, int *ret, rad_error *err) RAD_MUST_CHECK;
/* The value in this layout and type; copied when it does not exist yet. */
rad_status g_get(struct g_build *b, int value, enum g_layout layout, int type, int *ret, rad_error *err) RAD_MUST_CHECK;
/* Does a tensor lie like this? */
bool g_lies(const struct g_tensor *t, enum g_layout layout);
/* Fresh memory. */
rad_status g_make(struct g_build *b, const rad_shape *s, enum g_layout layout, int type, int *ret, rad_error *err) RAD_MUST_CHECK;
/* Fresh memory whose axes lie in the order of another tensor's. */
rad_status g_make_like(struct g_build *b, const rad_shape *s, int like, int type, int *ret, rad_error *err) RAD_MUST_CHECK;
/* A constant made here: content of `size` bytes becomes the plan's (freed by it, also on failure). */
rad_status g_make_constant(struct g_build *b, const struct g_tensor *t, void *content, size_t size, int *ret,
                           rad_error *err) RAD_MUST_CHECK;
/* Another view on a tensor's root. */
rad_status g_view(struct g_build *b, const struct g_tensor *t, int *ret, rad_error *err) RAD_MUST_CHECK;
rad_status g_give(struct g_build *b, int value, int tensor, rad_error *err) RAD_MUST_CHECK;

/* Step `step` uses this root. */
void g_touch(struct g_plan *p, int root, int step);

struct g_map {
    int op, act;
    float alpha, beta, act_alpha, act_beta;
};
/* y = act(op(operands)); operands broadcast to y by the ONNX rule, -1 = none. */
rad_status g_step_map(struct g_build *b, const struct g_map *m, int y, const int operand[3], rad_error *err) RAD_MUST_CHECK;
/* `root[k]`: of args->v[k], -1 = none. */
rad_status g_step_kernel(struct g_build *b, const struct k_args *args, const int root[K_VIEWS], rad_error *err) RAD_MUST_CHECK;
rad_status g_step_conv(struct g_build *b, const struct k_args *args, const cu_conv *conv, const int root[K_VIEWS],
                       rad_error *err) RAD_MUST_CHECK;
/* `h` becomes the plan's when it succeeds. */
rad_status g_step_host(struct g_build *b, struct g_host *h, rad_error *err) RAD_MUST_CHECK;
/* A piece of memory of so many bytes; -1 when there is none. */
int g_add_root(struct g_plan *p, size_t size);
/* The view of a tensor with its own axes in order, as kernels take it (offset, strides, type). */
struct k_view g_kernel_view(const struct g_tensor *t);
/* Residual and activation of a node whose own result is in tensor `t`; the result becomes the node's output. */
rad_status g_finish(struct g_build *b, const rad_node *n, int t, bool residual_done, bool act_done, rad_error *err) RAD_MUST_CHECK;
/* The fused activation in our words. */
struct g_map g_fused(const rad_node *n);

/* ---------------------------------------------------------------- running without a device */

/* Runs every step on the CPU, one element after the other: what the device does, by the same code. `in` and `out` as
 * rad_backend_ops.exec_run. For tests; errors: NOMEM. */
rad_status g_plan_run_host(const struct g_plan *plan, const rad_tensor *in, rad_tensor *out, rad_error *err) RAD_MUST_CHECK;
/* One node by its own evaluation; data[k] for every operand that is used. Errors: NOMEM, MODEL. */
rad_status g_host_run(const struct g_host *h, void *const *data, rad_error *err) RAD_MUST_CHECK;
void g_host_free(struct g_host *h);
/* One kernel launch on the CPU. */
void k_run_host(const struct k_args *args);

#endif
