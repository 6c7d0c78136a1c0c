/* model: ONNX file -> graph with static shapes -> folded and fused graph; the operator table.
 *
 * The ONNX reader is our own: bounded, zero-copy over mmap. An operator's rules live in ONE place, its rad_op_def (src/model/op_*.c):
 * attributes accepted, shape rule, and plain evaluation (double accumulation: the truth). Constant folding and the `ref` backend both
 * use that evaluation; fast backends are compared with it.
 *
 * Tensors: row-major, last index fastest, [N, C, (D,) H, W] where the operator says so. A graph is immutable once built and may be
 * shared by threads.
 */
#ifndef RADCOHORT_MODEL_H
#define RADCOHORT_MODEL_H

#include "radcohort/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RAD_MAX_RANK 8
#define RAD_MAX_MODEL_BYTES ((size_t)2 << 30)
#define RAD_MAX_NODES 100000
#define RAD_MAX_TENSOR_BYTES ((size_t)4 << 30)
#define RAD_MAX_NODE_INPUTS 1024
#define RAD_MAX_NESTING 8

typedef enum rad_dtype { /* numbers of the ONNX standard */
                         RAD_DT_NONE = 0,
                         RAD_DT_F32 = 1,
                         RAD_DT_U8 = 2,
                         RAD_DT_I8 = 3,
                         RAD_DT_U16 = 4,
                         RAD_DT_I16 = 5,
                         RAD_DT_I32 = 6,
                         RAD_DT_I64 = 7,
                         RAD_DT_STRING = 8,
                         RAD_DT_BOOL = 9,
                         RAD_DT_F16 = 10,
                         RAD_DT_F64 = 11,
                         RAD_DT_U32 = 12,
                         RAD_DT_U64 = 13,
                         RAD_DT_BF16 = 16
} rad_dtype;
size_t rad_dtype_size(rad_dtype t);      /* 0 for NONE and STRING */
const char *rad_dtype_name(rad_dtype t); /* "float32", ... */

typedef struct rad_shape {
    int rank; /* 0 = scalar; -1 = unknown */
    int64_t dim[RAD_MAX_RANK];
} rad_shape;
/* Number of elements; -1 when a dim is negative or the product overflows or passes RAD_MAX_TENSOR_BYTES elements. */
int64_t rad_shape_count(const rad_shape *s);
bool rad_shape_equal(const rad_shape *a, const rad_shape *b);
/* "[2, 3, 64, 64]" into buf; returns buf. */
const char *rad_shape_text(const rad_shape *s, char *buf, size_t cap);

typedef struct rad_tensor { /* borrowed view */
    rad_dtype dtype;
    rad_shape shape;
    void *data;
} rad_tensor;

/* ---------------------------------------------------------------- attributes */

typedef enum rad_attr_kind {
    RAD_ATTR_NONE = 0,
    RAD_ATTR_FLOAT = 1,
    RAD_ATTR_INT = 2,
    RAD_ATTR_STRING = 3,
    RAD_ATTR_TENSOR = 4,
    RAD_ATTR_FLOATS = 6,
    RAD_ATTR_INTS = 7,
    RAD_ATTR_STRINGS = 8
} rad_attr_kind;
typedef struct rad_attr {
    const char *name;
    rad_attr_kind kind;
    double f;
    int64_t i;
    const char *s; /* NUL-terminated copy */
    int64_t n;     /* FLOATS, INTS, STRINGS */
    const double *floats;
    const int64_t *ints;
    const char *const *strings;
    rad_tensor t;
} rad_attr;

/* ---------------------------------------------------------------- graph */

typedef struct rad_op_def rad_op_def;

/* Fused into the node by a pass; only Conv, ConvTranspose, Gemm, MatMul and Add carry them. */
typedef enum rad_fused_act {
    RAD_FUSE_NONE,
    RAD_FUSE_RELU,
    RAD_FUSE_CLIP /* alpha..beta */,
    RAD_FUSE_LEAKY /* alpha */,
    RAD_FUSE_SIGMOID,
    RAD_FUSE_TANH,
    RAD_FUSE_SWISH /* x*sigmoid(x) */,
    RAD_FUSE_HARDSWISH
} rad_fused_act;

