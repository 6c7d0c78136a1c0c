/* plan.h (private to onednn/): the plan of a graph and the builder that makes it.
 *
 * A value of the graph can exist in several forms at once (plain, blocked, channels last, bf16): tensors. A tensor is a descriptor on a
 * root, a piece of memory: either constant (weights, reordered once) or a range of the arena, whose place is chosen when all lifetimes are
 * known. Steps are oneDNN primitives, convolutions by kernels of ours (own.h), evaluations of a node by the operator table on plain
 * tensors, or zero fills. */
#ifndef RAD_ONEDNN_PLAN_H
#define RAD_ONEDNN_PLAN_H

#include "backend.h"
#include "own.h"
#include "pack.h"

struct dn_root {
    size_t size;
    const void *fixed; /* constant content: owned (below), or the model's until the plan is whole; NULL = in the arena */
    void *owned;
    size_t offset;   /* in the arena */
    int first, last; /* steps that touch it; first -1 = none yet */
    int last_use;    /* largest node index that still reads a value living here */
};

struct dn_tensor {
    int root;
    size_t offset; /* bytes into the root */
    bool raw;      /* no descriptor: an element type that oneDNN does not know, or no elements */
    rad_md md;
};

enum dn_step_kind { DN_PRIM, DN_OWN, DN_EVAL, DN_ZERO };

struct dn_arg {
    int id;     /* DNNL_ARG_...; for DN_EVAL the place among inputs (>= 0), outputs (DN_OUTPUT + k) or DN_RESIDUAL */
    int tensor; /* -1: omitted */
};
enum { DN_OUTPUT = 1 << 20, DN_RESIDUAL = 1 << 21 };

struct dn_step {
    enum dn_step_kind kind;
    int node; /* -1: none */
    bool is_reorder;
    rad_prim prim;
    struct dn_own own; /* of DN_OWN: arguments by the same DNNL_ARG_... */
    int first_arg, n_arg;
};

struct dn_plan {
    const rad_graph *graph; /* outlives the plan */
    dnnl_engine_t engine;   /* the backend's */
    rad_precision precision;
    int n_root, cap_root;
    struct dn_root *root;
    int n_tensor, cap_tensor;
    struct dn_tensor *tensor;
    int n_step, cap_step;
    struct dn_step *step;
    int n_arg, cap_arg;
    struct dn_arg *arg;
    int *input, *output; /* tensors, per graph input and output; plain float32 (or raw) */
    size_t arena_size, constant_size;
};

/* ---------------------------------------------------------------- building */

enum { DN_MAX_FORMS = 6 };
struct dn_value {
    int n_form;
    int form[DN_MAX_FORMS]; /* tensors; form[0] is how it was made */
    int last_use;           /* node index; n_node for graph outputs; -1 never */
    int slot_root;          /* concatenation buffer in which it should be made, -1 = none */
    size_t slot_offset;
    bool done; /* made together with an earlier node */
};

struct dn_build {
    struct dn_plan *plan;
    const rad_graph *graph;
    dnnl_engine_t engine;
    dnnl_data_type_t type; /* of activations */
    rad_layout layout;     /* of activations with channels */
    int node;              /* being translated */
    struct dn_value *value;
    struct dn_packer *packer;
};

/* True (and *ret_done) when `node` became steps; false = translate it by evaluation. Errors: NOMEM, DEVICE. */
typedef rad_status (*dn_translate)(struct dn_build *b, const rad_node *node, bool *ret_done, rad_error *err);
dn_translate dn_translator(const char *op_name);

/* By at most `threads` threads; the plan and its bytes are the same for any number. */
rad_status dn_plan_build(const rad_graph *g, dnnl_engine_t engine, rad_precision p, int threads, struct dn_plan **ret,
                         rad_error *err) RAD_MUST_CHECK;
void dn_plan_free(struct dn_plan *plan);
/* Where a tensor lies for the thread whose arena this is, and the arguments of a DN_OWN step. */
void *dn_tensor_data(const struct dn_plan *plan, char *arena, int tensor);
struct dn_own_data dn_own_arguments(const struct dn_plan *plan, char *arena, const struct dn_step *s);
size_t dn_plan_text(const struct dn_plan *plan, char *buf, size_t cap);

/* Gives the inputs of channel concatenations their places in the result, where a channel slice is one piece of memory (batch 1, blocked
 * layout). */
rad_status dn_place_concats(struct dn_build *b, rad_error *err) RAD_MUST_CHECK;

