/* gpu_module.h (private to src/infer): what radcohort_cudnn.so gives to the program that loads it. */
#ifndef RAD_INFER_GPU_MODULE_H
#define RAD_INFER_GPU_MODULE_H

#include "backend.h"

#define RAD_CUDNN_ABI 2
#define RAD_CUDNN_SYMBOL "rad_cudnn_module_get"

typedef struct rad_cudnn_module {
    /* Both must equal the loader's: a module of another build is refused. */
    uint32_t abi, ops_size;
    const char *(*version)(void); /* rad_version of the module's build */
    const rad_backend_ops *ops;
    /* Every visible device with its memory, one line each. */
    size_t (*describe_devices)(char *buf, size_t cap);
    /* The forward pass alone, n times over what the last exec_run left on the device: seconds by the device's clock. For benches. */
    rad_status (*replay)(rad_exec *x, int n, double *ret_seconds, rad_error *err);
} rad_cudnn_module;

typedef const rad_cudnn_module *(*rad_cudnn_module_get_fn)(void);
/* The module's one visible symbol; the program reaches it through dlsym. */
const rad_cudnn_module *rad_cudnn_module_get(void);

#endif
