/* headers.c: the checks of a case that need no voxel, through the same functions that prepare it. */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* View and link of entry `c` from its header. `volume` is what the view borrows. */
static rad_status look(const rad_input_spec *spec, const rad_image_info *info, int c, const rad_view *ref, rad_volume *volume,
                       rad_channel_view *ret, rad_error *err) {
    *volume = (rad_volume){.info = *info};
    return rad_channel_make(spec, c, volume, ref, ret, err);
}

/* Of a volume the image must hold the centre: that of a whole region is known, any other lies somewhere in the reference. */
static rad_status reach(const rad_input_spec *spec, const rad_view *ref, const rad_channel_view *c, rad_error *err) {
    double low[3] = {INFINITY, INFINITY, INFINITY}, high[3] = {-INFINITY, -INFINITY, -INFINITY}, mm;
    if (spec->region.from == RAD_REGION_WHOLE) {
        rad_cut cut = {0};
        rad_status st = rad_cut_make(spec, ref, c, NULL, &cut, err);
        free(cut.slice);
        return st == RAD_OK ? rad_volume_match(spec, ref, c, cut.centre, &mm, err) : st;
    }
    for (int corner = 0; corner < 8; corner++) {
        double p[3], w[3];
        for (int a = 0; a < 3; a++)
            p[a] = corner >> a & 1 ? (double)ref->dim[a] - 0.5 : -0.5;
        rad_map_point(c->link.to, p, w);
        for (int a = 0; a < 3; a++) {
            low[a] = fmin(low[a], w[a]);
            high[a] = fmax(high[a], w[a]);
        }
    }
    for (int a = 0; a < 3; a++)
        if (high[a] < -0.5 || low[a] > (double)c->view.dim[a] - 0.5)
            return rad_error_set(err, RAD_E_SHAPE, "images of sequences '%s' and '%s' have no position in common",
                                 spec->channel[0].sequence, c->sequence);
    return RAD_OK;
}

/* Slices match within the tolerance only where the region is: here the whole slices must come near each other somewhere. */
rad_status rad_prepare_check_grid(const rad_input_spec *spec, const rad_image_info *const *image, rad_error *err) {
    rad_volume first, other;
    rad_channel_view a, b;
    rad_input_spec loose = *spec;
    loose.match.nearest = false; /* a tilt counts at the corners of the region, which is not known here */
    rad_status st = look(spec, image[0], 0, NULL, &first, &a, err);
    for (int c = 1; st == RAD_OK && c < spec->n_channel; c++) {
        if (!image[c] || image[c] == image[0])
            continue;
        st = look(spec, image[c], c, &a.view, &other, &b, err);
        if (spec->volume.on) {
            st = st == RAD_OK ? reach(spec, &a.view, &b, err) : st;
            continue;
        }
        const int64_t whole[4] = {0, 0, a.view.dim[0], a.view.dim[1]};
        rad_status near = b.link.same || st != RAD_OK ? RAD_OK : RAD_E_SHAPE;
        for (int64_t k = 0; st == RAD_OK && near != RAD_OK && k < a.view.dim[2]; k++) {
            int64_t slice;
            double mm;
            near = rad_match_slice(&loose, &a.view, &b, whole, k, &slice, &mm, err);
        }
        st = st == RAD_OK ? near : st;
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

rad_status rad_prepare_check_lesion(const rad_input_spec *spec, const rad_image_info *const *image, const rad_image_info *mask,
                                    const rad_roi *roi, rad_error *err) {
    rad_volume v, d;
    rad_channel_view ref, drawn;
    int on = spec->region.drawn_on;
    rad_status st = look(spec, image[0], 0, NULL, &v, &ref, err);
    if (st == RAD_OK)
        st = look(spec, image[on], on, on ? &ref.view : NULL, &d, &drawn, err);
    if (st != RAD_OK)
        return st;
    if (mask && rad_prepare_wants_mask(spec)) { /* what lies inside it shows only with its voxels */
        st = check_mask(spec, &drawn.view, mask, err);
        return st == RAD_OK ? rad_cut_check_listed(spec, &ref.view, roi, err) : st;
    }
    rad_roi without = *roi;
    without.mask = NULL;
    rad_cut cut = {0};
    st = rad_cut_make(spec, &ref.view, &drawn, &without, &cut, err);
    free(cut.slice);
    return st;
}
