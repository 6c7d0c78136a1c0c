/* region.c: which slices are scored, and which rectangle of pixels is cut out of each.
 *
 * All indices are those of the reoriented reference image (the image of the first channel entry): x along a row, y along a column,
 * z along the slices. Intervals are first inclusive, last exclusive. Positions: the centre of pixel i is at i.
 *
 * Source. `region.from` names it; `auto` takes the lesion's mask, else its box, else its point. For `whole` the slices still follow the
 * lesion where there is one (mask, else box, else point); the region is then all of the slice, and shape and margins are not used.
 *
 * Slices
 * - lesion: mask: the slice with the most non-zero voxels, the lowest z on ties. Box z0..z1: floor((z0 + z1 - 1) / 2). Point:
 *   ceil(z - 1/2), the nearest slice, the lower one on ties. No lesion (whole only): floor((nz - 1) / 2).
 * - lesion-all: every z with a non-zero mask voxel; z0 .. z1 - 1 of a box; the point's slice.
 * - all: 0 .. nz - 1.
 * - listed: those that the lesion's row lists, else the row of the first entry's image: indices k along the stored axis, z = k or, along a
 *   reversed axis, nz - 1 - k.
 * With `every: n` of these, in ascending z, the first, the n-th after it, and so on.
 *
 * Extent of the lesion, the same for all slices of a case so that they are cut alike:
 * - mask: the smallest x0..x1, y0..y1 that holds all its non-zero voxels of all slices; box: its x0..x1, y0..y1. Centre
 *   cx = (x0 + x1 - 1) / 2, width wx = x1 - x0 pixels; y likewise.
 * - point: centre at the point, width wx = size_mm / sx pixels (real), sx the distance of neighbouring pixel centres in mm.
 *
 * Region
 * 1. Margins on both sides: ex = wx + 2 (margin_mm / sx + margin_px); ey likewise.
 * 2. Rectangle: n_x = ceil(ex - 1e-6), n_y = ceil(ey - 1e-6), at least 1. (1e-6 pixels: a margin that is a whole number of pixels up to
 *    rounding must not add a pixel.)
 *    Square: the smallest square IN MILLIMETRES: with pixels as wide as high (|sx - sy| <= 0.001 max(sx, sy)) n_x = n_y =
 *    ceil(max(ex, ey) - 1e-6); otherwise side = max(ex sx, ey sy), n_x = ceil(side / sx - 1e-6), n_y = ceil(side / sy - 1e-6), so that a
 *    resize to a square input does not distort anatomy.
 * 3. Place: x0 = ceil(cx - n_x / 2): centred; when that falls between two pixels the odd pixel is on the low side.
 * 4. Borders: x0 is moved by the least amount that puts the region inside the slice, or, when it is wider than the slice, the slice inside
 *    the region: min(0, nx - n_x) <= x0 <= max(0, nx - n_x). Pixels outside the slice are filled by the edge rule. y likewise.
 *
 * Volume. With the input's `volume`, no slices and no rectangle but a box of size[t] samples (W, H, D along x, y, z), spacing_mm[t] / s_t
 * voxels apart, around the lesion's centre (of the smallest box of voxels around a mask, of a box, the point itself; of the slice that
 * counts and all slices for `whole`), which need not lie on a voxel. Recorded as slice: ceil(cz - 1/2 - 1e-6), limited to the image's; as
 * box: the pixels whose centres lie in it.
 *
 * Drawn elsewhere. With region.drawn_on, box, mask and point are given in the voxels of another entry's image. A point is moved by the two
 * affines. A mask or box is resampled onto the reference's grid by nearest neighbour: a voxel of the reference belongs to the lesion when
 * the image's voxel nearest to its centre does (per axis ceil(w - 1/2 - 1e-6), resample.c); extent and slices follow as from a mask.
 */
#include "internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST_BOX 1e9     /* voxels to either side of the centre of a volume */
#define SQUARE_PIXELS 0.001 /* relative difference of sx and sy that is rounding, not anisotropy */

