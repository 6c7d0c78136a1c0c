/* maps.h (private to src/farm): the files of class activation maps that belong to a result which comes from a spool: in a shard's folder
 * until its results are merged, else where the database has its own. */
#ifndef RAD_FARM_MAPS_H
#define RAD_FARM_MAPS_H

#include "radcohort/store.h"

/* The folder of a shard's maps. Caller frees; NULL when memory is out. */
char *rad_maps_shard_dir(const char *spool_dir);

/* Every map file that `r` names lies below `dir` with the size that it was written with. */
bool rad_maps_are_whole(const char *dir, const rad_case_result *r);

/* The same for `to`, after what is missing there has been taken from `from` (linked, or copied where links are not to be had; NULL: nowhere
 * to take it from). *ret_whole false: neither has it. Errors: IO (it is there and cannot be taken), NOMEM. */
rad_status rad_maps_adopt(const char *from, const char *to, const rad_case_result *r, bool *ret_whole, rad_error *err) RAD_MUST_CHECK;

#endif
