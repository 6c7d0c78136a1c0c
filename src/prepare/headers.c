/* headers.c: the checks of a case that need no voxel, through the same functions that prepare it. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

rad_status rad_prepare_check_grid(const rad_input_spec *spec, const rad_image_info *const *image, rad_error *err) {
    rad_volume first = {.info = *image[0]};
    rad_view a, b;
    char what_a[160], what_b[160];
    snprintf(what_a, sizeof what_a, "image of sequence '%s'", spec->channel[0].sequence);
    rad_status st = rad_view_make(&first, spec->orientation, what_a, &a, err);
    for (int c = 1; st == RAD_OK && c < spec->n_channel; c++) {
        if (image[c] == image[0])
            continue;
        rad_volume other = {.info = *image[c]};
        snprintf(what_b, sizeof what_b, "image of sequence '%s'", spec->channel[c].sequence);
        st = rad_view_make(&other, spec->orientation, what_b, &b, err);
        if (st == RAD_OK)
            st = rad_view_same_grid(&a, what_a, &b, what_b, GRID_TOLERANCE, err);
    }
    return st;
}

/* A mask without sform and qform is laid on the image voxel by voxel: only its dims count. */
static rad_status check_mask(const rad_input_spec *spec, const rad_view *ref, const rad_image_info *mask, rad_error *err) {
    rad_volume v = {.info = *mask};
    rad_view m;
    if (mask->sform_code <= 0 && mask->qform_code <= 0) {
        if (memcmp(mask->dim, ref->volume->info.dim, 3 * sizeof *mask->dim) == 0)
            return RAD_OK;
        const int64_t *a = mask->dim, *b = ref->volume->info.dim;
        return rad_error_set(err, RAD_E_SHAPE, "mask of %lldx%lldx%lld voxels does not fit the image of %lldx%lldx%lld", (long long)a[0],
                             (long long)a[1], (long long)a[2], (long long)b[0], (long long)b[1], (long long)b[2]);
    }
    rad_status st = rad_view_make(&v, spec->orientation, "mask", &m, err);
    return st == RAD_OK ? rad_view_same_grid(ref, "the image", &m, "mask", MASK_TOLERANCE, err) : st;
}

rad_status rad_prepare_check_lesion(const rad_input_spec *spec, const rad_image_info *reference, const rad_image_info *mask,
                                    const rad_roi *roi, rad_error *err) {
    rad_volume v = {.info = *reference};
    rad_view ref;
    rad_status st = rad_view_make(&v, spec->orientation, "image", &ref, err);
    if (st != RAD_OK)
        return st;
    rad_region_from from = spec->region.from;
    if (mask && from != RAD_REGION_BOX && from != RAD_REGION_POINT)
        return check_mask(spec, &ref, mask, err); /* what lies inside it shows only with its voxels */
    rad_roi without = *roi;
    without.mask = NULL;
    rad_cut cut = {0};
    st = rad_cut_make(spec, &ref, &without, &cut, err);
    free(cut.slice);
    return st;
}
