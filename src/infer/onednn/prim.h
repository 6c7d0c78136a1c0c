/* prim.h (private to onednn/): everything that is said to the oneDNN library, in the words of version 2.
 *
 * Only prim.c calls oneDNN functions whose form changed in version 3 (operation descriptors, memory descriptors as plain structs), so that
 * version 3 means a second prim.c and nothing else. */
#ifndef RAD_ONEDNN_PRIM_H
#define RAD_ONEDNN_PRIM_H

#include "radcohort/model.h"

#include <oneapi/dnnl/dnnl.h>

#if DNNL_VERSION_MAJOR != 2
#error "the onednn backend is written for oneDNN 2 (Debian 12: libdnnl-dev 2.6.3)"
#endif

typedef dnnl_memory_desc_t rad_md;

/* Physical layouts of activations. BLOCKED keeps blocks of 16 (AVX-512) or 8 channels together, LAST keeps channels innermost. */
typedef enum rad_layout { RAD_LAYOUT_PLAIN, RAD_LAYOUT_BLOCKED, RAD_LAYOUT_LAST, RAD_LAYOUT_ANY } rad_layout;

/* A primitive with the descriptors of its arguments as the library wants them. */
typedef struct rad_prim {
    dnnl_primitive_t prim;
    rad_md src, src1, weights, bias, dst;
    size_t scratch;   /* bytes */
    int axis;         /* of a concatenation */
    const char *impl; /* the library's name of the implementation; lives as long as the primitive */
} rad_prim;
void rad_prim_release(rad_prim *p);

/* The same operation on the same layouts by the same implementation, laid out for the OpenMP team that is current now; with
 * `other_weights` the weights may lie otherwise. False when the library has no such thing. */
bool rad_prim_replan(dnnl_engine_t engine, const rad_prim *p, bool other_weights, rad_prim *ret);

/* What is done to the result before it is stored: y = act(op + y_before). */
typedef struct rad_post {
    bool sum;
    bool act;
    dnnl_alg_kind_t alg;
    float alpha, beta;
} rad_post;

/* ---------------------------------------------------------------- memory descriptors */

dnnl_data_type_t rad_md_type(rad_dtype t); /* dnnl_data_type_undef when the library has no such type */
/* The library may use AVX-512 here (ONEDNN_MAX_CPU_ISA can forbid it). */
bool rad_prim_has_avx512(void);
/* The layout of activations in which this processor's convolutions are fastest. */
rad_layout rad_prim_best_layout(void);
/* Row-major (PLAIN) or another layout of `s`; rank 0 counts as [1]. False when the library refuses it. */
bool rad_md_layout(rad_md *md, const rad_shape *s, dnnl_data_type_t type, rad_layout layout);
bool rad_md_strided(rad_md *md, const rad_shape *s, dnnl_data_type_t type, const int64_t *stride);
size_t rad_md_size(const rad_md *md);
bool rad_md_equal(const rad_md *a, const rad_md *b);
/* The elements lie in memory in the same order without gaps, whatever the descriptors call it. */
bool rad_md_same_bytes(const rad_md *a, const rad_md *b);
/* Blocks that are not full: memory holds more channels than the tensor has. */
bool rad_md_is_padded(const rad_md *md);
/* No gaps, row-major. */
bool rad_md_is_plain(const rad_md *md);
rad_layout rad_md_get_layout(const rad_md *md);
bool rad_md_permute(rad_md *ret, const rad_md *md, const int *perm);
/* The box of `dims` at `offset` of `md`, as a view of the same memory. */
bool rad_md_box(rad_md *ret, const rad_md *md, const int64_t *dims, const int64_t *offset);
/* "f32 1x64x56x56 nChw16c" for humans. */
const char *rad_md_text(const rad_md *md, char *buf, size_t cap);

/* ---------------------------------------------------------------- primitives */
/* All return false when the library has no implementation for the request (or only its plain reference one, which is slower than ours). */

typedef struct rad_conv_desc {
    rad_md src, weights, bias, dst;
    bool has_bias, transposed;
    rad_window_params window;
    bool take_gemm; /* accept implementations that go through a matrix in memory */
} rad_conv_desc;
bool rad_prim_conv(dnnl_engine_t engine, const rad_conv_desc *c, const rad_post *post, rad_prim *ret);
bool rad_prim_inner_product(dnnl_engine_t engine, const rad_md *src, const rad_md *weights, const rad_md *bias, const rad_md *dst,
                            const rad_post *post, rad_prim *ret);
bool rad_prim_matmul(dnnl_engine_t engine, const rad_md *src, const rad_md *weights, const rad_md *dst, const rad_post *post,
                     rad_prim *ret);
bool rad_prim_pool(dnnl_engine_t engine, dnnl_alg_kind_t alg, const rad_md *src, const rad_md *dst, const rad_window_params *w,
                   rad_prim *ret);
bool rad_prim_eltwise(dnnl_engine_t engine, dnnl_alg_kind_t alg, const rad_md *md, float alpha, float beta, rad_prim *ret);
bool rad_prim_binary(dnnl_engine_t engine, dnnl_alg_kind_t alg, const rad_md *src0, const rad_md *src1, const rad_md *dst,
                     const rad_post *post, rad_prim *ret);
bool rad_prim_softmax(dnnl_engine_t engine, bool logarithm, const rad_md *md, int axis, rad_prim *ret);
bool rad_prim_batch_norm(dnnl_engine_t engine, const rad_md *md, float epsilon, bool relu, rad_prim *ret);
bool rad_prim_layer_norm(dnnl_engine_t engine, const rad_md *md, float epsilon, rad_prim *ret);
bool rad_prim_reduction(dnnl_engine_t engine, dnnl_alg_kind_t alg, const rad_md *src, const rad_md *dst, rad_prim *ret);
bool rad_prim_resampling(dnnl_engine_t engine, bool linear, const rad_md *src, const rad_md *dst, const float *factor, rad_prim *ret);
bool rad_prim_concat(dnnl_engine_t engine, int n, int axis, const rad_md *src, const rad_md *dst, rad_prim *ret);
/* Takes any implementation: a copy is a copy. */
bool rad_prim_reorder(dnnl_engine_t engine, const rad_md *src, const rad_md *dst, rad_prim *ret);

#endif
