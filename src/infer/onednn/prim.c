/* prim.c: oneDNN 2. Descriptors of memory and the making of primitives, with scratchpads left to the caller. */
#include "prim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- memory descriptors */

dnnl_data_type_t rad_md_type(rad_dtype t) {
    switch (t) {
    case RAD_DT_F32:
        return dnnl_f32;
    case RAD_DT_BF16:
        return dnnl_bf16;
    default:
        return dnnl_data_type_undef;
    }
}

/* The library's functions read whole arrays of DNNL_MAX_NDIMS. */
static void widen(dnnl_dims_t ret, const int64_t *from, int n) {
    memset(ret, 0, sizeof(dnnl_dims_t));
    memcpy(ret, from, (size_t)n * sizeof ret[0]);
}

bool rad_prim_has_avx512(void) {
    const unsigned isa = (unsigned)dnnl_get_effective_cpu_isa(), core = (unsigned)dnnl_cpu_isa_avx512_core;
    return (isa & core) == core;
}

/* 16 channels fill an AVX-512 register, 8 an AVX one. */
static int channel_block(void) {
    return rad_prim_has_avx512() ? 16 : 8;
}

rad_layout rad_prim_best_layout(void) {
    /* The library's batched-gemm kernels for channels-last need AVX-512: ResNet-50 at batch 1, one core, 38.2 ms against 42.5 ms blocked.
     * Without it the blocked kernels are the fast ones (322 ms against 291 ms with AVX2), and concatenation is free. */
    return rad_prim_has_avx512() ? RAD_LAYOUT_LAST : RAD_LAYOUT_BLOCKED;
}

bool rad_md_layout(rad_md *md, const rad_shape *s, dnnl_data_type_t type, rad_layout layout) {
    static const dnnl_format_tag_t plain[RAD_MAX_RANK + 1] = {dnnl_a,     dnnl_a,      dnnl_ab,      dnnl_abc,     dnnl_abcd,
                                                              dnnl_abcde, dnnl_abcdef, dnnl_abcdefg, dnnl_abcdefgh};
    static const dnnl_format_tag_t channels[3][3] = {/* rank 3 to 5: blocks of 16, blocks of 8, channels last */
                                                     {dnnl_aBc16b, dnnl_aBc8b, dnnl_acb},
                                                     {dnnl_aBcd16b, dnnl_aBcd8b, dnnl_acdb},
                                                     {dnnl_aBcde16b, dnnl_aBcde8b, dnnl_acdeb}};
    const int rank = s->rank < 1 ? 1 : s->rank;
    if (rank > RAD_MAX_RANK || ((layout == RAD_LAYOUT_BLOCKED || layout == RAD_LAYOUT_LAST) && (rank < 3 || rank > 5)))
        return false;
    dnnl_dims_t dims = {1};
    for (int i = 0; i < s->rank; i++)
        dims[i] = s->dim[i];
    dnnl_format_tag_t tag = plain[rank];
    if (layout == RAD_LAYOUT_ANY)
        tag = dnnl_format_tag_any;
    else if (layout != RAD_LAYOUT_PLAIN)
        tag = channels[rank - 3][layout == RAD_LAYOUT_LAST ? 2 : channel_block() == 16 ? 0 : 1];
    return dnnl_memory_desc_init_by_tag(md, rank, dims, type, tag) == dnnl_success;
}

bool rad_md_strided(rad_md *md, const rad_shape *s, dnnl_data_type_t type, const int64_t *stride) {
    dnnl_dims_t dims, strides;
    widen(dims, s->dim, s->rank);
    widen(strides, stride, s->rank);
    return dnnl_memory_desc_init_by_strides(md, s->rank, dims, type, strides) == dnnl_success;
}

size_t rad_md_size(const rad_md *md) {
    return dnnl_memory_desc_get_size(md);
}

bool rad_md_equal(const rad_md *a, const rad_md *b) {
    return dnnl_memory_desc_equal(a, b) != 0;
}

bool rad_md_is_padded(const rad_md *md) {
    return memcmp(md->dims, md->padded_dims, (size_t)md->ndims * sizeof md->dims[0]) != 0;
}