typedef struct extent {         /* of the lesion */
    double centre[3], width[2]; /* in pixels; the width along x and y */
    int64_t n_slice, *slice;    /* every slice it touches, ascending; owned */
    int64_t main_slice;
} extent;

/* The mask in the order it is stored: non-zero voxels per reoriented slice, and the smallest reoriented box (x0 y0 x1 y1) around them.
 * `row`: as long as the first stored axis. */
static rad_status scan_mask(const rad_view *m, float *row, int64_t *count, int64_t box[4], rad_error *err) {
    const int64_t *dim = m->volume->info.dim;
    int64_t low[3] = {INT64_MAX, INT64_MAX, INT64_MAX}, high[3] = {-1, -1, -1}, at[3], nz = m->dim[2];
    for (at[2] = 0; at[2] < dim[2]; at[2]++)
        for (at[1] = 0; at[1] < dim[1]; at[1]++) {
            rad_volume_get(m->volume, (at[2] * dim[1] + at[1]) * dim[0], 1, dim[0], row);
            for (at[0] = 0; at[0] < dim[0]; at[0]++) {
                if (row[at[0]] == 0)
                    continue;
                if (isnan(row[at[0]]))
                    return rad_error_set(err, RAD_E_NONFINITE, "mask has NaN at stored voxel (%" PRId64 ", %" PRId64 ", %" PRId64 ")",
                                         at[0], at[1], at[2]);
                int64_t z = at[m->axis[2]];
                count[m->flip[2] ? nz - 1 - z : z]++;
                for (int c = 0; c < 3; c++) {
                    low[c] = at[c] < low[c] ? at[c] : low[c];
                    high[c] = at[c] > high[c] ? at[c] : high[c];
                }
            }
        }
    for (int t = 0; t < 2; t++) {
        int c = m->axis[t];
        box[t] = m->flip[t] ? dim[c] - 1 - high[c] : low[c];
        box[t + 2] = m->flip[t] ? dim[c] - low[c] : high[c] + 1;
    }
    return RAD_OK;
}

static void set_plane(extent *e, const int64_t box[4]) {
    for (int a = 0; a < 2; a++) {
        e->centre[a] = (double)(box[a] + box[a + 2] - 1) / 2;
        e->width[a] = (double)(box[a + 2] - box[a]);
    }
}

/* Slices first .. last - 1. */
static rad_status set_slices(extent *e, int64_t first, int64_t last, rad_error *err) {
    e->slice = rad_calloc((size_t)(last - first), sizeof *e->slice);
    if (!e->slice)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for %" PRId64 " slices", last - first);
    e->n_slice = last - first;
    for (int64_t i = 0; i < e->n_slice; i++)
        e->slice[i] = first + i;
    return RAD_OK;
}

/* The mask on the grid of the image it was drawn in. */
static rad_status view_mask(const rad_input_spec *spec, const rad_view *ref, const rad_volume *mask, rad_view *ret, rad_error *err) {
    if (mask->info.sform_code <= 0 && mask->info.qform_code <= 0) { /* says nothing of space: laid on the image voxel by voxel */
        if (memcmp(mask->info.dim, ref->volume->info.dim, 3 * sizeof(int64_t)) != 0)
            return rad_error_set(err, RAD_E_SHAPE,
                                 "mask of %" PRId64 "x%" PRId64 "x%" PRId64 " voxels does not fit the image of %" PRId64 "x%" PRId64
                                 "x%" PRId64,
                                 mask->info.dim[0], mask->info.dim[1], mask->info.dim[2], ref->volume->info.dim[0],
                                 ref->volume->info.dim[1], ref->volume->info.dim[2]);
        *ret = *ref;
        ret->volume = mask;
        return RAD_OK;
    }
    rad_status st = rad_view_make(mask, spec->orientation, "mask", ret, err);
    return st == RAD_OK ? rad_view_same_grid(ref, "the image", ret, "mask", MASK_TOLERANCE, err) : st;
}

