/* shard.h (private to src/farm): a part of the manifest scored by one process without coordinator, database or MPI: for sites whose MPI
 * dies with its first rank, and for array jobs. The results go to spool files of one folder (spool.h); `radcohort merge` takes them in. */
#ifndef RAD_FARM_SHARD_H
#define RAD_FARM_SHARD_H

#include "radcohort/farm.h"

/* Cases are dealt to the shards in the order of their cost, so that all shards have about the same to do. What sound files of the folder
 * hold already is left out, and so is, as an exclusion, what took its process down RAD_MAX_ATTEMPTS times (notes of crash.h, held.h). A
 * signal ends
 * it in order: RAD_EXIT_STOPPED. Errors: as rad_farm_run, IO (the folder). */
rad_status rad_shard_run(const rad_farm_opts *o, rad_farm_outcome *ret, rad_error *err) RAD_MUST_CHECK;

/* The file that spares every shard but the first a look at all files of the cohort: DIR/plan. */
#define RAD_SHARD_PLAN "plan"

#endif