bool rad_md_is_plain(const rad_md *md) {
    if (md->format_kind != dnnl_blocked || md->offset0 != 0 || md->extra.flags != 0)
        return false;
    const dnnl_blocking_desc_t *b = &md->format_desc.blocking;
    int64_t want = 1;
    int blocked_dim = -1;
    if (b->inner_nblks > 1)
        return false;
    if (b->inner_nblks == 1) {
        /* A block is row-major when it is the innermost dim that counts and nothing is padded. */
        blocked_dim = (int)b->inner_idxs[0];
        if (md->padded_dims[blocked_dim] != md->dims[blocked_dim])
            return false;
    }
    for (int d = md->ndims - 1; d >= 0; d--) {
        if (md->padded_dims[d] != md->dims[d])
            return false;
        if (d == blocked_dim) {
            if (want != 1 || b->strides[d] != b->inner_blks[0])
                return false;
        } else if (md->dims[d] > 1 && b->strides[d] != want) {
            return false;
        }
        want *= md->dims[d];
    }
    return true;
}

bool rad_md_same_bytes(const rad_md *a, const rad_md *b) {
    if (a->data_type != b->data_type || a->ndims != b->ndims || memcmp(a->dims, b->dims, (size_t)a->ndims * sizeof a->dims[0]) != 0)
        return false;
    return rad_md_equal(a, b) || (rad_md_is_plain(a) && rad_md_is_plain(b));
}

rad_layout rad_md_get_layout(const rad_md *md) {
    if (md->format_kind != dnnl_blocked)
        return RAD_LAYOUT_ANY;
    rad_shape s = {.rank = md->ndims};
    memcpy(s.dim, md->dims, (size_t)md->ndims * sizeof s.dim[0]);
    rad_md t;
    if (rad_md_layout(&t, &s, md->data_type, RAD_LAYOUT_BLOCKED) && rad_md_equal(md, &t))
        return RAD_LAYOUT_BLOCKED;
    if (rad_md_layout(&t, &s, md->data_type, RAD_LAYOUT_LAST) && rad_md_equal(md, &t))
        return RAD_LAYOUT_LAST;
    return rad_md_is_plain(md) ? RAD_LAYOUT_PLAIN : RAD_LAYOUT_ANY;
}

bool rad_md_permute(rad_md *ret, const rad_md *md, const int *perm) {
    return dnnl_memory_desc_permute_axes(ret, md, perm) == dnnl_success;
}

bool rad_md_box(rad_md *ret, const rad_md *md, const int64_t *dims, const int64_t *offset) {
    dnnl_dims_t d, o;
    widen(d, dims, md->ndims);
    widen(o, offset, md->ndims);
    return dnnl_memory_desc_init_submemory(ret, md, d, o) == dnnl_success;
}

const char *rad_md_text(const rad_md *md, char *buf, size_t cap) {
    static const char *const words[] = {"plain", "blocked", "channels-last", "own layout"};
    size_t at = 0;
    int n = snprintf(buf, cap, "%s ", md->data_type == dnnl_bf16 ? "bf16" : "f32");
    for (int d = 0; n >= 0 && d <= md->ndims; d++) {
        at += (size_t)n;
        if (at >= cap)
            return buf;
        n = d == md->ndims ? snprintf(buf + at, cap - at, " %s", words[rad_md_get_layout(md)])
                           : snprintf(buf + at, cap - at, d > 0 ? "x%lld" : "%lld", (long long)md->dims[d]);
    }
    return buf;
}

/* ---------------------------------------------------------------- primitives */

void rad_prim_release(rad_prim *p) {
    if (p->prim != NULL)
        (void)dnnl_primitive_destroy(p->prim);
    p->prim = NULL;
}

static dnnl_status_t append(dnnl_post_ops_t ops, const rad_post *post) {
    dnnl_status_t s = dnnl_success;
    if (post != NULL && post->sum)
        s = dnnl_post_ops_append_sum(ops, 1.0f);
    if (s == dnnl_success && post != NULL && post->act)
        s = dnnl_post_ops_append_eltwise(ops, 1.0f, post->alg, post->alpha, post->beta);
    return s;
}

