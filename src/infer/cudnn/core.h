/* core.h (private to cudnn/): what one thread of each kernel computes, as inline functions that both nvcc and the C compiler take.
 *
 * The index arithmetic is the part of a kernel that goes wrong; here it is checked on the CPU against the reference (tests/unit), and the
 * kernels in kernels.cu only say which thread does which element. Sums run in float32 in an order that depends on shapes alone: the same
 * bits for any grid, and for every place in the batch.
 *
 * Storage: views with a stride per axis, in elements. Channels-last tensors pad their channels to a multiple of 8 and keep zeros there, so
 * that eight elements are one aligned access and cuDNN's kernels never copy.
 */
#ifndef RAD_CUDNN_CORE_H
#define RAD_CUDNN_CORE_H

#include "core_math.h"

enum { K_RANK = 8, K_VIEWS = 5, K_LANES = 32 };

enum k_kind { K_MAP, K_POOL, K_REDUCE, K_SOFTMAX, K_NORM, K_MATMUL, K_CONV, K_RESIZE };

/* Reductions and pools. */
enum k_sum { K_SUM_MEAN, K_SUM_PLAIN, K_SUM_MAX, K_SUM_MIN, K_SUM_ABS, K_SUM_SQUARE, K_SUM_NORM2, K_SUM_PRODUCT };

struct k_view {
    void *data;
    int64_t offset, stride[K_RANK];
    int type;
    int wide; /* elements along the last axis are neighbours and eight of them are aligned */
};

/* Everything a kernel needs to know; v[0] is the result. By value into the launch. */
struct k_args {
    int kind, op, act;
    float alpha, beta, act_alpha, act_beta;
    struct k_view v[K_VIEWS];
    int rank, wide;
    int64_t dim[K_RANK]; /* of the result; the last one counts elements in storage */
    int64_t count;       /* elements of the result (threads: count, or count / 8 when wide) */
    int64_t valid;       /* elements of the last axis that mean something; zeros are written to the rest */
    /* pool, convolution: spatial axes, right-aligned (axis 2 = W), sizes 1 where there is none */
    int32_t in[3], out[3], window[3], stride[3], dilation[3], begin[3], end[3];
    int32_t include_pad;
    /* convolution: x [n, in, group_in of each group], w [filters, window, group_in] in storage, group_out filters per group */
    int64_t group_in, group_in_stored, group_out;
    int32_t transposed;
    /* reduce: reduced axes of v[1] */
    int r_rank, lanes, across; /* across: neighbouring threads take neighbouring results, else neighbouring terms */
    int64_t r_dim[K_RANK], r_stride[K_RANK], r_count;
    /* softmax: [outer, length, inner]; norm: [outer, length], scale index = outer % s_period * s_step + place / s_divide */
    int64_t outer, length, inner, s_period, s_step, s_divide;
    float epsilon;
    /* matmul: y [..., m, n] = a [..., m, k] b [..., k, n]; the last two strides of each view are row and column */
    int64_t inner_count;
    /* resize: 1 / scale per spatial axis, linear or nearest (op: rounding), r_mode: coordinates */
    double r_scale[3], r_length[3]; /* length * scale, not rounded down: as the standard's reference has it */
    int32_t r_linear, r_mode;
};

/* ---------------------------------------------------------------- element by element */

K_HD float k_map_value(const struct k_args *p, float a, float b, float c) {
    float y;
    if (p->op >= K_ADD)
        y = p->op == K_AFFINE ? a * b + c : k_combine(p->op, a, b);
    else
        y = k_apply(p->op, p->alpha, p->beta, a);
    return p->act == K_COPY ? y : k_apply(p->act, p->act_alpha, p->act_beta, y);
}

/* Coordinates of element i of p->dim, last axis fastest; the last one is returned too. Below 2^31 in 32 bits, which the device divides four
 * times as fast; all loops run to K_RANK, so that `at` stays in registers. */
K_HD int64_t k_coordinates(const struct k_args *p, int64_t i, int64_t *at) {
    int64_t last = 0;
    uint32_t r = (uint32_t)i;
    const int narrow = p->count < INT32_MAX;
    K_UNROLL
    for (int k = K_RANK - 1; k >= 0; k--) {
        at[k] = 0;
        if (k >= p->rank)
            continue;
        if (k == 0) {
            at[k] = narrow ? (int64_t)r : i;
        } else if (narrow) {
            const uint32_t d = (uint32_t)p->dim[k], q = r / d;
            at[k] = (int64_t)(r - q * d);
            r = q;
        } else {
            const int64_t q = i / p->dim[k];
            at[k] = i - q * p->dim[k];
            i = q;
        }
        if (k == p->rank - 1)
            last = at[k];
    }
    return last;
}

