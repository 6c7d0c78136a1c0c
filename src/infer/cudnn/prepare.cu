/* prepare.cu: the preparation's kernels. A file of their own because they are compiled without fused multiply-add: the arithmetic of
 * prep_core.h is that of the CPU to the last bit. */
#include "kernels.h"

enum { THREADS = 128, MAX_BLOCKS = 1 << 20 };

static __global__ void __launch_bounds__(THREADS) k_prepare(const __grid_constant__ prep_args p, int64_t n) {
    for (int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x; i < n; i += (int64_t)gridDim.x * THREADS)
        prep_pixel(&p, i);
}

static __global__ void __launch_bounds__(THREADS) k_check(const __grid_constant__ prep_args p, int64_t n) {
    for (int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x; i < n; i += (int64_t)gridDim.x * THREADS)
        prep_check(&p, i);
}

static unsigned blocks_for(int64_t n) {
    const int64_t blocks = (n + THREADS - 1) / THREADS;
    return blocks < MAX_BLOCKS ? (unsigned)blocks : (unsigned)MAX_BLOCKS;
}

extern "C" cudaError_t k_launch_prepare(const prep_args *p, bool check, cudaStream_t stream) {
    const int64_t n = p->n_slice * p->n_plane * p->height * p->width, seen = check ? prep_check_count(p) : 0;
    if (seen > 0)
        k_check<<<blocks_for(seen), THREADS, 0, stream>>>(*p, seen);
    if (n > 0)
        k_prepare<<<blocks_for(n), THREADS, 0, stream>>>(*p, n);
    return cudaGetLastError();
}