static dnnl_primitive_attr_t attributes(const rad_post *post) {
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    if (dnnl_primitive_attr_create(&attr) != dnnl_success)
        return NULL;
    dnnl_status_t s = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (s == dnnl_success)
        s = dnnl_post_ops_create(&ops);
    if (s == dnnl_success)
        s = append(ops, post);
    if (s == dnnl_success)
        s = dnnl_primitive_attr_set_post_ops(attr, ops);
    if (ops != NULL)
        (void)dnnl_post_ops_destroy(ops);
    if (s == dnnl_success)
        return attr;
    (void)dnnl_primitive_attr_destroy(attr);
    return NULL;
}

static rad_md query(const_dnnl_primitive_desc_t pd, dnnl_query_t what, int index) {
    const rad_md *md = dnnl_primitive_desc_query_md(pd, what, index);
    return md != NULL ? *md : (rad_md){0};
}

enum { TAKE_ANY = 1, TAKE_GEMM = 2 };

static bool is_welcome(const char *impl, int take) {
    if ((take & TAKE_ANY) != 0)
        return true;
    if (strncmp(impl, "ref", 3) == 0)
        return false;
    return (take & TAKE_GEMM) != 0 || strstr(impl, "gemm:") == NULL;
}

/* Turns a primitive descriptor (consumed) into a primitive. */
static bool finish(dnnl_primitive_desc_t pd, int take, rad_prim *ret) {
    const char *impl = "";
    rad_prim p = {0};
    bool ok = dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&impl) == dnnl_success && is_welcome(impl, take) &&
              dnnl_primitive_create(&p.prim, pd) == dnnl_success;
    if (ok) {
        p.src = query(pd, dnnl_query_src_md, 0);
        p.src1 = query(pd, dnnl_query_src_md, 1);
        p.weights = query(pd, dnnl_query_weights_md, 0);
        p.bias = query(pd, dnnl_query_weights_md, 1);
        p.dst = query(pd, dnnl_query_dst_md, 0);
        const rad_md scratch = query(pd, dnnl_query_scratchpad_md, 0);
        p.scratch = scratch.ndims > 0 ? rad_md_size(&scratch) : 0;
        p.impl = impl;
        const_dnnl_primitive_desc_t kept = NULL; /* the primitive's own copy holds the text as long as the primitive lives */
        if (dnnl_primitive_get_primitive_desc(p.prim, &kept) == dnnl_success)
            (void)dnnl_primitive_desc_query(kept, dnnl_query_impl_info_str, 0, (void *)&p.impl);
        *ret = p;
    }
    (void)dnnl_primitive_desc_destroy(pd);
    return ok;
}

static bool make(dnnl_engine_t engine, const void *desc, const rad_post *post, int take, rad_prim *ret) {
    dnnl_primitive_attr_t attr = attributes(post);
    if (attr == NULL)
        return false;
    dnnl_primitive_desc_t pd = NULL;
    const dnnl_status_t s = dnnl_primitive_desc_create(&pd, desc, attr, engine, NULL);
    (void)dnnl_primitive_attr_destroy(attr);
    return s == dnnl_success && finish(pd, take, ret);
}

/* The library counts dilation from 0, and wants the far padding that makes the sizes exact. */
static void window(const rad_window_params *w, dnnl_dims_t stride, dnnl_dims_t dilation, dnnl_dims_t begin, dnnl_dims_t end) {
    memset(dilation, 0, sizeof(dnnl_dims_t));
    widen(stride, w->stride, w->n_axis);
    widen(begin, w->pad_begin, w->n_axis);
    widen(end, w->pad_end, w->n_axis);
    for (int i = 0; i < w->n_axis; i++)
        dilation[i] = w->dilation[i] - 1;
}

