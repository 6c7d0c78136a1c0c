/* ready.h (private to src/farm): a network that the plan has opened, hashed and folded, on its way to the worker of the same process, which
 * would otherwise do all of it again. */
#ifndef RAD_FARM_READY_H
#define RAD_FARM_READY_H

#include "radcohort/model.h"

typedef struct rad_ready {
    rad_model *model; /* NULL: nothing */
    rad_graph *graph; /* of `model`, or NULL: it is built when its first case comes */
} rad_ready;

static inline void rad_ready_release(rad_ready *r) {
    rad_graph_destroy(&r->graph);
    rad_model_close(&r->model);
}

#endif