/* Slices and extent from voxels per slice; `box`: x0 y0 x1 y1. */
static rad_status take_counts(extent *e, const int64_t *count, int64_t nz, const int64_t box[4], const char *where, rad_error *err) {
    e->slice = rad_calloc((size_t)nz, sizeof *e->slice);
    if (!e->slice)
        return rad_error_set(err, RAD_E_NOMEM, "no memory to read a mask");
    for (int64_t z = 0; z < nz; z++) {
        if (count[z] == 0)
            continue;
        if (e->n_slice == 0 || count[z] > count[e->main_slice])
            e->main_slice = z;
        e->slice[e->n_slice++] = z;
    }
    if (e->n_slice == 0)
        return rad_error_set(err, RAD_E_REGION, "mask is empty: no voxel differs from 0%s", where);
    set_plane(e, box);
    e->centre[2] = (double)(e->slice[0] + e->slice[e->n_slice - 1]) / 2;
    return RAD_OK;
}

static rad_status from_mask(const rad_input_spec *spec, const rad_view *ref, const rad_volume *mask, extent *e, rad_error *err) {
    rad_view m;
    rad_status st = view_mask(spec, ref, mask, &m, err);
    if (st != RAD_OK)
        return st;
    int64_t box[4];
    float *row = rad_calloc((size_t)mask->info.dim[0], sizeof *row);
    int64_t *count = rad_calloc((size_t)m.dim[2], sizeof *count);
    st = row && count ? scan_mask(&m, row, count, box, err) : rad_error_set(err, RAD_E_NOMEM, "no memory to read a mask");
    if (st == RAD_OK)
        st = take_counts(e, count, m.dim[2], box, "", err);
    free(row);
    free(count);
    return st;
}

/* ---------------------------------------------------------------- drawn in another image */

/* A lesion in the voxels of another image: the box `low`..`high` (reoriented, last exclusive), and within it the mask's voxels or all. */
typedef struct drawing {
    const rad_channel_view *on;
    const rad_view *mask; /* or NULL */
    int64_t low[3], high[3];
} drawing;

static bool is_drawn(const drawing *d, const double p[3]) {
    double w[3];
    int64_t at = 0;
    rad_map_point(d->on->link.to, p, w);
    for (int a = 0; a < 3; a++) {
        double i = rad_nearest(w[a]);
        if (!(i >= (double)d->low[a] && i < (double)d->high[a]))
            return false;
        at += d->mask ? (int64_t)i * d->mask->step[a] : 0;
    }
    float value = 1;
    if (d->mask)
        rad_volume_get(d->mask->volume, d->mask->first + at, 1, 1, &value);
    return value != 0;
}

/* The reference's voxels whose nearest voxel is drawn. */
static rad_status from_drawing(const drawing *d, const rad_view *ref, extent *e, rad_error *err) {
    double near[3] = {INFINITY, INFINITY, INFINITY}, far[3] = {-INFINITY, -INFINITY, -INFINITY};
    int64_t from[3], to[3], box[4] = {INT64_MAX, INT64_MAX, -1, -1};
    for (int corner = 0; corner < 8; corner++) {
        double at[3], p[3];
        for (int a = 0; a < 3; a++)
            at[a] = corner >> a & 1 ? (double)d->high[a] - 0.5 : (double)d->low[a] - 0.5;
        rad_map_point(d->on->link.back, at, p);
        for (int a = 0; a < 3; a++) {
            near[a] = fmin(near[a], p[a]);
            far[a] = fmax(far[a], p[a]);
        }
    }
    for (int a = 0; a < 3; a++) { /* a voxel more on either side: rounding */
        from[a] = (int64_t)fmin(fmax(ceil(near[a]) - 1, 0), (double)ref->dim[a]);
        to[a] = (int64_t)fmin(fmax(floor(far[a]) + 2, 0), (double)ref->dim[a]);
    }
    int64_t *count = rad_calloc((size_t)ref->dim[2], sizeof *count);
    if (!count)
        return rad_error_set(err, RAD_E_NOMEM, "no memory to read a mask");
    for (int64_t z = from[2]; z < to[2]; z++)
        for (int64_t y = from[1]; y < to[1]; y++)
            for (int64_t x = from[0]; x < to[0]; x++) {
                if (!is_drawn(d, (const double[3]){(double)x, (double)y, (double)z}))
                    continue;
                count[z]++;
                box[0] = x < box[0] ? x : box[0];
                box[1] = y < box[1] ? y : box[1];
                box[2] = x >= box[2] ? x + 1 : box[2];
                box[3] = y >= box[3] ? y + 1 : box[3];
            }
    rad_status st = take_counts(e, count, ref->dim[2], box, " at the voxels of the first channel entry's image", err);
    free(count);
    return st;
}