typedef struct rad_node {
    const rad_op_def *op;
    const char *name; /* never empty: invented from op and index when the file has none */
    int n_input, n_output;
    int *input;  /* value indices; -1 = omitted optional input */
    int *output; /* value indices; -1 = omitted */
    int n_attr;
    rad_attr *attr;
    int opset; /* of the node's domain */
    /* fusion: y = act(op(inputs) + value[residual]) */
    int residual; /* value index or -1; same shape as the output */
    rad_fused_act act;
    float act_alpha, act_beta;
} rad_node;

typedef struct rad_value {
    const char *name;
    rad_dtype dtype;
    rad_shape shape;  /* static after rad_graph_build */
    const void *data; /* constant content (may be unaligned inside the mapped file), or NULL */
    int producer;     /* node index, -1 for inputs and constants */
    int n_use;        /* how many node inputs (and residuals, and graph outputs) read it */
} rad_value;

typedef struct rad_graph {
    int n_value;
    rad_value *value;
    int n_node; /* topological order */
    rad_node *node;
    int n_input, n_output;
    int *input, *output;       /* value indices; initializers are not inputs */
    int64_t batch;             /* the batch it was built for; 0 = as the file says */
    char hash[RAD_SHA256_HEX]; /* of structure and weights after the passes: names do not count */
    void *arena;               /* owner of everything above; keeps the model's map alive by reference to the rad_model */
} rad_graph;

typedef struct rad_model rad_model;

/* Maps and checks the file (limits, types, nesting, unique names, no external data, no cycles, every op known with its attributes).
 * Opsets 6 to 25 of the ONNX standard, IR versions from 3 on; Constant nodes become constants. Large float weights stay in the mapped file
 * (their rad_value.data may be unaligned); integers and everything up to 4 KiB are aligned.
 * Errors: NOTFOUND, IO, LIMIT (file size), NOMEM, MODEL (text names file, node and what was expected). */
rad_status rad_model_open(const char *path, rad_model **ret, rad_error *err) RAD_MUST_CHECK;
/* The same over bytes in memory, which must outlive the model (fuzzing, tests). */
rad_status rad_model_open_memory(const void *data, size_t size, const char *name, rad_model **ret, rad_error *err) RAD_MUST_CHECK;
void rad_model_close(rad_model **m);
/* Reads the file's bytes again: MODEL when they are no longer those that were opened (somebody overwrote the file in place). Models in
 * memory are always OK. Thread-safe. */
rad_status rad_model_verify(const rad_model *m, rad_error *err) RAD_MUST_CHECK;
/* The file's pages leave memory until they are read again (rad_map_drop_pages): for after a graph was built. Thread-safe. */
void rad_model_drop_pages(const rad_model *m);
/* Of the file's bytes, which are hashed by a thread of their own from rad_model_open on: waits until that is done. Errors: INTERNAL, NOMEM.
 * Thread-safe. */
rad_status rad_model_sha256(const rad_model *m, char ret[RAD_SHA256_HEX], rad_error *err) RAD_MUST_CHECK;
int rad_model_opset(const rad_model *m);               /* of the default domain */
int64_t rad_model_parameter_count(const rad_model *m); /* elements of all float initializers */
/* Input `i` as declared: symbolic dims are -1. */
int rad_model_input_count(const rad_model *m);
void rad_model_get_input(const rad_model *m, int i, const char **ret_name, rad_dtype *ret_dtype, rad_shape *ret_shape);
/* May samples of these dims, [C, H, W] or [C, D, H, W], 0-terminated, be given to this network? They may fill only dims that the file
 * leaves open; -1 is not known yet and fits. Errors: MODEL (not one input, not one dim more than the sample, another size: names both and
 * the key of the job to write). */
rad_status rad_model_check_sample(const rad_model *m, const int64_t *dim, rad_error *err) RAD_MUST_CHECK;

typedef struct rad_graph_opts {
    int64_t batch; /* > 0: replaces dim 0 of every graph input (also a fixed one) */
    int n_shape;   /* explicit input shapes, in input order; 0 = take the file's */
    const rad_shape *shape;
    bool no_fold;    /* skip constant folding beyond what shapes need, batch-norm folding and fusion (node tests, debugging) */
    const char *tap; /* make this tensor an additional (last) output, keeping it unfused; NULL = none */
} rad_graph_opts;

