/* solo.c: see solo.h. */
#include "solo.h"

#include "transport.h"

#include <math.h>

rad_status rad_solo_start(const rad_farm_opts *o, const rad_plan *p, const rad_pending_case *pending, int n, rad_worker **ret,
                          rad_error *err) {
    uint64_t mask[16];
    int64_t index[RAD_MAX_LEASE_CASES];
    rad_worker *w = NULL;
    rad_status st = RAD_OK;
    rad_buf lease;
    rad_buf_init(&lease, RAD_MAX_MESSAGE);
    const rad_worker_opts wo = {.job = &p->files->job,
                                .backend = p->backend,
                                .backend_version = p->backend_version,
                                .model_sha256 = p->sha256,
                                .graph_hash = p->graph_hash,
                                .precision = p->precision,
                                .batch = p->batch,
                                .room = rad_resources_find(rad_transport_affinity(mask, 16), 1, o->threads)};
    for (int i = 0; i < n; i++)
        index[i] = i;
    RAD_TRY(rad_worker_create(&wo, &w, err));
    RAD_TRY(rad_plan_pack_lease(p, pending, index, n, &lease, err));
    RAD_TRY(rad_worker_submit(w, lease.data, lease.size, err));
    *ret = w;
    w = NULL;
out:
    rad_buf_release(&lease);
    rad_worker_destroy(&w, HUGE_VAL);
    return st;
}