bool rad_prim_conv(dnnl_engine_t engine, const rad_conv_desc *c, const rad_post *post, rad_prim *ret) {
    dnnl_dims_t stride, dilation, begin, end;
    window(&c->window, stride, dilation, begin, end);
    const rad_md *bias = c->has_bias ? &c->bias : NULL;
    const int take = c->take_gemm ? TAKE_GEMM : 0;
    if (c->transposed) {
        dnnl_deconvolution_desc_t d;
        return dnnl_dilated_deconvolution_forward_desc_init(&d, dnnl_forward_inference, dnnl_deconvolution_direct, &c->src, &c->weights,
                                                            bias, &c->dst, stride, dilation, begin, end) == dnnl_success &&
               make(engine, &d, post, take, ret);
    }
    dnnl_convolution_desc_t d;
    return dnnl_dilated_convolution_forward_desc_init(&d, dnnl_forward_inference, dnnl_convolution_direct, &c->src, &c->weights, bias,
                                                      &c->dst, stride, dilation, begin, end) == dnnl_success &&
           make(engine, &d, post, take, ret);
}

bool rad_prim_inner_product(dnnl_engine_t engine, const rad_md *src, const rad_md *weights, const rad_md *bias, const rad_md *dst,
                            const rad_post *post, rad_prim *ret) {
    dnnl_inner_product_desc_t d;
    return dnnl_inner_product_forward_desc_init(&d, dnnl_forward_inference, src, weights, bias, dst) == dnnl_success &&
           make(engine, &d, post, TAKE_GEMM, ret);
}

bool rad_prim_matmul(dnnl_engine_t engine, const rad_md *src, const rad_md *weights, const rad_md *dst, const rad_post *post,
                     rad_prim *ret) {
    dnnl_matmul_desc_t d;
    return dnnl_matmul_desc_init(&d, src, weights, NULL, dst) == dnnl_success && make(engine, &d, post, TAKE_GEMM, ret);
}

bool rad_prim_pool(dnnl_engine_t engine, dnnl_alg_kind_t alg, const rad_md *src, const rad_md *dst, const rad_window_params *w,
                   rad_prim *ret) {
    dnnl_dims_t stride, dilation, begin, end, kernel;
    window(w, stride, dilation, begin, end);
    widen(kernel, w->kernel, w->n_axis);
    dnnl_pooling_v2_desc_t d;
    return dnnl_pooling_v2_forward_desc_init(&d, dnnl_forward_inference, alg, src, dst, stride, kernel, dilation, begin, end) ==
               dnnl_success &&
           make(engine, &d, NULL, 0, ret);
}

bool rad_prim_eltwise(dnnl_engine_t engine, dnnl_alg_kind_t alg, const rad_md *md, float alpha, float beta, rad_prim *ret) {
    dnnl_eltwise_desc_t d;
    return dnnl_eltwise_forward_desc_init(&d, dnnl_forward_inference, alg, md, alpha, beta) == dnnl_success &&
           make(engine, &d, NULL, 0, ret);
}

bool rad_prim_binary(dnnl_engine_t engine, dnnl_alg_kind_t alg, const rad_md *src0, const rad_md *src1, const rad_md *dst,
                     const rad_post *post, rad_prim *ret) {
    dnnl_binary_desc_t d;
    return dnnl_binary_desc_init(&d, alg, src0, src1, dst) == dnnl_success && make(engine, &d, post, 0, ret);
}

bool rad_prim_softmax(dnnl_engine_t engine, bool logarithm, const rad_md *md, int axis, rad_prim *ret) {
    dnnl_softmax_v2_desc_t d;
    return dnnl_softmax_v2_forward_desc_init(&d, dnnl_forward_inference, logarithm ? dnnl_softmax_log : dnnl_softmax_accurate, md, md,
                                             axis) == dnnl_success &&
           make(engine, &d, NULL, 0, ret);
}

bool rad_prim_batch_norm(dnnl_engine_t engine, const rad_md *md, float epsilon, bool relu, rad_prim *ret) {
    dnnl_batch_normalization_desc_t d;
    const unsigned flags =
        (unsigned)dnnl_use_global_stats | (unsigned)dnnl_use_scale | (unsigned)dnnl_use_shift | (relu ? (unsigned)dnnl_fuse_norm_relu : 0u);
    return dnnl_batch_normalization_forward_desc_init(&d, dnnl_forward_inference, md, epsilon, flags) == dnnl_success &&
           make(engine, &d, NULL, 0, ret);
}

