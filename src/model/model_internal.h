/* Private to src/model: arena, wire reader, loader, and the graph under construction that the passes edit.
 *
 * A rad_model is the file's graph, checked but with shapes as declared (open dims -1). rad_graph_build clones it into a rad_build, infers
 * shapes, folds, runs the passes and compacts the rest into a rad_graph.
 */
#ifndef RADCOHORT_MODEL_INTERNAL_H
#define RADCOHORT_MODEL_INTERNAL_H

#include "radcohort/model.h"

#include <pthread.h>

/* ---------------------------------------------------------------- arena */

typedef struct rad_arena rad_arena;
rad_arena *rad_arena_create(void);
void rad_arena_destroy(rad_arena **a);
/* Zeroed, aligned for any type, lives as long as the arena. NULL when memory is out. */
void *rad_arena_alloc(rad_arena *a, size_t n, size_t size);
char *rad_arena_text(rad_arena *a, const void *s, size_t n);
/* A block of its own for tensor contents (64-byte aligned, not zeroed), which may be given back before the arena ends. */
void *rad_arena_block(rad_arena *a, size_t size);
void rad_arena_release_block(rad_arena *a, void *block);

/* ---------------------------------------------------------------- wire format */

/* Bytes of one protobuf message; `depth` is its nesting. */
typedef struct onnx_span {
    const uint8_t *p, *end;
    int depth;
} onnx_span;

typedef enum onnx_wire { ONNX_VARINT = 0, ONNX_FIXED64 = 1, ONNX_BYTES = 2, ONNX_FIXED32 = 5 } onnx_wire;

typedef struct onnx_field {
    uint32_t number;
    onnx_wire wire;
    uint64_t value;  /* varint and fixed */
    onnx_span bytes; /* length-delimited: the contents, one level deeper */
} onnx_field;

/* Takes the next field off `s`: 1 = field, 0 = end, -1 = malformed or nested deeper than RAD_MAX_NESTING. */
int rad_onnx_next(onnx_span *s, onnx_field *ret);
/* How many scalars a field of a repeated integer (varint) or of `width`-byte fixed numbers holds, packed or not; -1 = malformed. */
int64_t rad_onnx_count_varints(const onnx_field *f);
int64_t rad_onnx_count_fixed(const onnx_field *f, size_t width);
/* Copies them out; room for the count above. */
void rad_onnx_read_varints(const onnx_field *f, int64_t *out);
void rad_onnx_read_fixed(const onnx_field *f, size_t width, uint8_t *out);

/* ---------------------------------------------------------------- model */

#define RAD_MAX_NAME_BYTES 4096
#define RAD_MAX_VALUES 1000000
#define RAD_MAX_NODE_ATTRS 256
#define RAD_MAX_ATTR_VALUES ((int64_t)1 << 20)
/* Oldest and newest version of the standard whose operator versions the table knows how to tell apart. */
#define RAD_MIN_OPSET 1
#define RAD_MAX_OPSET 25

typedef enum value_kind { VALUE_UNDEFINED, VALUE_INPUT, VALUE_CONSTANT, VALUE_NODE } value_kind;

typedef struct name_table {
    int *slot; /* value index + 1; 0 = free */
    size_t n_slot;
} name_table;

/* What the file's bytes were when it was opened. `running`, what follows it and `thread` under the lock: whoever asks first joins. */
struct rad_model_hasher {
    rad_map map;
    uint64_t seed;
    pthread_mutex_t lock;
    pthread_t thread;
    bool running;
    rad_status status;
    rad_error err;
    char sha256[RAD_SHA256_HEX], quick[RAD_XXH128_HEX];
};
/* Begins at once; where no thread is to be had it is done on return. Errors: NOMEM, INTERNAL. */
rad_status rad_hasher_start(const void *data, size_t size, bool own_thread, struct rad_model_hasher **ret, rad_error *err) RAD_MUST_CHECK;
/* Waits. Errors: those of hashing. */
rad_status rad_hasher_wait(struct rad_model_hasher *h, rad_error *err) RAD_MUST_CHECK;
/* Are the bytes still the same? NULL is allowed below. */
rad_status rad_hasher_compare(struct rad_model_hasher *h, bool *ret_same, rad_error *err) RAD_MUST_CHECK;
void rad_hasher_destroy(struct rad_model_hasher **h);

