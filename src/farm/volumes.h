/* volumes.h (private to src/farm): images shared by the loader threads of one rank. Lesions of one patient lie in the same images: what is
 * in use, or was used a moment ago, is not read again. */
#ifndef RAD_FARM_VOLUMES_H
#define RAD_FARM_VOLUMES_H

#include "radcohort/load.h"
#include "radcohort/prepare.h"

typedef struct rad_volumes rad_volumes;
typedef struct rad_shared_image rad_shared_image;

typedef struct rad_volumes_opts {
    size_t idle_max;                /* bytes of voxels kept after their last use; as much again in blocks for the next volumes */
    const rad_restart_cache *cache; /* of the restart places of large files, or NULL; outlives the volumes */
    bool verify;                    /* read every gzip file to its end and check its CRC */
} rad_volumes_opts;

typedef struct rad_read_cost { /* of one call */
    int64_t bytes;             /* read from disk */
    double inflate_s;          /* rad_image_file_inflate_seconds */
} rad_read_cost;

/* Errors: NOMEM. */
rad_status rad_volumes_create(const rad_volumes_opts *o, rad_volumes **ret, rad_error *err) RAD_MUST_CHECK;
void rad_volumes_destroy(rad_volumes **v);

/* Volumes of a 4-D image whose mean is wanted (rad_image_file_select); n 0: the image as it is. `text` tells them apart from others. */
typedef struct rad_volume_pick {
    int64_t n, total;
    const int64_t *volume;
    const char *text;
} rad_volume_pick;

/* The image at `path`, opened or found, to be given back with rad_volumes_close. Two threads that ask for the same one share it. `pick`
 * NULL: as it is. Errors: those of rad_image_probe and rad_image_file_select; a read error is tried a second time, here and below. */
rad_status rad_volumes_open(rad_volumes *v, const char *path, const rad_volume_pick *pick, rad_shared_image **ret,
                            rad_error *err) RAD_MUST_CHECK;
void rad_volumes_close(rad_volumes *v, rad_shared_image **image);
/* Of its header, without warnings; valid until the image is given back. */
const rad_image_info *rad_shared_info(const rad_shared_image *image);
/* Content of the whole file, and what is to be remarked of it (NULL, or the caller's to free). Errors: those of rad_image_file_content. */
rad_status rad_shared_content(rad_volumes *v, rad_shared_image *image, char ret[RAD_XXH128_HEX], char **ret_warning,
                              rad_read_cost *ret_cost, rad_error *err) RAD_MUST_CHECK;
/* These slices at least, valid until the image is given back. Errors: those of rad_image_file_read. */
rad_status rad_shared_read(rad_volumes *v, rad_shared_image *image, rad_planes planes, const rad_volume **ret, rad_read_cost *ret_cost,
                           rad_error *err) RAD_MUST_CHECK;

#endif