K_HD int64_t k_place(const struct k_args *p, const struct k_view *v, const int64_t *at) {
    int64_t i = v->offset;
    K_UNROLL
    for (int k = 0; k < K_RANK; k++)
        i += k < p->rank ? at[k] * v->stride[k] : 0;
    return i;
}

/* Element i; type: of operand 1, a constant of the instantiation. */
K_HD void k_map_one(const struct k_args *p, int type, int64_t i) {
    int64_t at[K_RANK];
    const int64_t last = k_coordinates(p, i, at);
    float y = 0.0f;
    if (last < p->valid) {
        const float a = p->v[1].data != NULL ? k_load(p->v[1].data, type, k_place(p, &p->v[1], at)) : 0.0f;
        const float b = p->v[2].data != NULL ? k_load(p->v[2].data, p->v[2].type, k_place(p, &p->v[2], at)) : 0.0f;
        const float c = p->v[3].data != NULL ? k_load(p->v[3].data, p->v[3].type, k_place(p, &p->v[3], at)) : 0.0f;
        y = k_map_value(p, a, b, c);
    }
    k_store(p->v[0].data, p->v[0].type, k_place(p, &p->v[0], at), y);
}

/* `n` of eight neighbours along the last axis. */
K_HD struct k_eight k_gather(const struct k_args *p, const struct k_view *v, int type, const int64_t *at, int n) {
    const int64_t first = k_place(p, v, at), step = v->stride[p->rank - 1];
    struct k_eight r;
    if (v->wide)
        return k_load8(v->data, type, first);
    for (int k = 0; k < K_VEC; k++)
        r.x[k] = k < n ? k_load(v->data, type, first + k * step) : 0.0f;
    return r;
}

/* Elements 8 i .. 8 i + 7. */
K_HD void k_map_eight(const struct k_args *p, int type, int64_t i) {
    int64_t at[K_RANK];
    struct k_eight a = {{0}}, b = {{0}}, c = {{0}}, y;
    const int64_t left = p->valid - k_coordinates(p, i * K_VEC, at);
    const int n = left < K_VEC ? (left > 0 ? (int)left : 0) : K_VEC;
    if (p->v[1].data != NULL)
        a = k_gather(p, &p->v[1], type, at, n);
    if (p->v[2].data != NULL)
        b = k_gather(p, &p->v[2], p->v[2].type, at, n);
    if (p->v[3].data != NULL)
        c = k_gather(p, &p->v[3], p->v[3].type, at, n);
    for (int k = 0; k < K_VEC; k++)
        y.x[k] = k < n ? k_map_value(p, a.x[k], b.x[k], c.x[k]) : 0.0f;
    k_store8(p->v[0].data, p->v[0].type, k_place(p, &p->v[0], at), &y);
}

/* ---------------------------------------------------------------- pools */

/* Window positions [lo, hi) along axis a for output o that lie in [from, to). */
K_HD void k_taps(const struct k_args *p, int a, int o, int from, int to, int *lo, int *hi) {
    const int start = o * p->stride[a] - p->begin[a], step = p->dilation[a];
    *lo = start < from ? (from - start + step - 1) / step : 0;
    *hi = start < to ? (to - 1 - start) / step + 1 : 0;
    if (*hi > p->window[a])
        *hi = p->window[a];
    if (*lo > *hi)
        *lo = *hi;
}