static rad_status from_drawn_mask(const rad_input_spec *spec, const rad_view *ref, const rad_channel_view *on, const rad_volume *mask,
                                  extent *e, rad_error *err) {
    rad_view m;
    rad_status st = view_mask(spec, &on->view, mask, &m, err);
    if (st != RAD_OK)
        return st;
    int64_t box[4];
    float *row = rad_calloc((size_t)mask->info.dim[0], sizeof *row);
    int64_t *count = rad_calloc((size_t)m.dim[2], sizeof *count);
    st = row && count ? scan_mask(&m, row, count, box, err) : rad_error_set(err, RAD_E_NOMEM, "no memory to read a mask");
    extent own = {0};
    if (st == RAD_OK)
        st = take_counts(&own, count, m.dim[2], box, "", err);
    if (st == RAD_OK) {
        drawing d = {on, &m, {box[0], box[1], own.slice[0]}, {box[2], box[3], own.slice[own.n_slice - 1] + 1}};
        st = from_drawing(&d, ref, e, err);
    }
    free(own.slice);
    free(row);
    free(count);
    return st;
}

/* A stored box in reoriented voxels. */
static rad_status turn_box(const rad_view *on, const int64_t stored[6], int64_t box[6], rad_error *err) {
    const int64_t *dim = on->volume->info.dim;
    for (int c = 0; c < 3; c++)
        if (stored[c] < 0 || stored[c] >= stored[c + 3] || stored[c + 3] > dim[c])
            return rad_error_set(err, RAD_E_REGION,
                                 "box %" PRId64 "..%" PRId64 " along stored axis %d is empty or outside the image's 0..%" PRId64
                                 " (last index exclusive)",
                                 stored[c], stored[c + 3], c, dim[c]);
    for (int t = 0; t < 3; t++) {
        int c = on->axis[t];
        box[t] = on->flip[t] ? dim[c] - stored[c + 3] : stored[c];
        box[t + 3] = on->flip[t] ? dim[c] - stored[c] : stored[c + 3];
    }
    return RAD_OK;
}

static rad_status from_box(const rad_view *ref, const rad_channel_view *on, const int64_t stored[6], extent *e, rad_error *err) {
    int64_t box[6];
    rad_status st = turn_box(&on->view, stored, box, err);
    if (st != RAD_OK)
        return st;
    if (!on->link.same) {
        drawing d = {on, NULL, {box[0], box[1], box[2]}, {box[3], box[4], box[5]}};
        return from_drawing(&d, ref, e, err);
    }
    set_plane(e, (const int64_t[4]){box[0], box[1], box[3], box[4]});
    e->main_slice = (box[2] + box[5] - 1) / 2;
    e->centre[2] = (double)(box[2] + box[5] - 1) / 2;
    return set_slices(e, box[2], box[5], err);
}

static bool is_inside(const rad_view *v, const double p[3]) {
    for (int t = 0; t < 3; t++)
        if (!(p[t] >= -0.5 && p[t] <= (double)v->dim[t] - 0.5))
            return false;
    return true;
}

