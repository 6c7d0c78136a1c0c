/* core_math.h (private to cudnn/): element types and the functions that kernels apply, for nvcc and the C compiler alike. */
#ifndef RAD_CUDNN_CORE_MATH_H
#define RAD_CUDNN_CORE_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#define K_HD static __host__ __device__ __forceinline__
#else
#define K_HD static inline
#endif

#ifdef __CUDA_ARCH__
#define K_UNROLL _Pragma("unroll")
#else
#define K_UNROLL
#endif

enum k_type { K_F32, K_F16, K_BF16 };
enum { K_VEC = 8 };

enum k_op {
    /* y = f(a) */
    K_COPY,
    K_FILL,
    K_LINEAR,
    K_RELU,
    K_CLIP,
    K_LEAKY,
    K_SIGMOID,
    K_TANH,
    K_SWISH,
    K_HARDSWISH,
    K_HARDSIGMOID,
    K_ELU,
    K_CELU,
    K_SELU,
    K_SOFTPLUS,
    K_SOFTSIGN,
    K_EXP,
    K_LOG,
    K_SQRT,
    K_RECIPROCAL,
    K_ABS,
    K_NEG,
    K_ERF,
    K_GELU,
    K_GELU_TANH,
    K_FLOOR,
    K_CEIL,
    K_ROUND,
    K_SIGN,
    K_SIN,
    K_COS,
    K_MISH,
    K_THRESHOLDED,
    /* y = f(a, b) */
    K_ADD,
    K_SUB,
    K_MUL,
    K_DIV,
    K_MAX,
    K_MIN,
    K_POW,
    K_PRELU,
    /* y = a * b + c */
    K_AFFINE
};

/* ---------------------------------------------------------------- element types */

K_HD float k_from_half(uint16_t h) {
#ifdef __CUDA_ARCH__
    return __half2float(__ushort_as_half(h));
#else
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16, e = (h >> 10) & 31u;
    uint32_t m = h & 1023u, bits;
    float f;
    if (e == 0) { /* zero, or a multiple of 2^-24 */
        f = (float)m * 5.9604644775390625e-8f;
        return sign != 0 ? -f : f;
    }
    bits = sign | (e == 31u ? 0x7f800000u | (m << 13) : ((e + 112u) << 23) | (m << 13));
    memcpy(&f, &bits, sizeof f);
    return f;
#endif
}

/* Round to nearest, ties to even. */
K_HD uint16_t k_to_half(float f) {
#ifdef __CUDA_ARCH__
    return __half_as_ushort(__float2half_rn(f));
#else
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    const uint32_t sign = (bits >> 16) & 0x8000u;
    bits &= 0x7fffffffu;
    if (bits > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (bits >= 0x477ff000u) /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7c00u);
    if (bits < 0x38800000u) { /* below 2^-14: a multiple of 2^-24 */
        float a;
        memcpy(&a, &bits, sizeof a);
        const float scaled = a * 16777216.0f; /* exact */
        return (uint16_t)(sign | (uint32_t)rintf(scaled));
    }
    bits -= 112u << 23;
    return (uint16_t)(sign | ((bits + 0xfffu + ((bits >> 13) & 1u)) >> 13));
#endif
}

