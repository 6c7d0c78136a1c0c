/* kernels.h (private to cudnn/): launching a kernel on a stream. */
#ifndef RAD_CUDNN_KERNELS_H
#define RAD_CUDNN_KERNELS_H

#include <cuda_runtime_api.h>
#include <stdbool.h>

#include "core.h"
#include "prep_core.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Pointers of args->v are on the device. The error of the launch. */
cudaError_t k_launch(const struct k_args *args, cudaStream_t stream);
/* Numbers in -1..1 that depend on the place in the row alone: `rows` equal rows of `n` elements. */
cudaError_t k_launch_noise(void *data, int type, int64_t n, int64_t rows, uint32_t seed, cudaStream_t stream);
/* Adds to *different (device) the number of 2-byte words that differ from those of the first of `rows` rows of `n` words. */
cudaError_t k_launch_compare(const void *data, int64_t n, int64_t rows, unsigned *different, cudaStream_t stream);
/* Every pixel of a case; see prep_core.h. `p` is in host memory, all pointers in it on the device. `check`: NaN and Inf must not be. */
cudaError_t k_launch_prepare(const struct prep_args *p, bool check, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