static rad_status from_point(const rad_input_spec *spec, const rad_view *ref, const rad_channel_view *on, const double stored[3], extent *e,
                             rad_error *err) {
    double p[3], q[3];
    const int64_t *dim = on->view.volume->info.dim;
    rad_view_position(&on->view, stored, p);
    if (!is_inside(&on->view, p))
        return rad_error_set(err, RAD_E_REGION, "point (%g, %g, %g) lies outside the image of %" PRId64 "x%" PRId64 "x%" PRId64 " voxels",
                             stored[0], stored[1], stored[2], dim[0], dim[1], dim[2]);
    if (!on->link.same) {
        rad_map_point(on->link.back, p, q);
        memcpy(p, q, sizeof p);
        if (!is_inside(ref, p))
            return rad_error_set(err, RAD_E_REGION, "point (%g, %g, %g) of the image of sequence '%s' lies outside that of sequence '%s'",
                                 stored[0], stored[1], stored[2], on->sequence, spec->channel[0].sequence);
    }
    e->centre[2] = p[2];
    if (spec->region.from != RAD_REGION_WHOLE && !spec->volume.on && !(spec->region.size_mm > 0))
        return rad_error_set(err, RAD_E_REGION, "the lesion has only a point and the job no 'size_mm' for the square around it");
    for (int a = 0; a < 2; a++) {
        e->centre[a] = p[a];
        e->width[a] = spec->region.size_mm / ref->spacing[a];
    }
    e->main_slice = (int64_t)fmax(0, ceil(p[2] - 0.5));
    return set_slices(e, e->main_slice, e->main_slice + 1, err);
}

/* The lesion's extent; *ret_found false when there is none and none is needed. */
static rad_status find_lesion(const rad_input_spec *spec, const rad_view *ref, const rad_channel_view *on, const rad_roi *roi, extent *e,
                              bool *ret_found, rad_error *err) {
    static const rad_roi nothing = {0};
    const rad_roi *r = roi ? roi : &nothing;
    rad_region_from from = spec->region.from;
    *ret_found = false;
    if (from == RAD_REGION_WHOLE && spec->volume.on)
        return RAD_OK;
    if (from == RAD_REGION_AUTO || from == RAD_REGION_WHOLE) {
        if (r->mask)
            from = RAD_REGION_MASK;
        else if (r->has_box)
            from = RAD_REGION_BOX;
        else if (r->has_point)
            from = RAD_REGION_POINT;
    }
    *ret_found = true;
    if (from == RAD_REGION_MASK && r->mask)
        return on->link.same ? from_mask(spec, ref, r->mask, e, err) : from_drawn_mask(spec, ref, on, r->mask, e, err);
    if (from == RAD_REGION_BOX && r->has_box)
        return from_box(ref, on, r->box, e, err);
    if (from == RAD_REGION_POINT && r->has_point)
        return from_point(spec, ref, on, r->point, e, err);
    *ret_found = false;
    if (from == RAD_REGION_WHOLE && spec->slices != RAD_SLICES_LESION_ALL)
        return RAD_OK;
    static const char *const name[] = {"mask, box or point", "mask, box or point", "box", "mask", "point"};
    return rad_error_set(err, RAD_E_REGION, "the lesion has no %s, which the input needs", name[from]);
}

static int64_t up(double pixels) {
    double n = ceil(pixels - CEIL_SLACK);
    return n < 1 ? 1 : n > 1e9 ? 1000000000 : (int64_t)n;
}

static void place(const rad_input_spec *spec, const rad_view *ref, const extent *e, int64_t box[4]) {
    const double *s = ref->spacing;
    double want[2];
    int64_t n[2];
    for (int a = 0; a < 2; a++)
        want[a] = e->width[a] + 2 * (spec->region.margin_mm / s[a] + spec->region.margin_px);
    if (spec->region.shape == RAD_SHAPE_RECTANGLE) {
        n[0] = up(want[0]);
        n[1] = up(want[1]);
    } else if (fabs(s[0] - s[1]) <= SQUARE_PIXELS * fmax(s[0], s[1]))
        n[0] = n[1] = up(fmax(want[0], want[1]));
    else {
        double side = fmax(want[0] * s[0], want[1] * s[1]);
        n[0] = up(side / s[0]);
        n[1] = up(side / s[1]);
    }
    for (int a = 0; a < 2; a++) {
        int64_t room = ref->high[a] - ref->low[a] - n[a], low = ref->low[a] + (room < 0 ? room : 0),
                high = ref->low[a] + (room > 0 ? room : 0), at = (int64_t)ceil(e->centre[a] - (double)n[a] / 2);
        box[a] = at < low ? low : at > high ? high : at;
        box[a + 2] = box[a] + n[a];
    }
}

