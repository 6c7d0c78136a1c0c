/* resample.c: images that do not lie on the reference's grid, seen as if they had been resampled onto it.
 *
 * Voxel (x, y, k) of the reoriented reference lies at voxel w = A_image^-1 A_reference (x, y, k) of the reoriented image, by the two
 * affines alone, centres at whole numbers.
 *
 * Match. For a slice k of the reference that a plane shows, c is w at the middle of the region ((x0 + x1 - 1) / 2, (y0 + y1 - 1) / 2) and
 * j = ceil(c_z - 1/2 - 1e-6), limited to the image's slices, the nearest slice. Its distance is |c_z - j| times the distance of the image's
 * slices along their normal; with `slices: nearest` the largest such distance to j over the centres of the region's four corner pixels, so
 * that a tilt counts. A distance of more than tolerance + 0.001 mm excludes the case. The tolerance is declared, or half the distance of
 * the reference's slices along their normal.
 *
 * Value. `slices: linear`: trilinear at w; `slices: nearest`: bilinear at (w_x, w_y) in slice j. Axis by axis, x first: k = floor w, f = w
 * - k, (1 - f) v[k] + f v[k + 1]; a voxel of weight 0 is not looked at. A position more than half a voxel (+ 1e-6) beyond the first or last
 * centre lies outside: `edge: zero` gives black, `edge: replicate` the value at the nearest position inside. Positions within that half
 * voxel are moved to the centre. The voxels' values have been through padding, window and z-score before (intensity.c). At least one pixel
 * of the region must lie inside.
 */
#include "internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MATCH_SLACK 0.001 /* mm: rounding of float32 affines */
#define EDGE_SLACK 1e-6   /* voxels */

void rad_map_point(const double m[3][4], const double p[3], double ret[3]) {
    for (int r = 0; r < 3; r++)
        ret[r] = m[r][0] * p[0] + m[r][1] * p[1] + m[r][2] * p[2] + m[r][3];
}

double rad_nearest(double at) {
    return ceil(at - 0.5 - EDGE_SLACK);
}

/* inverse(a) * b for affines whose last row is 0 0 0 1; `a` spans space. */
static void relate(const double a[4][4], const double b[4][4], double ret[3][4]) {
    double c[3][3], det = 0;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            int r = (j + 1) % 3, s = (j + 2) % 3, u = (i + 1) % 3, v = (i + 2) % 3;
            c[i][j] = a[r][u] * a[s][v] - a[r][v] * a[s][u];
        }
    for (int j = 0; j < 3; j++)
        det += a[j][0] * c[0][j];
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 4; j++) {
            double sum = 0;
            for (int k = 0; k < 3; k++)
                sum += c[i][k] * (b[k][j] - (j == 3 ? a[k][3] : 0));
            ret[i][j] = sum / det;
        }
}

double rad_view_slice_distance(const rad_view *v) {
    const double(*a)[4] = v->affine;
    double n[3], length = 0, along = 0;
    for (int i = 0; i < 3; i++) {
        int r = (i + 1) % 3, s = (i + 2) % 3;
        n[i] = a[r][0] * a[s][1] - a[s][0] * a[r][1];
        length += n[i] * n[i];
        along += n[i] * a[i][2];
    }
    return fabs(along) / sqrt(length);
}

void rad_link_make(const rad_view *ref, const rad_view *image, rad_link *ret) {
    ret->same = false;
    relate(image->affine, ref->affine, ret->to);
    relate(ref->affine, image->affine, ret->back);
    ret->slice_mm = rad_view_slice_distance(image);
}

static rad_status crop(const rad_crop_spec *s, const char *what, rad_view *v, rad_error *err) {
    v->low[0] = s->left;
    v->low[1] = s->top;
    v->high[0] = v->dim[0] - s->right;
    v->high[1] = v->dim[1] - s->bottom;
    if (v->low[0] < v->high[0] && v->low[1] < v->high[1])
        return RAD_OK;
    return rad_error_set(err, RAD_E_REGION, "%s has slices of %" PRId64 "x%" PRId64 " pixels: the crop leaves nothing of them", what,
                         v->dim[0], v->dim[1]);
}

