/* op_internal.h (private to src/model): what the operator families share.
 *
 * Kernels read and write tensors through blocks of doubles (floats) or int64_t (integers), converted by rad_op_load and rad_op_store.
 * That gives every operator every element type, makes double the type of all arithmetic, and never needs aligned data: weights lie
 * anywhere in the mapped file. Operators that only move data copy bytes (rad_op_copy).
 */
#ifndef RAD_MODEL_OP_INTERNAL_H
#define RAD_MODEL_OP_INTERNAL_H

#include "radcohort/model.h"

/* ---------------------------------------------------------------- the table */

/* Every operator, in strcmp order (rad_op_find bisects). To add one: its name here, its rad_op_def in the file of its family, its cases in
 * tests/unit/test_ops_*.c. */
/* The formatter would indent every line of the list further than the last. */
/* clang-format off */
#define RAD_OPS(X) \
    X(Abs) X(Acos) X(Acosh) X(Add) X(And) X(ArgMax) X(ArgMin) X(Asin) X(Asinh) X(Atan) X(Atanh) X(AveragePool) \
    X(BatchNormalization) X(Cast) X(CastLike) X(Ceil) X(Celu) X(Clip) X(Concat) X(Constant) X(ConstantOfShape) X(Conv) \
    X(ConvTranspose) X(Cos) X(Cosh) X(DepthToSpace) X(Div) X(Dropout) X(Elu) X(Equal) X(Erf) X(Exp) X(Expand) X(Flatten) X(Floor) \
    X(Gather) X(Gelu) X(Gemm) X(GlobalAveragePool) X(GlobalLpPool) X(GlobalMaxPool) X(Greater) X(GreaterOrEqual) \
    X(GroupNormalization) X(HardSigmoid) X(HardSwish) X(Hardmax) X(Identity) X(InstanceNormalization) X(LRN) X(LayerNormalization) \
    X(LeakyRelu) X(Less) X(LessOrEqual) X(Log) X(LogSoftmax) X(LpPool) X(MatMul) X(Max) X(MaxPool) X(Mean) X(Min) X(Mish) X(Mod) \
    X(Mul) X(Neg) X(Not) X(Or) X(PRelu) X(Pad) X(Pow) X(Range) X(Reciprocal) X(ReduceL1) X(ReduceL2) X(ReduceLogSum) \
    X(ReduceLogSumExp) X(ReduceMax) X(ReduceMean) X(ReduceMin) X(ReduceProd) X(ReduceSum) X(ReduceSumSquare) X(Relu) X(Reshape) \
    X(Resize) X(Round) X(Selu) X(Shape) X(Sigmoid) X(Sign) X(Sin) X(Sinh) X(Size) X(Slice) X(Softmax) X(Softplus) X(Softsign) \
    X(SpaceToDepth) X(Split) X(Sqrt) X(Squeeze) X(Sub) X(Sum) X(Tan) X(Tanh) X(ThresholdedRelu) X(Tile) X(Transpose) X(Unsqueeze) \
    X(Upsample) X(Where) X(Xor)
/* clang-format on */

#define RAD_OP_DECLARE(name) extern const rad_op_def rad_op_##name;
RAD_OPS(RAD_OP_DECLARE)
#undef RAD_OP_DECLARE

extern const rad_op_attr rad_op_no_attr[];

/* ---------------------------------------------------------------- element types */

/* Sets of element types. */
#define RAD_T(t) (1u << (t))
#define RAD_T_FLOAT (RAD_T(RAD_DT_F32) | RAD_T(RAD_DT_F64) | RAD_T(RAD_DT_F16) | RAD_T(RAD_DT_BF16))
#define RAD_T_INDEX (RAD_T(RAD_DT_I32) | RAD_T(RAD_DT_I64))
#define RAD_T_INT                                                                                                                          \
    (RAD_T_INDEX | RAD_T(RAD_DT_U8) | RAD_T(RAD_DT_I8) | RAD_T(RAD_DT_U16) | RAD_T(RAD_DT_I16) | RAD_T(RAD_DT_U32) | RAD_T(RAD_DT_U64))
#define RAD_T_NUMBER (RAD_T_FLOAT | RAD_T_INT)
#define RAD_T_ANY (RAD_T_NUMBER | RAD_T(RAD_DT_BOOL))
static inline bool rad_op_type_in(rad_dtype t, unsigned types) {
    return (unsigned)t < 32 && (types & RAD_T(t)) != 0;
}

#define RAD_OP_BLOCK 512 /* elements converted at a time: two or three blocks stay in the first-level cache */

/* n elements from element `first` on, as double. Float to integer stores saturate and truncate toward zero, NaN becomes 0; to float16 and
 * bfloat16 they round to nearest, ties to even. */