/* The box of a volume; its record as a slice. */
static rad_status make_volume(const rad_input_spec *spec, const rad_view *ref, const extent *lesion, rad_cut *ret, rad_error *err) {
    const rad_volume_spec *q = &spec->volume;
    int64_t *slice = rad_calloc(1, sizeof *slice);
    if (!slice)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for a slice");
    rad_cut cut = {.n_slice = 1, .slice = slice};
    for (int a = 0; a < 3; a++) {
        double whole = a < 2 ? (double)(ref->low[a] + ref->high[a] - 1) / 2 : (double)(ref->dim[2] - 1) / 2;
        cut.centre[a] = spec->region.from == RAD_REGION_WHOLE ? whole : lesion->centre[a];
        cut.step[a] = q->spacing_mm[a] / ref->spacing[a];
        double half = (double)q->size[2 - a] * cut.step[a] / 2;
        cut.low[a] = cut.centre[a] - half;
        cut.high[a] = cut.centre[a] + half;
        if (half > LARGEST_BOX) {
            free(slice);
            return rad_error_set(err, RAD_E_LIMIT, "a volume of %" PRId64 " samples %g mm apart spans more than %g voxels of %g mm",
                                 q->size[2 - a], q->spacing_mm[a], 2 * LARGEST_BOX, ref->spacing[a]);
        }
    }
    for (int a = 0; a < 2; a++) {
        cut.box[a] = (int64_t)ceil(cut.low[a] - CEIL_SLACK);
        cut.box[a + 2] = (int64_t)ceil(cut.high[a] - CEIL_SLACK);
    }
    slice[0] = (int64_t)fmin(fmax(rad_nearest(cut.centre[2]), 0), (double)(ref->dim[2] - 1));
    *ret = cut;
    return RAD_OK;
}

rad_status rad_cut_check_listed(const rad_input_spec *spec, const rad_view *ref, const rad_roi *roi, rad_error *err) {
    int64_t nz = ref->dim[2];
    if (spec->slices != RAD_SLICES_LISTED)
        return RAD_OK;
    if (!roi || roi->n_listed < 1)
        return rad_error_set(err, RAD_E_REGION,
                             "no slices are listed: neither the lesion nor the first channel entry's image has 'slices'");
    for (int64_t i = 0; i < roi->n_listed; i++)
        if (roi->listed[i] < 0 || roi->listed[i] >= nz)
            return rad_error_set(err, RAD_E_REGION,
                                 "slice %" PRId64 " is listed, but the image has slices 0 to %" PRId64 " along its stored axis %d",
                                 roi->listed[i], nz - 1, ref->axis[2]);
    return RAD_OK;
}

/* The slices that a table lists, in the order of the reoriented axis. */
static rad_status list_slices(const rad_input_spec *spec, const rad_view *ref, const rad_roi *roi, extent *e, rad_error *err) {
    int64_t nz = ref->dim[2], n = 0;
    rad_status st = rad_cut_check_listed(spec, ref, roi, err);
    if (st != RAD_OK)
        return st;
    bool *wanted = rad_calloc((size_t)nz, sizeof *wanted);
    int64_t *slice = rad_calloc((size_t)roi->n_listed, sizeof *slice);
    if (!wanted || !slice)
        st = rad_error_set(err, RAD_E_NOMEM, "no memory for %" PRId64 " slices", roi->n_listed);
    for (int64_t i = 0; i < roi->n_listed && st == RAD_OK; i++)
        wanted[ref->flip[2] ? nz - 1 - roi->listed[i] : roi->listed[i]] = true;
    for (int64_t z = 0; z < nz && st == RAD_OK; z++)
        if (wanted[z])
            slice[n++] = z;
    free(wanted);
    if (st != RAD_OK) {
        free(slice);
        return st;
    }
    e->slice = slice;
    e->n_slice = n;
    return RAD_OK;
}