struct rad_model {
    rad_map map;
    bool mapped;
    const uint8_t *data;
    size_t size;
    const char *file; /* for error texts */
    struct rad_model_hasher *hasher;
    int opset;
    int64_t n_parameter;
    rad_arena *arena;
    rad_graph g; /* as in the file, nodes in topological order; shapes only of inputs and constants */
    int cap_value;
    uint8_t *kind; /* value_kind per value */
    name_table names;
};

/* Error text with the file's name in front. Returns RAD_E_MODEL. */
rad_status rad_onnx_fail(const rad_model *m, rad_error *err, const char *fmt, ...) RAD_PRINTF(3, 4);
rad_status rad_onnx_nomem(const rad_model *m, rad_error *err);
/* Text field -> NUL-terminated copy; refuses embedded NUL and more than RAD_MAX_NAME_BYTES. `what` and `where` are for the error. */
rad_status rad_onnx_text(rad_model *m, const onnx_field *f, const char *what, const char *where, const char **ret,
                         rad_error *err) RAD_MUST_CHECK;
/* TensorProto. `where` ("initializer", "node 'x' attribute 'value'") is for errors. `ret_name` may be NULL. */
rad_status rad_onnx_tensor(rad_model *m, onnx_span s, const char *where, const char **ret_name, rad_tensor *ret,
                           rad_error *err) RAD_MUST_CHECK;
/* ValueInfoProto of a graph input or output. */
rad_status rad_onnx_value_info(rad_model *m, onnx_span s, const char *where, const char **ret_name, rad_dtype *ret_dtype,
                               rad_shape *ret_shape, rad_error *err) RAD_MUST_CHECK;
/* NodeProto; `index` is its place in the file. `is_constant` is set when it only defined constant values (nothing to run). */
rad_status rad_onnx_node(rad_model *m, onnx_span s, int index, rad_node *ret, bool *ret_is_constant, rad_error *err) RAD_MUST_CHECK;
/* Index of the value of this name, made when new. */
rad_status rad_onnx_intern(rad_model *m, const char *name, int *ret, rad_error *err) RAD_MUST_CHECK;

/* ---------------------------------------------------------------- graph under construction */

typedef struct pass_stats {
    int node_in, node_out;
    int folded, identities, pads, norms, norms_kept, scales, branches, residuals, activations, dead, rebatched;
    double branch_weight_change; /* largest |rounded - exact| weight of a merged convolution */
    double branch_output_change; /* largest |merged - sum of branches| on a probe, relative to the largest output */
} pass_stats;

typedef struct rad_build {
    const rad_model *model;
    rad_graph *g;
    rad_arena *arena;
    int cap_value, cap_node;
    bool *is_output; /* per value: graph output or tap */
    bool *owned;     /* per value: constant content is a block of `arena`, given back as soon as nothing reads it */
    pass_stats stats;
} rad_build;

/* What rad_graph.arena points to. */
typedef struct graph_owner {
    const rad_model *model;
    rad_arena *arena;
    pass_stats stats;
} graph_owner;

/* A node that a pass removed has op NULL. */
/* Recounts rad_value.n_use and producer from the live nodes and outputs. */
void rad_build_recount(rad_build *b);
/* The live node that makes value v when nothing but ONE reader needs v (an output or tap counts as a reader); NULL otherwise. */
rad_node *rad_build_sole_producer(rad_build *b, int v);
bool rad_build_is_const(const rad_build *b, int v, rad_dtype t);
void rad_build_set_input(rad_build *b, rad_node *n, int k, int v);
/* Drops the node and its uses. */
void rad_build_kill(rad_build *b, rad_node *n);
/* `to` makes from's first output from now on; `from` is dropped. The old output of `to` dies (it had only `from` as reader). */
void rad_build_take_output(rad_build *b, rad_node *to, rad_node *from);
/* New constant: contents are a block from rad_arena_block (owned by the graph from now on). */
rad_status rad_build_add_const(rad_build *b, const char *name, rad_dtype t, const rad_shape *s, void *block, int *ret,
                               rad_error *err) RAD_MUST_CHECK;
