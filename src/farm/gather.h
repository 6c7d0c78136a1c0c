/* gather.h (private to src/farm): results from spool files into the database. */
#ifndef RAD_FARM_GATHER_H
#define RAD_FARM_GATHER_H

#include "plan.h"
#include "spool.h"

/* Stores every result in the spools of `dir` that belongs to the plan's run and to `space` (see spool.h) and whose case is among the
 * pending ones; these leave the list. What is there twice, or is stored already, changes nothing; what lacks a map's file
 * that it was written with is left out. Committed at the end (rad_store_is_held:
 * not yet). *ret_new: cases that got their result. Errors: STORE, IO (the folder), NOMEM. */
rad_status rad_gather(rad_store *store, int64_t run, const char *dir, const char *space, const rad_plan *plan, rad_pending_case *pending,
                      int64_t *n_pending, int64_t *ret_new, rad_spool_report *ret, rad_error *err) RAD_MUST_CHECK;

#endif