rad_status rad_cut_make(const rad_input_spec *spec, const rad_view *reference, const rad_channel_view *drawn, const rad_roi *roi,
                        rad_cut *ret, rad_error *err) {
    extent e = {0};
    rad_cut cut = {0};
    bool found = false;
    int64_t one;
    rad_status st = find_lesion(spec, reference, drawn, roi, &e, &found, err);
    if (st != RAD_OK)
        goto out;
    if (spec->volume.on) {
        st = make_volume(spec, reference, &e, ret, err);
        goto out;
    }
    if (spec->region.from == RAD_REGION_WHOLE) {
        for (int a = 0; a < 2; a++) {
            cut.box[a] = reference->low[a];
            cut.box[a + 2] = reference->high[a];
        }
    } else
        place(spec, reference, &e, cut.box);
    if (spec->slices != RAD_SLICES_LESION_ALL) {
        bool all = spec->slices == RAD_SLICES_VOLUME_ALL;
        one = found ? e.main_slice : (reference->dim[2] - 1) / 2;
        free(e.slice);
        e.slice = NULL;
        if (spec->slices == RAD_SLICES_LISTED)
            RAD_TRY(list_slices(spec, reference, roi, &e, err));
        else
            RAD_TRY(set_slices(&e, all ? 0 : one, all ? reference->dim[2] : one + 1, err));
    }
    if (spec->every > 1) {
        int64_t n = e.n_slice;
        e.n_slice = 0;
        for (int64_t i = 0; i < n; i += spec->every)
            e.slice[e.n_slice++] = e.slice[i];
    }
    cut.n_slice = e.n_slice;
    cut.slice = e.slice;
    e.slice = NULL;
    *ret = cut;
out:
    free(e.slice);
    return st;
}

/* ---------------------------------------------------------------- the lesion's own voxels */

rad_status rad_outline_make(const rad_input_spec *spec, const rad_channel_view *drawn, const rad_roi *roi, rad_outline *ret,
                            bool *ret_found, rad_error *err) {
    rad_outline o = {.on = drawn};
    int64_t box[6];
    rad_status st = RAD_OK;
    *ret_found = roi && (roi->mask || roi->has_box);
    if (!*ret_found)
        return RAD_OK;
    if (roi->mask) {
        st = view_mask(spec, &drawn->view, roi->mask, &o.mask, err);
        o.has_mask = true;
        memcpy(o.high, drawn->view.dim, sizeof o.high);
    } else {
        st = turn_box(&drawn->view, roi->box, box, err);
        memcpy(o.low, box, sizeof o.low);
        memcpy(o.high, box + 3, sizeof o.high);
    }
    if (st == RAD_OK)
        *ret = o;
    return st;
}

void rad_outline_row(const rad_outline *o, int64_t y, int64_t slice, int64_t n, float *row, uint8_t *ret) {
    const rad_view *m = &o->mask;
    memset(ret, 0, (size_t)n);
    if (!o->on->link.same) {
        drawing d = {o->on, o->has_mask ? m : NULL, {o->low[0], o->low[1], o->low[2]}, {o->high[0], o->high[1], o->high[2]}};
        for (int64_t x = 0; x < n; x++)
            ret[x] = is_drawn(&d, (const double[3]){(double)x, (double)y, (double)slice});
        return;
    }
    if (y < o->low[1] || y >= o->high[1] || slice < o->low[2] || slice >= o->high[2])
        return;
    if (o->has_mask)
        rad_volume_get(m->volume, m->first + y * m->step[1] + slice * m->step[2], m->step[0], n, row);
    for (int64_t x = o->low[0]; x < o->high[0] && x < n; x++)
        ret[x] = !o->has_mask || row[x] != 0;
}