rad_status rad_channel_make(const rad_input_spec *spec, int c, const rad_volume *volume, const rad_view *ref, rad_channel_view *ret,
                            rad_error *err) {
    char what[160], reference[160];
    *ret = (rad_channel_view){.sequence = spec->channel[c].sequence,
                              .component = spec->channel[c].component,
                              .link = {.same = true, .to = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}}};
    if (!volume)
        return RAD_OK;
    snprintf(what, sizeof what, "image of sequence '%s'", ret->sequence);
    snprintf(reference, sizeof reference, "image of sequence '%s'", spec->channel[0].sequence);
    if (spec->frames_as_slices && volume->info.dim[3] > 1) {
        if (volume->info.dim[2] > 1)
            return rad_error_set(err, RAD_E_UNSUPPORTED,
                                 "%s has %" PRId64 " slices and %" PRId64 " frames, expected one slice (frames: slices)", what,
                                 volume->info.dim[2], volume->info.dim[3]);
        ret->cine = *volume; /* x, y, one slice, frames: in memory the same as x, y, slices */
        ret->cine.info.dim[2] = volume->info.dim[3];
        ret->cine.info.dim[3] = 1;
        volume = &ret->cine;
    }
    rad_status st = rad_view_make(volume, spec->orientation, what, &ret->view, err);
    rad_error apart;
    if (st == RAD_OK && ref && volume != ref->volume &&
        rad_view_same_grid(ref, reference, &ret->view, what, GRID_TOLERANCE, &apart) != RAD_OK)
        rad_link_make(ref, &ret->view, &ret->link);
    return st == RAD_OK && ret->link.same ? crop(&spec->crop, what, &ret->view, err) : st;
}

rad_status rad_match_slice(const rad_input_spec *spec, const rad_view *ref, const rad_channel_view *c, const int64_t box[4], int64_t k,
                           int64_t *ret_slice, double *ret_mm, rad_error *err) {
    double limit = spec->match.has_tolerance ? spec->match.tolerance_mm : rad_view_slice_distance(ref) / 2;
    double at[3] = {(double)(box[0] + box[2] - 1) / 2, (double)(box[1] + box[3] - 1) / 2, (double)k}, w[3];
    rad_map_point(c->link.to, at, w);
    double j = fmin(fmax(rad_nearest(w[2]), 0), (double)(c->view.dim[2] - 1)), most = fabs(w[2] - j);
    for (int corner = 0; spec->match.nearest && corner < 4; corner++) {
        at[0] = (double)(corner & 1 ? box[2] - 1 : box[0]);
        at[1] = (double)(corner & 2 ? box[3] - 1 : box[1]);
        rad_map_point(c->link.to, at, w);
        most = fmax(most, fabs(w[2] - j));
    }
    *ret_slice = (int64_t)j;
    *ret_mm = most * c->link.slice_mm;
    if (*ret_mm <= limit + MATCH_SLACK)
        return RAD_OK;
    return rad_error_set(err, RAD_E_SHAPE,
                         "nearest slice of sequence '%s' lies %.2f mm from slice %" PRId64
                         " of sequence '%s', the tolerance is %.2f mm%s; the images' slice distances are %.2f and %.2f mm: correct the "
                         "images, or set match.tolerance_mm",
                         c->sequence, *ret_mm, k, spec->channel[0].sequence, limit,
                         spec->match.has_tolerance ? "" : " (half the slice distance)", c->link.slice_mm, rad_view_slice_distance(ref));
}

void rad_patch_release(rad_patch *p) {
    free(p->value);
    free(p->row);
    *p = (rad_patch){0};
}

/* How many voxels the patch has. */
static rad_status check_patch(const rad_channel_view *c, const rad_patch *p, size_t *ret_count, rad_error *err) {
    size_t count = 0;
    if (!rad_mul_size((size_t)p->n[0], (size_t)p->n[1], &count) || !rad_mul_size(count, (size_t)p->n[2], &count) ||
        count > RAD_MAX_PREPARED_BYTES / sizeof *p->value)
        return rad_error_set(err, RAD_E_LIMIT, "region of %" PRId64 "x%" PRId64 "x%" PRId64 " voxels of sequence '%s' is too large",
                             p->n[0], p->n[1], p->n[2], c->sequence);
    *ret_count = count;
    return RAD_OK;
}