/* Static shapes for everything, constants folded, batch norms folded, RepVGG branches merged, conv+bias+add+activation fused, dead nodes
 * dropped. Shapes are computed from the inputs alone. A Reshape, Expand or Resize target that was frozen at the file's own fixed batch
 * follows `batch` where its leading dim counts whole samples.
 * Every output has a node that makes it (an Identity where the file returns an input or a constant), so outputs are never constants;
 * a residual is never a constant either. Nodes all of whose inputs are constant may remain when folding them would cost too much.
 * Errors: NOMEM; MODEL naming the node, e.g. a graph that cannot take this batch. The model must outlive the graph. Thread-safe for one
 * model: it is only read. */
rad_status rad_graph_build(rad_model *m, const rad_graph_opts *opts, rad_graph **ret, rad_error *err) RAD_MUST_CHECK;
void rad_graph_destroy(rad_graph **g);
/* rad_model_drop_pages of the graph's model: for plans, which make their own copy of each large weight in turn. Thread-safe. */
void rad_graph_drop_pages(const rad_graph *g);
/* What the passes did, for the record: "batch norms folded 53, branches merged 22 (largest weight change ...), fused ...". */
size_t rad_graph_describe(const rad_graph *g, char *buf, size_t cap);

/* ---------------------------------------------------------------- operators */

/* An attribute that opsets since..until (both included; until 0 = still valid) know. */
typedef struct rad_op_attr {
    const char *name;
    rad_attr_kind kind;
    int since, until;
} rad_op_attr;

struct rad_op_def {
    const char *name;
    int min_in, max_in, min_out, max_out; /* max -1 = any number */
    const rad_op_attr *attr;              /* ends with name NULL */
    /* Sets dtype and shape of the outputs in g->value from those of the inputs; may read constant inputs (value.data). Errors: MODEL. */
    rad_status (*infer)(rad_graph *g, const rad_node *n, rad_error *err);
    /* Plain evaluation. in[k] has data NULL for omitted inputs; out[k].data is allocated by the caller to its inferred shape (data NULL =
     * not wanted). Data need not be aligned. Fused residual and activation are NOT applied here (rad_node_eval does that). */
    rad_status (*eval)(const rad_node *n, const rad_tensor *in, rad_tensor *out, rad_error *err);
    const void *param; /* the family's own: which function of it this operator is */
};

/* NULL when unknown. Table in src/model/ops.c; the list of all, for `radcohort backends`. */
const rad_op_def *rad_op_find(const char *name, const char *domain);
const rad_op_def *const *rad_op_list(size_t *ret_n);

/* Evaluates one node with its fused parts. `residual` may be NULL when node->residual is -1. Thread-safe. */
rad_status rad_node_eval(const rad_node *n, const rad_tensor *in, const rad_tensor *residual, rad_tensor *out,
                         rad_error *err) RAD_MUST_CHECK;

const rad_attr *rad_node_attr(const rad_node *n, const char *name); /* NULL when absent */
int64_t rad_node_attr_int(const rad_node *n, const char *name, int64_t missing);
double rad_node_attr_float(const rad_node *n, const char *name, double missing);
const char *rad_node_attr_string(const rad_node *n, const char *name, const char *missing);

/* Convolution and pooling with auto_pad, ceil_mode and defaults resolved to explicit numbers: what backends read. */
typedef struct rad_window_params {
    int n_axis;                                /* spatial axes, 1..3 */
    int64_t kernel[3], stride[3], dilation[3]; /* dilation 1 = dense */
    int64_t pad_begin[3], pad_end[3];
    int64_t in[3], out[3];             /* spatial sizes */
    int64_t group;                     /* convolutions */
    bool count_include_pad, ceil_mode; /* pooling */
    int64_t output_pad[3];             /* ConvTranspose */
} rad_window_params;
/* For Conv, ConvTranspose, MaxPool, AveragePool, GlobalAveragePool, GlobalMaxPool. `x`, `w` shapes of the data and (convolutions) weights.
 * Errors: MODEL. */
rad_status rad_window_params_get(const rad_node *n, const rad_shape *x, const rad_shape *w, rad_window_params *ret,
                                 rad_error *err) RAD_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
