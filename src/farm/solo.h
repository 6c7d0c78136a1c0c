/* solo.h (private to src/farm): a worker in this process that is given a few cases without a run: to see how long they take (estimate.c),
 * or what they come to (golden.c). */
#ifndef RAD_FARM_SOLO_H
#define RAD_FARM_SOLO_H

#include "plan.h"
#include "worker.h"

/* Creates a worker for the plan and submits pending[0 .. n - 1] to it as one lease; n <= RAD_MAX_LEASE_CASES. No journal, nothing reused.
 * *ret is the caller's, also to take results from. Errors: those of rad_worker_create and rad_worker_submit. */
rad_status rad_solo_start(const rad_farm_opts *o, const rad_plan *p, const rad_pending_case *pending, int n, rad_worker **ret,
                          rad_error *err) RAD_MUST_CHECK;

#endif