rad_status rad_patch_place(const rad_input_spec *spec, const rad_view *ref, const rad_channel_view *c, const int64_t box[4], int64_t k,
                           int64_t slice, rad_patch *p, rad_error *err) {
    double low[3] = {INFINITY, INFINITY, INFINITY}, high[3] = {-INFINITY, -INFINITY, -INFINITY};
    bool inside = false;
    size_t count = 0;
    for (int corner = 0; corner < 4; corner++) {
        int64_t x0 = box[0] > ref->low[0] ? box[0] : ref->low[0], x1 = box[2] < ref->high[0] ? box[2] : ref->high[0];
        int64_t y0 = box[1] > ref->low[1] ? box[1] : ref->low[1], y1 = box[3] < ref->high[1] ? box[3] : ref->high[1];
        double at[3] = {(double)(corner & 1 ? x1 - 1 : x0), (double)(corner & 2 ? y1 - 1 : y0), (double)k}, w[3];
        rad_map_point(c->link.to, at, w);
        for (int a = 0; a < 3; a++) {
            low[a] = fmin(low[a], w[a]);
            high[a] = fmax(high[a], w[a]);
        }
    }
    for (int a = 0; a < 3; a++) {
        double last = (double)(c->view.dim[a] - 1);
        inside = a == 0 || inside;
        if (a < 2 && (high[a] < -0.5 - EDGE_SLACK || low[a] > last + 0.5 + EDGE_SLACK))
            inside = false;
        double from = fmin(fmax(floor(low[a]), 0), last), to = fmin(fmax(floor(high[a]) + 1, 0), last);
        if (a == 2 && spec->match.nearest)
            from = to = (double)slice;
        p->from[a] = (int64_t)from;
        p->n[a] = (int64_t)(to - from) + 1;
    }
    if (!inside)
        return rad_error_set(err, RAD_E_SHAPE, "image of sequence '%s' does not reach the region in slice %" PRId64 " of sequence '%s'",
                             c->sequence, k, spec->channel[0].sequence);
    return check_patch(c, p, &count, err);
}

rad_status rad_patch_fill(const rad_channel_view *c, rad_patch *p, rad_error *err) {
    size_t count = 0;
    rad_status st = check_patch(c, p, &count, err);
    if (st != RAD_OK)
        return st;
    if (count > p->room) {
        free(p->value);
        p->value = rad_calloc(count, sizeof *p->value);
        p->room = p->value ? count : 0;
    }
    if (p->n[0] > p->row_room) {
        free(p->row);
        p->row = rad_calloc((size_t)p->n[0], sizeof *p->row);
        p->row_room = p->row ? p->n[0] : 0;
    }
    if (!p->value || !p->row)
        return rad_error_set(err, RAD_E_NOMEM, "no memory to resample sequence '%s'", c->sequence);
    for (int64_t z = 0; z < p->n[2]; z++)
        for (int64_t y = 0; y < p->n[1]; y++) {
            int64_t bad;
            rad_channel_row(c, p->from[0], p->from[1] + y, p->from[2] + z, p->n[0], p->row);
            (void)rad_tone_row(&c->tone, p->row, p->n[0], p->value + (z * p->n[1] + y) * p->n[0], &bad); /* where it matters shows later */
        }
    return RAD_OK;
}

rad_status rad_patch_read(const rad_input_spec *spec, const rad_view *ref, const rad_channel_view *c, const int64_t box[4], int64_t k,
                          int64_t slice, rad_patch *p, rad_error *err) {
    rad_status st = rad_patch_place(spec, ref, c, box, k, slice, p, err);
    return st == RAD_OK ? rad_patch_fill(c, p, err) : st;
}

/* Along one axis: first voxel of the patch and the share of the next; false outside. */
static bool locate(const rad_patch *p, int a, const rad_view *v, double w, bool nearest, int64_t *ret_k, double *ret_f) {
    double first = (double)(a < 2 ? v->low[a] : 0), last = (double)((a < 2 ? v->high[a] : v->dim[a]) - 1), in = fmin(fmax(w, first), last);
    in = nearest ? rad_nearest(in) : in;
    double k = floor(in);
    *ret_k = (int64_t)k - p->from[a];
    *ret_f = in - k;
    return w >= first - 0.5 - EDGE_SLACK && w <= last + 0.5 + EDGE_SLACK;
}

static double mix(double a, const double *b, double f) {
    return f > 0 ? (1 - f) * a + f * *b : a;
}

double rad_patch_value(const rad_patch *p, const rad_channel_view *c, const double w[3], bool zero_outside, bool nearest) {
    int64_t k[3];
    double f[3];
    bool inside = true;
    for (int a = 0; a < 3; a++)
        inside = locate(p, a, &c->view, w[a], nearest, &k[a], &f[a]) && inside;
    if (!inside && zero_outside)
        return rad_tone_black(&c->tone);
    const double *v = p->value + (k[2] * p->n[1] + k[1]) * p->n[0] + k[0];
    int64_t dy = p->n[0], dz = p->n[0] * p->n[1];
    double line[2], plane[2] = {0};
    for (int z = 0; z < (f[2] > 0 ? 2 : 1); z++, v += dz) {
        const double *q = v;
        line[1] = 0;
        for (int y = 0; y < (f[1] > 0 ? 2 : 1); y++, q += dy)
            line[y] = mix(q[0], q + 1, f[0]);
        plane[z] = mix(line[0], &line[1], f[1]);
    }
    return mix(plane[0], &plane[1], f[2]);
}