bool rad_prim_layer_norm(dnnl_engine_t engine, const rad_md *md, float epsilon, rad_prim *ret) {
    dnnl_layer_normalization_desc_t d;
    const unsigned flags = (unsigned)dnnl_use_scale | (unsigned)dnnl_use_shift;
    return dnnl_layer_normalization_forward_desc_init(&d, dnnl_forward_inference, md, NULL, epsilon, flags) == dnnl_success &&
           make(engine, &d, NULL, 0, ret);
}

bool rad_prim_reduction(dnnl_engine_t engine, dnnl_alg_kind_t alg, const rad_md *src, const rad_md *dst, rad_prim *ret) {
    dnnl_reduction_desc_t d;
    return dnnl_reduction_desc_init(&d, alg, src, dst, 0.0f, 0.0f) == dnnl_success && make(engine, &d, NULL, 0, ret);
}

bool rad_prim_resampling(dnnl_engine_t engine, bool linear, const rad_md *src, const rad_md *dst, const float *factor, rad_prim *ret) {
    dnnl_resampling_desc_t d;
    return dnnl_resampling_forward_desc_init(&d, dnnl_forward_inference, linear ? dnnl_resampling_linear : dnnl_resampling_nearest, factor,
                                             src, dst) == dnnl_success &&
           make(engine, &d, NULL, 0, ret);
}

bool rad_prim_concat(dnnl_engine_t engine, int n, int axis, const rad_md *src, const rad_md *dst, rad_prim *ret) {
    dnnl_primitive_attr_t attr = attributes(NULL);
    if (attr == NULL)
        return false;
    dnnl_primitive_desc_t pd = NULL;
    const dnnl_status_t s = dnnl_concat_primitive_desc_create(&pd, dst, n, axis, src, attr, engine);
    (void)dnnl_primitive_attr_destroy(attr);
    if (s != dnnl_success || !finish(pd, TAKE_ANY, ret))
        return false;
    ret->axis = axis;
    return true;
}

bool rad_prim_reorder(dnnl_engine_t engine, const rad_md *src, const rad_md *dst, rad_prim *ret) {
    dnnl_primitive_attr_t attr = attributes(NULL);
    if (attr == NULL)
        return false;
    dnnl_primitive_desc_t pd = NULL;
    const dnnl_status_t s = dnnl_reorder_primitive_desc_create(&pd, src, engine, dst, engine, attr);
    (void)dnnl_primitive_attr_destroy(attr);
    return s == dnnl_success && finish(pd, TAKE_ANY, ret);
}

/* ---------------------------------------------------------------- the same for another team */

/* Descriptors of operations as the library hands them out; those that were left to its choice are filled in with what was chosen. */
union op_desc {
    dnnl_primitive_kind_t kind; /* the first member of all of them */
    dnnl_convolution_desc_t conv;
    dnnl_deconvolution_desc_t deconv;
    dnnl_inner_product_desc_t inner;
    dnnl_matmul_desc_t matmul;
    dnnl_pooling_v2_desc_t pool;
    dnnl_eltwise_desc_t eltwise;
    dnnl_binary_desc_t binary;
    dnnl_softmax_v2_desc_t softmax;
    dnnl_batch_normalization_desc_t batch_norm;
    dnnl_layer_normalization_desc_t layer_norm;
    dnnl_reduction_desc_t reduction;
};

static size_t op_desc_size(dnnl_primitive_kind_t kind) {
    switch ((int)kind) {
    case dnnl_convolution:
        return sizeof(dnnl_convolution_desc_t);
    case dnnl_deconvolution:
        return sizeof(dnnl_deconvolution_desc_t);
    case dnnl_inner_product:
        return sizeof(dnnl_inner_product_desc_t);
    case dnnl_matmul:
        return sizeof(dnnl_matmul_desc_t);
    case dnnl_pooling_v2:
        return sizeof(dnnl_pooling_v2_desc_t);
    case dnnl_eltwise:
        return sizeof(dnnl_eltwise_desc_t);
    case dnnl_binary:
        return sizeof(dnnl_binary_desc_t);
    case dnnl_softmax_v2:
        return sizeof(dnnl_softmax_v2_desc_t);
    case dnnl_batch_normalization:
        return sizeof(dnnl_batch_normalization_desc_t);
    case dnnl_layer_normalization:
        return sizeof(dnnl_layer_normalization_desc_t);
    case dnnl_reduction:
        return sizeof(dnnl_reduction_desc_t);
    default:
        return 0; /* reorders and concatenations are made without one; resampling is too rare */
    }
}

