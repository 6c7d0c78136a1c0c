/* volumes.h (private to src/farm): volumes shared by the loader threads of one rank. Lesions of one patient lie in the same images: an
 * image that is in use, or was used a moment ago, is not read again. */
#ifndef RAD_FARM_VOLUMES_H
#define RAD_FARM_VOLUMES_H

#include "radcohort/load.h"

typedef struct rad_volumes rad_volumes;

/* `idle_max`: bytes of voxels kept after their last use. Errors: NOMEM. */
rad_status rad_volumes_create(size_t idle_max, rad_volumes **ret, rad_error *err) RAD_MUST_CHECK;
void rad_volumes_destroy(rad_volumes **v);
/* The volume at `path`, to be given back with rad_volumes_release. Two threads that ask for the same one share one reading. *ret_bytes:
 * what was read from disk for this call (0 when it was there). Errors: those of rad_volume_load; a read error is tried a second time. */
rad_status rad_volumes_get(rad_volumes *v, const char *path, const rad_volume **ret, int64_t *ret_bytes, rad_error *err) RAD_MUST_CHECK;
void rad_volumes_release(rad_volumes *v, const rad_volume *volume);

#endif
