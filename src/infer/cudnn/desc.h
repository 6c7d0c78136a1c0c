/* desc.h (private to cudnn/): convolutions as cuDNN operation graphs and execution plans, through the C backend descriptors.
 *
 * Works with a handle (a device), or without one, from a description of a device in JSON: so plans can be built and checked for a GPU that
 * is not there.
 */
#ifndef RAD_CUDNN_DESC_H
#define RAD_CUDNN_DESC_H

#include <cudnn.h>

#include "conv.h"
#include "radcohort/base.h"

/* Where plans are for: exactly one of the two. */
typedef struct cu_target {
    cudnnHandle_t handle;
    cudnnBackendDescriptor_t device; /* from cu_device_from_json; released by the caller with cudnnBackendDestroyDescriptor */
} cu_target;

typedef struct cu_engine {
    cudnnBackendDescriptor_t plan; /* NULL: none */
    int64_t workspace;             /* bytes */
    int64_t id;                    /* cuDNN's number of the engine; -1 when it came from the cache */
    int mode;                      /* 0 heuristics A, 1 heuristics B, 2 fallback list, 3 cache */
    int rank;                      /* place in that list */
} cu_engine;

/* Asked for every candidate in order; false = take the next one. */
typedef bool (*cu_accept)(void *context, const cu_conv *c, const cu_engine *e);

rad_status cu_device_from_json(const char *json, cudnnBackendDescriptor_t *ret, rad_error *err) RAD_MUST_CHECK;
/* The first engine in cuDNN's own order that is deterministic, keeps the precision, needs no compiler at run time and no more than
 * `workspace` bytes. Never by timing: two ranks must choose the same one. Errors: DEVICE (none: text says why the last one failed). */
rad_status cu_engine_choose(const cu_target *t, const cu_conv *c, int64_t workspace, cu_accept accept, void *context, cu_engine *ret,
                            rad_error *err) RAD_MUST_CHECK;
void cu_engine_release(cu_engine *e);
/* The finished plan as text, NULL when this cuDNN has none for it; free(). */
char *cu_engine_to_json(const cu_engine *e);
/* False when the text is from another cuDNN, device or format. */
bool cu_engine_from_json(const cu_target *t, const char *json, cu_engine *ret);
/* `data`: x, w, bias (or NULL), z (or NULL), y. On the handle's stream. */
cudnnStatus_t cu_engine_run(cudnnHandle_t handle, const cu_conv *c, const cu_engine *e, void *const data[5], void *workspace);

#endif