/* Eight channels of one output place. dim = [n, out d, out h, out w, channels]; strides of v[1] are those of the input. */
K_HD void k_pool_eight(const struct k_args *p, int type, int64_t i) {
    int64_t at[K_RANK];
    int lo[3], hi[3], counted = 1;
    struct k_eight y;
    (void)k_coordinates(p, i * K_VEC, at);
    for (int a = 0; a < 3; a++) {
        int c0, c1;
        k_taps(p, a, (int)at[1 + a], 0, p->in[a], &lo[a], &hi[a]);
        k_taps(p, a, (int)at[1 + a], p->include_pad ? -p->begin[a] : 0, p->include_pad ? p->in[a] + p->end[a] : p->in[a], &c0, &c1);
        counted *= c1 - c0;
    }
    for (int k = 0; k < K_VEC; k++)
        y.x[k] = p->op == K_SUM_MAX ? -INFINITY : 0.0f;
    for (int d = lo[0]; d < hi[0]; d++)
        for (int h = lo[1]; h < hi[1]; h++)
            for (int w = lo[2]; w < hi[2]; w++) {
                const int64_t from = p->v[1].offset + at[0] * p->v[1].stride[0] +
                                     (at[1] * p->stride[0] - p->begin[0] + d * p->dilation[0]) * p->v[1].stride[1] +
                                     (at[2] * p->stride[1] - p->begin[1] + h * p->dilation[1]) * p->v[1].stride[2] +
                                     (at[3] * p->stride[2] - p->begin[2] + w * p->dilation[2]) * p->v[1].stride[3] + at[4];
                const struct k_eight x = k_load8(p->v[1].data, type, from);
                for (int k = 0; k < K_VEC; k++) {
                    if (p->op == K_SUM_MAX)
                        y.x[k] = x.x[k] > y.x[k] || x.x[k] != x.x[k] ? x.x[k] : y.x[k]; /* NaN spreads, as in PyTorch */
                    else
                        y.x[k] += x.x[k];
                }
            }
    for (int k = 0; k < K_VEC; k++) {
        if (p->op != K_SUM_MAX)
            y.x[k] = counted > 0 ? y.x[k] / (float)counted : 0.0f;
        if (at[4] + k >= p->valid)
            y.x[k] = 0.0f;
    }
    k_store8(p->v[0].data, p->v[0].type, k_place(p, &p->v[0], at), &y);
}

/* ---------------------------------------------------------------- reductions */

K_HD float k_sum_start(int op) {
    return op == K_SUM_MAX ? -INFINITY : op == K_SUM_MIN ? INFINITY : op == K_SUM_PRODUCT ? 1.0f : 0.0f;
}

K_HD float k_sum_join(int op, float acc, float x) {
    if (op == K_SUM_MAX)
        return x > acc || x != x ? x : acc;
    if (op == K_SUM_MIN)
        return x < acc || x != x ? x : acc;
    return op == K_SUM_PRODUCT ? acc * x : acc + x;
}

K_HD float k_sum_term(int op, float x) {
    return op == K_SUM_ABS ? fabsf(x) : op == K_SUM_SQUARE || op == K_SUM_NORM2 ? x * x : x;
}

/* Lane's share (terms lane, lane + lanes, ...) of result i. */
K_HD float k_reduce_lane(const struct k_args *p, int type, int64_t i, int lane) {
    int64_t at[K_RANK];
    float acc = k_sum_start(p->op);
    (void)k_coordinates(p, i, at);
    const int64_t base = k_place(p, &p->v[1], at);
    for (int64_t r = lane; r < p->r_count; r += p->lanes) {
        int64_t left = r, from = base;
        for (int k = p->r_rank - 1; k > 0; k--) {
            from += left % p->r_dim[k] * p->r_stride[k];
            left /= p->r_dim[k];
        }
        from += left * p->r_stride[0];
        acc = k_sum_join(p->op, acc, k_sum_term(p->op, k_load(p->v[1].data, type, from)));
    }
    return acc;
}

/* All lanes' shares, `step` apart, in the order of the lanes. */
K_HD void k_reduce_finish(const struct k_args *p, int64_t i, const float *share, int step) {
    int64_t at[K_RANK];
    float y = share[0];
    for (int lane = 1; lane < p->lanes; lane++)
        y = k_sum_join(p->op, y, share[lane * step]);
    if (p->op == K_SUM_MEAN)
        y /= (float)p->r_count;
    if (p->op == K_SUM_NORM2)
        y = sqrtf(y);
    if (k_coordinates(p, i, at) >= p->valid)
        y = 0.0f;
    k_store(p->v[0].data, p->v[0].type, k_place(p, &p->v[0], at), y);
}

/* ---------------------------------------------------------------- rows: softmax and normalisation */

K_HD int64_t k_row_base(const struct k_args *p, int64_t row) {
    return row / p->inner * p->length * p->inner + row % p->inner;
}