void rad_op_load(const rad_tensor *t, int64_t first, int64_t n, double *dst);
void rad_op_store(rad_tensor *t, int64_t first, int64_t n, const double *src);
/* The same for integers and bool, exact; stores wrap. uint64 travels as its bit pattern. */
void rad_op_load_int(const rad_tensor *t, int64_t first, int64_t n, int64_t *dst);
void rad_op_store_int(rad_tensor *t, int64_t first, int64_t n, const int64_t *src);
/* The whole tensor in fresh memory (free()); NULL when memory is out. Never NULL for an empty tensor. */
double *rad_op_load_all(const rad_tensor *t);
/* The single element of a one-element tensor. */
double rad_op_scalar(const rad_tensor *t);

/* ---------------------------------------------------------------- rules */

/* "node 'conv1' (Conv): " + text, code MODEL. */
rad_status rad_op_error(const rad_node *n, rad_error *err, const char *fmt, ...) RAD_PRINTF(3, 4);
rad_status rad_op_nomem(const rad_node *n, rad_error *err);
static inline bool rad_op_has_input(const rad_node *n, int k) {
    return k < n->n_input && n->input[k] >= 0;
}
static inline bool rad_op_has_output(const rad_node *n, int k) {
    return k < n->n_output && n->output[k] >= 0;
}
/* Input k, which must be there and of one of `types`. */
rad_status rad_op_input(const rad_graph *g, const rad_node *n, int k, unsigned types, const rad_value **ret, rad_error *err) RAD_MUST_CHECK;
/* Sets type and shape of output k; nothing when it is omitted. Errors: a size beyond the limits. */
rad_status rad_op_output(rad_graph *g, const rad_node *n, int k, rad_dtype t, const rad_shape *s, rad_error *err) RAD_MUST_CHECK;
/* Integers of an attribute or, when it is absent, of constant input k (both may be absent: *ret_n = -1). `k` < 0: attribute only; `attr`
 * NULL: input only. At most `cap` of them. */
rad_status rad_op_ints(const rad_graph *g, const rad_node *n, const char *attr, int k, int cap, int64_t *dst, int *ret_n,
                       rad_error *err) RAD_MUST_CHECK;
/* The same at evaluation time. */
rad_status rad_op_eval_ints(const rad_node *n, const rad_tensor *in, const char *attr, int k, int cap, int64_t *dst, int *ret_n,
                            rad_error *err) RAD_MUST_CHECK;
/* Floats of constant input k. */
rad_status rad_op_const(const rad_graph *g, const rad_node *n, int k, rad_tensor *ret, rad_error *err) RAD_MUST_CHECK;
/* Brings axis into 0 .. rank-1 from -rank .. rank-1. */
rad_status rad_op_axis(const rad_node *n, int64_t axis, int rank, int *ret, rad_error *err) RAD_MUST_CHECK;
/* The same for a list; the result is a set of flags. Errors: also an axis given twice. */
rad_status rad_op_axes(const rad_node *n, const int64_t *axes, int n_axes, int rank, bool ret_flag[RAD_MAX_RANK],
                       rad_error *err) RAD_MUST_CHECK;
/* Product of dims [from, to). */
int64_t rad_op_span(const rad_shape *s, int from, int to);
/* Multidirectional broadcast of ONNX: `acc` becomes the common shape; false when there is none. */
bool rad_op_broadcast(rad_shape *acc, const rad_shape *s);
/* Shape rule of every operator whose only output looks like input 0; its types are given by *(const unsigned *)param. */
rad_status rad_op_infer_same(rad_graph *g, const rad_node *n, rad_error *err);

/* ---------------------------------------------------------------- loops */

/* Walks an output shape row by row while n operands follow by the broadcast rule. A row is `run` elements; operand k starts at element
 * offset[k] and advances by step[k], 0 or 1. Neighbouring axes that behave alike are merged first, so rows are as long as they can be. */
typedef struct rad_walk {
    int n, rank;
    int64_t dim[RAD_MAX_RANK], index[RAD_MAX_RANK];
    int64_t run, rows, row; /* row: number of the current one, -1 before the first */
    int64_t *stride, *offset, *step;
} rad_walk;
rad_status rad_walk_init(rad_walk *w, const rad_node *node, const rad_shape *out, int n, const rad_tensor *operand,
                         rad_error *err) RAD_MUST_CHECK;
bool rad_walk_next(rad_walk *w);
void rad_walk_release(rad_walk *w);

/* Copies a box of elements between two strided arrays (strides in elements, 0 repeats). */
#define RAD_COPY_RANK (2 * RAD_MAX_RANK)
typedef struct rad_copy {
    int rank;
    int64_t dim[RAD_COPY_RANK], from[RAD_COPY_RANK], to[RAD_COPY_RANK];
} rad_copy;
void rad_op_copy(const rad_copy *c, const void *src, int64_t src_first, void *dst, int64_t dst_first, size_t element);
/* Row-major strides in elements. */
void rad_op_strides(const rad_shape *s, int64_t ret[RAD_MAX_RANK]);

/* ---------------------------------------------------------------- scalar functions used by more than one family */

double rad_fn_sigmoid(double x);
double rad_fn_hardswish(double x);

#endif