K_HD float k_from_bf16(uint16_t h) {
    const uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

K_HD uint16_t k_to_bf16(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)((bits >> 16) | 0x40u);
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

K_HD float k_load(const void *p, int type, int64_t i) {
    if (type == K_F32)
        return ((const float *)p)[i];
    return type == K_F16 ? k_from_half(((const uint16_t *)p)[i]) : k_from_bf16(((const uint16_t *)p)[i]);
}

K_HD void k_store(void *p, int type, int64_t i, float x) {
    if (type == K_F32)
        ((float *)p)[i] = x;
    else
        ((uint16_t *)p)[i] = type == K_F16 ? k_to_half(x) : k_to_bf16(x);
}

struct k_eight {
    float x[K_VEC];
};

/* Eight neighbours from element i, which is a multiple of 8: one or two 16-byte accesses. */
K_HD struct k_eight k_load8(const void *p, int type, int64_t i) {
    struct k_eight r;
#ifdef __CUDA_ARCH__
    if (type == K_F32) {
        const float4 a = ((const float4 *)p)[i / 4], b = ((const float4 *)p)[i / 4 + 1];
        r.x[0] = a.x, r.x[1] = a.y, r.x[2] = a.z, r.x[3] = a.w, r.x[4] = b.x, r.x[5] = b.y, r.x[6] = b.z, r.x[7] = b.w;
        return r;
    }
    const uint4 q = ((const uint4 *)p)[i / 8];
    const uint32_t word[4] = {q.x, q.y, q.z, q.w};
#pragma unroll
    for (int k = 0; k < 4; k++) {
        const uint16_t lo = (uint16_t)(word[k] & 0xffffu), hi = (uint16_t)(word[k] >> 16);
        r.x[2 * k] = type == K_F16 ? k_from_half(lo) : k_from_bf16(lo);
        r.x[2 * k + 1] = type == K_F16 ? k_from_half(hi) : k_from_bf16(hi);
    }
#else
    for (int k = 0; k < K_VEC; k++)
        r.x[k] = k_load(p, type, i + k);
#endif
    return r;
}

K_HD void k_store8(void *p, int type, int64_t i, const struct k_eight *v) {
#ifdef __CUDA_ARCH__
    if (type == K_F32) {
        ((float4 *)p)[i / 4] = make_float4(v->x[0], v->x[1], v->x[2], v->x[3]);
        ((float4 *)p)[i / 4 + 1] = make_float4(v->x[4], v->x[5], v->x[6], v->x[7]);
        return;
    }
    uint32_t word[4];
#pragma unroll
    for (int k = 0; k < 4; k++) {
        const uint32_t lo = type == K_F16 ? k_to_half(v->x[2 * k]) : k_to_bf16(v->x[2 * k]);
        const uint32_t hi = type == K_F16 ? k_to_half(v->x[2 * k + 1]) : k_to_bf16(v->x[2 * k + 1]);
        word[k] = lo | (hi << 16);
    }
    ((uint4 *)p)[i / 8] = make_uint4(word[0], word[1], word[2], word[3]);
#else
    for (int k = 0; k < K_VEC; k++)
        k_store(p, type, i + k, v->x[k]);
#endif
}

/* ---------------------------------------------------------------- functions */

K_HD float k_sigmoid(float x) {
    const float e = expf(-fabsf(x));
    return x >= 0.0f ? 1.0f / (1.0f + e) : e / (1.0f + e);
}

K_HD float k_unit(float x) /* NaN stays */
{
    return x < 0.0f ? 0.0f : (x > 1.0f ? 1.0f : x);
}

K_HD float k_softplus(float x) {
    return (x > 0.0f ? x : 0.0f) + log1pf(expf(-fabsf(x)));
}

/* NaN passes through every one of them, as in PyTorch. */
K_HD float k_apply(int op, float alpha, float beta, float x) {
    switch (op) {
    case K_FILL:
        return alpha;
    case K_LINEAR:
        return alpha * x + beta;
    case K_RELU:
        return x < 0.0f ? 0.0f : x;
    case K_CLIP:
        return x < alpha ? alpha : (x > beta ? beta : x);
    case K_LEAKY:
        return x < 0.0f ? alpha * x : x;
    case K_SIGMOID:
        return k_sigmoid(x);
    case K_TANH:
        return tanhf(x);
    case K_SWISH:
        return x * k_sigmoid(x);
    case K_HARDSWISH:
        return x * k_unit(x / 6.0f + 0.5f);
    case K_HARDSIGMOID:
        return k_unit(alpha * x + beta);
    case K_ELU:
        return x < 0.0f ? alpha * expm1f(x) : x;
    case K_CELU:
        return x < 0.0f ? alpha * expm1f(x / alpha) : x;
    case K_SELU:
        return beta * (x < 0.0f ? alpha * expm1f(x) : x);
    case K_SOFTPLUS:
        return k_softplus(x);
    case K_SOFTSIGN:
        return x / (1.0f + fabsf(x));
    case K_EXP:
        return expf(x);
    case K_LOG:
        return logf(x);
    case K_SQRT:
        return sqrtf(x);
    case K_RECIPROCAL:
        return 1.0f / x;
    case K_ABS:
        return fabsf(x);
    case K_NEG:
        return -x;
    case K_ERF:
        return erff(x);
    case K_GELU:
        return 0.5f * x * (1.0f + erff(x * 0.70710678118654752440f));
    case K_GELU_TANH:
        return 0.5f * x * (1.0f + tanhf(0.79788456080286535588f * (x + 0.044715f * x * x * x)));
    case K_FLOOR:
        return floorf(x);
    case K_CEIL:
        return ceilf(x);
    case K_ROUND:
        return rintf(x);
    case K_SIGN:
        return x > 0.0f ? 1.0f : (x < 0.0f ? -1.0f : x);
    case K_SIN:
        return sinf(x);
    case K_COS:
        return cosf(x);
    case K_MISH:
        return x * tanhf(k_softplus(x));
    case K_THRESHOLDED:
        return x > alpha ? x : (x != x ? x : 0.0f);
    default:
        return x;
    }
}

K_HD float k_combine(int op, float a, float b) {
    switch (op) {
    case K_ADD:
        return a + b;
    case K_SUB:
        return a - b;
    case K_MUL:
        return a * b;
    case K_DIV:
        return a / b;
    case K_MAX:
        return a > b || a != a ? a : b;
    case K_MIN:
        return a < b || a != a ? a : b;
    case K_POW:
        return b == 2.0f ? a * a : powf(a, b);
    case K_PRELU:
        return a < 0.0f ? a * b : a;
    default:
        return a;
    }
}

#endif