static bool chosen_desc(const rad_prim *p, const_dnnl_primitive_desc_t pd, bool other_weights, union op_desc *ret) {
    dnnl_primitive_kind_t kind;
    const_dnnl_op_desc_t desc = NULL;
    if (dnnl_primitive_desc_query(pd, dnnl_query_primitive_kind, 0, &kind) != dnnl_success || op_desc_size(kind) == 0 ||
        dnnl_primitive_desc_query(pd, dnnl_query_op_d, 0, (void *)&desc) != dnnl_success || desc == NULL)
        return false;
    memcpy(ret, desc, op_desc_size(kind));
    if (kind == dnnl_convolution || kind == dnnl_deconvolution) {
        dnnl_convolution_desc_t *d = kind == dnnl_convolution ? &ret->conv : &ret->deconv;
        d->src_desc = p->src;
        if (!other_weights)
            d->weights_desc = p->weights;
        d->dst_desc = p->dst;
    } else if (kind == dnnl_inner_product) {
        ret->inner.src_desc = p->src;
        if (!other_weights)
            ret->inner.weights_desc = p->weights;
        ret->inner.dst_desc = p->dst;
    }
    return true;
}

static bool concat_again(dnnl_engine_t engine, const rad_prim *p, const_dnnl_primitive_desc_t pd, rad_prim *ret) {
    int n = 0;
    if (dnnl_primitive_desc_query(pd, dnnl_query_num_of_inputs_s32, 0, &n) != dnnl_success)
        return false;
    rad_md *src = rad_calloc((size_t)n, sizeof *src);
    for (int i = 0; src != NULL && i < n; i++)
        src[i] = query(pd, dnnl_query_src_md, i);
    const bool made = src != NULL && rad_prim_concat(engine, n, p->axis, src, &p->dst, ret);
    free(src);
    return made;
}

bool rad_prim_replan(dnnl_engine_t engine, const rad_prim *p, bool other_weights, rad_prim *ret) {
    const_dnnl_primitive_desc_t pd = NULL;
    const_dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_iterator_t it = NULL;
    dnnl_primitive_kind_t kind;
    union op_desc d;
    bool found = false;
    if (dnnl_primitive_get_primitive_desc(p->prim, &pd) != dnnl_success ||
        dnnl_primitive_desc_query(pd, dnnl_query_primitive_kind, 0, &kind) != dnnl_success)
        return false;
    if (kind == dnnl_reorder)
        return rad_prim_reorder(engine, &p->src, &p->dst, ret);
    if (kind == dnnl_concat)
        return concat_again(engine, p, pd, ret);
    if (!chosen_desc(p, pd, other_weights, &d) || dnnl_primitive_desc_get_attr(pd, &attr) != dnnl_success ||
        dnnl_primitive_desc_iterator_create(&it, &d, attr, engine, NULL) != dnnl_success)
        return false;
    do {
        const char *impl = "";
        dnnl_primitive_desc_t next = dnnl_primitive_desc_iterator_fetch(it);
        if (next == NULL)
            break;
        found = dnnl_primitive_desc_query(next, dnnl_query_impl_info_str, 0, (void *)&impl) == dnnl_success && strcmp(impl, p->impl) == 0;
        if (found)
            found = finish(next, TAKE_ANY, ret); /* consumes it */
        else
            (void)dnnl_primitive_desc_destroy(next);
    } while (!found && dnnl_primitive_desc_iterator_next(it) == dnnl_success);
    (void)dnnl_primitive_desc_iterator_destroy(it);
    return found;
}