rad_status dn_nomem(rad_error *err);
/* Input k of the node as a value index; -1 when omitted. */
int dn_in(const rad_node *n, int k);
const rad_value *dn_value_of(const struct dn_build *b, int value);
/* float32 with at least one element: something oneDNN can take. */
bool dn_is_float(const struct dn_build *b, int value);
bool dn_is_const(const struct dn_build *b, int value);
/* The constant float content of a value with `n` elements, element k; false when it is not constant or has another count. */
bool dn_const_scalar(const struct dn_build *b, int value, float *ret);

/* The form in which the value was made (constants: plain). */
rad_status dn_native(struct dn_build *b, int value, int *ret_tensor, rad_error *err) RAD_MUST_CHECK;
/* The value in exactly this layout and element type; a reorder is added (constants: given to the packer) when it does not exist yet. */
rad_status dn_get(struct dn_build *b, int value, const rad_md *want, int *ret_tensor, rad_error *err) RAD_MUST_CHECK;
/* Plain (row-major) form: float32, or raw. */
rad_status dn_get_plain(struct dn_build *b, int value, int *ret_tensor, rad_error *err) RAD_MUST_CHECK;
/* The plain content of the value seen through `view` (same bytes, other dims or strides), then brought to `want`. */
rad_status dn_get_viewed(struct dn_build *b, int value, const rad_md *view, const rad_md *want, int *ret_tensor,
                         rad_error *err) RAD_MUST_CHECK;
/* Fresh memory for a value, or its place in a concatenation when the layout fits; becomes a form of the value. */
rad_status dn_make(struct dn_build *b, int value, const rad_md *md, int *ret_tensor, rad_error *err) RAD_MUST_CHECK;
/* `size` bytes of the arena for the step being made, without a layout. */
rad_status dn_make_scratch(struct dn_build *b, size_t size, int *ret_tensor, rad_error *err) RAD_MUST_CHECK;
/* A constant without a layout, of `size` bytes of a rad_aligned() block, which the plan owns from now on (also on failure). */
rad_status dn_make_packed(struct dn_build *b, void *owned, size_t size, int *ret_tensor, rad_error *err) RAD_MUST_CHECK;
/* Memory that belongs to no value. */
rad_status dn_make_loose(struct dn_build *b, const rad_md *md, int *ret_tensor, rad_error *err) RAD_MUST_CHECK;
/* Memory for a value in plain form, float32 or raw. */
rad_status dn_make_plain(struct dn_build *b, int value, int *ret_tensor, rad_error *err) RAD_MUST_CHECK;
/* Another view of a tensor's memory, of no value. */
rad_status dn_view(struct dn_build *b, int of, const rad_md *md, int *ret_tensor, rad_error *err) RAD_MUST_CHECK;
/* A root in the arena without tensors; -1 when memory is out. */
int dn_add_buffer(struct dn_build *b, size_t size);
/* Another view of a tensor's memory becomes a form of `value`. */
rad_status dn_alias(struct dn_build *b, int value, int of, size_t offset, const rad_md *md, int *ret_tensor, rad_error *err) RAD_MUST_CHECK;
/* May the node being translated write over this tensor? Only when nobody reads anything in its memory later. */
bool dn_may_overwrite(const struct dn_build *b, int tensor);
/* Takes the primitive over (also on failure). Arguments: pairs of DNNL_ARG_ id and tensor, n of them; the scratchpad is added. */
rad_status dn_step_prim(struct dn_build *b, rad_prim *prim, const struct dn_arg *arg, int n_arg, rad_error *err) RAD_MUST_CHECK;
/* Arguments: source, weights, bias, destination, scratchpad. */
rad_status dn_step_own(struct dn_build *b, const struct dn_own *own, const struct dn_arg *arg, int n_arg, rad_error *err) RAD_MUST_CHECK;
rad_status dn_step_eval(struct dn_build *b, const struct dn_arg *arg, int n_arg, rad_error *err) RAD_MUST_CHECK;
rad_status dn_step_zero(struct dn_build *b, int tensor, rad_error *err) RAD_MUST_CHECK;
/* Constants that steps or outputs read where the model has them become the plan's own. Waits for the packer. Errors: NOMEM, DEVICE. */
rad_status dn_keep_constants(struct dn_build *b, rad_error *err) RAD_MUST_CHECK;
/* A copy between two tensors of the same dims. */
rad_status dn_copy(struct dn_build *b, int from, int to, rad_error *err) RAD_MUST_CHECK;
/* Layout descriptor of a value in the activation type (or float32). */
bool dn_md(const struct dn_build *b, int value, rad_layout layout, rad_md *ret);
const rad_md *dn_tensor_md(const struct dn_build *b, int tensor);
/* The fused activation as a post-operation; false when the library has none that equals it. */
bool dn_post_of(const rad_node *n, rad_post *ret);

#endif