/* pass 0: largest; pass 1: sum of exp(x - largest). */
K_HD float k_softmax_lane(const struct k_args *p, int type, int64_t row, int lane, int pass, float largest) {
    const int64_t base = p->v[1].offset + k_row_base(p, row);
    float acc = pass == 0 ? -INFINITY : 0.0f;
    for (int64_t k = lane; k < p->length; k += K_LANES) {
        const float x = k_load(p->v[1].data, type, base + k * p->inner);
        acc = pass == 0 ? k_sum_join(K_SUM_MAX, acc, x) : acc + expf(x - largest);
    }
    return acc;
}

K_HD void k_softmax_write(const struct k_args *p, int type, int64_t row, int lane, float largest, float sum) {
    const int64_t base = k_row_base(p, row);
    for (int64_t k = lane; k < p->length; k += K_LANES) {
        const float x = k_load(p->v[1].data, type, p->v[1].offset + base + k * p->inner) - largest;
        k_store(p->v[0].data, p->v[0].type, p->v[0].offset + base + k * p->inner, p->op == K_LOG ? x - logf(sum) : expf(x) / sum);
    }
}

/* pass 0: sum; pass 1: squared deviations from the mean. Two passes, as in the definition. */
K_HD float k_norm_lane(const struct k_args *p, int type, int64_t row, int lane, int pass, float mean) {
    float acc = 0.0f;
    for (int64_t k = lane; k < p->length; k += K_LANES) {
        const float x = k_load(p->v[1].data, type, p->v[1].offset + row * p->length + k) - mean;
        acc += pass == 0 ? x : x * x;
    }
    return acc;
}

K_HD void k_norm_write(const struct k_args *p, int type, int64_t row, int lane, float mean, float factor) {
    for (int64_t k = lane; k < p->length; k += K_LANES) {
        const int64_t at = row * p->length + k, s = row % p->s_period * p->s_step + k / p->s_divide;
        float y = (k_load(p->v[1].data, type, p->v[1].offset + at) - mean) * factor;
        if (p->v[2].data != NULL)
            y *= ((const float *)p->v[2].data)[s];
        if (p->v[3].data != NULL)
            y += ((const float *)p->v[3].data)[s];
        k_store(p->v[0].data, p->v[0].type, p->v[0].offset + at, y);
    }
}

K_HD float k_lane_total(const float *share, int op) {
    float y = share[0];
    for (int lane = 1; lane < K_LANES; lane++)
        y = k_sum_join(op, y, share[lane]);
    return y;
}

/* ---------------------------------------------------------------- matrices and convolutions without a library kernel */

K_HD void k_matmul_one(const struct k_args *p, int type, int64_t i) {
    int64_t at[K_RANK];
    const int r = p->rank;
    (void)k_coordinates(p, i, at);
    int64_t a = p->v[1].offset + at[r - 2] * p->v[1].stride[r - 2], b = p->v[2].offset + at[r - 1] * p->v[2].stride[r - 1];
    for (int k = 0; k < r - 2; k++) {
        a += at[k] * p->v[1].stride[k];
        b += at[k] * p->v[2].stride[k];
    }
    float y = 0.0f;
    for (int64_t k = 0; k < p->inner_count && at[r - 1] < p->valid; k++)
        y += k_load(p->v[1].data, type, a + k * p->v[1].stride[r - 1]) * k_load(p->v[2].data, p->v[2].type, b + k * p->v[2].stride[r - 2]);
    y *= p->alpha;
    if (p->act != K_COPY)
        y = k_apply(p->act, p->act_alpha, p->act_beta, y);
    k_store(p->v[0].data, p->v[0].type, k_place(p, &p->v[0], at), at[r - 1] < p->valid ? y : 0.0f);
}

/* Input index along axis a that meets window position t at output o; negative when none. */
K_HD int k_conv_source(const struct k_args *p, int a, int o, int t) {
    int at;
    if (p->transposed) { /* o = in * stride + t * dilation - begin */
        at = o + p->begin[a] - t * p->dilation[a];
        if (at < 0 || at % p->stride[a] != 0)
            return -1;
        at /= p->stride[a];
    } else {
        at = o * p->stride[a] - p->begin[a] + t * p->dilation[a];
    }
    return at < p->in[a] ? at : -1;
}

