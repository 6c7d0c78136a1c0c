/* golden.h (private to src/farm): cases whose scores are known to the bit, scored before a night begins. */
#ifndef RAD_FARM_GOLDEN_H
#define RAD_FARM_GOLDEN_H

#include "plan.h"

/* Scores the cases of job->golden on this machine and compares them bit for bit. Errors: CONFIG (the table), DEVICE (they differ: which,
 * and by how much), STOPPED, NOMEM. */
rad_status rad_golden_check(const rad_farm_opts *o, const rad_plan *p, rad_error *err) RAD_MUST_CHECK;

#endif
