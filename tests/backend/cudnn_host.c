/* cudnn_host.c: stands in for backend.c when a test program is linked with it: the one backend is the cuDNN backend's plan, run on the CPU
 * step by step by the kernels' own inline functions, convolutions included. So that layouts, padding, views, lifetimes and index arithmetic
 * are tested on machines without a GPU; what it cannot show is cuDNN's own arithmetic and the launches.
 */
#include <stdlib.h>
#include <string.h>

#include "infer/cudnn/plan.h"

struct rad_backend {
    int unused;
};

rad_status rad_backend_open(const char *name, rad_backend **ret, rad_error *err) {
    *ret = rad_calloc(1, sizeof **ret);
    return *ret != NULL ? RAD_OK : rad_error_set(err, RAD_E_NOMEM, "no memory for backend '%s'", name);
}

void rad_backend_close(rad_backend **be) {
    free(*be);
    *be = NULL;
}

rad_status rad_backend_run_graph(rad_backend *be, const rad_graph *g, rad_precision p, const rad_tensor *in, rad_tensor *out,
                                 rad_error *err) {
    struct g_plan *plan = NULL;
    (void)be;
    for (int i = 0; i < g->n_node; i++) {
        char why[256] = "";
        if (!g_supports(g, &g->node[i], p, why, sizeof why))
            return rad_error_set(err, RAD_E_MODEL, "%s '%s': %s", g->node[i].op->name, g->node[i].name, why);
    }
    rad_status st = g_plan_build(g, p, &plan, err);
    /* What is refused must be known from the nodes alone, before a plan is made. */
    if (st == RAD_E_UNSUPPORTED && g->n_node > 0 && strstr(err->text, "node '") != NULL)
        return rad_error_set(err, RAD_E_INTERNAL, "supported, but not built: %.300s", err->text);
    if (st == RAD_OK)
        st = g_plan_run_host(plan, in, out, err);
    g_plan_free(plan);
    return st == RAD_E_UNSUPPORTED ? rad_error_set(err, RAD_E_MODEL, "%.400s", err->text) : st;
}