/* One output: dim = [n, out d, out h, out w, filters]; v: y, x, w, bias, z (of the result's strides). Any grouping. */
K_HD void k_conv_one(const struct k_args *p, int type, int64_t i) {
    int64_t at[K_RANK];
    (void)k_coordinates(p, i, at);
    const int64_t k = at[4], window = (int64_t)p->window[0] * p->window[1] * p->window[2];
    float y = 0.0f;
    if (k < p->valid) {
        const int64_t first = k / p->group_out * p->group_in;
        for (int64_t t = 0; t < window; t++) {
            const int td = (int)(t / ((int64_t)p->window[1] * p->window[2])), th = (int)(t / p->window[2] % p->window[1]),
                      tw = (int)(t % p->window[2]);
            const int d = k_conv_source(p, 0, (int)at[1], td), h = k_conv_source(p, 1, (int)at[2], th),
                      w = k_conv_source(p, 2, (int)at[3], tw);
            if (d < 0 || h < 0 || w < 0)
                continue;
            const int64_t x =
                p->v[1].offset + at[0] * p->v[1].stride[0] + d * p->v[1].stride[1] + h * p->v[1].stride[2] + w * p->v[1].stride[3] + first;
            const int64_t f = (k * window + t) * p->group_in_stored;
            for (int64_t c = 0; c < p->group_in; c++)
                y += k_load(p->v[1].data, type, x + c) * k_load(p->v[2].data, p->v[2].type, f + c);
        }
        if (p->v[3].data != NULL)
            y += k_load(p->v[3].data, p->v[3].type, k);
        if (p->v[4].data != NULL)
            y += k_load(p->v[4].data, p->v[4].type, k_place(p, &p->v[4], at));
        y = p->act == K_COPY ? y : k_apply(p->act, p->act_alpha, p->act_beta, y);
    }
    k_store(p->v[0].data, p->v[0].type, k_place(p, &p->v[0], at), y);
}

/* ---------------------------------------------------------------- resize */

/* Half-pixel (mode 0), asymmetric (1), align-corners (2) and PyTorch's half-pixel (3) rules of ONNX Resize, nearest or linear, spatial
 * axes. dim = [n, out d, out h, out w, channels]. */
K_HD double k_resize_source(const struct k_args *p, int a, int o) {
    const double s = p->r_scale[a];
    switch (p->r_mode) {
    case 1:
        return (double)o * s;
    case 2:
        return p->r_length[a] > 1.0 ? (double)o * (double)(p->in[a] - 1) / (p->r_length[a] - 1.0) : 0.0;
    case 3:
        return p->r_length[a] > 1.0 ? ((double)o + 0.5) * s - 0.5 : 0.0;
    default:
        return ((double)o + 0.5) * s - 0.5;
    }
}

K_HD int k_clamp(int i, int n) {
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

K_HD void k_resize_eight(const struct k_args *p, int type, int64_t i) {
    int64_t at[K_RANK];
    int lo[3], hi[3];
    float f[3];
    struct k_eight y = {{0}};
    (void)k_coordinates(p, i * K_VEC, at);
    for (int a = 0; a < 3; a++) {
        const double s = k_resize_source(p, a, (int)at[1 + a]); /* in double: ties must fall where the reference's do */
        if (p->in[a] == p->out[a]) {
            lo[a] = hi[a] = (int)at[1 + a];
            f[a] = 0.0f;
        } else if (p->r_linear) {
            const double k = floor(s);
            lo[a] = k_clamp((int)k, p->in[a]);
            hi[a] = k_clamp((int)k + 1, p->in[a]);
            f[a] = (float)(s - k);
        } else { /* nearest: op 0 rounds halves down, 1 up, 2 floor, 3 ceil */
            const double k = p->op == 0 ? ceil(s - 0.5) : p->op == 1 ? floor(s + 0.5) : p->op == 2 ? floor(s) : ceil(s);
            lo[a] = hi[a] = k_clamp((int)k, p->in[a]);
            f[a] = 0.0f;
        }
    }
    for (int corner = 0; corner < 8; corner++) {
        float weight = 1.0f;
        int64_t from = p->v[1].offset + at[0] * p->v[1].stride[0] + at[4];
        for (int a = 0; a < 3; a++) {
            const int high = (corner >> a) & 1;
            weight *= high ? f[a] : 1.0f - f[a];
            from += (high ? hi[a] : lo[a]) * p->v[1].stride[1 + a];
        }
        if (weight == 0.0f)
            continue;
        const struct k_eight x = k_load8(p->v[1].data, type, from);
        for (int k = 0; k < K_VEC; k++)
            y.x[k] += weight * x.x[k];
    }
    k_store8(p->v[0].data, p->v[0].type, k_place(p, &p->v[0], at), &y);
}

#endif
