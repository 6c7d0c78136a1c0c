/* conv.h (private to cudnn/): one convolution as cuDNN sees it, without cuDNN's headers: y = act(conv(x, w) + z + bias).
 *
 * Tensors are channels-last: x [n, in..., c], w [k, f..., c / g], z and y [n, out..., k], bias [k]. Everything in the type `io`; sums in
 * float32. Zeroed before filling, so that equal convolutions are equal bytes.
 */
#ifndef RAD_CUDNN_CONV_H
#define RAD_CUDNN_CONV_H

#include <stdint.h>

enum cu_act { CU_ACT_NONE, CU_ACT_RELU };

typedef struct cu_conv {
    int32_t n_axis; /* spatial, 1..3 */
    int32_t io;     /* enum k_type */
    int32_t exact;  /* float32 products: no tensor cores, which would round the factors (TF32) */
    int32_t has_bias, has_z, act;
    float clip; /* upper limit of the rectifier; 0 = none */
    int32_t reserved;
    int64_t n, c, k, g;
    int64_t in[3], f[3], out[3], stride[3], dilation[3], pad_begin[3], pad_end[3];
} cu_conv;

#endif
