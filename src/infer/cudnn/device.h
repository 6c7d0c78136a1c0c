/* device.h (private to cudnn/): the backend's state, a plan with its engines, and running it. */
#ifndef RAD_CUDNN_DEVICE_H
#define RAD_CUDNN_DEVICE_H

#include <cuda_runtime_api.h>
#include <pthread.h>

#include "backend.h"
#include "desc.h"
#include "kernels.h"
#include "plan.h"

/* Part of every content key: raise it when a change in this folder moves a bit of any result. */
#define RAD_CUDNN_REVISION 2
/* Samples in a plan: the shape, and with it the engine, is the same for every case. 32 slices of 224 x 224 fill an H100. */
#define RAD_CUDNN_BATCH 32
/* Bytes of scratch for one convolution; only exact float32 and volumes come near. */
#define RAD_CUDNN_WORKSPACE ((int64_t)1 << 30)

struct cu_state {
    int device, driver;
    size_t cudnn;   /* cudnnGetVersion() */
    char name[256]; /* of the device */
    char *cache;    /* folder of stored engine choices, NULL = none */
    struct cu_pool *pool;
};

/* ---------------------------------------------------------------- pool.c; thread-safe, the device selected by the caller */

struct cu_block { /* of device memory */
    struct cu_block *next;
    void *data;
    size_t size;
};
#define CU_COURIER_BYTES ((size_t)1 << 20)
/* A stream with two pinned buffers: one is filled while the other is on its way. */
struct cu_courier {
    struct cu_courier *next;
    cudaStream_t stream;
    cudaEvent_t sent[2];
    char *pinned[2], *to; /* to: where on the device the next byte goes */
    size_t fill;
    int k;
};
rad_status cu_pool_create(struct cu_pool **ret, rad_error *err) RAD_MUST_CHECK;
void cu_pool_destroy(struct cu_pool *p);
/* Content: whatever was there. Errors: NOMEM, DEVICE. */
rad_status cu_pool_get(struct cu_pool *p, size_t size, struct cu_block **ret, rad_error *err) RAD_MUST_CHECK;
void cu_pool_put(struct cu_pool *p, struct cu_block *b);
rad_status cu_courier_get(struct cu_pool *p, struct cu_courier **ret, rad_error *err) RAD_MUST_CHECK;
void cu_courier_put(struct cu_pool *p, struct cu_courier *c);
void cu_courier_free(struct cu_courier *c);
rad_status cu_courier_send(struct cu_courier *c, const void *from, size_t size, rad_error *err) RAD_MUST_CHECK;
rad_status cu_courier_flush(struct cu_courier *c, rad_error *err) RAD_MUST_CHECK;

/* Prepared samples on the device. */
struct rad_samples {
    int64_t n, count; /* samples, and floats of each */
    struct cu_block *block;
};

struct cu_plan {
    const struct cu_state *state;
    struct g_plan *plan;
    cudnnHandle_t handle;
    pthread_mutex_t lock; /* handle and engines: execution plans are not safe for two threads (cuDNN release notes, limitations) */
    bool lock_made;
    int n_engine;
    cu_conv *conv;     /* distinct convolutions, one engine each */
    cu_engine *engine; /* plan NULL: our own kernel */
    int *engine_of;    /* per step; -1 = no convolution of cuDNN's */
    size_t workspace;
    char *constants;           /* on the device */
    cudaError_t check_failure; /* the device failed while an engine was checked */
    int from_cache, own;       /* engines read from the cache, convolutions without an engine */
};

rad_status cu_check(cudaError_t e, const char *what, rad_error *err);
rad_status cu_check_cudnn(cudnnStatus_t s, const char *what, rad_error *err);

rad_status cu_plan_create(const struct cu_state *s, const rad_graph *g, rad_precision p, struct cu_plan **ret,
                          rad_error *err) RAD_MUST_CHECK;
void cu_plan_destroy(struct cu_plan *p);
size_t cu_plan_text(const struct cu_plan *p, char *buf, size_t cap);

/* Stored engine choices of a plan: true when all were there and are good for this device. */
bool cu_cache_read(struct cu_plan *p);
/* Best effort: a folder that cannot be written only costs time. */
void cu_cache_write(const struct cu_plan *p);
char *cu_cache_folder(void);

struct cu_exec;
rad_status cu_exec_create(struct cu_plan *p, struct cu_exec **ret, rad_error *err) RAD_MUST_CHECK;
rad_status cu_exec_run(struct cu_exec *x, const rad_tensor *in, rad_tensor *out, rad_error *err) RAD_MUST_CHECK;
/* `place` [batch]: the sample of each place, on the device. */
rad_status cu_exec_run_samples(struct cu_exec *x, const rad_sample_place *place, rad_tensor *out, rad_error *err) RAD_MUST_CHECK;
/* The forward pass alone, n times, after a run: seconds by the device's clock. */
rad_status cu_exec_replay(struct cu_exec *x, int n, double *ret_seconds, rad_error *err) RAD_MUST_CHECK;
void cu_exec_destroy(struct cu_exec *x);

/* Samples of a case, ready on return. Errors: NONFINITE (not which voxel), DEVICE, NOMEM. */
rad_status cu_prepare(const struct cu_state *s, const rad_prepare_plan *p, rad_samples **ret, rad_error *err) RAD_MUST_CHECK;
void cu_samples_free(const struct cu_state *s, rad_samples *m);

#endif
