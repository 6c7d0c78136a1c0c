/* kernels.cu: who does what: threads to elements. The arithmetic is in core.h. One instantiation per element type of the
 * first operand, so that its loads are straight code; everything else is decided at run time, the same way for a whole warp. */
#include "kernels.h"

enum { THREADS = 256, MAX_BLOCKS = 1 << 20, ROWS = 4 /* of K_LANES threads in a block */ };

template <int TYPE> static __global__ void __launch_bounds__(THREADS) k_map(const __grid_constant__ k_args p, int64_t n) {
    for (int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x; i < n; i += (int64_t)gridDim.x * THREADS) {
        if (p.wide)
            k_map_eight(&p, TYPE, i);
        else
            k_map_one(&p, TYPE, i);
    }
}

template <int TYPE> static __global__ void __launch_bounds__(THREADS) k_image(const __grid_constant__ k_args p, int64_t n) {
    for (int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x; i < n; i += (int64_t)gridDim.x * THREADS) {
        if (p.kind == K_POOL)
            k_pool_eight(&p, TYPE, i);
        else
            k_resize_eight(&p, TYPE, i);
    }
}

template <int TYPE> static __global__ void __launch_bounds__(THREADS) k_sums(const __grid_constant__ k_args p, int64_t n) {
    for (int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x; i < n; i += (int64_t)gridDim.x * THREADS) {
        if (p.kind == K_MATMUL)
            k_matmul_one(&p, TYPE, i);
        else
            k_conv_one(&p, TYPE, i);
    }
}

/* `across`: 32 neighbouring results, 8 lanes each; else 8 results, 32 lanes each. Shares are joined by one thread in the order of lanes. */
template <int TYPE> static __global__ void __launch_bounds__(THREADS) k_reduce(const __grid_constant__ k_args p) {
    __shared__ float share[THREADS];
    const int results = THREADS / p.lanes;
    const int lane = p.across ? threadIdx.x / results : threadIdx.x % p.lanes, r = p.across ? threadIdx.x % results : threadIdx.x / p.lanes;
    for (int64_t first = blockIdx.x * (int64_t)results; first < p.count; first += (int64_t)gridDim.x * results) {
        if (first + r < p.count)
            share[threadIdx.x] = k_reduce_lane(&p, TYPE, first + r, lane);
        __syncthreads();
        if (lane == 0 && first + r < p.count)
            k_reduce_finish(&p, first + r, &share[threadIdx.x], p.across ? results : 1);
        __syncthreads();
    }
}

/* A warp per row. Every thread joins all 32 shares in the same order. */
template <int TYPE> static __global__ void __launch_bounds__(ROWS *K_LANES) k_rows(const __grid_constant__ k_args p, int64_t rows) {
    __shared__ float shares[ROWS][K_LANES];
    const int lane = threadIdx.x;
    float *share = shares[threadIdx.y];
    for (int64_t row = blockIdx.x * (int64_t)ROWS + threadIdx.y; row < rows; row += (int64_t)gridDim.x * ROWS) {
        if (p.kind == K_SOFTMAX) {
            share[lane] = k_softmax_lane(&p, TYPE, row, lane, 0, 0.0f);
            __syncwarp();
            const float largest = k_lane_total(share, K_SUM_MAX);
            __syncwarp();
            share[lane] = k_softmax_lane(&p, TYPE, row, lane, 1, largest);
            __syncwarp();
            k_softmax_write(&p, TYPE, row, lane, largest, k_lane_total(share, K_SUM_PLAIN));
        } else {
            share[lane] = k_norm_lane(&p, TYPE, row, lane, 0, 0.0f);
            __syncwarp();
            const float mean = k_lane_total(share, K_SUM_PLAIN) / (float)p.length;
            __syncwarp();
            share[lane] = k_norm_lane(&p, TYPE, row, lane, 1, mean);
            __syncwarp();
            k_norm_write(&p, TYPE, row, lane, mean, 1.0f / sqrtf(k_lane_total(share, K_SUM_PLAIN) / (float)p.length + p.epsilon));
        }
        __syncwarp();
    }
}

static __global__ void __launch_bounds__(THREADS) k_noise(void *data, int type, int64_t n, int64_t total, uint32_t seed) {
    for (int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x; i < total; i += (int64_t)gridDim.x * THREADS) {
        uint32_t h = (uint32_t)(i % n) * 2654435761u + seed; /* Knuth's multiplicative hash, then xorshift */
        h ^= h >> 16;
        h *= 2246822519u;
        h ^= h >> 13;
        k_store(data, type, i, (float)(int32_t)h * (1.0f / 2147483648.0f));
    }
}

static __global__ void __launch_bounds__(THREADS) k_compare(const uint16_t *data, int64_t n, int64_t total, unsigned *different) {
    unsigned found = 0;
    for (int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x; i < total; i += (int64_t)gridDim.x * THREADS)
        found += data[i] != data[i % n];
    if (found > 0)
        atomicAdd(different, found);
}

static unsigned blocks_for(int64_t n, int64_t per_block) {
    const int64_t blocks = (n + per_block - 1) / per_block;
    return blocks < 1 ? 1u : blocks < MAX_BLOCKS ? (unsigned)blocks : (unsigned)MAX_BLOCKS;
}

template <int TYPE> static void launch(const k_args *p, cudaStream_t s) {
    const int64_t n = p->wide ? p->count / K_VEC : p->count;
    switch (p->kind) {
    case K_MAP:
        k_map<TYPE><<<blocks_for(n, THREADS), THREADS, 0, s>>>(*p, n);
        break;
    case K_POOL:
    case K_RESIZE:
        k_image<TYPE><<<blocks_for(n, THREADS), THREADS, 0, s>>>(*p, n);
        break;
    case K_MATMUL:
    case K_CONV:
        k_sums<TYPE><<<blocks_for(p->count, THREADS), THREADS, 0, s>>>(*p, p->count);
        break;
    case K_REDUCE:
        k_reduce<TYPE><<<blocks_for(p->count, THREADS / p->lanes), THREADS, 0, s>>>(*p);
        break;
    default: {
        const int64_t rows = p->kind == K_SOFTMAX ? p->outer * p->inner : p->outer;
        k_rows<TYPE><<<blocks_for(rows, ROWS), dim3(K_LANES, ROWS), 0, s>>>(*p, rows);
        break;
    }
    }
}

extern "C" cudaError_t k_launch(const k_args *args, cudaStream_t stream) {
    switch (args->v[1].type) {
    case K_F16:
        launch<K_F16>(args, stream);
        break;
    case K_BF16:
        launch<K_BF16>(args, stream);
        break;
    default:
        launch<K_F32>(args, stream);
        break;
    }
    return cudaGetLastError();
}

extern "C" cudaError_t k_launch_noise(void *data, int type, int64_t n, int64_t rows, uint32_t seed, cudaStream_t stream) {
    k_noise<<<blocks_for(n * rows, THREADS), THREADS, 0, stream>>>(data, type, n, n * rows, seed);
    return cudaGetLastError();
}

extern "C" cudaError_t k_launch_compare(const void *data, int64_t n, int64_t rows, unsigned *different, cudaStream_t stream) {
    k_compare<<<blocks_for(n * rows, THREADS), THREADS, 0, stream>>>((const uint16_t *)data, n, n * rows, different);
    return cudaGetLastError();
}
