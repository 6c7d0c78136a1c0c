/* exec.h (private to onednn/): what one thread needs to run a plan. */
#ifndef RAD_ONEDNN_EXEC_H
#define RAD_ONEDNN_EXEC_H

#include "team.h"

struct dn_exec;
rad_status dn_exec_create(const struct dn_plan *plan, struct dn_exec **ret, rad_error *err) RAD_MUST_CHECK;
/* The same for a team of at most `threads`, led by the calling thread; *ret_gain: how many times faster than one thread, estimated.
 * *ret stays NULL when nothing is to be gained, or, with *ret_busy, when the processors are too busy to tell. */
rad_status dn_exec_create_team(const struct dn_plan *plan, int threads, struct dn_exec **ret, double *ret_gain, bool *ret_busy,
                               rad_error *err) RAD_MUST_CHECK;
void dn_exec_destroy(struct dn_exec *x);
/* Host tensors in graph order. Errors: DEVICE, and whatever an evaluated node says. */
rad_status dn_exec_run(struct dn_exec *x, const rad_tensor *in, rad_tensor *out, rad_error *err) RAD_MUST_CHECK;

#endif
