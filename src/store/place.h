/* place.h (private to src/store): where a file lies, and whether locks hold there. */
#ifndef RAD_STORE_PLACE_H
#define RAD_STORE_PLACE_H

#include "radcohort/base.h"

typedef struct rad_place {
    char type[32];   /* file system by the kernel's name ("nfs4", "lustre", "ext4"); "" when not known */
    bool network;    /* shared between machines, or answered by a program (FUSE) */
    bool local_lock; /* mounted so that locks hold on this node only, or not at all */
} rad_place;

/* What the text of /proc/self/mountinfo says of device `major`:`minor`; the last mount of it counts. Pure. */
rad_place rad_place_parse(const char *mountinfo, unsigned major, unsigned minor);
/* Of an existing file or folder. What cannot be found out is left empty. */
rad_place rad_place_of(const char *path);
/* Tries with two descriptors of a file made beside `path` (and removed) whether a lock keeps another one out. Errors: STORE, with the way
 * out. */
rad_status rad_place_probe_locks(const char *path, rad_error *err) RAD_MUST_CHECK;

#endif
