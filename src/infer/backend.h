/* backend.h (private to src/infer): the one table a backend implements. All entries but exec_create_team, verify and samples are mandatory.
 *
 * A plan is immutable and shared by threads: primitives, kernels, reordered weights. An exec is one thread's (or one stream's) scratch:
 * activations and workspace. Host tensors in, host tensors out; device buffers stay inside.
 */
#ifndef RAD_INFER_BACKEND_H
#define RAD_INFER_BACKEND_H

#include "radcohort/infer.h"
#include "radcohort/prepare_plan.h"

typedef struct rad_plan rad_plan; /* each backend defines its own by casting */
typedef struct rad_exec rad_exec;

/* One place of a plan's batch: sample `index` of these. */
typedef struct rad_sample_place {
    const rad_samples *samples;
    int64_t index;
} rad_sample_place;

/* Of a backend whose device makes the samples itself and keeps them. */
typedef struct rad_sample_ops {
    /* Ready on return. Errors: NONFINITE (without saying where), DEVICE, NOMEM. Thread-safe. */
    rad_status (*prepare)(void *state, const rad_prepare_plan *p, rad_samples **ret, rad_error *err);
    void (*release)(void *state, rad_samples *s);
    /* As exec_run, for plans of one input; `place` [batch]. */
    rad_status (*exec_run)(rad_exec *x, const rad_sample_place *place, rad_tensor *out, rad_error *err);
} rad_sample_ops;

typedef struct rad_backend_ops {
    const char *name;
    rad_status (*open)(void **ret_state, char *ret_version, size_t version_cap, rad_error *err);
    void (*close)(void *state);
    /* The fixed batch that plans are made for; the engine pads the last one. 1 on CPUs. */
    int64_t (*plan_batch)(void *state, rad_precision p);
    /* Is this precision to be had on this device? Errors: DEVICE, with what is missing and what to take instead. */
    rad_status (*precision)(void *state, rad_precision p, rad_error *err);
    /* Can it run this node (shapes are static)? `why` gets a short reason when not. */
    bool (*supports)(void *state, const rad_graph *g, const rad_node *n, rad_precision p, char *why, size_t cap);
    /* The plan copies every constant that its runs will read: the model's file may be overwritten while they go on. */
    rad_status (*plan_create)(void *state, const rad_graph *g, rad_precision p, rad_plan **ret, rad_error *err);
    /* The same plan by several threads; NULL where one is enough. */
    rad_status (*plan_create_by)(void *state, const rad_graph *g, rad_precision p, int threads, rad_plan **ret, rad_error *err);
    void (*plan_destroy)(rad_plan *plan);
    size_t (*plan_describe)(const rad_plan *plan, char *buf, size_t cap);
    rad_status (*exec_create)(rad_plan *plan, rad_exec **ret, rad_error *err);
    /* NULL where one exec always has the whole device. Otherwise: an exec in which at most `threads` threads work on one run, with the bits
     * of the plan's other execs, and how many times faster that is (an estimate). To be created and run on one and the same thread.
     * *ret stays NULL when nothing is to be gained, or, with *ret_busy, when the processors are too busy to tell: ask again later. */
    rad_status (*exec_create_team)(rad_plan *plan, int threads, rad_exec **ret, double *ret_gain, bool *ret_busy, rad_error *err);
    /* in/out in graph order, host memory, out data allocated by the caller. */
    rad_status (*exec_run)(rad_exec *x, const rad_tensor *in, rad_tensor *out, rad_error *err);
    void (*exec_destroy)(rad_exec *x);
    rad_status (*verify)(void *state, rad_error *err); /* rad_backend_verify; NULL: nothing to ask */
    const rad_sample_ops *samples;                     /* NULL: samples are prepared on the CPU and lie in host memory */
} rad_backend_ops;

extern const rad_backend_ops rad_backend_ref;
extern const rad_backend_ops rad_backend_checked;
extern const rad_backend_ops rad_backend_onednn; /* only when built with it (RAD_HAVE_ONEDNN) */
extern const rad_backend_ops rad_backend_cudnn;  /* opens its module at run time (RAD_HAVE_CUDNN: the module was built) */

/* Every GPU that this process sees, with its memory, one line each; `state` of an open cuDNN backend. */
size_t rad_cudnn_describe_devices(void *state, char *buf, size_t cap);
/* The forward pass alone, n times over what the last exec_run left on the device: seconds by the device's clock. For benches. */
rad_status rad_cudnn_replay(rad_exec *x, int n, double *ret_seconds, rad_error *err) RAD_MUST_CHECK;

/* The table and state behind an open backend. */
const rad_backend_ops *rad_backend_get_ops(const rad_backend *be, void **ret_state);
/* DEVICE (precision) or MODEL naming every refused node; OK when all nodes run. */
rad_status rad_backend_refuse(rad_backend *be, const rad_graph *g, rad_precision p, rad_error *err) RAD_MUST_CHECK;

#endif