/* Float constant as doubles in fresh memory (free()); any float dtype. */
rad_status rad_build_read_doubles(const rad_build *b, int v, double **ret, int64_t *ret_n, rad_error *err) RAD_MUST_CHECK;
/* Rounds doubles to a new float32 constant; records the largest rounding in *change when not NULL. */
rad_status rad_build_add_floats(rad_build *b, const char *name, const rad_shape *s, const double *x, int *ret, double *change,
                                rad_error *err) RAD_MUST_CHECK;
/* Makes room for n inputs (new ones omitted). */
rad_status rad_build_grow_inputs(rad_build *b, rad_node *n, int n_input, rad_error *err) RAD_MUST_CHECK;
rad_status rad_build_set_attr_int(rad_build *b, rad_node *n, const char *name, int64_t v, rad_error *err) RAD_MUST_CHECK;
rad_status rad_build_set_attr_ints(rad_build *b, rad_node *n, const char *name, const int64_t *v, int64_t count,
                                   rad_error *err) RAD_MUST_CHECK;
rad_status rad_build_set_attr_float(rad_build *b, rad_node *n, const char *name, double v, rad_error *err) RAD_MUST_CHECK;
rad_status rad_build_set_attr_string(rad_build *b, rad_node *n, const char *name, const char *v, rad_error *err) RAD_MUST_CHECK;
bool rad_node_is(const rad_node *n, const char *op);

/* y = scale[c] * x + shift[c] along the channel axis of x; what batch norm and arithmetic with constants come down to. */
typedef struct rad_affine {
    int64_t n;             /* channels */
    double *scale, *shift; /* fresh memory */
} rad_affine;
/* Axis of node p's output along which rad_build_fold_affine can scale and shift; -1 when p is not of that kind. */
int rad_build_affine_axis(const rad_build *b, const rad_node *p);
/* Folds the affine node `n`, whose x is made by `p` for it alone, into p's weights and bias. *ret_done says whether p could take it. */
rad_status rad_build_fold_affine(rad_build *b, rad_node *p, rad_node *n, const rad_affine *a, bool *ret_done,
                                 rad_error *err) RAD_MUST_CHECK;
void rad_affine_release(rad_affine *a);
/* Reads a BatchNormalization with constant parameters; *ret_ok false when it is not one. */
rad_status rad_build_read_norm(const rad_build *b, const rad_node *n, rad_affine *ret, bool *ret_ok, rad_error *err) RAD_MUST_CHECK;

/* Passes, in the order in which they run; each counts what it did in b->stats. Why each is exact, and when it stays off, is in its file. */
rad_status rad_pass_identity(rad_build *b, rad_error *err) RAD_MUST_CHECK;
rad_status rad_pass_pad(rad_build *b, rad_error *err) RAD_MUST_CHECK;
rad_status rad_pass_norm(rad_build *b, rad_error *err) RAD_MUST_CHECK;
rad_status rad_pass_scale(rad_build *b, rad_error *err) RAD_MUST_CHECK;
rad_status rad_pass_branch(rad_build *b, rad_error *err) RAD_MUST_CHECK;
rad_status rad_pass_fuse(rad_build *b, rad_error *err) RAD_MUST_CHECK;
void rad_pass_dead(rad_build *b);

/* Shape inference and constant folding of every node in order. `all` folds everything foldable, otherwise only what shapes need.
 * `shape0` (may be NULL): shapes at the file's own fixed batch `batch0`; lets Reshape, Expand and Resize to that fixed batch follow. */
rad_status rad_build_infer(rad_build *b, bool all, const rad_shape *shape0, int64_t batch0, int64_t batch, rad_error *err) RAD_MUST_CHECK;
rad_status rad_graph_hash(rad_graph *g, rad_error *err) RAD_MUST_CHECK;

#endif
