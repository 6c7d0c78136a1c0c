/* nightly.h (private to src/farm): which cases a night has to score, and what it remembers for the next one. */
#ifndef RAD_FARM_NIGHTLY_H
#define RAD_FARM_NIGHTLY_H

#include "plan.h"
#include "radcohort/nightly.h"

/* Fills `n` (empty) from the walk over the files, the database as it is before the run (`st` NULL: there is none) and the keys of all
 * results. Reads the contents of files that moved, in parallel; changes nothing. The same state gives the same plan. Errors: STORE, NOMEM.
 */
rad_status rad_nightly_decide(const rad_plan *p, rad_store *st, rad_night *n, rad_error *err) RAD_MUST_CHECK;
/* Cases that are kept get their results, and leave `pending` (its order stays). Errors: STORE. */
rad_status rad_nightly_carry(const rad_plan *p, rad_store *st, int64_t run, rad_night *n, rad_pending_case *pending, int64_t *n_pending,
                             rad_error *err) RAD_MUST_CHECK;
/* After a finished run: contents, lasting failures and the looks at all files are kept. Errors: STORE. */
rad_status rad_nightly_settle(const rad_plan *p, rad_store *st, int64_t run, rad_night *n, rad_error *err) RAD_MUST_CHECK;

#endif
