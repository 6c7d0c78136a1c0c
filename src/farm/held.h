/* held.h (private to src/farm): which cases a shard's process has in hand, in a file that outlives its death. A process that is killed from
 * outside (out of memory, a node that goes down) leaves no note of what it was at (crash.h); what it had in hand is taken up one by one by
 * the next, so that the case that kills is known when it does it again. */
#ifndef RAD_FARM_HELD_H
#define RAD_FARM_HELD_H

#include "radcohort/base.h"

#define RAD_MAX_HELD 4096 /* cases; more than a worker holds */

typedef struct rad_held_case {
    int64_t position; /* in the manifest */
    int times;        /* processes that died at it alone, before they had finished anything */
} rad_held_case;

typedef struct rad_held rad_held;
/* What the last process with this `path` and `tag` (a run's identity) had in hand: *ret [*ret_n] is the caller's to free, NULL when there
 * is nothing, or nothing that can be read: then nobody is suspected. Errors: NOMEM. */
rad_status rad_held_read(const char *path, const char *tag, rad_held_case **ret, int64_t *ret_n, rad_error *err) RAD_MUST_CHECK;
/* Opens the file for writing. Errors: IO, NOMEM. */
rad_status rad_held_open(const char *path, const char *tag, rad_held **ret, rad_error *err) RAD_MUST_CHECK;
/* These are in hand now, and no others. n <= RAD_MAX_HELD. Errors: IO. */
rad_status rad_held_put(rad_held *h, const rad_held_case *item, int64_t n, rad_error *err) RAD_MUST_CHECK;
/* `orderly`: nothing is in hand any more, the file goes. */
void rad_held_close(rad_held **h, bool orderly);

#endif
